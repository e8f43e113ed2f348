"""Handle SIGINT, SIGTERM and SIGHUP: the first one interrupts the command, a later one ends the process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_S = 1.0  # `timeout` and systemd send two signals at once; the second is ignored


class Interrupted(BaseException):
    """A signal ended the command. ``left`` is a text about the state of its work."""

    def __init__(self, number: signal.Signals, left: str = "") -> None:
        super().__init__(number)
        self.number, self.left = number, left

    @property
    def exit_code(self) -> int:
        """The exit code that shells use for this signal."""
        return 128 + self.number


class _Watch:
    """The state of this process's signal handling; there is one instance."""

    def __init__(self) -> None:
        self.number: signal.Signals | None = None
        self.first_s = 0.0
        self.act: Callable[[signal.Signals], None] = _interrupt
        self.last_acts: list[Callable[[], None]] = []

    def receive(self, number: int, _: FrameType | None) -> None:
        """Act on the first signal; end the process at a later one, which means that the first had no effect."""
        now_s = time.monotonic()
        if self.number is None:
            self.number, self.first_s = signal.Signals(number), now_s
            self.act(self.number)
        elif now_s - self.first_s >= AGAIN_S:
            for act in reversed(self.last_acts):
                with suppress(Exception):
                    act()
            os._exit(128 + number)


def _interrupt(number: signal.Signals) -> None:
    raise Interrupted(number)


_watch = _Watch()


def watch_signals() -> None:
    """Handle the three signals from now on. An ignored SIGHUP stays ignored, as under nohup."""
    for number in NUMBERS:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _watch.receive)


def received() -> signal.Signals | None:
    """Return the signal that was received, if any."""
    return _watch.number


@contextmanager
def on_signal(act: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call ``act`` on the first signal within the block, instead of raising Interrupted in the main thread."""
    before, _watch.act = _watch.act, act
    try:
        yield
    finally:
        _watch.act = before


@contextmanager
def at_forced_end(act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` if a second signal ends the process within the block. It must not wait."""
    _watch.last_acts.append(act)
    try:
        yield
    finally:
        _watch.last_acts.remove(act)


@contextmanager
def each_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` at each SIGINT within the block: the process goes on, unless ``act`` raises."""
    before = signal.signal(signal.SIGINT, lambda _number, _frame: act())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
