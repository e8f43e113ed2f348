"""Rows and failures on their way to sorted runs, shared by all shards that one process reads."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from anyio.streams.memory import MemoryObjectSendStream

from lexport.extract.failures import Failures
from lexport.extract.rows import Rows
from lexport.model import FunctionRef
from lexport.tables.staged import Batch

BATCH_ITEMS = 512  # items flattened into lists before they go into Arrow: some 4 MB


class Staging:
    """Collects rows and hands every full batch on to be written into ``folder``."""

    def __init__(
        self, folder: Path, rows: Rows, failures: Failures, batches_out: MemoryObjectSendStream[Batch]
    ) -> None:
        self.folder, self.rows, self.failures = folder, rows, failures
        self._batches_out = batches_out
        self._serials = count()

    def answer_id(self, ref: FunctionRef | None = None) -> str:
        """Name one response. The unqualified call knows most, a call by alias least; see tables/staged.py."""
        rank = 0 if ref is None or ref.qualifier is None else 2 if ref.is_alias else 1
        return f"{rank}{next(self._serials):012x}"

    async def flush(self) -> None:
        """Hand the rows on if they are a full batch; waits while a run is written."""
        if self.rows.items >= BATCH_ITEMS:
            await self._batches_out.send(self.rows.take())
