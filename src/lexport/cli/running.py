"""Async function -> its result, from a command: signals cancel it, and the process ends with their code."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

FILES = 4096  # connections to 256 account-regions, and what each keeps open

GC_THRESHOLDS = 50_000, 20, 100  # objects that are waiting take some 5 MB; Python's own are 700, 10, 10


def allow_many_files() -> None:
    """Raise this process's limit of open files to what it may have, where its default is low (1,024; macOS: 256)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Choose uvloop, which comes with ``lexport[fast]``: a call over TLS costs a quarter less CPU on it."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def run_async(main: Callable[[], Awaitable[T]]) -> T:
    """Run ``main`` to its end, in a process that is ours alone.

    SIGINT and SIGTERM cancel it once; exit codes are then 130 and 143.
    """
    caught: list[signal.Signals] = []

    async def guarded() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        def cancel(number: signal.Signals) -> None:
            if not caught:  # publishing is shielded and short; a second signal changes nothing
                task.cancel()
            caught.append(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, cancel, number)
        return await main()

    # Answers are trees without circles, by the million: looking for circles among them took a twelfth of the CPU.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(guarded())
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise SystemExit(128 + caught[0] if caught else 130) from None
