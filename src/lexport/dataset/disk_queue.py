"""A queue of lines in a file: a long queue takes disk space and no memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from itertools import islice
from pathlib import Path
from typing import Self

from anyio import EndOfStream, Event

PAGE_LINES = 50


class DiskQueue:
    """One writer puts lines, and one reader at a time receives pages of them, in order.

    The file is small and local, so it is read and written in place, in the event loop. ``with`` closes it. ``waiting``
    counts the lines that are written and not yet received. ``written`` is the number of lines of a queue that was
    written to its end before and is opened again.
    """

    def __init__(self, path: Path, *, written: int | None = None) -> None:
        # no other character than the line feed ends a line
        self.path = path
        self._write = path.open("w" if written is None else "a", encoding="utf-8", newline="\n")
        self._read = path.open("r", encoding="utf-8", newline="\n")
        self.waiting = written or 0
        self._is_ended = written is not None
        self._news: Event | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write.close()
        self._read.close()

    def put(self, lines: Iterable[str]) -> None:
        """Append lines, which hold no line feed themselves."""
        ended = [f"{line}\n" for line in lines]
        self._write.writelines(ended)
        self._write.flush()
        self.waiting += len(ended)
        self._wake()

    def end(self) -> None:
        """Mark the end: no line follows."""
        self._is_ended = True
        self._wake()

    async def receive(self) -> list[str]:
        """Wait for the next page of lines; raises EndOfStream after the last."""
        while not self.waiting:
            if self._is_ended:
                raise EndOfStream
            self._news = Event()
            await self._news.wait()
        lines = [line.removesuffix("\n") for line in islice(self._read, min(self.waiting, PAGE_LINES))]
        self.waiting -= len(lines)
        return lines

    async def aclose(self) -> None:
        """Do nothing: ``with`` closes the file."""

    async def __aiter__(self) -> AsyncIterator[str]:
        while True:
            try:
                page = await self.receive()
            except EndOfStream:
                return
            for line in page:
                yield line

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
