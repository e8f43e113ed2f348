"""Compare two snapshots: read both side by side, some functions at a time, and match their rows by key. Blocking.

``changes`` and the feed are built on this. Memory does not depend on the size of the fleet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lexport.dataset.data_files import fetch_files, find_files, read_footer
from lexport.dataset.manifest import FileEntry, Manifest
from lexport.dataset.resource_rows import Unread, unread_in
from lexport.dataset.runs import row_keys
from lexport.dataset.scan import NoRows, Position, Scan, group_bounds, may_have
from lexport.dataset.store import Store
from lexport.errors import ReadError
from lexport.model import Scope
from lexport.tables.functions import LAYERS
from lexport.tables.registry import state_tables
from lexport.tables.run import SCOPE_RESOURCES
from lexport.tables.table import VERSION_KEY, Table

LAYER = "layer"
"""The ARN of a layer without its version, which stays when a layer is updated. A version has each layer once."""

NEW_IN_EVERY_RUN = ("snapshot_id", "snapshot_at", "fetched_at", "carried_forward")
"""Columns that each run writes anew. They are never compared."""

_FOOTERS_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFiles:
    """One side of a comparison: the files of a snapshot by table, and the settings that it was read with.

    A retirement has no files: account-regions that have ended have no rows. ``unread`` are resources that it did not
    read whole: what it has not of them is no removal.
    """

    snapshot_id: str
    files: Mapping[str, Sequence[Path]]
    options: Mapping[str, Any]
    hash_key_id: str | None
    lexport_version: str
    unread: frozenset[Unread] = frozenset()

    def or_like(self, other: SnapshotFiles) -> SnapshotFiles:
        """Return a retirement as a side that was read as the other one was and has no rows; any other side as it is."""
        if self.files:
            return self
        return replace(other, snapshot_id=self.snapshot_id, files=dict.fromkeys(other.files, ()))

    @classmethod
    def of(cls, commit: Manifest, store: Store) -> SnapshotFiles:
        """Find the files of a commit; raises ReadError where one is missing or damaged. Blocking."""
        fetch_files(store, [(commit, table) for table in _tables()])
        told = find_files(store, commit, SCOPE_RESOURCES)
        try:
            unread = unread_in(told)
        except (OSError, pa.ArrowException) as error:
            raise ReadError(f"cannot read {told[0]}: {error}", path=str(told[0])) from error
        return cls(
            snapshot_id=commit.snapshot_id,
            files={table.name: files for table in state_tables() if (files := find_files(store, commit, table))},
            options=commit.options,
            hash_key_id=commit.hash_key_id,
            lexport_version=commit.lexport_version,
            unread=unread,
        )


def _tables() -> tuple[Table, ...]:
    """Return the tables that a comparison reads."""
    return (*state_tables(), SCOPE_RESOURCES)


class Parts:
    """The files of a commit by account-region, so that only those that may have rows of some of them are read.

    Where a table has several files, their footers are read at the beginning. Blocking; raises ReadError for one that is
    damaged, RunError where the store does not answer.
    """

    def __init__(self, commit: Manifest, store: Store) -> None:
        self._commit = commit
        self._entries = [commit.entries(table.name) for table in _tables()]
        several = [entry for entries in self._entries if len(entries) > 1 for entry in entries]
        with ThreadPoolExecutor(_FOOTERS_AT_ONCE, thread_name_prefix="lexport-footers") as pool:
            footers = pool.map(lambda entry: group_bounds(read_footer(store, commit, entry)), several)
            self._bounds = {entry.path: bounds for entry, bounds in zip(several, footers, strict=True)}

    def of(self, scopes: Collection[Scope]) -> Manifest:
        """Return the commit with the files to compare account-regions by; each table has at least one."""
        ordered = sorted(scopes)

        def is_needed(entry: FileEntry) -> bool:
            bounds = self._bounds.get(entry.path)
            return bounds is None or any(may_have(each, ordered) for each in bounds)

        files = [[entry for entry in entries if is_needed(entry)] or entries[:1] for entries in self._entries]
        return replace(self._commit, files=tuple(chain.from_iterable(files)), scopes=())


def identity(table: Table) -> tuple[str, ...]:
    """Return the columns whose values make two rows stand for the same thing in both snapshots."""
    return (*VERSION_KEY, LAYER) if table is LAYERS else table.key


def open_scans(
    table: Table, sides: Sequence[SnapshotFiles], scopes: Collection[Scope], names: Sequence[str], opened: ExitStack
) -> list[Scan | NoRows]:
    """Open the scans of a table in both sides, one of which may have no files. ``opened`` closes them."""
    scans = [
        opened.enter_context(Scan(files, table, scopes, names)) if (files := side.files[table.name]) else None
        for side in sides
    ]
    only = next(scan for scan in scans if scan is not None)
    return [NoRows(only) if scan is None else scan for scan in scans]


def range_ends(scans: Collection[Scan | NoRows]) -> Iterator[Position | None]:
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
