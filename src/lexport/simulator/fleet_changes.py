"""Changes of a fleet between two snapshots, and the state that the fleet keeps of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lexport.model import Scope
from lexport.simulator.seeded import Build

ChangeKind = Literal[
    "delete_function",
    "recreate_function",
    "delete_version",
    "publish_version",
    "set_tags",
    "set_reserved_concurrency",
    "move_alias",
    "update_config",
    "update_code",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change, as a user of AWS would make it. Only the fields that the kind needs are read.

    ``recreate_function`` creates a function of the same name anew, without versions and aliases.
    ``reserved_concurrency`` None removes the reservation. ``update_config`` sets the given fields of ``$LATEST``.
    """

    kind: ChangeKind
    scope: Scope
    function_name: str
    version: str | None = None
    alias: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    reserved_concurrency: int | None = None
    memory_mb: int | None = None
    description: str | None = None
    environment: dict[str, str] | None = None


@dataclass(slots=True)
class Overlay:
    """The differences of one function from the one that the seed gives."""

    generation: int = 0
    is_deleted: bool = False
    removed: set[int] = field(default_factory=set)
    published: dict[int, Build] = field(default_factory=dict)
    greatest: int = 0
    tags: dict[str, str] | None = None
    has_reserved: bool = False
    reserved_concurrency: int | None = None
    moved: dict[str, tuple[str, int]] = field(default_factory=dict)
    memory_mb: int | None = None
    description: str | None = None
    environment: dict[str, str] | None = None
    code: str | None = None
    updates: int = 0
    revision: int = 0
