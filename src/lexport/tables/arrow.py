"""The tables in Arrow: schemas with their field metadata, staged rows as batches, and keys that sort as rows do."""

from __future__ import annotations

from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from lexport.tables import registry
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import SCHEMA_VERSION
from lexport.tables.run import CHANGES
from lexport.tables.staged import CHILD_TABLES, child_names, staged_names
from lexport.tables.table import Table, Type

ARROW_TYPES = {
    Type.TEXT: pa.string(),
    Type.INT32: pa.int32(),
    Type.INT64: pa.int64(),
    Type.BOOL: pa.bool_(),
    Type.DOUBLE: pa.float64(),
    Type.TIMESTAMP: pa.timestamp("us", "UTC"),
    Type.DATE: pa.date32(),
}


def table_schema(table: Table) -> pa.Schema:
    """Return the schema of a table's Parquet files; each field says what it means and where it is from."""
    return pa.schema(
        [
            pa.field(
                column.name,
                ARROW_TYPES[column.type],
                metadata={
                    key: text
                    for key, text in (
                        ("doc", column.meaning),  # the key that Iceberg takes the documentation of a column from
                        ("unit", column.unit),
                        ("kind", table.kind_of(column)),
                        ("source", column.source),
                    )
                    if text
                },
            )
            for column in table.columns
        ],
        metadata={"lexport.table": table.name, "lexport.schema_version": SCHEMA_VERSION},
    )


def with_current_names(rows: pa.Table, table: Table) -> pa.Table:
    """Give rows from a file of an older schema version the column names of today."""
    renames = {former: name for former, name in table.renames().items() if former in rows.schema.names}
    if renames:
        rows = rows.rename_columns(renames)
    return _with_current_values(rows) if table is CHANGES else rows


def _with_current_values(changes: pa.Table) -> pa.Table:
    """Write the column names of today in rows of ``changes`` that an older schema version wrote."""
    names = changes.column("column_name")
    for table in registry.tables():
        for former, name in table.renames().items():
            is_it = pc.and_(pc.equal(changes.column("table_name"), table.name), pc.equal(names, former))
            names = pc.if_else(pc.fill_null(is_it, fill_value=False), name, names)
    return changes.set_column(changes.schema.get_field_index("column_name"), "column_name", names)


def staged_schema(table: Table) -> pa.Schema:
    """Return the schema of staged rows: no snapshot columns, but the answer they came from."""
    types = {column.name: ARROW_TYPES[column.type] for column in table.columns}
    return pa.schema([(name, types.get(name, pa.string())) for name in staged_names(table)])


@cache
def versions_schema() -> pa.Schema:
    """Return the schema of staged function versions: ``functions`` and, as lists in it, the rows of its children."""
    schema = staged_schema(FUNCTIONS)
    for table in CHILD_TABLES:
        own = staged_schema(table)
        schema = schema.append(
            pa.field(table.name, pa.list_(pa.struct([own.field(name) for name in child_names(table)])))
        )
    return schema


def differs(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> pa.ChunkedArray:
    """Tell row by row whether two columns differ; NULL is a value here."""
    return pc.or_(pc.fill_null(pc.not_equal(ours, theirs), False), pc.xor(pc.is_null(ours), pc.is_null(theirs)))
