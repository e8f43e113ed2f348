"""Async function -> its result, from a command: a signal cancels it and ends the command."""

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

FILES = 4096  # connections to 256 account-regions, and what each keeps open

GC_THRESHOLDS = 50_000, 20, 100  # objects that are waiting take some 5 MB; Python's own are 700, 10, 10


def allow_many_files() -> None:
    """Raise this process's limit of open files to what it may have, where its default is low (1,024; macOS: 256)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def choose_report() -> Report:
    """Show progress as bars on a terminal, as lines elsewhere."""
    from lexport.extract.progress import report_live, report_plainly

    return partial(report_live, out=terminal()) if sys.stderr.isatty() else report_plainly


class _OneLine(logging.Handler):
    """What a library logs, in one line without a traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the first line of the message."""
        text = record.getMessage().partition("\n")[0]
        print(f"{record.name}: {text}", file=sys.stderr, flush=True)  # noqa: T201 - where a command talks


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Choose uvloop, which comes with ``lexport[fast]``: a call over TLS costs a quarter less CPU on it."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def run_async(main: Callable[[], Awaitable[T]], *, left: str = "") -> T:
    """Run ``main`` to its end, in a process that is ours alone.

    A signal cancels it once, and Interrupted is raised with what is ``left`` by it. What is shielded, as publishing is,
    goes on; where nothing but that was left to do, its result counts.
    """
    caught: list[signal.Signals] = []
    done: list[T] = []

    async def guarded() -> None:
        loop = asyncio.get_running_loop()
        with anyio.CancelScope() as scope:

            def cancel(number: signal.Signals) -> None:
                caught.append(number)
                loop.call_soon_threadsafe(scope.cancel)

            with on_signal(cancel):
                done.append(await main())

    logging.lastResort = _OneLine(logging.WARNING)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner, _little_collecting():
        runner.run(guarded())
    if not done:
        raise Interrupted(caught[0], left)
    return done[0]


@contextmanager
def _little_collecting() -> Iterator[None]:
    """Look for circles among objects rarely: answers are trees, by the million, and it takes a twelfth of the CPU."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
