"""What a staged row is, by name: a table's row on its way to Parquet, without the columns that publishing adds.

A staged row has no ``snapshot_id`` and ``snapshot_at`` and carries the id of the answer that it came from. Answer ids
sort by how much an answer knows: when two answers tell of the same function version, the lesser id wins.
"""

from __future__ import annotations

import pyarrow as pa

from lexport.tables.functions import ENV_VARS, FILE_SYSTEMS, LAYERS, SECURITY_GROUPS, SUBNETS
from lexport.tables.table import VERSION_KEY, Table

ANSWER = "_answer"

CHILD_TABLES = (ENV_VARS, LAYERS, SUBNETS, SECURITY_GROUPS, FILE_SYSTEMS)
"""What belongs to a function version. Their rows are staged as lists within its row, and share its fate."""

Batch = dict[str, pa.RecordBatch]
"""Table name -> its staged rows; those of ``CHILD_TABLES`` are within ``functions``."""


def staged_names(table: Table) -> tuple[str, ...]:
    """Return the columns of a staged row in order."""
    return (*table.names()[2:], ANSWER)


def child_names(table: Table) -> tuple[str, ...]:
    """Return the columns of a child table that are its own: the others are its function version's."""
    return tuple(name for name in table.names()[2:] if name not in VERSION_KEY)
