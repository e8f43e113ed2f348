"""The rows of one account-region in a table of an earlier snapshot, found by the names of functions. Blocking."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.data_files import find_files
from lexport.dataset.manifest import Manifest
from lexport.dataset.scan import group_bounds, may_have
from lexport.dataset.store import Store
from lexport.model import Scope
from lexport.tables.arrow import with_current_names
from lexport.tables.table import SCOPE_KEY, Table

_FUNCTION = "function_name"
_Group = tuple[str, str, pq.ParquetFile, int]
"""Least name, greatest name, file and number of a row group."""


class StoredRows:
    """Rows of a table's files, which are sorted by account, Region and function. Page checksums are verified.

    ``columns`` are those to read, all by default. Opening and reading raise OSError, ArrowException or ReadError for
    damaged files.
    """

    def __init__(
        self, store: Store, commit: Manifest, table: Table, scope: Scope, columns: Sequence[str] | None = None
    ) -> None:
        self._table, self._scope = table, scope
        self._columns = None if columns is None else [*SCOPE_KEY, *columns]
        self._groups = list(self._groups_of_scope(find_files(store, commit, table)))

    def __bool__(self) -> bool:
        return bool(self._groups)

    def all(self) -> pa.Table | None:
        """Return every row; only for tables that have few."""
        return self._read(self._groups)

    def of(self, names: Sequence[str]) -> pa.Table | None:
        """Return the rows of functions, whose names are sorted; None where there are none."""
        near = [each for each in self._groups if bisect_left(names, each[0]) < bisect_right(names, each[1])]
        wanted = pa.array(names, pa.string())
        return self._read(near, wanted)

    def _read(self, groups: Sequence[_Group], names: pa.Array | None = None) -> pa.Table | None:
        parts = []
        for _, _, file, number in groups:
            stored = None if self._columns is None else self._table.stored_names(self._columns)
            rows = with_current_names(file.read_row_group(number, columns=stored, use_threads=False), self._table)
            is_wanted = pc.and_(*(pc.equal(rows.column(name), getattr(self._scope, name)) for name in SCOPE_KEY))
            if names is not None:
                is_wanted = pc.and_(is_wanted, pc.is_in(rows.column(_FUNCTION), value_set=names))
            if len(rows := rows.filter(is_wanted)):
                parts.append(rows)
        return pa.concat_tables(parts, promote_options="default").combine_chunks() if parts else None

    def _groups_of_scope(self, paths: Sequence[Path]) -> Iterator[_Group]:
        """Yield the row groups that may have rows of the scope."""
        for path in paths:
            file = pq.ParquetFile(path, page_checksum_verification=True)
            columns = {file.metadata.schema.column(index).name: index for index in range(file.metadata.num_columns)}
            for number, bounds in enumerate(group_bounds(file.metadata)):
                if not may_have(bounds, [self._scope]):
                    continue
                column = columns.get(_FUNCTION)
                known = None if column is None else file.metadata.row_group(number).column(column).statistics
                low, high = (known.min, known.max) if known is not None and known.has_min_max else ("", "\U0010ffff")
                yield low, high, file, number
