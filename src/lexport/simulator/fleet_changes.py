"""Changes of a fleet between two snapshots, and the state that the fleet keeps of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from lexport.model import Scope
from lexport.simulator.seeded import Build
from lexport.simulator.spec import AliasSpec

ChangeKind = Literal[
    "create_function",
    "delete_function",
    "recreate_function",
    "delete_version",
    "publish_version",
    "set_tags",
    "set_reserved_concurrency",
    "create_alias",
    "move_alias",
    "delete_alias",
    "update_config",
    "update_code",
    "change_resource",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change, as a user of AWS would make it. Only the fields that the kind needs are read.

    ``create_function`` creates the function that the seed gives next, ``recreate_function`` one of the same name anew;
    both begin without versions and aliases. ``reserved_concurrency`` None removes the reservation. ``update_config``
    sets the given fields of ``$LATEST``, ``change_resource`` makes ``resource`` of the function anew. ``weights`` are
    those of an alias's additional versions.

    ``at`` is the time of the change, and so LastModified of what it changes; by default a minute after the last one.

    The others say what the event history shows: how the function was named, on behalf of which service the call was
    made, and how much later the event becomes visible. A change with an ``error_code`` is refused: it leaves an event
    and changes nothing.
    """

    kind: ChangeKind
    scope: Scope
    function_name: str
    version: str | None = None
    alias: str | None = None
    weights: dict[str, float] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    reserved_concurrency: int | None = None
    memory_mb: int | None = None
    timeout_s: int | None = None
    runtime: str | None = None
    description: str | None = None
    environment: dict[str, str] | None = None
    resource: str | None = None
    at: datetime | None = None
    named_as: Literal["name", "arn", "partial", "qualified"] = "name"
    caller: Literal["user", "cloudformation", "codedeploy"] = "user"
    event_delay: timedelta = timedelta(0)
    has_dated_event: bool = True
    error_code: str | None = None


@dataclass(slots=True)
class Overlay:
    """The differences of one function from the one that the seed gives; an alias that is None is deleted.

    ``resources`` counts the changes of each resource around the function.
    """

    generation: int = 0
    is_deleted: bool = False
    removed: set[int] = field(default_factory=set)
    published: dict[int, Build] = field(default_factory=dict)
    greatest: int = 0
    tags: dict[str, str] | None = None
    has_reserved: bool = False
    reserved_concurrency: int | None = None
    aliases: dict[str, AliasSpec | None] = field(default_factory=dict)
    resources: dict[str, int] = field(default_factory=dict)
    memory_mb: int | None = None
    timeout_s: int | None = None
    runtime: str | None = None
    description: str | None = None
    environment: dict[str, str] | None = None
    code: str | None = None
    updates: int = 0
    revision: int = 0
    changed_at: datetime | None = None

    def update(self, at: datetime | None) -> None:
        """Count an update of ``$LATEST`` at this time."""
        self.updates += 1
        self.revision += 1
        self.changed_at = at or (self.changed_at and self.changed_at + timedelta(minutes=1))
