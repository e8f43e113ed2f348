"""Names that wait for their turn: an append-only file, so that a long queue takes disk and no memory."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from anyio import EndOfStream, Event

PAGE_NAMES = 50


class NameSpool:
    """One writer puts names, one reader at a time receives pages of them, in order.

    The file is small and local, so its reads and writes are done in place. Whoever opens it closes it with ``with``.
    """

    def __init__(self, path: Path) -> None:
        self._write = path.open("w", encoding="utf-8", newline="\n")  # no other character ends a line
        self._read = path.open("r", encoding="utf-8", newline="\n")
        self._news = Event()
        self._waiting = 0
        self._is_ended = False

    def __enter__(self) -> NameSpool:
        return self

    def __exit__(self, *_: object) -> None:
        self._write.close()
        self._read.close()

    @property
    def waiting(self) -> int:
        """How many names are written and not yet received."""
        return self._waiting

    def put(self, names: Iterable[str]) -> None:
        """Append names; they hold no line break, as AWS's names never do."""
        lines = [f"{name}\n" for name in names]
        self._write.writelines(lines)
        self._write.flush()
        self._waiting += len(lines)
        self._ring()

    def end(self) -> None:
        """Say that no name will come any more."""
        self._is_ended = True
        self._ring()

    async def receive(self) -> list[str]:
        """Wait for the next page of names; raises EndOfStream after the last."""
        while not self._waiting:
            if self._is_ended:
                raise EndOfStream
            await self._news.wait()
        names = [line.removesuffix("\n") for line in islice(self._read, min(self._waiting, PAGE_NAMES))]
        self._waiting -= len(names)
        return names

    async def aclose(self) -> None:
        """Nothing to do: the file lives as long as the run reads its target."""

    def _ring(self) -> None:
        self._news.set()
        self._news = Event()
