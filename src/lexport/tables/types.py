"""The types of columns in the words of msgspec, which decodes JSON, and of DuckDB; for those of Arrow see arrow.py."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from lexport.tables.table import Type

JSON_TYPES: dict[Type, Any] = {
    Type.TEXT: str,
    Type.BOOL: bool,
    Type.INT32: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)],
    Type.INT64: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
    Type.DOUBLE: float,
}
"""The JSON value of a column that has no ``convert``."""

DUCKDB_TYPES = {
    Type.TEXT: "VARCHAR",
    Type.INT32: "INTEGER",
    Type.INT64: "BIGINT",
    Type.BOOL: "BOOLEAN",
    Type.DOUBLE: "DOUBLE",
    Type.TIMESTAMP: "TIMESTAMPTZ",
}
