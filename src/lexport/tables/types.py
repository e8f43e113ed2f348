"""The types of columns in the words of DuckDB; for those of Arrow see arrow.py, for those of JSON extract/decode.py."""

from __future__ import annotations

from lexport.tables.table import Type

DUCKDB_TYPES = {
    Type.TEXT: "VARCHAR",
    Type.INT32: "INTEGER",
    Type.INT64: "BIGINT",
    Type.BOOL: "BOOLEAN",
    Type.DOUBLE: "DOUBLE",
    Type.TIMESTAMP: "TIMESTAMPTZ",
    Type.DATE: "DATE",
}
