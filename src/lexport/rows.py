"""The rows of all tables on their way to staging: columns of plain Python values, by table.

A staged row is a table's row without ``snapshot_id`` and ``snapshot_at``, which publishing adds, and with the id of the
answer that it came from. Answer ids sort by how much an answer knows: when two answers tell of the same function
version, the lesser id wins, for the row and its children alike.
"""

from __future__ import annotations

from typing import Any

from lexport import columns

ANSWER = "_answer"
Batch = dict[str, list[list[Any]]]
"""Table name -> its column lists, all of one length."""

STAGED_TABLES = tuple(table for table in columns.TABLES if table not in (columns.CHANGES, columns.SNAPSHOTS))
"""The tables that reading fills; ``changes`` and ``snapshots`` are made of the others."""
FLEET_TABLES = tuple(table for table in STAGED_TABLES if table not in columns.PACKAGE_TABLES)
"""The tables of every snapshot; those of packages are only there where a run looked at packages."""


def staged_names(table: columns.Table) -> tuple[str, ...]:
    """Return the columns of a staged row in order."""
    return (*table.names()[2:], ANSWER)


class Rows:
    """Column lists for every staged table. ``functions`` is wide and comes a row at a time, the rest by columns."""

    def __init__(self) -> None:
        self.items = 0
        self.functions: list[list[Any]] = []
        self.columns: dict[str, list[list[Any]]] = {
            table.name: [[] for _ in staged_names(table)] for table in STAGED_TABLES if table is not columns.FUNCTIONS
        }

    def extend(self, table: columns.Table, *values: list[Any]) -> None:
        """Append to every column of a table; the lists are of one length."""
        for column, more in zip(self.columns[table.name], values, strict=True):
            column.extend(more)

    def append(self, table: columns.Table, *values: Any) -> None:
        """Append one row to a table."""
        for column, value in zip(self.columns[table.name], values, strict=True):
            column.append(value)

    def take(self) -> Batch:
        """Hand over the column lists of every table that has rows, and start anew."""
        full = {name: lists for name, lists in self.columns.items() if lists[0]}
        if self.functions:
            full[columns.FUNCTIONS.name] = [list(column) for column in zip(*self.functions, strict=True)]
        self.__init__()  # type: ignore[misc]
        return full
