"""Sorted runs: staged rows on disk, one Arrow IPC file per table and flush, and the merge that reads them in order.

Rows are sorted and written when enough of them are in memory. The merge opens at most ``FAN_IN`` runs, a block of each
at a time, and merges more runs in levels. The rows of a block can go out up to the smallest last key of all open
blocks, because no run can still bring a row before it. Arrow does this work on thousands of rows at once, never row by
row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lexport.dataset.local import write_error
from lexport.tables.arrow import staged_schema
from lexport.tables.staged import ANSWER
from lexport.tables.table import Table

RUN_BYTES = 12 * 2**20  # staged rows in memory; twice that while one run is being sorted
ROWS_AT_ONCE = 10_000  # rows as Python values: some 10 MB
FAN_IN = 32
SORT_KEY = "_key"
BELOW_ALL = "\x00"  # sorts below every character; no stored text holds it
BLOCK_ROWS = 512
BLOCK_BYTES = 2**20
"""What the merge reads of a run at a time, 32 MiB of 32 runs. Usual versions take 2 KB each, 512 are less than this.

Where all 100,000 keep 4 KB of variables, staging and merging peak at 270 MiB; by rows alone it was 540.
"""

Runs = dict[str, list[Path]]
"""Table name -> its sorted runs, in the order they were written."""

# --- rows and their keys ---------------------------------------------------------------------------------------------


def staged_batch(table: Table, values: Iterable[Sequence[object]]) -> pa.RecordBatch:
    """Turn columns of values into one batch of staged rows."""
    schema = staged_schema(table)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)], schema=schema
    )


def row_keys(rows: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    """Put some columns of each row into one text; texts sort as the rows do, NULL first, numbers by their value."""
    return pc.binary_join_element_wise(*(_as_text(rows.column(name)) for name in names), BELOW_ALL)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_integer(column.type):
        column = pc.utf8_lpad(pc.cast(column, pa.string()), width=10, padding="0")
    return pc.fill_null(column, "")


# --- writing ----------------------------------------------------------------------------------------------------------


class RunWriter:
    """Writes staged rows into a folder as sorted runs, one per table each time ``RUN_BYTES`` of rows are in memory.

    ``runs`` lists the files; a list that is given is continued. Blocking; raises WriteError.
    """

    def __init__(self, folder: Path, *, file_mode: int = 0o600, runs: Runs | None = None) -> None:
        self.runs: Runs = defaultdict(list) if runs is None else runs
        self._folder = folder
        self._file_mode = file_mode
        self._batches: dict[Table, list[pa.RecordBatch]] = defaultdict(list)
        self._size_bytes = 0
        self._written: list[tuple[str, Path]] = []

    def add(self, table: Table, rows: pa.RecordBatch) -> None:
        """Add staged rows of one table."""
        self._batches[table].append(rows)
        self._size_bytes += rows.nbytes
        if self._size_bytes >= RUN_BYTES:
            self.flush()

    def add_rows(self, table: Table, rows: Iterable[Sequence[object]]) -> None:
        """Add staged rows of one table that are made one by one."""
        remaining = iter(rows)
        while values := list(islice(remaining, ROWS_AT_ONCE)):
            self.add(table, staged_batch(table, zip(*values, strict=True)))

    def flush(self) -> None:
        """Write the rows in memory, one run per table."""
        batches, self._batches, self._size_bytes = self._batches, defaultdict(list), 0
        for table in list(batches):
            paths = self.runs.setdefault(table.name, [])
            path = self._folder / f"{table.name}-{len(paths):04d}.arrow"
            self._written.append((table.name, path))
            write_run(table, batches.pop(table), path, self._file_mode)  # frees a table as soon as it is written
            paths.append(path)
        pa.default_memory_pool().release_unused()  # the memory that sorting took would look like a leak

    def discard(self) -> None:
        """Remove every run that this writer wrote, and drop what is in memory."""
        self._batches.clear()
        self._size_bytes = 0
        for name, path in self._written:
            path.unlink(missing_ok=True)
            if path in self.runs[name]:
                self.runs[name].remove(path)
        self._written.clear()


def write_run(table: Table, batches: list[pa.RecordBatch], path: Path, file_mode: int) -> None:
    """Sort staged rows and write them as one run; raises WriteError. Blocking."""
    rows = sorted_run(table, batches)
    try:
        with _new_run(path, rows.schema, file_mode) as writer:
            write_blocks(writer, rows)
    except (OSError, pa.ArrowException) as error:
        raise write_error(path, error) from error


def rewrite_run(path: Path, change: Callable[[pa.RecordBatch], pa.RecordBatch], file_mode: int) -> None:
    """Change the blocks of a run one by one; the key and the order of its rows stay. Raises WriteError. Blocking."""
    draft = path.with_suffix(".draft")
    try:
        blocks = read_run(path)
        first = change(next(blocks))
        with _new_run(draft, first.schema, file_mode) as writer:
            writer.write_batch(first)
            for block in blocks:
                writer.write_batch(change(block))
        draft.replace(path)
    except (OSError, pa.ArrowException) as error:
        raise write_error(draft, error) from error


def sorted_run(table: Table, batches: list[pa.RecordBatch]) -> pa.Table:
    """Sort staged rows by key, and within one key the better answer first; adds the column ``_key``.

    One text per row, compared byte by byte, is several times faster to sort and to merge than many columns.
    """
    rows = pa.Table.from_batches(batches)
    order = [*table.key[: table.answer_key], ANSWER, *table.key[table.answer_key :]]
    keyed = rows.append_column(SORT_KEY, row_keys(rows, order))
    return keyed.take(pc.sort_indices(keyed.column(SORT_KEY)))


@contextmanager
def _new_run(path: Path, schema: pa.Schema, file_mode: int) -> Iterator[pa.ipc.RecordBatchFileWriter]:
    path.touch()
    path.chmod(file_mode)  # whatever the umask
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)  # buffers are small: handing over costs more
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema, options=options) as writer:
        yield writer


def write_blocks(writer: pa.ipc.RecordBatchFileWriter, rows: pa.Table) -> None:
    """Append sorted rows to a run, to be read back in blocks of ``BLOCK_ROWS``, or fewer where those are large."""
    within_bytes = BLOCK_BYTES * len(rows) // (rows.nbytes or 1)
    writer.write_table(rows.combine_chunks(), max_chunksize=max(1, min(BLOCK_ROWS, within_bytes)))


# --- reading ----------------------------------------------------------------------------------------------------------


def read_run(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the blocks of one run in order. Blocking."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


class _OpenRun:
    """One open run, and the rows of its current block that are not merged yet."""

    def __init__(self, path: Path) -> None:
        # mapped pages would count as ours; threads cost more than these small buffers take
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)), options=pa.ipc.IpcReadOptions(use_threads=False))
        self._next = 0
        self.block: pa.Table = self._reader.schema.empty_table()

    @property
    def has_more(self) -> bool:
        return self._next < int(self._reader.num_record_batches)

    def fill(self) -> bool:
        """Read the next block if the current one is used up; False at the end."""
        while not len(self.block):
            if not self.has_more:
                return False
            self.block = pa.Table.from_batches([self._reader.get_batch(self._next)])
            self._next += 1
        return True

    def last_key(self) -> str:
        key: str = self.block.column(SORT_KEY)[len(self.block) - 1].as_py()
        return key

    def take_up_to(self, key: str | None) -> pa.Table:
        """Return the rows of the block up to a key, inclusive, and remove them from it; all of them for None."""
        keys = self.block.column(SORT_KEY)
        count = len(keys) if key is None else bisect_right(range(len(keys)), key, key=lambda index: keys[index].as_py())
        taken, self.block = self.block.slice(0, count), self.block.slice(count)
        return taken


def merge(paths: list[Path], scratch: Path) -> Iterator[pa.Table]:
    """Yield the rows of all runs in order, as slabs of some hundreds to thousands of rows.

    Runs beyond ``FAN_IN`` are merged into longer ones in ``scratch`` first, and removed.
    """
    level = 0
    while len(paths) > FAN_IN:
        level += 1
        paths = [
            _merge_to_run(paths[start : start + FAN_IN], scratch / f"{paths[0].stem}-{level}-{start:04d}.arrow")
            for start in range(0, len(paths), FAN_IN)
        ]
    yield from _merge_open([_OpenRun(path) for path in paths])


def _merge_open(runs: list[_OpenRun]) -> Iterator[pa.Table]:
    while runs := [run for run in runs if run.fill()]:
        cut = min((run.last_key() for run in runs if run.has_more), default=None)
        parts = [part for run in runs if len(part := run.take_up_to(cut))]
        slab = parts[0] if len(parts) == 1 else pa.concat_tables(parts)
        yield slab if len(parts) == 1 else slab.take(pc.sort_indices(slab.column(SORT_KEY)))


def _merge_to_run(paths: list[Path], target: Path) -> Path:
    slabs = _merge_open([_OpenRun(path) for path in paths])
    first = next(slabs)
    with _new_run(target, first.schema, paths[0].stat().st_mode & 0o777) as writer:
        write_blocks(writer, first)
        for slab in slabs:
            write_blocks(writer, slab)
    with suppress(OSError):  # they are removed with the folder of the run at the latest
        for path in paths:
            path.unlink()
    return target
