"""What a staged row is, by name: a table's row on its way to Parquet, without the columns that publishing adds.

A staged row has no ``snapshot_id`` and ``snapshot_at`` and carries the id of the answer that it came from. Answer ids
sort by how much an answer knows: when two answers tell of the same function version, the lesser id wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from lexport.tables.functions import ENV_VARS, FILE_SYSTEMS, LAYERS, SECURITY_GROUPS, SUBNETS
from lexport.tables.table import VERSION_KEY, Table

if TYPE_CHECKING:
    import pyarrow as pa

ANSWER = "_answer"

CHILD_TABLES = (ENV_VARS, LAYERS, SUBNETS, SECURITY_GROUPS, FILE_SYSTEMS)
"""What belongs to a function version. Their rows are staged as lists within its row, and share its fate."""

Batch: TypeAlias = "dict[str, pa.RecordBatch]"
"""Table name -> its staged rows; those of ``CHILD_TABLES`` are within ``functions``."""


ChildShape = Literal["texts", "objects", "pairs"]
"""What AWS sends the rows of a child table as: an array of texts, an array of objects, or a map."""


def staged_names(table: Table) -> tuple[str, ...]:
    """Return the columns of a staged row in order."""
    return (*table.names()[2:], ANSWER)


def child_names(table: Table) -> tuple[str, ...]:
    """Return the columns of a child table that are its own: the others are its function version's."""
    return tuple(name for name in table.names()[2:] if name not in VERSION_KEY)


def child_source(table: Table) -> tuple[str, ChildShape]:
    """Return the path of the array or map that the rows of a child table come from, and what it is.

    The first column with a source names it: ``path[]`` or ``path{}``, and ``path[].key`` further on for objects. Of a
    map that column has the keys, and the second one the values.
    """
    first, *others = (column.source for column in table.columns if column.source)
    if first.endswith("{}"):
        return first.removesuffix("{}"), "pairs"
    is_of_objects = any(source.startswith(f"{first}.") for source in others)
    return first.removesuffix("[]"), "objects" if is_of_objects else "texts"
