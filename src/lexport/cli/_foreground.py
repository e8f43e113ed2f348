"""Give the terminal to another program, a pager or a shell, and leave it as it was, however the program ends."""

from __future__ import annotations

import os
import signal
import subprocess
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from lexport.cli._signals import at_forced_end, each_interrupt, received
from lexport.cli._streams import STDIN

_ENDS_WITHIN_S = 2.0


@contextmanager
def terminal_kept() -> Iterator[None]:
    """Restore the settings of the terminal when the block ends, and when a second signal ends the process."""
    before = _settings()

    def restore() -> None:
        with suppress(OSError, termios.error):  # the terminal is gone
            is_ours = os.tcgetpgrp(STDIN) == os.getpgrp()  # setting it from the background would stop the process
            if before is not None and is_ours and _settings() != before:
                termios.tcsetattr(STDIN, termios.TCSADRAIN, before)

    with at_forced_end(restore):
        try:
            yield
        finally:
            restore()


def run_on_terminal(words: Sequence[str]) -> int:
    """Run a program that has the terminal, and return its exit code."""
    with terminal_kept(), each_interrupt(lambda: None):
        return wait_for(subprocess.Popen(words))  # noqa: S603 - a program that the user asked for


def wait_for(process: subprocess.Popen[bytes]) -> int:
    """Wait for a program that has the terminal, and return its exit code. Ctrl-C is the program's.

    SIGTERM and SIGHUP end the program too, also where one was received before.
    """
    with at_forced_end(process.terminate), each_interrupt(lambda: None):
        if received() in (signal.SIGTERM, signal.SIGHUP):
            _end(process)
        try:
            return process.wait()
        except BaseException:
            _end(process)
            raise


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _settings() -> list[Any] | None:
    try:
        return termios.tcgetattr(STDIN)
    except (OSError, termios.error):
        return None
