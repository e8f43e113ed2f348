"""sorted runs -> one Parquet file per table, by a merge whose memory does not depend on the fleet.

At most ``FAN_IN`` runs are open, a block of each at a time; more runs are merged in levels. A block's rows can go out
up to the least last key of all open blocks: no run can still bring anything before it. So the work is done by Arrow
on thousands of rows at once, never row by row.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.arrow import BLOCK_ROWS, SORT_KEY, open_run, table_schema
from lexport.columns import Table
from lexport.errors import WriteError
from lexport.rows import ANSWER
from lexport.store.local import sync_file

FAN_IN = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    """One finished Parquet file, synced to disk; ``sha256`` is of the bytes as they are read back."""

    path: Path
    rows: int
    size_bytes: int
    sha256: str


def write_table(
    table: Table,
    runs: Sequence[Path],
    path: Path,
    *,
    snapshot_id: str,
    snapshot_at: datetime,
    file_mode: int = 0o600,
    watch: Callable[[pa.Table], None] = lambda _: None,
) -> WrittenFile:
    """Merge a table's runs into one Parquet file; duplicates fall out, the better answer stays.

    Order: by the table's key. Row groups end after ``row_group_rows`` sorted rows, so equal rows give equal bytes.
    ``watch`` sees every batch of rows that is written, sorted, before the snapshot columns are added.
    Blocking; raises WriteError.
    """
    return write_sorted(
        table,
        _unique(table, merge(list(runs), path.parent)),
        path,
        snapshot_id=snapshot_id,
        snapshot_at=snapshot_at,
        file_mode=file_mode,
        watch=watch,
    )


def write_sorted(
    table: Table,
    slabs: Iterator[pa.Table],
    path: Path,
    *,
    snapshot_id: str,
    snapshot_at: datetime,
    file_mode: int = 0o600,
    watch: Callable[[pa.Table], None] = lambda _: None,
) -> WrittenFile:
    """Write rows that come sorted, without the snapshot columns, as ``write_table`` does; ``slabs`` are used up."""
    schema = table_schema(table)
    written = 0
    try:
        path.touch()
        path.chmod(file_mode)  # whatever the umask
        with pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            write_page_checksum=True,
            write_page_index=True,
            sorting_columns=pq.SortingColumn.from_ordering(
                schema, [(name, "ascending") for name in table.key], null_placement="at_start"
            ),
        ) as writer:
            for group in _row_groups(slabs, table.row_group_rows):
                watch(group)
                writer.write_table(_with_snapshot(group, schema, snapshot_id, snapshot_at), row_group_size=len(group))
                written += len(group)
                del group  # before the next one is put together, and its room back to the system
                pa.default_memory_pool().release_unused()
        sync_file(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, pa.ArrowException) as error:
        raise WriteError(f"cannot write {path}: {error}", path=str(path)) from error
    return WrittenFile(path=path, rows=written, size_bytes=path.stat().st_size, sha256=digest)


def _with_snapshot(rows: pa.Table, schema: pa.Schema, snapshot_id: str, snapshot_at: datetime) -> pa.Table:
    constants = {"snapshot_id": snapshot_id, "snapshot_at": snapshot_at}
    return pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(constants[field.name], field.type), len(rows))
            if field.name in constants
            else rows.column(field.name)
            for field in schema
        ],
        schema=schema,
    )


def _row_groups(slabs: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Cut sorted slabs into pieces of exactly ``rows`` rows, the last one shorter, each in one chunk."""
    waiting: list[pa.Table] = []
    count = 0
    for slab in slabs:
        waiting.append(slab)
        count += len(slab)
        while count >= rows:
            together = pa.concat_tables(waiting)
            yield together.slice(0, rows).combine_chunks()
            waiting = [together.slice(rows)]
            count -= rows
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def _unique(table: Table, slabs: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Keep, of all rows about one thing (the first ``answer_key`` columns), those of the first answer."""
    thing = table.key[: table.answer_key]
    if not thing:
        yield from slabs
        return
    last: pa.Table | None = None  # the last row that was kept, for things that go on in the next slab
    for slab in slabs:
        rows = slab if last is None else pa.concat_tables([last, slab])
        before, after = rows.slice(0, len(rows) - 1), rows.slice(1)
        strays = pc.not_equal(before.column(ANSWER), after.column(ANSWER))
        for name in reversed(thing):
            if not pc.any(strays).as_py():
                break
            strays = pc.and_(strays, pc.equal(before.column(name), after.column(name)))
        if pc.any(strays).as_py():
            rows = rows.take(_first_answers(rows, thing))
        kept = rows if last is None else rows.slice(1)
        if len(kept):
            last = kept.slice(len(kept) - 1)
            yield kept


def _first_answers(rows: pa.Table, thing: Sequence[str]) -> list[int]:
    keys = zip(*(rows.column(name).to_pylist() for name in thing), strict=True)
    answers = rows.column(ANSWER).to_pylist()
    kept: list[int] = []
    first: tuple[object, str] | None = None
    for index, (key, answer) in enumerate(zip(keys, answers, strict=True)):
        if first is None or first[0] != key:
            first = (key, answer)
        if first[1] == answer:
            kept.append(index)
    return kept


# --- the merge -------------------------------------------------------------------------------------------------------


class _Run:
    """One open run and its block at hand."""

    def __init__(self, path: Path) -> None:
        # mapped pages would count as ours; threads cost more than these small buffers take
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)), options=pa.ipc.IpcReadOptions(use_threads=False))
        self._next = 0
        self.block: pa.Table = self._reader.schema.empty_table()

    @property
    def has_more(self) -> bool:
        return self._next < int(self._reader.num_record_batches)

    def fill(self) -> bool:
        """Read the next block if the one at hand is used up; False at the end."""
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
        """Hand over the rows of the block up to a key, inclusive; all of them for None."""
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
    yield from _merge_open([_Run(path) for path in paths])


def _merge_open(runs: list[_Run]) -> Iterator[pa.Table]:
    while runs := [run for run in runs if run.fill()]:
        cut = min((run.last_key() for run in runs if run.has_more), default=None)
        parts = [part for run in runs if len(part := run.take_up_to(cut))]
        slab = parts[0] if len(parts) == 1 else pa.concat_tables(parts)
        yield slab if len(parts) == 1 else slab.take(pc.sort_indices(slab.column(SORT_KEY)))


def _merge_to_run(paths: list[Path], target: Path) -> Path:
    slabs = _merge_open([_Run(path) for path in paths])
    first = next(slabs)
    with open_run(target, first.schema, paths[0].stat().st_mode & 0o777) as writer:
        writer.write_table(first.combine_chunks(), max_chunksize=BLOCK_ROWS)
        for slab in slabs:
            writer.write_table(slab.combine_chunks(), max_chunksize=BLOCK_ROWS)
    for path in paths:
        path.unlink()
    return target
