"""The standard streams of the process, made safe before anything else is opened.

Text for people goes through ``visible()`` here and nowhere else: what a stranger wrote never steers a terminal. Bytes
for machines go to ``sys.stdout.buffer`` as they are.
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
    """A standard stream; its errors name it, and where another program made it non-blocking, it waits."""

    def __init__(self, number: int, name: str) -> None:
        super().__init__(number, "wb", closefd=False)
        self._title = name

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the bytes; return how many."""
        while True:
            try:
                written: int | None = super().write(data)
            except OSError as error:
                raise OSError(error.errno, error.strerror, self._title) from None
            if written is not None:
                return written
            select.select([], [self], [])


class _Forgiving(_Standard):
    """Standard error: where nobody can read it, the exit code has to do, and the work goes on."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the bytes, or let them go."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


class _Text(io.TextIOWrapper):
    """Text for people, in which lines may end anywhere."""

    def write(self, text: str, /) -> int:
        """Write a text with its control characters as escapes."""
        super().write(text if text.isprintable() else "\n".join(map(visible, text.split("\n"))))
        return len(text)


class _Lines(io.TextIOWrapper):
    """Text for people, a line at a time: a line within a line would be forged."""

    def write(self, text: str, /) -> int:
        """Write one line with its control characters as escapes."""
        line = text.removesuffix("\n")
        super().write(visible(line) + text[len(line) :])
        return len(text)


def open_standard_streams() -> None:
    """Give this process three streams that are open, and make its text visible.

    A number that is closed would be given to the next file that is opened, and what a library complains of would be
    written into a table.
    """
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdin is None:
        sys.stdin = os.fdopen(STDIN, encoding="utf-8", closefd=False)
    out = _Standard(STDOUT, "stdout")
    sys.stdout = _Text(io.BufferedWriter(out), "utf-8", "backslashreplace", line_buffering=out.isatty())
    sys.stderr = _Lines(
        io.BufferedWriter(_Forgiving(STDERR, "stderr")), "utf-8", "backslashreplace", line_buffering=True
    )


def terminal() -> TextIO:
    """Return standard error for what draws on it: nothing is escaped, so nothing of a stranger may go there."""
    return io.TextIOWrapper(
        io.BufferedWriter(_Forgiving(STDERR, "stderr")), "utf-8", "backslashreplace", write_through=True
    )
