"""Sorted runs -> the Parquet files of each table, by a merge whose memory does not depend on the size of the fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from anyio.from_thread import check_cancelled

from lexport.dataset.local import hash_file, sync_file, write_error
from lexport.dataset.runs import BELOW_ALL, SORT_KEY, Section, merge, row_keys
from lexport.model import Scope
from lexport.tables.arrow import differs, table_schema
from lexport.tables.functions import FUNCTIONS
from lexport.tables.staged import ANSWER, CHILD_TABLES, child_names, staged_names
from lexport.tables.table import SCOPE_KEY, VERSION_KEY, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    """One finished Parquet file, synced to disk; ``sha256`` is of the bytes as they are read back."""

    path: Path
    rows: int
    size_bytes: int
    sha256: str


TableFiles = dict[Table, tuple[WrittenFile, ...]]
"""The files of each table, in the order of their rows."""
Watch = Callable[[pa.Table], None]


def _ignore(_: pa.Table) -> None:
    """Ignore the rows."""


def end_if_cancelled(_: pa.Table) -> None:
    """Ignore the rows; raise where the task that waits for this thread was cancelled."""
    check_cancelled()


class RowCounter:
    """Counts the rows and functions of each account-region while they are written, in the order of their keys."""

    def __init__(self) -> None:
        self.rows: Counter[Scope] = Counter()
        self.functions: Counter[Scope] = Counter()
        self.dropped: Counter[Scope] = Counter()
        self._last: str | None = None

    def drop(self, rows: pa.Table) -> None:
        """Count duplicates that the merge drops."""
        for values in zip(*(rows.column(name).to_pylist() for name in SCOPE_KEY), strict=True):
            self.dropped[Scope(account_id=values[0], region=values[1])] += 1

    def watch(self, rows: pa.Table) -> None:
        """Count the rows of one row group."""
        functions = row_keys(rows, (*SCOPE_KEY, "function_name")).combine_chunks()
        runs = pc.run_end_encode(functions)  # sorted, so the rows of a function are one run
        start = 0
        for function, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            account_id, region, _ = function.split(BELOW_ALL)
            scope = Scope(account_id=account_id, region=region)
            self.rows[scope] += end - start
            self.functions[scope] += function != self._last  # a function may continue in the next row group
            start, self._last = end, function


def counting(counter: RowCounter | None) -> Watch:
    """Return what counts rows, if anything does, and raises where the task that waits for this thread was cancelled."""
    if counter is None:
        return end_if_cancelled

    def watch(rows: pa.Table) -> None:
        check_cancelled()
        counter.watch(rows)

    return watch


MOST_SLABS = 64  # a slab of a few rows takes 100 KB for its columns alone, and a row group waits for many small shards
RELEASED_GROUPS = 4  # unused memory is given back after so many row groups, some 25 MB: looking for it takes 10 ms
VERSION_TABLES = (FUNCTIONS, *CHILD_TABLES)
ROWS_PER_FILE = 1_000_000
"""A file of a table ends at the first border between two account-regions after so many rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFolder:
    """The folder of a snapshot's new Parquet files, and the columns that all their rows share.

    ``watch`` is called with every row group before the snapshot columns are added. Rows are sorted by the table's key.
    Blocking; raises WriteError.
    """

    path: Path
    snapshot_id: str
    snapshot_at: datetime
    file_mode: int = 0o600
    rows_per_file: int = ROWS_PER_FILE

    def write(self, table: Table, runs: Sequence[Section], *, watch: Watch = _ignore) -> tuple[WrittenFile, ...]:
        """Merge a table's runs into Parquet files; of duplicates, the row of the better answer is kept."""
        with TableWriter(table, self, watch=watch) as writer:
            writer.add_runs(runs)
            return writer.close()

    def write_empty(self, table: Table) -> WrittenFile:
        """Write a file with the columns of a table and no row."""
        path = self.path / f"{table.name}-0000.parquet"
        with _errors_of(path):
            path.touch()
            path.chmod(self.file_mode)  # whatever the umask
            path.write_bytes(_empty_file(table))
            sync_file(path)
            return WrittenFile(path=path, rows=0, size_bytes=path.stat().st_size, sha256=hash_file(path))

    def write_versions(self, runs: Sequence[Section], *, watch: Watch = _ignore, drop: Watch = _ignore) -> TableFiles:
        """Merge the runs of ``functions`` into Parquet files for it and for each of its child tables."""
        with VersionsWriter(self, watch=watch, drop=drop) as writer:
            writer.add_runs(runs)
            return writer.close()


def _open_parquet(where: Path | pa.BufferOutputStream, table: Table, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        where,
        schema,
        compression="zstd",
        write_page_checksum=True,
        write_page_index=True,
        sorting_columns=pq.SortingColumn.from_ordering(
            schema, [(name, "ascending") for name in table.key], null_placement="at_start"
        ),
    )


