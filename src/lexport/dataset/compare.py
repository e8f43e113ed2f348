"""Compare two snapshots: read both side by side, some functions at a time, and match their rows by key. Blocking.

``changes`` and the feed are built on this. Memory does not depend on the size of the fleet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lexport.dataset.data_files import fetch_files, find_files
from lexport.dataset.manifest import Manifest
from lexport.dataset.runs import row_keys
from lexport.dataset.scan import Position, Scan
from lexport.dataset.store import Store
from lexport.tables.functions import LAYERS
from lexport.tables.registry import state_tables
from lexport.tables.table import VERSION_KEY, Table

LAYER = "layer"
"""The ARN of a layer without its version, which stays when a layer is updated. A version has each layer once."""

NEW_IN_EVERY_RUN = ("snapshot_id", "snapshot_at", "fetched_at", "carried_forward")
"""Columns that each run writes anew. They are never compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFiles:
    """One side of a comparison: the files of a snapshot by table, and the settings that it was read with."""

    snapshot_id: str
    files: Mapping[str, Sequence[Path]]
    options: Mapping[str, Any]
    hash_key_id: str | None
    lexport_version: str

    @classmethod
    def of(cls, commit: Manifest, store: Store) -> SnapshotFiles:
        """Find the files of a commit; raises ReadError where one is missing or damaged. Blocking."""
        fetch_files(store, [(commit, table) for table in state_tables()])
        return cls(
            snapshot_id=commit.snapshot_id,
            files={table.name: files for table in state_tables() if (files := find_files(store, commit, table))},
            options=commit.options,
            hash_key_id=commit.hash_key_id,
            lexport_version=commit.lexport_version,
        )


def identity(table: Table) -> tuple[str, ...]:
    """Return the columns whose values make two rows stand for the same thing in both snapshots."""
    return (*VERSION_KEY, LAYER) if table is LAYERS else table.key


def range_ends(scans: Collection[Scan]) -> Iterator[Position | None]:
    """Yield the ends of ranges of functions of which every scan has all rows; the last end is None.

    The caller takes the rows before each end from every scan before it asks for the next end.
    """
    end: Position | None = ()
    while end is not None:
        end = min((position for scan in scans if (position := scan.whole_until()) is not None), default=None)
        yield end


def match_rows(new: pa.Table, old: pa.Table, key: Sequence[str]) -> tuple[pa.Array, pa.Array]:
    """Match the rows of two sides by the values of the key columns; NULL equals NULL.

    Return the index of the old row for each new row, NULL where the row was added, and for each old row whether it was
    removed.
    """
    new_keys, old_keys = key_array(new, key), key_array(old, key)
    return pc.index_in(new_keys, value_set=old_keys), pc.invert(pc.is_in(old_keys, value_set=new_keys))


def key_array(rows: pa.Table, names: Sequence[str]) -> pa.Array:
    """Return one text per row, equal for rows with the same values in the columns."""
    return row_keys(rows, names).combine_chunks()
