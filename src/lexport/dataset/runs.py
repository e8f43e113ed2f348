"""rows -> sorted runs on disk.

When enough rows are together they are sorted and written, a table a file, as Arrow IPC: cheap to write, cheap to read
block by block.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pyarrow as pa
from anyio import CapacityLimiter, to_thread
from anyio.streams.memory import MemoryObjectReceiveStream

from lexport.dataset.local import write_error
from lexport.tables.arrow import open_run, sorted_run, staged_batch, write_blocks
from lexport.tables.registry import BY_NAME
from lexport.tables.staged import Batch
from lexport.tables.table import Table

RUN_BYTES = 12 * 2**20  # staged rows in memory; twice that while one run is being sorted

Runs = dict[str, list[Path]]


class Stage:
    """The folder of a run's sorted runs. ``runs`` lists them by table, in the order they were written."""

    def __init__(self, folder: Path, *, file_mode: int = 0o600) -> None:
        self.runs: Runs = defaultdict(list)
        self._folder = folder
        self._file_mode = file_mode
        self._batches: dict[str, list[pa.RecordBatch]] = defaultdict(list)
        self._bytes = 0
        self._writer = CapacityLimiter(1)

    async def drain(self, batches: MemoryObjectReceiveStream[Batch]) -> None:
        """Stage every batch until the stream ends, then write what is left. Closes the stream.

        Cancelled: runs already written stay in the folder.
        """
        async with aclosing(batches):
            async for batch in batches:
                self._add(batch)
                if self._bytes >= RUN_BYTES:
                    await self._write()
        await self._write()

    def _add(self, batch: Batch) -> None:
        for name, rows in batch.items():
            self._batches[name].append(rows)
            self._bytes += rows.nbytes

    async def _write(self) -> None:
        batches, self._batches, self._bytes = self._batches, defaultdict(list), 0
        for name in list(batches):
            path = self._folder / f"{name}-{len(self.runs[name]):04d}.arrow"
            rows = batches.pop(name)  # let go of a table as soon as it is written
            await to_thread.run_sync(write_run, BY_NAME[name], rows, path, self._file_mode, limiter=self._writer)
            self.runs[name].append(path)
        pa.default_memory_pool().release_unused()  # or the sorting's room is kept, and memory looks like a leak


def write_columns(table: Table, values: Iterable[Sequence[Any]], path: Path, file_mode: int) -> None:
    """Write columns of values as one run; raises WriteError. Blocking."""
    write_run(table, [staged_batch(table, values)], path, file_mode)


def write_run(table: Table, batches: list[pa.RecordBatch], path: Path, file_mode: int) -> None:
    """Sort staged rows and write them as one run; raises WriteError. Blocking."""
    rows = sorted_run(table, batches)
    try:
        with open_run(path, rows.schema, file_mode) as writer:
            write_blocks(writer, rows)
    except (OSError, pa.ArrowException) as error:
        raise write_error(path, error) from error
