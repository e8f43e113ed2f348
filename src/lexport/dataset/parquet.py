"""Sorted runs -> one Parquet file per table, by a merge whose memory does not depend on the size of the fleet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.local import sync_file, write_error
from lexport.dataset.runs import merge
from lexport.tables.arrow import children_of, table_schema
from lexport.tables.functions import FUNCTIONS
from lexport.tables.staged import ANSWER, CHILD_TABLES
from lexport.tables.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    """One finished Parquet file, synced to disk; ``sha256`` is of the bytes as they are read back."""

    path: Path
    rows: int
    size_bytes: int
    sha256: str


Watch = Callable[[pa.Table], None]


def _unwatched(_: pa.Table) -> None:
    """See nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFolder:
    """The folder that a snapshot's Parquet files are written into, and what all of their rows say of it.

    ``watch`` sees every group of rows that is written, sorted, before the snapshot columns are added. Order of rows:
    by the table's key. All of it blocking; raises WriteError.
    """

    path: Path
    snapshot_id: str
    snapshot_at: datetime
    file_mode: int = 0o600

    def write(self, table: Table, runs: Sequence[Path], *, watch: Watch = _unwatched) -> WrittenFile:
        """Merge a table's runs into one Parquet file; duplicates fall out, the better answer stays."""
        with TableWriter(table, self, watch=watch) as writer, _told(writer.path):
            for rows in _unique(table, merge(list(runs), self.path)):
                writer.write(rows)
            return writer.close()

    def write_versions(
        self, runs: Sequence[Path], *, watch: Watch = _unwatched, drop: Watch = _unwatched
    ) -> dict[Table, WrittenFile]:
        """Merge the runs of ``functions`` into one Parquet file for it and one for each table of its children.

        A version's children go where its row goes, and are sorted within it already. ``watch`` sees ``functions``, and
        ``drop`` the rows that fall out because a better answer stays.
        """
        with ExitStack() as opened:
            functions = opened.enter_context(TableWriter(FUNCTIONS, self, watch=watch))
            children = {table: opened.enter_context(TableWriter(table, self)) for table in CHILD_TABLES}
            with _told(functions.path):
                for versions in _unique(FUNCTIONS, merge(list(runs), self.path), drop):
                    functions.write(versions)
                    for table, writer in children.items():
                        writer.write(children_of(versions, table))
            return {FUNCTIONS: functions.close()} | {table: writer.close() for table, writer in children.items()}


class TableWriter:
    """Writes one table's Parquet file from rows that come sorted; ``close`` makes the last row group of what is left.

    Row groups end after ``row_group_rows`` rows, so equal rows give equal bytes, however they came.
    """

    def __init__(self, table: Table, folder: TableFolder, *, watch: Watch = _unwatched) -> None:
        self.path = folder.path / f"{table.name}.parquet"
        self._watch = watch
        self._schema = table_schema(table)
        self._group_rows = table.row_group_rows
        self._constants = {"snapshot_id": folder.snapshot_id, "snapshot_at": folder.snapshot_at}
        self._names = [field.name for field in self._schema if field.name not in self._constants]
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._rows = 0
        with _told(self.path):
            self.path.touch()
            self.path.chmod(folder.file_mode)  # whatever the umask
            self._writer = pq.ParquetWriter(
                self.path,
                self._schema,
                compression="zstd",
                write_page_checksum=True,
                write_page_index=True,
                sorting_columns=pq.SortingColumn.from_ordering(
                    self._schema, [(name, "ascending") for name in table.key], null_placement="at_start"
                ),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; what waits is dropped unless ``close`` was called, which tells what goes wrong."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()

    def write(self, rows: pa.Table) -> None:
        """Add sorted rows; columns that are not the table's are left out."""
        self._waiting.append(rows.select(self._names))
        self._waiting_rows += len(rows)
        while self._waiting_rows >= self._group_rows:
            together = pa.concat_tables(self._waiting)
            self._waiting = [together.slice(self._group_rows)]
            self._waiting_rows -= self._group_rows
            self._write_group(together.slice(0, self._group_rows).combine_chunks())
            del together
            pa.default_memory_pool().release_unused()

    def close(self) -> WrittenFile:
        """Write what is left, sync the file and return what it is."""
        if self._waiting_rows:
            self._write_group(pa.concat_tables(self._waiting).combine_chunks())
        with _told(self.path):
            self._writer.close()
            sync_file(self.path)
            with self.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = self.path.stat().st_size
        return WrittenFile(path=self.path, rows=self._rows, size_bytes=size_bytes, sha256=digest)

    def _write_group(self, group: pa.Table) -> None:
        self._watch(group)
        constants = {
            name: pa.repeat(pa.scalar(value, self._schema.field(name).type), len(group))
            for name, value in self._constants.items()
        }
        whole = [constants[name] if name in constants else group.column(name) for name in self._schema.names]
        with _told(self.path):
            self._writer.write_table(pa.Table.from_arrays(whole, schema=self._schema), row_group_size=len(group))
        self._rows += len(group)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say which file could not be written, whether that or the reading of its rows failed."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise write_error(path, error) from error


def _unique(table: Table, slabs: Iterator[pa.Table], drop: Watch = _unwatched) -> Iterator[pa.Table]:
    """Keep, of all rows about one thing (the first ``answer_key`` columns), those of the first answer.

    ``drop`` sees the others.
    """
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
            first = _first_answers(rows, thing)
            drop(rows.filter(pc.invert(pc.is_in(pa.array(range(len(rows))), pa.array(first)))))
            rows = rows.take(first)
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