@cache
def _empty_file(table: Table) -> bytes:
    """Return the Parquet file of a table without rows; it is the same in every snapshot."""
    body = pa.BufferOutputStream()
    _open_parquet(body, table, table_schema(table)).close()
    return bytes(body.getvalue())


class TableWriter:
    """Writes the Parquet files of one table from sorted rows; ``close`` writes the last row group.

    Row groups end after ``row_group_rows`` rows, and files as ``ROWS_PER_FILE`` says. So equal rows give equal bytes
    however they were added. There is at least one file.
    """

    def __init__(self, table: Table, folder: TableFolder, *, watch: Watch = _ignore) -> None:
        self.table = table
        self._folder, self._watch = folder, watch
        self._schema = table_schema(table)
        self._group_rows = table.row_group_rows
        self._constants = {"snapshot_id": folder.snapshot_id, "snapshot_at": folder.snapshot_at}
        self._names = [field.name for field in self._schema if field.name not in self._constants]
        self._waiting: list[pa.Table] = []
        self._waiting_rows = self._rows = self._groups = 0
        self._last_scope: tuple[object, ...] | None = None
        self._files: list[WrittenFile] = []
        self._open_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file and ignore errors; rows since the last row group are lost unless ``close`` was called."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()

    def _open_file(self) -> None:
        self.path = self._folder.path / f"{self.table.name}-{len(self._files):04d}.parquet"
        with _errors_of(self.path):
            self.path.touch()
            self.path.chmod(self._folder.file_mode)  # whatever the umask
            self._writer = _open_parquet(self.path, self.table, self._schema)

    @property
    def rows(self) -> int:
        """The rows of the file that is written now."""
        return self._rows + self._waiting_rows

    def add_runs(self, runs: Sequence[Section], *, drop: Watch = _ignore, watch: Watch = _ignore) -> None:
        """Merge runs and add their rows, which sort after those added before; ``watch`` is called with these."""
        with _errors_of(self.path):
            for rows in unique_rows(self.table, merge(runs, self._folder.path), drop):
                watch(rows)
                self.write(rows)

    def write(self, rows: pa.Table) -> None:
        """Add sorted rows; columns of other tables are ignored."""
        rows = rows.select(self._names)
        while (border := self._border(rows)) is not None:
            self._add(rows.slice(0, border))
            self._finish_file()
            self._open_file()
            rows = rows.slice(border)
        self._add(rows)

    def _border(self, rows: pa.Table) -> int | None:
        """Return the first row of the next file; None where the file goes on."""
        at = max(0, self._folder.rows_per_file - self._rows - self._waiting_rows)
        if at >= len(rows):
            return None
        columns = [rows.column(name) for name in SCOPE_KEY]
        if at == 0:
            if self._last_scope not in (None, tuple(column[0].as_py() for column in columns)):
                return 0
            at = 1
        here, before = ([column.slice(start, len(rows) - at) for column in columns] for start in (at, at - 1))
        is_other = pc.or_(*(differs(one, other) for one, other in zip(here, before, strict=True)))
        index = pc.index(is_other, True).as_py()
        return None if index < 0 else at + index

    def _add(self, rows: pa.Table) -> None:
        if not len(rows):
            return
        self._last_scope = tuple(rows.column(name)[len(rows) - 1].as_py() for name in SCOPE_KEY)
        self._waiting.append(rows)
        self._waiting_rows += len(rows)
        if len(self._waiting) >= MOST_SLABS:
            self._waiting = [pa.concat_tables(self._waiting).combine_chunks()]
        while self._waiting_rows >= self._group_rows:
            rows_waiting = pa.concat_tables(self._waiting)
            self._waiting = [rows_waiting.slice(self._group_rows)]
            self._waiting_rows -= self._group_rows
            self._write_group(rows_waiting.slice(0, self._group_rows).combine_chunks())
            del rows_waiting
            self._groups += 1
            if self._groups % RELEASED_GROUPS == 0:
                pa.default_memory_pool().release_unused()

    def close(self) -> tuple[WrittenFile, ...]:
        """Write the last row group and sync the file; return all files, in the order of their rows."""
        self._finish_file()
        return tuple(self._files)

    def _finish_file(self) -> None:
        if self._waiting_rows:
            self._write_group(pa.concat_tables(self._waiting).combine_chunks())
        with _errors_of(self.path):
            self._writer.close()
            sync_file(self.path)
            digest = hash_file(self.path)
            size_bytes = self.path.stat().st_size
        self._files.append(WrittenFile(path=self.path, rows=self._rows, size_bytes=size_bytes, sha256=digest))
        self._waiting, self._waiting_rows, self._rows, self._last_scope = [], 0, 0, None

    def _write_group(self, group: pa.Table) -> None:
        self._watch(group)
        constants = {
            name: pa.repeat(pa.scalar(value, self._schema.field(name).type), len(group))
            for name, value in self._constants.items()
        }
        arrays = [constants[name] if name in constants else group.column(name) for name in self._schema.names]
        with _errors_of(self.path):
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=len(group))
        self._rows += len(group)


