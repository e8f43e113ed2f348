"""Wait for blocking work so that a signal ends the wait at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def run_in_thread(work: Callable[[], T]) -> T:
    """Run work in a thread of its own and return what it returns.

    Python handles a signal between two steps of its own code, and not while a library waits in code of another
    language. If a handler raises, the thread is left to itself; it does not keep the process from ending.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, name="lexport-wait", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def run_interruptibly(work: Callable[[], T]) -> T:
    """Run work in a thread where this is the main thread, the one that signals interrupt."""
    return run_in_thread(work) if threading.current_thread() is threading.main_thread() else work()
