"""How far a run is: counters that the run moves, and the two ways to show them, a plain line or live bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TextIO

import anyio

from lexport.model import PaceReading, Scope

PLAIN_EVERY_S = 10.0
LIVE_EVERY_S = 0.25

_IDLE = PaceReading(rate_per_s=1.0, calls=0, throttles=0)


@dataclass(slots=True)
class TargetProgress:
    """Counters of one account-region. ``aliases_due`` are functions whose aliases are still to be listed."""

    scope: Scope
    listed: int = 0
    fetched: int = 0
    aliases_due: int = 0
    is_listed: bool = False
    is_done: bool = False
    pace: Callable[[], tuple[PaceReading, PaceReading]] = lambda: (_IDLE, _IDLE)

    @property
    def throttles(self) -> int:
        """Calls that AWS throttled so far."""
        get_function, listing = self.pace()
        return get_function.throttles + listing.throttles

    def left_s(self, rate_per_s: float) -> float | None:
        """Estimate the time left; None while the listing still goes on."""
        if not self.is_listed:
            return None
        get_function, listing = self.pace()
        functions_s = (self.listed - self.fetched) / max(rate_per_s, get_function.rate_per_s * 0.1)
        return max(functions_s, self.aliases_due / listing.rate_per_s)


@dataclass(slots=True)
class Progress:
    """All targets of a run, and what it has to say besides (``notes``)."""

    targets: list[TargetProgress] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stage: str = "choosing targets"

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)


Report = Callable[[Progress], Coroutine[Any, Any, None]]
"""Shows a Progress until it is cancelled."""


async def report_nothing(progress: Progress) -> None:
    """Stay silent."""


@dataclass(slots=True)
class _Rate:
    """Items per second between two looks."""

    at_s: float
    count: int = 0
    rate_per_s: float = 0.0

    def look(self, count: int) -> float:
        now_s = anyio.current_time()
        if now_s > self.at_s:
            latest = (count - self.count) / (now_s - self.at_s)
            self.rate_per_s = latest if not self.rate_per_s else 0.7 * self.rate_per_s + 0.3 * latest
        self.at_s, self.count = now_s, count
        return self.rate_per_s


def describe(target: TargetProgress, rate_per_s: float) -> str:
    """Put one target into a line."""
    left_s = target.left_s(rate_per_s)
    left = "listing" if left_s is None else "done" if target.is_done else f"about {format_seconds(left_s)} left"
    return (
        f"{target.scope.account_id} {target.scope.region}: {target.fetched:,} of {target.listed:,} listed fetched, "
        f"{rate_per_s:,.1f}/s, {target.throttles:,} throttles, {left}"
    )


def format_seconds(seconds: float) -> str:
    """Write a duration as people say it."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


async def report_plainly(progress: Progress, out: TextIO | None = None) -> None:
    """Print a line per unfinished target every 10 seconds."""
    stream = sys.stderr if out is None else out
    rates: dict[Scope, _Rate] = {}
    started_s = anyio.current_time()
    while True:
        await anyio.sleep(PLAIN_EVERY_S)
        if not progress.targets:
            print(f"{progress.stage} ...", file=stream, flush=True)
        for target in progress.targets:
            rate = rates.setdefault(target.scope, _Rate(started_s)).look(target.fetched)
            if not target.is_done:
                print(describe(target, rate), file=stream, flush=True)
        if progress.targets and all(target.is_done for target in progress.targets):
            print(f"{progress.stage} ...", file=stream, flush=True)


async def report_live(progress: Progress) -> None:
    """Draw a bar per target on the terminal of standard error. Cancelled: the bars stay as they stood."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars

    rates: dict[Scope, _Rate] = {}
    started_s = anyio.current_time()
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[more]}"),
        console=Console(stderr=True),
        auto_refresh=False,
    )
    tasks = {}
    with bars:
        try:
            while True:
                for target in progress.targets:
                    scope = target.scope
                    if scope not in tasks:
                        tasks[scope] = bars.add_task(f"{scope.account_id} {scope.region}", total=None, more="")
                    rate = rates.setdefault(scope, _Rate(started_s)).look(target.fetched)
                    bars.update(
                        tasks[scope],
                        completed=target.fetched,
                        total=max(target.listed, 1) if target.is_listed else None,
                        more=describe(target, rate).split("fetched, ")[1],
                    )
                bars.refresh()
                await anyio.sleep(LIVE_EVERY_S)
        finally:
            bars.refresh()