class VersionsWriter:
    """Writes ``functions`` and its child tables from the runs of ``functions``, in one merge; or some of these tables.

    The children of a version are within its row and sorted there. ``watch`` is called with the rows of ``functions``,
    ``drop`` with the rows that a better answer replaces. Only the columns that are needed are read.
    """

    def __init__(
        self,
        folder: TableFolder,
        tables: Sequence[Table] = VERSION_TABLES,
        *,
        watch: Watch = _ignore,
        drop: Watch = _ignore,
    ) -> None:
        self._folder, self._drop = folder, drop
        self._columns = None if set(tables) == set(VERSION_TABLES) else _columns_of_versions(tables)
        with ExitStack() as opened:
            self.writers = [
                opened.enter_context(TableWriter(table, folder, watch=watch if table is FUNCTIONS else _ignore))
                for table in tables
            ]
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def add_runs(self, runs: Sequence[Section]) -> None:
        """Merge runs and add their rows, which sort after those added before."""
        if self._columns is not None:
            runs = [replace(run, columns=self._columns) for run in runs]
        with _errors_of(self.writers[0].path):
            for versions in unique_rows(FUNCTIONS, merge(runs, self._folder.path), self._drop):
                for writer in self.writers:
                    is_own = writer.table is FUNCTIONS
                    writer.write(versions if is_own else children_of(versions, writer.table))

    def close(self) -> TableFiles:
        """Write the last row groups; return the files of each table."""
        return {writer.table: writer.close() for writer in self.writers}


def _columns_of_versions(tables: Sequence[Table]) -> frozenset[str]:
    """Return the columns of staged function versions that some of their tables are written from."""
    own = staged_names(FUNCTIONS) if FUNCTIONS in tables else (*VERSION_KEY, ANSWER)
    return frozenset((*own, SORT_KEY, *(table.name for table in tables if table is not FUNCTIONS)))


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Raise errors of writing a file, and of reading its rows, as WriteError with the file's path."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise write_error(path, error) from error


def unique_rows(table: Table, slabs: Iterator[pa.Table], drop: Watch = _ignore) -> Iterator[pa.Table]:
    """Keep the rows of the first answer, among all rows with equal values in the first ``answer_key`` columns.

    ``drop`` is called with the others.
    """
    key = table.key[: table.answer_key]
    if not key:
        yield from slabs
        return
    last: pa.Table | None = None  # the last kept row, since rows of one key may continue in the next slab
    for slab in slabs:
        rows = slab if last is None else pa.concat_tables([last, slab])
        before, after = rows.slice(0, len(rows) - 1), rows.slice(1)
        is_other = pc.not_equal(before.column(ANSWER), after.column(ANSWER))
        for name in reversed(key):
            if not pc.any(is_other).as_py():
                break
            is_other = pc.and_(is_other, pc.equal(before.column(name), after.column(name)))
        if pc.any(is_other).as_py():
            first = _first_answers(rows, key)
            drop(rows.filter(pc.invert(pc.is_in(pa.array(range(len(rows))), pa.array(first)))))
            rows = rows.take(first)
        kept = rows if last is None else rows.slice(1)
        if len(kept):
            last = kept.slice(len(kept) - 1)
            yield kept


def _first_answers(rows: pa.Table, key: Sequence[str]) -> list[int]:
    keys = zip(*(rows.column(name).to_pylist() for name in key), strict=True)
    answers = rows.column(ANSWER).to_pylist()
    kept: list[int] = []
    first: tuple[object, str] | None = None
    for index, (values, answer) in enumerate(zip(keys, answers, strict=True)):
        if first is None or first[0] != values:
            first = (values, answer)
        if first[1] == answer:
            kept.append(index)
    return kept


def children_of(versions: pa.Table, table: Table) -> pa.Table:
    """Return the rows of a child table that are within staged versions, in the order of the versions."""
    lists = versions.column(table.name).combine_chunks()
    parents = pc.list_parent_indices(lists)
    structs = pc.list_flatten(lists)
    keys = [versions.column(name).take(parents) for name in VERSION_KEY]
    own = child_names(table)
    return pa.table(dict(zip((*VERSION_KEY, *own), (*keys, *structs.flatten()), strict=True)))
