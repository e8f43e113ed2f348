"""Show a result on a terminal: as it is, or through a pager if it is longer than the screen, as git does."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from lexport.cli._foreground import terminal_kept, wait_for
from lexport.cli._streams import STDOUT

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_MOST_HELD_BYTES = 2**20
_LINES_OF_PROMPT = 2  # what stays visible below a result that is no longer than the screen


def screen_size() -> os.terminal_size:
    """Return the columns and lines of the terminal; 80 by 24 if it does not say."""
    return shutil.get_terminal_size((80, 24))


@contextmanager
def open_screen(stream: BinaryIO, *, pager: bool, is_wide: bool = False) -> Iterator[BinaryIO]:
    """Yield a stream that writes to the terminal ``stream``, through a pager once there is more than a screenful.

    With ``is_wide``, less is asked to chop long lines instead of folding them. The end of the block waits for the
    pager. A pager that is left early raises BrokenPipeError in the writer.
    """
    words = find_pager() if pager else None
    screen = _Screen(stream, words, is_wide=is_wide)
    with screen.watched():
        buffered = io.BufferedWriter(screen)
        try:
            yield buffered
            buffered.flush()
            screen.show_rest()
        except BaseException:
            screen.discards = True  # the buffered rest, which is written when the objects are finalized
            raise


def find_pager() -> list[str] | None:
    """Return the command of the pager, of ``PAGER`` or else less; None if there is none, or the terminal is dumb."""
    if os.environ.get("TERM", "dumb") == "dumb":
        return None
    try:
        words = shlex.split(os.environ.get("PAGER", "less"))
    except ValueError:
        return None
    is_there = bool(words) and words != ["cat"] and shutil.which(words[0]) is not None
    return words if is_there else None


class _Screen(io.RawIOBase):
    """Holds the first screenful back, because only more than that needs a pager."""

    def __init__(self, stream: BinaryIO, pager: list[str] | None, *, is_wide: bool) -> None:
        super().__init__()
        self._stream, self._pager, self._is_wide = stream, pager, is_wide
        self._held = bytearray()
        self._process: subprocess.Popen[bytes] | None = None
        self.discards = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return True: what is written is read by a person."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of the bytes."""
        raw = bytes(data)
        if self.discards:
            return len(raw)
        if self._process is not None:
            self._send(raw)
        elif self._pager is None:
            self._stream.write(raw)
        else:
            self._held += raw
            if len(self._held) > _MOST_HELD_BYTES or _is_longer(self._held, screen_size()):
                self._start(self._pager)
        return len(raw)

    def show_rest(self) -> None:
        """Write what is held back: it fits on the screen."""
        self._stream.write(bytes(self._held))
        self._held.clear()
        self._stream.flush()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Leave the terminal as it was, after the pager has ended."""
        with terminal_kept():
            try:
                yield
            finally:
                process = self._process
                if process is not None:
                    with suppress(OSError):  # it was left early
                        self._pipe(process).close()
                    wait_for(process)

    def _start(self, words: list[str]) -> None:
        settings = {"LESS": "FRX" + "S" * self._is_wide, "LV": "-c"}
        self._stream.flush()
        process = subprocess.Popen(  # noqa: S603 - the user's own command
            words, stdin=subprocess.PIPE, stdout=STDOUT, env={**settings, **os.environ}, bufsize=0
        )
        self._process = process
        held, self._held = bytes(self._held), bytearray()
        self._send(held)

    def _send(self, raw: bytes) -> None:
        assert self._process is not None
        view = memoryview(raw)
        while view:
            view = view[self._pipe(self._process).write(view) :]

    @staticmethod
    def _pipe(process: subprocess.Popen[bytes]) -> BinaryIO:
        assert process.stdin is not None
        return process.stdin  # type: ignore[return-value]


def _is_longer(text: bytearray, size: os.terminal_size) -> bool:
    most = max(1, size.lines - _LINES_OF_PROMPT)
    lines = 0
    for line in text.splitlines():
        lines += 1 + max(0, len(line) - 1) // max(1, size.columns)
        if lines > most:
            return True
    return False
