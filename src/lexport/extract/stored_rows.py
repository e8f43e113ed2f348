"""Look up rows of earlier snapshots by account-region and function. Blocking.

Files are sorted by account, Region and function, so row groups are found by their statistics. They are opened for each
look-up, because an organization has more account-regions than a process may have open files.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.data_files import find_files
from lexport.dataset.manifest import Manifest
from lexport.dataset.scan import Bounds, group_bounds, may_have
from lexport.dataset.store import Store
from lexport.model import Scope
from lexport.tables.arrow import with_current_names
from lexport.tables.table import SCOPE_KEY, Table

_FUNCTION = "function_name"


class _Group(NamedTuple):
    """A row group: its account-regions, its least and its greatest function, its file and its number there."""

    bounds: Bounds
    low: str
    high: str
    path: Path
    number: int


class StoredTables:
    """The tables that the shards of a run look rows up in; the files of each are checked once."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], list[_Group]] = {}

    def rows(
        self, store: Store, commit: Manifest, table: Table, scope: Scope, columns: Sequence[str] | None = None
    ) -> StoredRows:
        """Return the rows of an account-region; ``columns`` are those to read besides it, all by default.

        This and reading them raises OSError, ArrowException or ReadError for damaged files.
        """
        key = commit.snapshot_id, table.name
        if key not in self._groups:
            self._groups[key] = [group for path in find_files(store, commit, table) for group in _groups_of(path)]
        groups = [group for group in self._groups[key] if may_have(group.bounds, [scope])]
        return StoredRows(groups, table, scope, columns)


class StoredRows:
    """The rows of one account-region in a table of a snapshot. Page checksums are verified."""

    def __init__(
        self, groups: Sequence[_Group], table: Table, scope: Scope, columns: Sequence[str] | None = None
    ) -> None:
        self._groups, self._table, self._scope = groups, table, scope
        self._stored = None if columns is None else table.stored_names([*SCOPE_KEY, *columns])

    def all(self) -> pa.Table | None:
        """Return every row, None where there is none; only for tables that have few."""
        return self._read(self._groups, None)

    def of(self, names: Sequence[str]) -> pa.Table | None:
        """Return the rows of functions, whose names are sorted; None where there are none."""
        near = [group for group in self._groups if bisect_left(names, group.low) < bisect_right(names, group.high)]
        return self._read(near, pa.array(names, pa.string()))

    def _read(self, groups: Sequence[_Group], names: pa.Array | None) -> pa.Table | None:
        parts = []
        for path, of_file in groupby(groups, attrgetter("path")):
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                for group in of_file:
                    rows = file.read_row_group(group.number, columns=self._stored, use_threads=False)
                    parts.append(self._chosen(with_current_names(rows, self._table), names))
        found = [rows for rows in parts if len(rows)]
        return pa.concat_tables(found, promote_options="default").combine_chunks() if found else None

    def _chosen(self, rows: pa.Table, names: pa.Array | None) -> pa.Table:
        is_chosen = pc.and_(*(pc.equal(rows.column(name), getattr(self._scope, name)) for name in SCOPE_KEY))
        if names is not None:
            is_chosen = pc.and_(is_chosen, pc.is_in(rows.column(_FUNCTION), value_set=names))
        return rows.filter(is_chosen)


def _groups_of(path: Path) -> Iterator[_Group]:
    metadata = pq.read_metadata(path)
    columns = {metadata.schema.column(index).name: index for index in range(metadata.num_columns)}
    for number, bounds in enumerate(group_bounds(metadata)):
        column = columns.get(_FUNCTION)
        names = None if column is None else metadata.row_group(number).column(column).statistics
        low, high = (names.min, names.max) if names is not None and names.has_min_max else ("", "\U0010ffff")
        yield _Group(bounds, low, high, path, number)
