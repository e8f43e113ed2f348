"""The parts of a feed: rows to upsert and keys to delete of one table, as Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pyarrow as pa

from lexport.tables.arrow import ARROW_TYPES, table_schema
from lexport.tables.fed import FedTable, fed_tables
from lexport.tables.table import TIMESTAMP

Action = Literal["delete", "upsert"]
TABLE_NAME, DELETED_AT = "table_name", "deleted_at"
"""The columns of ``deletes`` beside the keys: the table, and ``snapshot_at`` of the reading without the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPart:
    """Some rows of one table to upsert, or the keys of rows to delete, which come before all upserts of the table."""

    action: Action
    table: FedTable
    rows: pa.Table


def fed_schema(fed: FedTable) -> pa.Schema:
    """Return the columns of a fed row."""
    stored = table_schema(fed.table)
    return pa.schema([stored.field(name) for name in fed.names], metadata=stored.metadata)


def deletes_schema() -> pa.Schema:
    """Return the columns of ``deletes``: the delete keys of all tables. A column that is none of a table is NULL."""
    types = {
        column.name: ARROW_TYPES[column.type]
        for fed in fed_tables()
        for column in fed.table.columns
        if column.name in fed.delete_by
    }
    return pa.schema([(TABLE_NAME, pa.string()), *types.items(), (DELETED_AT, ARROW_TYPES[TIMESTAMP])])


def with_deleted_at(keys: pa.Table, at: datetime) -> pa.Table:
    """Add the moment of deletion to delete keys."""
    return keys.append_column(DELETED_AT, pa.repeat(pa.scalar(at, ARROW_TYPES[TIMESTAMP]), len(keys)))


def aligned(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give rows the columns of a schema; those that they lack are NULL."""
    return pa.Table.from_arrays(
        [
            rows.column(field.name).cast(field.type)
            if field.name in rows.column_names
            else pa.nulls(len(rows), field.type)
            for field in schema
        ],
        schema=schema,
    )
