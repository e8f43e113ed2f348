"""What a prune is asked to do, and what came of it. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from lexport.dataset.retention import KeepRules
from lexport.errors import SettingsError
from lexport.model import is_ulid

GRACE = timedelta(hours=24)

Kind = Literal["snapshot", "retirement", "packages", "damaged", "run", "files", "package"]
Action = Literal["keep", "remove", "wait"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneItem:
    """One thing that a prune looked at.

    ``kind`` is a ``snapshot``, a ``retirement`` of account-regions, a commit of ``packages`` alone, a ``damaged``
    commit, an unfinished ``run``, the ``files`` that nothing names any more, or a stored ``package``. ``name`` is an id
    or a path, ``at`` the start of its run or the time of its newest file. ``wait`` means that a later prune removes it.
    """

    kind: Kind
    name: str
    at: datetime
    action: Action
    reason: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneResult:
    """What was removed and what stays, and why; with ``is_dry_run``, what would be.

    A removed snapshot is no longer shown. Its files are removed by a later prune, after the grace period.
    """

    is_dry_run: bool
    items: tuple[PruneItem, ...]
    notes: tuple[str, ...]

    def having(self, action: Action, *kinds: Kind) -> tuple[PruneItem, ...]:
        """Return the items with an action, of some kinds or of all."""
        return tuple(item for item in self.items if item.action == action and (not kinds or item.kind in kinds))


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOrder:
    """What a prune is asked to do. Raises SettingsError where that is nothing, or a contradiction."""

    rules: KeepRules
    snapshot: str | None = None
    packages: bool = False
    grace: timedelta = GRACE
    is_dry_run: bool = False

    def __post_init__(self) -> None:
        """Check every setting."""
        for name in ("last", "daily", "weekly", "monthly"):
            if getattr(self.rules, name) < 0:
                raise SettingsError(f"--keep-{name} is a number of snapshots, not below 0", option=f"--keep-{name}")
        for option, span in (("--keep-within", self.rules.within), ("--grace", self.grace)):
            if span is not None and span < timedelta(0):
                raise SettingsError(f"{option} is a time like 30d, not below 0", option=option)
        if self.snapshot is None and self.rules.is_empty:
            raise SettingsError(
                "no rule says what to keep, so nothing was removed; give --keep-within, --keep-last, --keep-daily,"
                " --keep-weekly or --keep-monthly above 0, or one --snapshot to remove",
                option="--keep-last",
            )
        if self.snapshot is not None and (self.packages or not self.rules.is_empty):
            raise SettingsError(
                "--snapshot removes one snapshot; it goes without --keep rules and --packages", option="--snapshot"
            )
        if self.snapshot is not None and not is_ulid(self.snapshot):
            raise SettingsError(
                f"--snapshot {self.snapshot} is not the whole id of a snapshot; lexport status lists them",
                option="--snapshot",
            )
