"""The rows of all tables on their way to staging: plain Python values by column, until they are a batch in Arrow.

A function version is one row, whatever belongs to it: its variables, layers, subnets, security groups and file systems
are lists in that row. So it is sorted, merged and judged once, and not once for each of its children.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from operator import attrgetter
from typing import Any

import pyarrow as pa

from lexport.extract.env_vars import ValueHasher, env_vars
from lexport.tables.arrow import staged_batch, versions_schema
from lexport.tables.functions import ENV_VARS, FILE_SYSTEMS, FUNCTIONS, LAYERS
from lexport.tables.registry import BY_NAME, staged_tables
from lexport.tables.staged import CHILD_TABLES, Batch, staged_names
from lexport.tables.table import Table


class Rows:
    """Rows of every staged table since the last ``take``; ``items`` counts the answers and findings they are from."""

    def __init__(self, hasher: ValueHasher | None = None) -> None:
        self._hasher = hasher
        self._start()

    def _start(self) -> None:
        self.items = 0
        self.versions: list[tuple[Sequence[Any], Children]] = []
        self._columns: dict[str, list[list[Any]]] = {
            table.name: [[] for _ in staged_names(table)]
            for table in staged_tables()
            if table is not FUNCTIONS and table not in CHILD_TABLES
        }

    def extend(self, table: Table, *values: list[Any]) -> None:
        """Append to every column of a table; the lists are of one length."""
        for column, more in zip(self._columns[table.name], values, strict=True):
            column.extend(more)

    def append(self, table: Table, *values: Any) -> None:
        """Append one row to a table."""
        for column, value in zip(self._columns[table.name], values, strict=True):
            column.append(value)

    def take(self) -> Batch:
        """Hand over the rows of every table that has some, and start anew."""
        full = {name: staged_batch(BY_NAME[name], lists) for name, lists in self._columns.items() if lists[0]}
        if self.versions:
            rows, children = zip(*self.versions, strict=True)
            full[FUNCTIONS.name] = in_arrow(rows, children, self._hasher)
        self._start()
        return full


@dataclass(slots=True, kw_only=True)
class Children:
    """What belongs to one function version, by table, each kind sorted by its key.

    ``env_vars`` are the names, ``env_values`` the values until they are hashed, ``env_kept`` the values as they are to
    be stored, none where they are not. ``layers`` and ``file_systems``: rows of the columns that are the table's own.
    """

    env_vars: Sequence[str] = ()
    env_values: Sequence[str] = field(default=(), repr=False)
    env_kept: Sequence[str] = field(default=(), repr=False)
    layers: Sequence[Sequence[Any]] = ()
    subnets: Sequence[str] = ()
    security_groups: Sequence[str] = ()
    file_systems: Sequence[Sequence[Any]] = ()


def in_arrow(rows: Sequence[Sequence[Any]], children: Sequence[Children], hasher: ValueHasher | None) -> pa.RecordBatch:
    """Return staged rows of ``functions`` with their children as rows of ``versions_schema``."""
    schema = versions_schema()
    arrays = [
        pa.array(column, field.type)
        for column, field in zip(zip(*rows, strict=True), schema, strict=False)  # the children come after
    ]
    for table in CHILD_TABLES:
        each = list(map(attrgetter(table.name), children))
        ends = pa.array(accumulate(map(len, each), initial=0), pa.int32())
        structs = _structs(table, list(chain.from_iterable(each)), children, hasher)
        arrays.append(pa.ListArray.from_arrays(ends, structs))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _structs(table: Table, rows: list[Any], children: Sequence[Children], hasher: ValueHasher | None) -> pa.StructArray:
    """Return child rows of many versions, one behind the other, as the columns that are the table's own."""
    type_ = versions_schema().field(table.name).type.value_type
    if not rows:
        return pa.array([], type_)
    if table is ENV_VARS:
        assert hasher is not None, "variables are only read where they are hashed"
        values = list(chain.from_iterable(map(attrgetter("env_values"), children)))
        kept = list(chain.from_iterable(map(attrgetter("env_kept"), children)))
        return pa.StructArray.from_arrays(env_vars(rows, values, kept, hasher), fields=list(type_))
    own = zip(*rows, strict=True) if table in (LAYERS, FILE_SYSTEMS) else [rows]
    arrays = [pa.array(column, field.type) for column, field in zip(own, type_, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=list(type_))
