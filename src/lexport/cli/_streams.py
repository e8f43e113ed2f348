"""Make the standard streams of the process safe before anything else is opened.

Text for people passes ``visible()`` in these streams, so that text from other systems never controls a terminal. Bytes
for programs go to ``sys.stdout.buffer`` unchanged.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

from lexport.tables.text import visible

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = range(3)


class _Standard(io.FileIO):
    """A standard stream whose errors name it, and which waits if another program made it non-blocking."""

    def __init__(self, number: int, name: str) -> None:
        super().__init__(number, "wb", closefd=False)
        self._title = name

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the bytes; return their number."""
        while True:
            try:
                written: int | None = super().write(data)
            except OSError as error:
                raise OSError(error.errno, error.strerror, self._title) from None
            if written is not None:
                return written
            select.select([], [self], [])


class _Forgiving(_Standard):
    """Standard error. If it cannot be written, the work goes on, and the exit code still reports the outcome."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the bytes, or discard them all if that fails."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


class _Text(io.TextIOWrapper):
    """Text for people that may span several lines."""

    def write(self, text: str, /) -> int:
        """Write a text with its control characters escaped."""
        super().write(text if text.isprintable() else "\n".join(map(visible, text.split("\n"))))
        return len(text)


class _Lines(io.TextIOWrapper):
    """Text for people, one line per write: a line break within it would let another system forge a line."""

    def write(self, text: str, /) -> int:
        """Write one line with its control characters escaped."""
        line = text.removesuffix("\n")
        super().write(visible(line) + text[len(line) :])
        return len(text)


def open_standard_streams() -> None:
    """Open the standard streams that are closed, and replace ``sys.stdout`` and ``sys.stderr`` with safe streams.

    The next file that is opened would get the number of a closed stream, and messages of libraries would be written to
    it.
    """
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
    if sys.stdin is None:
        sys.stdin = os.fdopen(STDIN, encoding="utf-8", closefd=False)
    out = _Standard(STDOUT, "stdout")
    sys.stdout = _Text(io.BufferedWriter(out), "utf-8", "backslashreplace", line_buffering=out.isatty())
    sys.stderr = _Lines(
        io.BufferedWriter(_Forgiving(STDERR, "stderr")), "utf-8", "backslashreplace", line_buffering=True
    )


def terminal(number: int = STDERR) -> TextIO:
    """Return stderr, or stdout, for drawing: nothing is escaped, so no text from other systems may be written to it."""
    stream = _Forgiving(STDERR, "stderr") if number == STDERR else _Standard(STDOUT, "stdout")
    return io.TextIOWrapper(io.BufferedWriter(stream), "utf-8", "backslashreplace", write_through=True)
