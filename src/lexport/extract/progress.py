"""The progress of a run: its counters. ``show_progress`` shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lexport.model import CallCounts, PaceReading, Scope
from lexport.tables.text import plural
from lexport.tables.units import format_bytes, format_seconds

_IDLE = PaceReading(rate_per_s=1.0, calls=0, throttles=0)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class ShardProgress:
    """Counters of one account-region.

    ``versions_before`` are those of the last snapshot, ``functions_counted`` are AWS's own count; both are None where
    they are not known. ``asked`` and ``answered`` count, by resource, the calls for other resources than versions.
    """

    scope: Scope
    listed: int = 0
    fetched: int = 0
    functions_listed: int = 0
    versions_before: int | None = None
    functions_counted: int | None = None
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    is_listed: bool = False
    is_done: bool = False
    started_at: datetime = field(default_factory=_now)
    ended_at: datetime | None = None
    pace: Callable[[], tuple[PaceReading, PaceReading]] = lambda: (_IDLE, _IDLE)

    @property
    def calls_due(self) -> int:
        """Calls for other resources than versions that are still to be made."""
        return self.asked.total() - self.answered.total()

    @property
    def throttles(self) -> int:
        """Calls that AWS throttled so far."""
        get_function, listing = self.pace()
        return get_function.throttles + listing.throttles

    def finish(self) -> None:
        """Note that the account-region was read."""
        self.is_listed = self.is_done = True
        self.ended_at = self.ended_at or _now()


@dataclass(frozen=True, slots=True)
class PackageKind:
    """A kind of outcome: ``what`` is "package", "layer" or "finding", ``why`` a short reason or an error code."""

    what: str
    status: str
    why: str = ""


@dataclass(slots=True)
class PackageProgress:
    """Counters of packages and layers. ``files`` and ``size_bytes`` are those to be fetched, as far as planned.

    ``kinds`` counts the outcomes, ``examples`` has one of each kind. ``moved_bytes`` counts received bytes.
    ``stored_before`` counts early downloads, which the plan will find in the store.
    """

    files: int = 0
    size_bytes: int = 0
    files_done: int = 0
    bytes_done: int = 0
    stored_bytes: int = 0
    stored_before: int = 0
    moved_bytes: Callable[[], int] = lambda: 0
    kinds: Counter[PackageKind] = field(default_factory=Counter)
    examples: dict[PackageKind, str] = field(default_factory=dict)

    def count(self, what: str, status: str, why: str = "", example: str = "") -> None:
        """Count one package or layer."""
        if (what, status) == ("package", "present") and self.stored_before:
            self.stored_before -= 1  # this run has stored and counted it
            return
        kind = PackageKind(what, status, why)
        self.kinds[kind] += 1
        self.examples.setdefault(kind, example)

    def describe(self, bytes_per_s: float) -> str:
        """Return the counters as one line."""
        left = max(0, self.size_bytes - self.bytes_done)
        left_text = f", about {format_seconds(left / bytes_per_s)} left" if left and bytes_per_s >= 1 else ""
        return (
            f"{self.files_done:,} of {plural(self.files, 'package')}, {format_bytes(self.moved_bytes())} of"
            f" {format_bytes(self.size_bytes)}, {format_bytes(bytes_per_s)}/s{left_text}"
        )


@dataclass(slots=True)
class KeptRun:
    """What is kept of a run that is not published; ``snapshot_id`` is "" before there is anything to go on with.

    ``shards_before`` counts the shards that earlier attempts have finished. ``is_read_whole`` says that another attempt
    would read nothing more: what is missing was denied.
    """

    snapshot_id: str = ""
    shards: int = 0
    shards_done: int = 0
    shards_before: int = 0
    is_published: bool = False
    is_read_whole: bool = False

    def begin(self, snapshot_id: str, *, shards: int, finished: int) -> None:
        """Note that shards are being read."""
        self.snapshot_id, self.shards = snapshot_id, max(shards, finished)
        self.shards_done = self.shards_before = finished

    def finish_shard(self) -> None:
        """Count a shard; an account whose Regions were not known counted as one before."""
        self.shards_done += 1
        self.shards = max(self.shards, self.shards_done)


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a run, and when it began."""

    name: str
    started_at: datetime = field(default_factory=_now)


@dataclass(slots=True)
class Progress:
    """The shards of a run, its packages and its ``notes``. The role of ``accounts_left`` is not assumed yet.

    ``stages`` are those that have begun. ``outcome`` is the result as it was before anything was published, ``calls``
    counts the calls to Lambda. ``versions_before`` are the versions of each account-region in the last snapshot.
    """

    shards: list[ShardProgress] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=lambda: [Stage("choosing targets")])
    snapshot_id: str = ""
    outcome: object = None
    calls: Callable[[], CallCounts] = CallCounts
    accounts_left: int = 0
    versions_before: Mapping[Scope, int] = field(default_factory=dict)
    packages: PackageProgress = field(default_factory=PackageProgress)
    kept: KeptRun = field(default_factory=KeptRun)

    @property
    def stage(self) -> str:
        """The part of the run that goes on."""
        return self.stages[-1].name

    @stage.setter
    def stage(self, name: str) -> None:
        if name != self.stage:
            self.stages.append(Stage(name))

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)


Report = Callable[[Progress], Coroutine[Any, Any, None]]
"""Shows a Progress until it is cancelled."""


async def report_nothing(progress: Progress) -> None:
    """Show nothing."""


async def keep_reporting(report: Report, progress: Progress) -> None:
    """Report until cancelled; a closed terminal or pipe ends the report and not the run."""
    with suppress(OSError):
        await report(progress)
