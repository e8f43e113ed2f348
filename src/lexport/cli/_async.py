"""Run an async function from a command; a signal cancels it and ends the command."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio

from lexport.cli._signals import Interrupted, on_signal
from lexport.cli._streams import terminal

if TYPE_CHECKING:
    from lexport.extract.progress import Report

T = TypeVar("T")

FILES = 4096  # enough for the connections and staging files of 256 account-regions

GC_THRESHOLDS = 50_000, 20, 100  # uncollected objects take some 5 MB; Python's defaults are 700, 10, 10


def allow_many_files() -> None:
    """Raise this process's limit of open files, because its default can be low (1,024; macOS: 256)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


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


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the factory of uvloop if ``lexport[fast]`` is installed; it takes a quarter less CPU per call over TLS."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


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
    with asyncio.Runner(loop_factory=_loop_factory()) as runner, _rare_collection():
        runner.run(guarded())
    if not results:
        raise Interrupted(received[0], on_interrupt())
    return results[0]


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Run the garbage collector rarely: responses hold millions of objects and no cycles. It took 8 % of the CPU."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
