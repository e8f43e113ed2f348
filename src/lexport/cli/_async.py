"""Run an async function from a command; a signal cancels it and ends the command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio

from lexport.cli._signals import Interrupted, on_signal
from lexport.cli._streams import terminal
from lexport.extract.event_loop import loop_factory, rare_collection

if TYPE_CHECKING:
    from lexport.extract.progress import Report

T = TypeVar("T")


def choose_report() -> Report:
    """Return the progress report: bars on a terminal that can draw them, lines of the log elsewhere."""
    from lexport.aws.logs import PROGRESS, settings
    from lexport.extract.show_progress import report_live, report_plainly

    log = settings()
    if can_draw() and log.format == "text" and log.shows_progress:
        return partial(report_live, out=terminal())

    def write(line: str, fields: Mapping[str, object]) -> None:
        PROGRESS.info("%s", line, extra=fields)

    return partial(report_plainly, write=write)


def can_draw() -> bool:
    """Return whether standard error is a terminal on which lines can be drawn again."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def run_async(main: Callable[[], Awaitable[T]], *, on_interrupt: Callable[[], str] = str) -> T:
    """Run ``main`` and return its result, in a process that runs nothing else.

    A signal cancels ``main``; Interrupted is then raised with what ``on_interrupt`` says of the work.
    Shielded work, such as a commit, is completed; if ``main`` then returns a result, the result is returned.
    """
    received: list[signal.Signals] = []
    results: list[T] = []

    async def guarded() -> None:
        loop = asyncio.get_running_loop()
        with anyio.CancelScope() as scope:

            def cancel(number: signal.Signals) -> None:
                received.append(number)
                loop.call_soon_threadsafe(scope.cancel)

            with on_signal(cancel):
                results.append(await main())

    with asyncio.Runner(loop_factory=loop_factory()) as runner, rare_collection():
        runner.run(guarded())
    if not results:
        raise Interrupted(received[0], on_interrupt())
    return results[0]
