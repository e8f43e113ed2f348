"""The progress of a run: counters, and the two ways to show them, plain lines or live bars."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

import anyio

from lexport.model import CallCounts, PaceReading, Scope
from lexport.tables.text import plural, visible
from lexport.tables.units import format_bytes, format_seconds

if TYPE_CHECKING:  # rich is imported late
    from rich.progress import Progress as Bars

PLAIN_EVERY_S = 10.0
LIVE_EVERY_S = 0.25

MOST_SHARDS_SHOWN = 20
MOST_LINES = 10

_IDLE = PaceReading(rate_per_s=1.0, calls=0, throttles=0)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class ShardProgress:
    """Counters of one account-region. ``calls_due`` are calls for other resources than functions."""

    scope: Scope
    listed: int = 0
    fetched: int = 0
    calls_due: int = 0
    is_listed: bool = False
    is_done: bool = False
    started_at: datetime = field(default_factory=_now)
    ended_at: datetime | None = None
    pace: Callable[[], tuple[PaceReading, PaceReading]] = lambda: (_IDLE, _IDLE)

    @property
    def throttles(self) -> int:
        """Calls that AWS throttled so far."""
        get_function, listing = self.pace()
        return get_function.throttles + listing.throttles

    def finish(self) -> None:
        """Note that the account-region was read."""
        self.is_listed = self.is_done = True
        self.ended_at = self.ended_at or _now()

    def left_s(self, rate_per_s: float) -> float | None:
        """Estimate the time left; None while the listing still goes on."""
        if not self.is_listed:
            return None
        get_function, listing = self.pace()
        functions_s = (self.listed - self.fetched) / max(rate_per_s, get_function.rate_per_s * 0.1)
        return max(functions_s, self.calls_due / listing.rate_per_s)


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
    counts the calls to Lambda.
    """

    shards: list[ShardProgress] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=lambda: [Stage("choosing targets")])
    snapshot_id: str = ""
    outcome: object = None
    calls: Callable[[], CallCounts] = CallCounts
    accounts_left: int = 0
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


@dataclass(slots=True)
class _Rate:
    """Items per second between two samples, smoothed."""

    at_s: float
    count: int = 0
    rate_per_s: float = 0.0

    def sample(self, count: int) -> float:
        now_s = anyio.current_time()
        if now_s > self.at_s:
            latest = (count - self.count) / (now_s - self.at_s)
            self.rate_per_s = latest if not self.rate_per_s else 0.7 * self.rate_per_s + 0.3 * latest
        self.at_s, self.count = now_s, count
        return self.rate_per_s


def describe(shard: ShardProgress, rate_per_s: float) -> str:
    """Return one shard as a line."""
    left_s = shard.left_s(rate_per_s)
    left = "listing" if left_s is None else "done" if shard.is_done else f"about {format_seconds(left_s)} left"
    return (
        f"{shard.scope}: {shard.fetched:,} of {shard.listed:,} listed fetched, "
        f"{rate_per_s:,.1f}/s, {shard.throttles:,} throttles, {left}"
    )


@dataclass(slots=True)
class _Rates:
    """The rates of all shards and of the downloads, sampled at each report."""

    started_s: float
    rates: dict[Scope, _Rate] = field(default_factory=dict)
    bytes: _Rate = field(init=False)

    def __post_init__(self) -> None:
        self.bytes = _Rate(self.started_s)

    def sample(self, progress: Progress) -> dict[Scope, float]:
        """Return the rate of every shard."""
        return {
            shard.scope: self.rates.setdefault(shard.scope, _Rate(self.started_s)).sample(shard.fetched)
            for shard in progress.shards
        }

    def bytes_per_s(self, progress: Progress) -> float:
        """Return the rate of the packages."""
        return self.bytes.sample(progress.packages.moved_bytes())


def slowest(progress: Progress, rates: dict[Scope, float], most: int) -> list[ShardProgress]:
    """Return the unfinished shards that will take longest; first those that still list, whose time is not known."""

    def left_s(shard: ShardProgress) -> float:
        seconds = shard.left_s(rates[shard.scope])
        return math.inf if seconds is None else seconds

    return sorted((shard for shard in progress.shards if not shard.is_done), key=left_s, reverse=True)[:most]


