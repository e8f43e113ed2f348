"""Stage the rows of each shard: full batches go into Arrow, and sorted run files go to the destination.

One limit of memory holds for all shards of a process. Where it is reached, the shard with the most rows in memory
writes them. Every shard also writes what it has at least every minute, so a killed run loses no more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from anyio import CancelScope, CapacityLimiter, Event, Lock, current_time, sleep, to_thread

from lexport.dataset.runs import RUN_BYTES, Runs, RunWriter
from lexport.extract.failures import Failures
from lexport.extract.rows import Rows, ValueHasher
from lexport.model import FunctionRef, StagedRun
from lexport.settings import FLUSH_AFTER_S
from lexport.tables.registry import BY_NAME
from lexport.tables.staged import Batch

BATCH_ITEMS = 512  # items of one shard flattened into lists before they go into Arrow: some 4 MB
MOST_ITEMS = 8_192  # those of all shards: some 64 MB
LEAST_ITEMS = 16  # fewer cost more to turn into Arrow than to flatten
MOST_BYTES = 2 * RUN_BYTES  # batches of all shards in memory
NEVER = math.inf
WRITES_AT_ONCE = 4  # run files on their way to the destination

Keep = Callable[[Path], StagedRun]
"""Takes a finished run file to where it survives this process. Blocking."""


MINUTE_OF_ANSWER = slice(5, 15)
"""The characters of an answer's id that hold the minute of the response, since 1970."""


class StagingMemory:
    """The rows of all shards in memory, and the one lock under which they become Arrow and files."""

    def __init__(self, *, flush_after_s: float = FLUSH_AFTER_S) -> None:
        self.open: set[Staging] = set()
        self.converting = Lock()
        self.keeping = CapacityLimiter(WRITES_AT_ONCE)
        self._flush_after_s = flush_after_s

    @property
    def items_each(self) -> int:
        """How many items one shard collects before they go into Arrow."""
        return max(LEAST_ITEMS, min(BATCH_ITEMS, MOST_ITEMS // (len(self.open) or 1)))

    def fullest(self) -> Staging | None:
        """Return the staging that has to write its rows; None while there is room."""
        most = max(self.open, key=lambda staging: staging.size_bytes, default=None)
        if most is None or most.size_bytes >= RUN_BYTES:
            return most
        total_bytes = sum(staging.size_bytes for staging in self.open)
        return most if total_bytes >= MOST_BYTES else None

    async def keep_flushing(self) -> None:
        """Let every shard write its rows before they are older than the limit. Runs until it is cancelled."""
        while True:
            await sleep(self._flush_after_s / 12)
            for staging in tuple(self.open):
                if staging.oldest_s == NEVER and staging.rows.items:
                    staging.oldest_s = current_time()
                if staging.oldest_s < current_time() - self._flush_after_s * 0.75:
                    await staging.flush_all()


class Staging:
    """The rows of one shard, or of a run beside its shards.

    ``keep`` takes each finished run file to the destination; without it, the files stay in ``folder`` as ``runs``.
    ``attempt`` is that of the run: of two answers of one kind, that of the later attempt wins.
    """

    def __init__(
        self,
        folder: Path,
        *,
        file_mode: int,
        hasher: ValueHasher | None = None,
        memory: StagingMemory | None = None,
        keep: Keep | None = None,
        attempt: int = 1,
    ) -> None:
        self.folder, self.file_mode = folder, file_mode
        self.rows = Rows(hasher)
        self.failures = Failures(self.rows.add_item, lambda: datetime.now(UTC))
        self.kept: list[StagedRun] = []
        self.oldest_s = NEVER
        self._memory = memory or StagingMemory()
        self._memory.open.add(self)
        self._writer = RunWriter(folder, file_mode=file_mode)
        self._keep = keep
        self._newness = f"{9999 - attempt:04d}"  # the answer of a later attempt sorts first
        self._serials = count()
        self._files_under_way = 0
        self._is_idle = Event()

    @property
    def runs(self) -> Runs:
        """The sorted runs in ``folder``; the other steps of a run add theirs."""
        return self._writer.runs

    @property
    def size_bytes(self) -> int:
        """The size of the batches in memory."""
        return self._writer.size_bytes

    def answer_id(self, ref: FunctionRef | None = None) -> str:
        """Name one response. The unqualified call knows most, a call by alias least; see tables/staged.py.

        Of one rank, the latest attempt sorts first. ``MINUTE_OF_ANSWER`` is the minute of the response.
        """
        rank = 0 if ref is None or ref.qualifier is None else 2 if ref.is_alias else 1
        return f"{rank}{self._newness}{int(time.time()) // 60:010d}{next(self._serials):012x}"

    async def flush(self) -> None:
        """Stage the rows if they are a full batch. Waits while other rows are written: so memory is bounded."""
        if self.rows.items >= self._memory.items_each:
            await self.add(self.rows.take())
        elif self.oldest_s == NEVER and self.rows.items:
            self.oldest_s = current_time()

    async def flush_all(self) -> None:
        """Write every row that is left, to where it survives this process."""
        await self.add(self.rows.take(), is_last=True)

    async def add(self, batch: Batch, *, is_last: bool = False) -> None:
        """Stage a batch of rows. It is not cancelled with the task that hands it over, whose rows it has taken."""
        if self.oldest_s == NEVER:
            self.oldest_s = current_time()
        with CancelScope(shield=True):
            async with self._memory.converting:
                fullest, path = await to_thread.run_sync(self._add, batch, is_last)
            if path is not None:
                await fullest._take_away(path)  # noqa: SLF001 - of this class

    async def finish(self) -> tuple[StagedRun, ...]:
        """Write every row that is left; return all run files of the shard, also those that other tasks write for it."""
        await self.flush_all()
        while self._files_under_way:
            self._is_idle = Event()
            await self._is_idle.wait()
        return tuple(self.kept)

    def close(self) -> None:
        """Take no part in the limit of memory any more."""
        self._memory.open.discard(self)

    def _add(self, batch: Batch, is_last: bool) -> tuple[Staging, Path | None]:  # noqa: FBT001 - for run_sync
        """Collect a batch; where memory is full, write a run file. Return whose it is."""
        for name, rows in batch.items():
            self._writer.collect(BY_NAME[name], rows)
        fullest = self if is_last else self._memory.fullest()
        if fullest is None:
            return self, None
        return fullest, fullest._write()  # noqa: SLF001 - of this class

    def _write(self) -> Path | None:
        self.oldest_s = NEVER
        path = self._writer.flush()
        if self._keep is None or path is None:
            return None
        self._writer.runs.clear()
        self._files_under_way += 1
        return path

    async def _take_away(self, path: Path) -> None:
        """Move a run file to the destination."""
        assert self._keep is not None
        try:
            self.kept.append(await to_thread.run_sync(self._keep, path, limiter=self._memory.keeping))
        finally:
            self._files_under_way -= 1
            self._is_idle.set()
