"""Send what a run leaves to other machines: all at the same time, and within a limit that no server can stretch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from lexport.aws.waits import scaled
from lexport.cli._signals import on_signal

LIMIT_S = scaled(5.0)
"""How long the end of a run may wait for others, all of them together."""
_LOOK_EVERY_S = 0.02

Send = Callable[[], str]
"""Sends something; returns why that failed, or ""."""


def send_all(sends: Mapping[str, Send], *, limit_s: float = LIMIT_S) -> dict[str, str]:
    """Do all at the same time; return why some failed. Each has a thread, which is left behind at the limit.

    A signal ends the wait.
    """
    outcomes: dict[str, str] = {}

    def run(name: str, send: Send) -> None:
        try:
            outcomes[name] = send()
        except BaseException as error:  # noqa: BLE001 - its text may hold what is secret
            outcomes[name] = f"internal error: {type(error).__name__}; please report it"

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in sends.items()]
    until_s = time.monotonic() + limit_s
    signals: list[object] = []
    with on_signal(signals.append):
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and not signals and time.monotonic() < until_s:
            time.sleep(_LOOK_EVERY_S)
    left = "interrupted" if signals else f"not done within {limit_s:g} s"
    return {name: why for name in sends if (why := outcomes.get(name, left))}
