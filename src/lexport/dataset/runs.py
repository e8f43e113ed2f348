"""Sorted runs: staged rows on disk, one run file per flush, and the merge that reads the rows of a table in order.

Rows are sorted and written when enough of them are in memory. The merge opens at most ``FAN_IN`` runs, a block of each
at a time, and merges more runs in levels. The rows of a block can go out up to the smallest last key of all open
blocks, because no run can still bring a row before it. Arrow does this work on thousands of rows at once, never row by
row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from lexport.dataset.local import sync_file, write_error
from lexport.dataset.run_file import MAGIC, Place, read_places
from lexport.tables.arrow import staged_schema
from lexport.tables.functions import FUNCTIONS
from lexport.tables.staged import ANSWER, CHILD_TABLES
from lexport.tables.table import Table

RUN_BYTES = 12 * 2**20  # staged rows in memory; twice that while one run is being sorted
ROWS_AT_ONCE = 10_000  # rows as Python values: some 10 MB
FAN_IN = 32
_BUFFER_BYTES = 2**20  # a file of some kilobytes is one write
_WRITE = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)  # buffers are small: handing over costs more
_READ = pa.ipc.IpcReadOptions(use_threads=False)
_NUMBERS = count()
SORT_KEY = "_key"
BELOW_ALL = "\x00"  # sorts below every character; no stored text holds it
BLOCK_ROWS = 512
BLOCK_BYTES = 2**20
"""What the merge reads of a run at a time, 32 MiB of 32 runs. Usual versions take 2 KB each, 512 are less than this.

Where all 100,000 keep 4 KB of variables, staging and merging peak at 270 MiB; by rows alone it was 540.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """The sorted rows of one table in one run file on this machine; ``columns`` are those to read, None for all."""

    path: Path
    table: str
    offset: int
    batches: int
    rows: int
    columns: frozenset[str] | None = None

    def open(self) -> SectionReader:
        """Open it for reading, block by block; the caller closes the reader."""
        return SectionReader(self)

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """Yield the blocks in order."""
        with closing(self.open()) as reader:
            while reader.batches_left:
                yield reader.read()


class SectionReader:
    """Reads the blocks of a section in order; memory-mapped pages would count as this process's."""

    def __init__(self, section: Section) -> None:
        self.batches_left = section.batches
        self._file = pa.OSFile(str(section.path))
        self._file.seek(section.offset)
        self._stream = pa.ipc.open_stream(self._file, options=_READ)
        if section.columns is not None:
            included = [index for index, name in enumerate(self._stream.schema.names) if name in section.columns]
            options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=included)
            self._file.seek(section.offset)
            self._stream = pa.ipc.open_stream(self._file, options=options)
        self.schema: pa.Schema = self._stream.schema

    def read(self) -> pa.RecordBatch:
        """Read the next block."""
        self.batches_left -= 1
        return self._stream.read_next_batch()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _section(path: Path, place: Place) -> Section:
    """Return the section of a run file that a place in its footer describes."""
    return Section(path, place.table, place.offset, place.batches, place.rows)


def read_sections(path: Path) -> list[Section]:
    """Return the sections of a finished run file. Raises ReadError where it is none. Blocking."""
    return [_section(path, place) for place in read_places(path)]


Runs = dict[str, list[Section]]
"""Table name -> its sorted runs, in the order they were written."""

# --- rows and their keys ---------------------------------------------------------------------------------------------


def staged_batch(table: Table, values: Iterable[Sequence[object]]) -> pa.RecordBatch:
    """Turn columns of values into one batch of staged rows."""
    schema = staged_schema(table)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)], schema=schema
    )


def row_counts(table: Table, rows: pa.Table | pa.RecordBatch) -> dict[str, int]:
    """Count staged rows by table: those of a function version have the rows of its children as lists."""
    counts = {table.name: len(rows)}
    names = {*rows.schema.names} if table is FUNCTIONS else ()
    for child in (child for child in CHILD_TABLES if child.name in names):
        counts[child.name] = pc.sum(pc.list_value_length(rows.column(child.name))).as_py() or 0
    return counts


