"""Rows and failures on their way to sorted runs, shared by all shards that one process reads."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from anyio import CancelScope, Lock, to_thread

from lexport.dataset.runs import Runs, RunWriter
from lexport.extract.failures import Failures
from lexport.extract.rows import Rows, ValueHasher
from lexport.model import FunctionRef
from lexport.tables.registry import BY_NAME
from lexport.tables.staged import Batch

BATCH_ITEMS = 512  # items flattened into lists before they go into Arrow: some 4 MB


class Staging:
    """Collects the rows of a run and writes them into ``folder``, a full batch at a time."""

    def __init__(self, folder: Path, *, file_mode: int, hasher: ValueHasher | None = None) -> None:
        self.folder, self.file_mode = folder, file_mode
        self.rows = Rows(hasher)
        self.failures = Failures(self.rows, lambda: datetime.now(UTC))
        self._writer = RunWriter(folder, file_mode=file_mode)
        self._is_writing = Lock()
        self._serials = count()

    @property
    def runs(self) -> Runs:
        """The sorted runs that are written by now; the other steps of a run add theirs."""
        return self._writer.runs

    def answer_id(self, ref: FunctionRef | None = None) -> str:
        """Name one response. The unqualified call knows most, a call by alias least; see tables/staged.py."""
        rank = 0 if ref is None or ref.qualifier is None else 2 if ref.is_alias else 1
        return f"{rank}{next(self._serials):012x}"

    async def flush(self) -> None:
        """Stage the rows if they are a full batch. Waits while other rows are written: so memory is bounded."""
        if self.rows.items >= BATCH_ITEMS:
            await self.add(self.rows.take())

    async def flush_all(self) -> None:
        """Write every row that is left; ``runs`` then has all of them."""
        await self.add(self.rows.take(), is_last=True)

    async def add(self, batch: Batch, *, is_last: bool = False) -> None:
        """Stage a batch of rows. It is not cancelled with the shard that hands it over: its rows are of many shards."""
        with CancelScope(shield=True):
            async with self._is_writing:
                await to_thread.run_sync(self._add, batch, is_last)

    def _add(self, batch: Batch, is_last: bool) -> None:  # noqa: FBT001 - for run_sync
        for name, rows in batch.items():
            self._writer.add(BY_NAME[name], rows)
        if is_last:
            self._writer.flush()
