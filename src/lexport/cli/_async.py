"""Run an async function from a command; a signal cancels it and ends the command."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
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
    """Return the progress report: bars on a terminal, lines elsewhere."""
    from lexport.extract.progress import report_live, report_plainly

    return partial(report_live, out=terminal()) if sys.stderr.isatty() else report_plainly


class _OneLine(logging.Handler):
    """Print log messages of libraries in one line each, without a traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the first line of the message."""
        text = record.getMessage().partition("\n")[0]
        print(f"{record.name}: {text}", file=sys.stderr, flush=True)  # noqa: T201 - standard error is for messages


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

    logging.lastResort = _OneLine(logging.WARNING)
    with asyncio.Runner(loop_factory=loop_factory()) as runner, rare_collection():
        runner.run(guarded())
    if not results:
        raise Interrupted(received[0], on_interrupt())
    return results[0]
