"""Show the progress of a run: lines, bars on a terminal, or bars in a notebook."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

import anyio

from lexport.extract.progress import Progress, ShardProgress
from lexport.extract.time_left import RunTotals, phase_of, run_totals, shard_left_s, versions_total
from lexport.model import Scope
from lexport.tables.text import agree, plural, visible
from lexport.tables.units import format_seconds

if TYPE_CHECKING:  # rich is imported late
    from rich.console import Console, ConsoleDimensions, RenderableType
    from rich.progress import Progress as Bars
    from rich.segment import ControlCode

PLAIN_EVERY_S = 10.0
LIVE_EVERY_S = 0.25
NOTEBOOK_EVERY_S = 0.5
NOTEBOOK_WIDTH = 120
MARGIN = 3  # columns

MOST_SHARDS_SHOWN = 20
MOST_LINES = 10

_IN_READING = ("choosing targets", "reading")

Write = Callable[[str, Mapping[str, object]], None]
"""Takes one line, and the facts in it as fields."""


# --- rates and words --------------------------------------------------------------------------------------------------


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


@dataclass(slots=True)
class Sampled:
    """The rates of all shards and of the downloads, sampled at each report, and the estimates that follow."""

    started_s: float
    rates: dict[Scope, float] = field(default_factory=dict)
    bytes_per_s: float = 0.0
    totals: RunTotals | None = None
    _rates: dict[Scope, _Rate] = field(default_factory=dict)
    _bytes: _Rate | None = None

    def sample(self, progress: Progress) -> Sampled:
        """Take the counters at this moment."""
        self.rates = {
            shard.scope: self._rates.setdefault(shard.scope, _Rate(self.started_s)).sample(shard.fetched)
            for shard in progress.shards
        }
        self._bytes = self._bytes or _Rate(self.started_s)
        self.bytes_per_s = self._bytes.sample(progress.packages.moved_bytes())
        self.totals = run_totals(progress, [self.left_s(shard) for shard in progress.shards])
        return self

    def left_s(self, shard: ShardProgress) -> float | None:
        """Return the seconds that a shard still takes, None if not known."""
        return shard_left_s(shard, self.rates[shard.scope])


def _left(seconds: float | None) -> str:
    return f", about {format_seconds(seconds)} left" if seconds else ""


def failing_of(shard: ShardProgress) -> tuple[int, str]:
    """Return how many calls fail and are tried again now, and the most frequent reason."""
    readings = shard.pace()
    worst = max(readings, key=lambda reading: reading.failing)
    return sum(reading.failing for reading in readings), worst.failing_why


def _trouble(failing: int, why: str) -> str:
    return f", {failing:,} failing: {why}; retrying" if failing else ""


def phase_text(shard: ShardProgress) -> str:
    """Return what an account-region is waiting for; other resources with their counts."""
    phase = phase_of(shard)
    if phase != "other resources":
        return phase
    left = {name: shard.asked[name] - shard.answered[name] for name in shard.asked}
    name = max(left, key=lambda each: left[each])
    return f"{name} {shard.answered[name]:,} of {shard.asked[name]:,}"


def more_text(shard: ShardProgress, sampled: Sampled) -> str:
    """Return all about an account-region but its name and the count of its versions."""
    rate = sampled.rates[shard.scope]
    throttles = f", {plural(shard.throttles, 'throttle')}" if shard.throttles else ""
    speed = "" if phase_of(shard) in ("other resources", "finishing", "done") else f", {rate:,.1f}/s"
    left = "" if shard.is_done else _left(sampled.left_s(shard))
    return f"{phase_text(shard)}{speed}{throttles}{_trouble(*failing_of(shard))}{left}"


def _count_text(fetched: int, total: int | None, *, is_exact: bool) -> str:
    if total is None:
        return plural(fetched, "version")
    return f"{fetched:,} of {'' if is_exact else 'about '}{total:,} {agree(total, 'version')}"


def describe(shard: ShardProgress, sampled: Sampled) -> str:
    """Return one shard as a line."""
    count = _count_text(shard.fetched, versions_total(shard), is_exact=shard.is_listed)
    return f"{shard.scope}: {count}, {more_text(shard, sampled).removeprefix('versions, ')}"


def describe_all(progress: Progress, sampled: Sampled) -> str:
    """Return all shards as one line."""
    totals = sampled.totals
    assert totals is not None
    done = f"{totals.done:,} of {plural(totals.shards, 'account-region')} done"
    is_exact = not totals.waiting and all(shard.is_listed for shard in progress.shards)
    return f"{done}: {_count_text(totals.fetched, totals.versions, is_exact=is_exact)}, {_all_more(progress, sampled)}"


def _all_more(progress: Progress, sampled: Sampled) -> str:
    assert sampled.totals is not None
    entering = f"{plural(progress.accounts_left, 'account')} to enter, " if progress.accounts_left else ""
    throttles = sum(shard.throttles for shard in progress.shards)
    failing = [failing_of(shard) for shard in progress.shards if not shard.is_done]
    count, why = sum(number for number, _ in failing), max(failing, default=(0, ""))[1]
    more = f", {plural(throttles, 'throttle')}" if throttles else ""
    return f"{entering}{sum(sampled.rates.values()):,.1f}/s{more}{_trouble(count, why)}{_left(sampled.totals.left_s)}"


def slowest(progress: Progress, sampled: Sampled, most: int) -> list[ShardProgress]:
    """Return the unfinished shards that will take longest; first those whose time is not known."""

    def left_s(shard: ShardProgress) -> float:
        seconds = sampled.left_s(shard)
        return math.inf if seconds is None else seconds

    return sorted((shard for shard in progress.shards if not shard.is_done), key=left_s, reverse=True)[:most]


# --- lines ------------------------------------------------------------------------------------------------------------


def print_line(line: str, _fields: Mapping[str, object]) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - a program that asks for lines gets them there


async def report_plainly(progress: Progress, write: Write = print_line) -> None:
    """Write a line per unfinished shard every 10 seconds; of several shards their total, of many the slowest ones."""
    sampled = Sampled(anyio.current_time())
    while True:
        await anyio.sleep(PLAIN_EVERY_S)
        for line, fields in lines_of(progress, sampled.sample(progress)):
            write(line, fields)


def lines_of(progress: Progress, sampled: Sampled) -> list[tuple[str, dict[str, object]]]:
    """Return the lines that show a run at this moment, each with its facts as fields."""
    totals = sampled.totals
    assert totals is not None
    is_many = len(progress.shards) > MOST_SHARDS_SHOWN
    shown = slowest(progress, sampled, MOST_LINES if is_many else MOST_SHARDS_SHOWN)
    lines: list[tuple[str, dict[str, object]]] = []
    if totals.shards > 1 and shown:
        done = {"account_regions": totals.shards, "account_regions_done": totals.done}
        facts = _facts(totals.fetched, totals.versions, totals.left_s)
        lines.append((describe_all(progress, sampled), done | facts))
    for shard in shown:
        failing, why = failing_of(shard)
        facts = _facts(shard.fetched, versions_total(shard), sampled.left_s(shard))
        place = {"account_id": shard.scope.account_id, "region": shard.scope.region, "phase": phase_of(shard)}
        trouble = {"throttles": shard.throttles, "failing": failing, "failing_why": why or None}
        lines.append((describe(shard, sampled), place | facts | trouble))
    if progress.packages.files:
        facts = {"packages": progress.packages.files, "packages_done": progress.packages.files_done}
        lines.append((f"packages: {progress.packages.describe(sampled.bytes_per_s)}", facts))
    if not lines or progress.stage not in _IN_READING:
        lines.append((f"{progress.stage} ...", {"phase": progress.stage}))
    return lines


def _facts(fetched: int, total: int | None, left_s: float | None) -> dict[str, object]:
    return {"versions_read": fetched, "versions": total, "left_s": None if left_s is None else round(left_s)}


# --- bars -------------------------------------------------------------------------------------------------------------


async def report_live(progress: Progress, out: TextIO | None = None) -> None:
    """Draw a bar per shard on the terminal of standard error; with many, a total and the slowest ones on one screen.

    Cancelled: the bars stay as they are.
    """
    from rich.console import Console

    sampled = Sampled(anyio.current_time())
    console = Console(stderr=True, file=out)
    bars = _bars(console)
    size = console.size

    def redraw() -> None:
        nonlocal size
        if console.size != size:
            _erase_wrapped(bars, size)
            size = console.size
        draw(bars, progress, sampled.sample(progress), most=max(1, min(MOST_SHARDS_SHOWN, size.height - 5)))
        bars.refresh()

    with bars:
        try:
            while True:
                redraw()
                await anyio.sleep(LIVE_EVERY_S)
        finally:
            redraw()


def _bars(console: Console) -> Bars:
    from rich.constrain import Constrain
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    class NarrowBars(Bars):
        """Bars that leave room at the end of a line for the ^C that a terminal writes there, which would wrap it."""

        def get_renderable(self) -> RenderableType:
            return Constrain(super().get_renderable(), max(1, console.width - MARGIN))

    whole = Column(no_wrap=True)
    return NarrowBars(
        TextColumn("{task.description}", markup=False, table_column=whole),
        BarColumn(bar_width=20, table_column=Column(no_wrap=True, min_width=4)),
        TextColumn("{task.fields[count]}", markup=False, table_column=Column(no_wrap=True, justify="right")),
        TextColumn(
            "{task.fields[more]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
        ),
        console=console,
        auto_refresh=False,
        expand=True,
    )


def _erase_wrapped(bars: Bars, drawn_at: ConsoleDimensions) -> None:
    """Erase the lines that a narrower terminal has added by wrapping: rich erases as many as it drew before that."""
    from rich.control import Control
    from rich.segment import ControlType

    rows = min(sum(task.visible for task in bars.tasks), drawn_at.height)
    lines_each = math.ceil((drawn_at.width - MARGIN) / max(1, bars.console.width))
    erase: ControlCode = (ControlType.ERASE_IN_LINE, 2)
    up: ControlCode = (ControlType.CURSOR_UP, 1)
    bars.console.control(Control(*(erase, up) * (rows * max(0, lines_each - 1))))


def draw(bars: Bars, progress: Progress, sampled: Sampled, *, most: int) -> None:
    """Set the rows of the bars: a total where there are several account-regions, then one row each."""
    rows = rows_of(progress, sampled, most=most)
    while len(bars.tasks) < len(rows):
        bars.add_task("", total=None, count="", more="")
    for task, (name, completed, total, count, more) in zip(bars.tasks, rows, strict=False):
        bars.update(
            task.id, description=visible(name), completed=completed, count=count, more=visible(more), visible=True
        )
        task.total = total  # update() takes None for "as it was"
    for task in bars.tasks[len(rows) :]:
        bars.update(task.id, visible=False)


Row = tuple[str, int, int | None, str, str]
"""Name, what is done, of how many, the same as text, and the rest as text."""


def rows_of(progress: Progress, sampled: Sampled, *, most: int) -> list[Row]:
    """Return the rows of the bars."""
    totals = sampled.totals
    assert totals is not None
    rows: list[Row] = []
    shown = progress.shards if len(progress.shards) <= most else slowest(progress, sampled, most)
    if totals.shards > 1 and progress.shards:
        count = f"{totals.fetched:,}/{'?' if totals.versions is None else f'{totals.versions:,}'}"
        more = f"{totals.done:,} of {plural(totals.shards, 'account-region')} done, {_all_more(progress, sampled)}"
        rows.append(("total", totals.fetched, totals.versions, count, more))
    for shard in shown:
        total = versions_total(shard)
        count = f"{shard.fetched:,}/{'?' if total is None else f'{total:,}'}"
        is_versions = phase_of(shard) != "other resources"
        done = (shard.fetched, total) if is_versions else (shard.answered.total(), shard.asked.total())
        rows.append(
            (
                f"{shard.scope}",
                done[0],
                1 if done[1] == 0 and shard.is_listed else done[1],
                count,
                more_text(shard, sampled),
            )
        )
    if progress.packages.files:
        packages = progress.packages
        more = packages.describe(sampled.bytes_per_s).partition(", ")[2]
        count = f"{packages.files_done:,}/{packages.files:,}"
        rows.append(("packages", packages.files_done, packages.files, count, more))
    if not rows or progress.stage not in _IN_READING:
        rows.append((progress.stage, 0, None, "", ""))
    return rows


# --- notebooks --------------------------------------------------------------------------------------------------------


def is_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


async def report_in_notebook(progress: Progress) -> None:
    """Draw bars below the cell of a notebook; elsewhere show nothing."""
    if not is_notebook():
        return
    from IPython.display import display  # type: ignore[import-not-found, unused-ignore]

    sampled = Sampled(anyio.current_time())
    text = notebook_text(progress, sampled.sample(progress))
    handle = display(  # type: ignore[no-untyped-call, unused-ignore]
        {"text/plain": text}, raw=True, display_id=True
    )
    try:
        while True:
            await anyio.sleep(NOTEBOOK_EVERY_S)
            text = notebook_text(progress, sampled.sample(progress))
            handle.update({"text/plain": text}, raw=True)
    finally:
        handle.update({"text/plain": notebook_text(progress, sampled.sample(progress))}, raw=True)


def notebook_text(progress: Progress, sampled: Sampled) -> str:
    """Return the bars as text."""
    from rich.console import Console

    text = io.StringIO()
    console = Console(file=text, width=NOTEBOOK_WIDTH, force_terminal=False, force_jupyter=False, no_color=True)
    bars = _bars(console)
    draw(bars, progress, sampled, most=MOST_SHARDS_SHOWN)
    console.print(bars.get_renderable())
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