def describe_all(progress: Progress, rates: dict[Scope, float]) -> str:
    """Return all shards as one line."""
    shards = progress.shards
    done = sum(shard.is_done for shard in shards)
    entering = f", {plural(progress.accounts_left, 'account')} to enter" if progress.accounts_left else ""
    return (
        f"{done:,} of {plural(len(shards), 'account-region')} done{entering}: {sum(t.fetched for t in shards):,} of"
        f" {sum(t.listed for t in shards):,} listed fetched, {sum(rates.values()):,.1f}/s,"
        f" {plural(sum(t.throttles for t in shards), 'throttle')}"
    )


async def keep_reporting(report: Report, progress: Progress) -> None:
    """Report until cancelled; a closed terminal or pipe ends the report and not the run."""
    with suppress(OSError):
        await report(progress)


Write = Callable[[str, Mapping[str, object]], None]
"""Takes one line, and the facts in it as fields."""


def print_line(line: str, _fields: Mapping[str, object]) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - a program that asks for lines gets them there


async def report_plainly(progress: Progress, write: Write = print_line) -> None:
    """Write a line per unfinished shard every 10 seconds; with many shards, their total and the slowest ones."""
    sampled = _Rates(anyio.current_time())
    while True:
        await anyio.sleep(PLAIN_EVERY_S)
        rates = sampled.sample(progress)
        is_many = len(progress.shards) > MOST_SHARDS_SHOWN
        shown = slowest(progress, rates, MOST_LINES if is_many else MOST_SHARDS_SHOWN)
        if is_many and shown:
            write(describe_all(progress, rates), {})
        for shard in shown:
            write(describe(shard, rates[shard.scope]), {})
        bytes_per_s = sampled.bytes_per_s(progress)
        if progress.packages.files:
            write(progress.packages.describe(bytes_per_s), {})
        elif not shown:
            write(f"{progress.stage} ...", {})


async def report_live(progress: Progress, out: TextIO | None = None) -> None:
    """Draw a bar per shard on the terminal of standard error; with many, a total and the slowest ones on one screen.

    Cancelled: the bars stay as they are.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars

    sampled = _Rates(anyio.current_time())
    console = Console(stderr=True, file=out)
    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[more]}", markup=False),
        console=console,
        auto_refresh=False,
    )
    with bars:
        try:
            while True:
                rates = sampled.sample(progress)
                most = max(1, min(MOST_SHARDS_SHOWN, console.height - 4))
                _draw(bars, progress, rates, most=most, bytes_per_s=sampled.bytes_per_s(progress))
                bars.refresh()
                await anyio.sleep(LIVE_EVERY_S)
        finally:
            bars.refresh()


def _draw(bars: Bars, progress: Progress, rates: dict[Scope, float], *, most: int, bytes_per_s: float = 0.0) -> None:
    rows: list[tuple[str, int, int | None, str]] = []
    shown = progress.shards
    if len(shown) > most:
        shown = slowest(progress, rates, most)
        done = sum(shard.is_done for shard in progress.shards)
        entering = f", {plural(progress.accounts_left, 'account')} to enter" if progress.accounts_left else ""
        more = f"account-regions done{entering}, {sum(rates.values()):,.1f}/s"
        rows.append(("total", done, len(progress.shards), more))
    for shard in shown:
        more = describe(shard, rates[shard.scope]).split("fetched, ")[1]
        total = max(shard.listed, 1) if shard.is_listed else None
        rows.append((f"{shard.scope}", shard.fetched, total, more))
    if progress.packages.files:
        more = progress.packages.describe(bytes_per_s).partition(", ")[2]
        rows.append(("packages", progress.packages.files_done, progress.packages.files, more))
    if not rows:
        rows.append((progress.stage, 0, None, ""))
    while len(bars.tasks) < len(rows):
        bars.add_task("", total=None, more="")
    for number, task in enumerate(bars.tasks):
        if number < len(rows):
            name, completed, total, more = rows[number]
            bars.update(task.id, description=visible(name), completed=completed, more=visible(more), visible=True)
            task.total = total  # update() takes None for "as it was"
        else:
            bars.update(task.id, visible=False)
