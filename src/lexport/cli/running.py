"""Async function -> its result, from a command: signals cancel it, and the process ends with their code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def run_async(main: Callable[[], Awaitable[T]]) -> T:
    """Run ``main`` to its end. SIGINT and SIGTERM cancel it once; exit codes are then 130 and 143."""
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

    try:
        return asyncio.run(guarded())
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise SystemExit(128 + caught[0] if caught else 130) from None