def row_keys(rows: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    """Put some columns of each row into one text; texts sort as the rows do, NULL first, numbers by their value."""
    return pc.binary_join_element_wise(*(_as_text(rows.column(name)) for name in names), BELOW_ALL)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_integer(column.type):
        column = pc.utf8_lpad(pc.cast(column, pa.string()), width=10, padding="0")
    elif pa.types.is_date(column.type):
        column = pc.cast(column, pa.string())
    return pc.fill_null(column, "")


# --- writing ----------------------------------------------------------------------------------------------------------


class RunWriter:
    """Writes staged rows into run files in a folder, one each time ``RUN_BYTES`` of rows are in memory.

    ``runs`` lists the sorted runs by table; a mapping that is given is continued. Blocking; raises WriteError.
    """

    def __init__(self, folder: Path, *, file_mode: int = 0o600, runs: Runs | None = None) -> None:
        self.runs: Runs = defaultdict(list) if runs is None else runs
        self.size_bytes = 0
        self._folder = folder
        self._file_mode = file_mode
        self._batches: dict[Table, list[pa.RecordBatch]] = defaultdict(list)
        self._written: list[Section] = []

    def add(self, table: Table, rows: pa.RecordBatch) -> None:
        """Add staged rows of one table."""
        self.collect(table, rows)
        if self.size_bytes >= RUN_BYTES:
            self.flush()

    def collect(self, table: Table, rows: pa.RecordBatch) -> None:
        """Add staged rows of one table that stay in memory until ``flush``."""
        self._batches[table].append(rows)
        self.size_bytes += rows.nbytes

    def add_rows(self, table: Table, rows: Iterable[Sequence[object]]) -> None:
        """Add staged rows of one table that are made one by one."""
        remaining = iter(rows)
        while values := list(islice(remaining, ROWS_AT_ONCE)):
            self.add(table, staged_batch(table, zip(*values, strict=True)))

    def flush(self) -> Path | None:
        """Write the rows in memory as one run file; return its path, None where there are no rows."""
        batches, self._batches, self.size_bytes = self._batches, defaultdict(list), 0
        if not batches:
            return None
        with new_run_file(self._folder, self._file_mode) as writer:
            for table in sorted(batches, key=lambda table: table.name):
                rows = sorted_run(table, batches.pop(table))  # frees a table as soon as it is written
                writer.begin(table.name, rows.schema)
                write_blocks(writer, rows)
            sections = writer.close()
        for section in sections:
            self.runs.setdefault(section.table, []).append(section)
        self._written += sections
        return writer.path

    def discard(self) -> None:
        """Remove every run file that this writer wrote, and drop what is in memory."""
        self._batches.clear()
        self.size_bytes = 0
        for section in self._written:
            section.path.unlink(missing_ok=True)
            if section in self.runs[section.table]:
                self.runs[section.table].remove(section)
        self._written.clear()


class RunFileWriter:
    """Writes one run file: ``begin`` a table, ``write`` its rows in blocks, and so on; ``close`` adds the footer.

    Blocking. The errors of Arrow and of the disk leave it as they are; see ``writing``.
    """

    def __init__(self, folder: Path, file_mode: int) -> None:
        self.path = folder / f"{next(_NUMBERS):06d}.run"
        self.path.touch()
        self.path.chmod(file_mode)  # whatever the umask
        self._file = pa.BufferedOutputStream(pa.OSFile(str(self.path), "wb"), _BUFFER_BYTES)
        self._places: list[Place] = []
        self._stream: pa.ipc.RecordBatchStreamWriter | None = None

    def begin(self, table: str, schema: pa.Schema) -> None:
        """Begin the rows of one table."""
        self._end()
        self._places.append(Place(table=table, offset=self._file.tell(), batches=0, rows=0))
        self._stream = pa.ipc.new_stream(self._file, schema, options=_WRITE)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write one block of the table that was begun last."""
        assert self._stream is not None
        self._stream.write_batch(batch)
        last = self._places[-1]
        self._places[-1] = Place(last.table, last.offset, last.batches + 1, last.rows + len(batch))

    def _end(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> list[Section]:
        """Write the footer and sync the file; return what is in it."""
        self._end()
        footer = msgspec.json.encode(self._places)
        self._file.write(footer + len(footer).to_bytes(8, "big") + MAGIC)
        self._file.close()
        sync_file(self.path)
        return [_section(self.path, place) for place in self._places]

    def abandon(self) -> None:
        """Close the file after an error; it stays incomplete."""
        if not self._file.closed:
            self._file.close()


@contextmanager
def new_run_file(folder: Path, file_mode: int) -> Iterator[RunFileWriter]:
    """Write one run file in the block, which closes it; raises WriteError. Blocking."""
    path = folder
    try:
        writer = RunFileWriter(folder, file_mode)
        path = writer.path
        try:
            yield writer
        finally:
            writer.abandon()
    except (OSError, pa.ArrowException) as error:
        raise write_error(path, error) from error


def rewrite_run(
    run: Section, change: Callable[[pa.RecordBatch], pa.RecordBatch], folder: Path, file_mode: int
) -> Section:
    """Change the blocks of a run one by one, in a new file; the key and the order of its rows stay.

    Raises WriteError. Blocking.
    """
    with new_run_file(folder, file_mode) as writer:
        for number, block in enumerate(map(change, run.blocks())):
            if number == 0:
                writer.begin(run.table, block.schema)
            writer.write(block)
        (section,) = writer.close()
    return section


def sorted_run(table: Table, batches: list[pa.RecordBatch]) -> pa.Table:
    """Sort staged rows by key, and within one key the better answer first; adds the column ``_key``.

    One text per row, compared byte by byte, is several times faster to sort and to merge than many columns.
    """
    rows = pa.Table.from_batches(batches)
    order = [*table.key[: table.answer_key], ANSWER, *table.key[table.answer_key :]]
    keyed = rows.append_column(SORT_KEY, row_keys(rows, order))
    return keyed.take(pc.sort_indices(keyed.column(SORT_KEY)))


def write_blocks(writer: RunFileWriter, rows: pa.Table) -> None:
    """Append sorted rows to a run."""
    for batch in blocks_of(rows):
        writer.write(batch)


def blocks_of(rows: pa.Table) -> list[pa.RecordBatch]:
    """Cut sorted rows into the blocks that are read back at a time: ``BLOCK_ROWS``, or fewer where those are large."""
    within_bytes = BLOCK_BYTES * len(rows) // (rows.nbytes or 1)
    blocks: list[pa.RecordBatch] = rows.combine_chunks().to_batches(max_chunksize=max(1, min(BLOCK_ROWS, within_bytes)))
    return blocks


# --- reading ----------------------------------------------------------------------------------------------------------


class _OpenRun:
    """One open run, and the rows of its current block that are not merged yet."""

    def __init__(self, run: Section) -> None:
        self._reader = run.open()
        self.block: pa.Table = self._reader.schema.empty_table()

    @property
    def has_more(self) -> bool:
        return self._reader.batches_left > 0

    def fill(self) -> bool:
        """Read the next block if the current one is used up; False at the end."""
        while not len(self.block):
            if not self.has_more:
                return False
            self.block = pa.Table.from_batches([self._reader.read()])
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

    def close(self) -> None:
        self._reader.close()


def merge(runs: Sequence[Section], scratch: Path) -> Iterator[pa.Table]:
    """Yield the rows of all runs in order, as slabs of some hundreds to thousands of rows.

    Runs beyond ``FAN_IN`` are merged into longer ones in ``scratch`` first, which are removed at the end.
    """
    with ExitStack() as stack:
        while len(runs) > FAN_IN:
            parts = (runs[start : start + FAN_IN] for start in range(0, len(runs), FAN_IN))
            runs = [_merge_to_run(part, scratch, stack) for part in parts]
        yield from _merge_open(runs)


def _merge_open(runs: Sequence[Section]) -> Iterator[pa.Table]:
    with ExitStack() as stack:
        open_runs = [stack.enter_context(closing(_OpenRun(run))) for run in runs]
        while open_runs := [run for run in open_runs if run.fill()]:
            cut = min((run.last_key() for run in open_runs if run.has_more), default=None)
            parts = [part for run in open_runs if len(part := run.take_up_to(cut))]
            slab = parts[0] if len(parts) == 1 else pa.concat_tables(parts)
            yield slab if len(parts) == 1 else slab.take(pc.sort_indices(slab.column(SORT_KEY)))


def _merge_to_run(runs: Sequence[Section], scratch: Path, stack: ExitStack) -> Section:
    file_mode = runs[0].path.stat().st_mode & 0o777
    with new_run_file(scratch, file_mode) as writer:
        stack.callback(_remove, writer.path)
        for number, slab in enumerate(_merge_open(runs)):
            if number == 0:
                writer.begin(runs[0].table, slab.schema)
            write_blocks(writer, slab)
        (section,) = writer.close()
    return section


def _remove(path: Path) -> None:
    with suppress(OSError):  # it is removed with the folder of the run at the latest
        path.unlink()
