"""The tables of a fed warehouse: what columns a fed row has, and by which of them rows are replaced and deleted.

A warehouse that ``lexport feed`` keeps up has the tables of a dataset in three kinds:

- ``state``: rows of the latest whole reading of each account-region. They lack ``snapshot_id`` and ``snapshot_at``,
  which are those of the reading: a view takes them from ``scopes``. So a night without changes writes none of them.
- ``run``: what each run says of itself, all commits.
- ``content``: rows about packages and layers, of the newest commit for each value of one column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lexport.tables.content import CONTENT_RULES
from lexport.tables.registry import resource_tables, tables
from lexport.tables.table import CARRIED_FORWARD, FETCHED_AT, SCOPE_KEY, Column, Table

FedKind = Literal["state", "run", "content"]

OF_THE_READING = ("snapshot_id", "snapshot_at")
"""Columns that a row of a state table takes from the reading of its account-region."""

_OF_RUN = OF_THE_READING[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class FedTable:
    """One table of a fed warehouse.

    No two rows have the same values in the columns of ``key``; NULL is a value. Rows to delete are those that have the
    values of a delete key in the columns ``delete_by``. They go before the rows to upsert: for ``content``, all rows
    about one package or layer are replaced together. Rows of ``run`` tables are deleted by commit, and only where a
    commit that was loaded is gone from the dataset and would hide an older reading that counts again.
    """

    table: Table
    kind: FedKind
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    delete_by: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name, that of the table in the dataset."""
        return self.table.name

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns in order."""
        return tuple(column.name for column in self.columns)

    @property
    def takes_fetched_at(self) -> bool:
        """Whether ``fetched_at`` is NULL in rows that were not carried forward, and so that of their reading."""
        return self.kind == "state" and {FETCHED_AT.name, CARRIED_FORWARD.name} <= set(self.names)

    def may_be_null(self, name: str) -> bool:
        """Return whether a column can be NULL; of a key all can but account and Region, or the snapshot."""
        return name not in (SCOPE_KEY if self.kind == "state" else (_OF_RUN,))


def fed_table(table: Table) -> FedTable:
    """Return what a table is in a fed warehouse."""
    if table in CONTENT_RULES:
        return FedTable(
            table=table,
            kind="content",
            columns=table.columns,
            key=table.row_key,
            delete_by=(CONTENT_RULES[table].key,),
        )
    if table in resource_tables():
        columns = tuple(column for column in table.columns if column.name not in OF_THE_READING)
        return FedTable(table=table, kind="state", columns=columns, key=table.row_key, delete_by=table.row_key)
    key = tuple(dict.fromkeys((_OF_RUN, *table.row_key)))
    return FedTable(table=table, kind="run", columns=table.columns, key=key, delete_by=(_OF_RUN,))


def fed_tables() -> tuple[FedTable, ...]:
    """Return every table of a fed warehouse, in the order of the dataset's tables."""
    return tuple(fed_table(table) for table in tables())
