"""Read the rows of some account-regions from a table's files, whole functions at a time. Blocking.

Files are sorted by account, Region and function. Two files can therefore be read side by side, up to a function that
comes after the rows that either has in memory, and no row of a function is read without the others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.runs import BELOW_ALL
from lexport.errors import ReadError
from lexport.model import Scope
from lexport.tables.arrow import with_current_names
from lexport.tables.table import SCOPE_KEY, VERSION_KEY, Table

Position = tuple[str, ...]
"""Account, Region and function of a row, as far as the table has these columns: where in a sorted file a row is."""

Bounds = tuple[Scope, Scope]
"""The least and the greatest account-region that a row group may have rows of."""

BATCH_ROWS = 2_048  # rows that are decoded at a time: some 2 MB of the widest table


_LOWEST, _HIGHEST = Scope(account_id="", region=""), Scope(account_id="\U0010ffff", region="")


def group_bounds(metadata: pq.FileMetaData) -> list[Bounds]:
    """Return the bounds of the row groups of a file; where they are not known, those of all account-regions."""
    where = {metadata.schema.column(index).name: index for index in range(metadata.num_columns)}
    return [_bounds(metadata.row_group(number), where) for number in range(metadata.num_row_groups)]


def _bounds(group: pq.RowGroupMetaData, where: Mapping[str, int]) -> Bounds:
    accounts, regions = (group.column(where[name]).statistics if name in where else None for name in SCOPE_KEY)
    if accounts is None or not accounts.has_min_max or regions is None or not regions.has_min_max:
        return _LOWEST, _HIGHEST
    is_one = accounts.min == accounts.max
    return (
        Scope(account_id=accounts.min, region=regions.min if is_one else ""),
        Scope(account_id=accounts.max, region=regions.max if is_one else "\U0010ffff"),
    )


def may_have(bounds: Bounds, ordered: Sequence[Scope]) -> bool:
    """Return whether a row group may have rows of one of the account-regions, which are sorted."""
    at = bisect_left(ordered, bounds[0])
    return at < len(ordered) and ordered[at] <= bounds[1]


class Scan:
    """One pass over a table's files. Keeps the rows in memory that were read and not yet taken.

    ``paths`` are in the order of their rows, as ``find_files`` returns them. ``names`` are the current names of the
    columns to read; those that the file lacks are left out. Page checksums are verified. Raises ReadError.
    """

    def __init__(self, paths: Sequence[Path], table: Table, scopes: Collection[Scope], names: Sequence[str]) -> None:
        self._path, *self._left = paths
        self._table, self._names, self._has_more = table, names, True
        self._scopes, self._ordered = frozenset(scopes), sorted(scopes)
        self._position_columns = [name for name in VERSION_KEY[:3] if name in table.key]
        self._last_key = ""
        with self._reading():
            self._rows = self._open()
        self.no_rows = self._rows
        self.types = {field.name: field.type for field in self._rows.schema}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _open(self) -> pa.Table:
        self._file = pq.ParquetFile(self._path, pre_buffer=False, page_checksum_verification=True)
        names = self._table.stored_names(self._names)
        stored = [name for name in self._file.schema_arrow.names if name in names]
        self._batches = self._file.iter_batches(BATCH_ROWS, self._groups(), stored, use_threads=False)
        return with_current_names(self._file.schema_arrow.empty_table().select(stored), self._table)

    def whole_until(self) -> Position | None:
        """Return the first function whose rows may not all be in memory; None at the end of the files."""
        while self._has_more and not (len(self._rows) and self._position(0) != self._position(-1)):
            self._read_batch()
        return self._position(-1) if self._has_more else None

    def take(self, end: Position | None) -> pa.Table:
        """Take the rows before a position; all the rest for None."""
        while self._has_more and not (end is not None and len(self._rows) and self._position(-1) >= end):
            self._read_batch()
        count = len(self._rows) if end is None else bisect_left(range(len(self._rows)), end, key=self._position)
        taken, self._rows = self._rows.slice(0, count), self._rows.slice(count)
        return taken.combine_chunks()

    def next_rows(self) -> pa.Table:
        """Take the next rows, some thousands; none at the end."""
        while self._has_more and not len(self._rows):
            self._read_batch()
        taken, self._rows = self._rows, self._rows.slice(0, 0)
        return taken

    def _position(self, index: int) -> Position:
        row = index % len(self._rows)
        return tuple(self._rows.column(name)[row].as_py() for name in self._position_columns)

    def _read_batch(self) -> None:
        with self._reading():
            batch = next(self._batches, None)
            if batch is None and self._left:
                self._file.close()
                self._path, *self._left = self._left
                self._open()
                return
        if batch is None:
            self._has_more = False
            return
        if not len(batch):
            return
        rows = with_current_names(pa.Table.from_batches([batch]), self._table)
        self._check_order(rows)
        ends = {
            Scope(account_id=rows.column("account_id")[at].as_py(), region=rows.column("region")[at].as_py())
            for at in (0, len(rows) - 1)
        }
        if len(ends) > 1 or not ends <= self._scopes:  # sorted: of one scope alone where both ends are
            scopes = pa.array(scope.account_id + BELOW_ALL + scope.region for scope in self._scopes)
            scope = pc.binary_join_element_wise(rows.column("account_id"), rows.column("region"), BELOW_ALL)
            rows = rows.filter(pc.is_in(scope, value_set=scopes))
        self._rows = pa.concat_tables([self._rows, rows]) if len(self._rows) else rows

    def _check_order(self, rows: pa.Table) -> None:
        """Refuse rows that are out of order: reading two files side by side would never end."""
        keys = pc.binary_join_element_wise(*(rows.column(name) for name in self._position_columns), BELOW_ALL)
        first, last = keys[0].as_py(), keys[-1].as_py()
        is_sorted = pc.all(pc.greater_equal(keys.slice(1), keys.slice(0, len(keys) - 1))).as_py() is not False
        if keys.null_count or not is_sorted or first < self._last_key:
            raise ReadError(
                f"cannot read {self._path}: its rows are not in the order of {', '.join(self._position_columns)}",
                path=str(self._path),
            )
        self._last_key = last

    def _groups(self) -> list[int]:
        bounds = group_bounds(self._file.metadata)
        return [number for number, each in enumerate(bounds) if may_have(each, self._ordered)]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            cause = str(error).splitlines()[0]
            raise ReadError(f"cannot read {self._path}: {cause}", path=str(self._path)) from error


class NoRows:
    """The scan of a side that has no rows at all; its columns are those of the scan of the other side."""

    def __init__(self, other: Scan) -> None:
        self.types, self._rows = other.types, other.no_rows

    def whole_until(self) -> Position | None:
        """Return None: nothing is left to read."""
        return None

    def take(self, _end: Position | None) -> pa.Table:
        """Take no rows."""
        return self._rows
