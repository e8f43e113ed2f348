"""The rows of all tables on their way to staging: plain Python values by column, until they are a batch in Arrow.

A function version is one row, whatever belongs to it: its variables, layers, subnets, security groups and file systems
are lists in that row. So it is sorted, merged and judged once, and not once for each of its children.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lexport import columns
from lexport.arrow import staged_batch, versions_schema
from lexport.environment import env_vars
from lexport.hashing import ValueHasher
from lexport.staged import CHILD_TABLES, STAGED_TABLES, child_names, staged_names

Batch = dict[str, pa.RecordBatch]
"""Table name -> its staged rows; those of ``CHILD_TABLES`` are within ``functions``."""


class Rows:
    """Rows of every staged table since the last ``take``; ``items`` counts the answers and findings they are from."""

    def __init__(self, hasher: ValueHasher | None = None) -> None:
        self._hasher = hasher
        self._start()

    def _start(self) -> None:
        self.items = 0
        self.versions = Versions()
        self._columns: dict[str, list[list[Any]]] = {
            table.name: [[] for _ in staged_names(table)]
            for table in STAGED_TABLES
            if table is not columns.FUNCTIONS and table not in CHILD_TABLES
        }

    def extend(self, table: columns.Table, *values: list[Any]) -> None:
        """Append to every column of a table; the lists are of one length."""
        for column, more in zip(self._columns[table.name], values, strict=True):
            column.extend(more)

    def append(self, table: columns.Table, *values: Any) -> None:
        """Append one row to a table."""
        for column, value in zip(self._columns[table.name], values, strict=True):
            column.append(value)

    def take(self) -> Batch:
        """Hand over the rows of every table that has some, and start anew."""
        full = {name: staged_batch(columns.BY_NAME[name], lists) for name, lists in self._columns.items() if lists[0]}
        if self.versions.rows:
            full[columns.FUNCTIONS.name] = self.versions.in_arrow(self._hasher)
        self._start()
        return full


class Versions:
    """Function versions and their children. Children of all versions lie one behind the other; ``ends`` parts them.

    The values of variables are here until they are hashed.
    """

    __slots__ = ("_children", "_ends", "rows")

    def __init__(self) -> None:
        self.rows: list[Sequence[Any]] = []
        self._children: dict[str, list[list[Any]]] = {
            table.name: [[] for _ in child_names(table)] for table in CHILD_TABLES
        }
        self._children[columns.ENV_VARS.name] = [[], [], []]
        self._ends: dict[str, list[int]] = {table.name: [0] for table in CHILD_TABLES}

    def append(self, row: Sequence[Any], children: Mapping[str, Sequence[Sequence[Any]]]) -> None:
        """Append a staged row of ``functions`` and its children, each kind sorted by its key.

        ``children``: table name -> the columns that are the table's own; of ``env_vars`` the names, the values, and
        the values as they may be stored (None where none may).
        """
        self.rows.append(row)
        for name, lists in self._children.items():
            values = children.get(name)
            if values is not None:
                for column, more in zip(lists, values, strict=True):
                    column.extend(more)
            self._ends[name].append(len(lists[0]))

    def in_arrow(self, hasher: ValueHasher | None) -> pa.RecordBatch:
        """Return all as staged rows; ``hasher`` is None where no variable is kept."""
        schema = versions_schema()
        arrays = [
            pa.array(column, field.type)
            for column, field in zip(zip(*self.rows, strict=True), schema, strict=False)  # the children come after
        ]
        for table in CHILD_TABLES:
            structs = self._structs(table, schema.field(table.name).type.value_type, hasher)
            arrays.append(pa.ListArray.from_arrays(pa.array(self._ends[table.name], pa.int32()), structs))
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _structs(self, table: columns.Table, type_: pa.StructType, hasher: ValueHasher | None) -> pa.StructArray:
        lists = self._children[table.name]
        if not lists[0]:
            return pa.array([], type_)
        if table is columns.ENV_VARS:
            assert hasher is not None
            names, values, kept = lists
            return pa.StructArray.from_arrays(env_vars(names, values, kept, hasher), fields=list(type_))
        own = [pa.array(column, field.type) for column, field in zip(lists, type_, strict=True)]
        return pa.StructArray.from_arrays(own, fields=list(type_))
