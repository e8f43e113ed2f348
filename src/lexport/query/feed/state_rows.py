"""The rows of state tables that lead from one reading of some account-regions to another. Blocking.

A fed row is the same in two readings in which the thing did not change: it lacks the columns of the reading, and
``fetched_at`` is NULL where the row was read then. So a night without changes feeds no row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lexport.dataset.compare import match_rows, range_ends
from lexport.dataset.scan import Scan
from lexport.model import Scope
from lexport.query.feed.part import FeedPart, aligned, fed_schema, with_deleted_at
from lexport.tables.arrow import differs
from lexport.tables.fed import FedTable
from lexport.tables.table import CARRIED_FORWARD, FETCHED_AT


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What is to be compared of one table: the account-regions, and its files in the new and in the old snapshot."""

    table: FedTable
    scopes: Sequence[Scope]
    new: Sequence[Path]
    old: Sequence[Path]
    snapshot_at: datetime


def compare(side: Side) -> Iterator[FeedPart]:
    """Yield the deletes and upserts that lead from one state of a table to another, some functions at a time."""
    fed, schema = side.table, fed_schema(side.table)
    with ExitStack() as stack:
        scans = [
            stack.enter_context(Scan(files, fed.table, side.scopes, fed.names)) if files else None
            for files in (side.new, side.old)
        ]
        for end in range_ends([scan for scan in scans if scan is not None]):
            new_rows, old_rows = (
                schema.empty_table() if scan is None else _fed_rows(scan.take(end), fed, schema) for scan in scans
            )
            indices, is_removed = match_rows(*_with_nulls(new_rows, old_rows, fed.key))
            is_changed = _is_changed(new_rows, old_rows.take(indices), set(fed.names) - set(fed.key))
            upserts = new_rows.filter(pc.or_(pc.is_null(indices), is_changed))
            deletes = old_rows.filter(is_removed).select(list(fed.delete_by))
            if len(deletes):
                yield FeedPart(action="delete", table=fed, rows=with_deleted_at(deletes, side.snapshot_at))
            if len(upserts):
                yield FeedPart(action="upsert", table=fed, rows=upserts)


def _with_nulls(new: pa.Table, old: pa.Table, key: Sequence[str]) -> tuple[pa.Table, pa.Table, list[str]]:
    """Return the columns to match rows by: in the key of a warehouse, NULL differs from the empty text."""
    sides = [new.select(list(key)), old.select(list(key))]
    for name in key:
        if any(side.column(name).null_count for side in sides):
            sides = [
                side.append_column(
                    f"{name} is NULL", pc.cast(pc.cast(side.column(name).is_null(), pa.int8()), pa.string())
                )
                for side in sides
            ]
    return sides[0], sides[1], sides[0].column_names


def _fed_rows(rows: pa.Table, fed: FedTable, schema: pa.Schema) -> pa.Table:
    rows = aligned(rows, schema)
    if not fed.takes_fetched_at:
        return rows
    place = schema.get_field_index(FETCHED_AT.name)
    is_carried = pc.fill_null(rows.column(CARRIED_FORWARD.name), fill_value=False)
    read_at = pc.if_else(is_carried, rows.column(place), pa.scalar(None, schema.field(place).type))
    return rows.set_column(place, schema.field(place), read_at)


def _is_changed(new: pa.Table, old: pa.Table, names: Collection[str]) -> pa.ChunkedArray:
    is_changed = pa.chunked_array([pa.repeat(pa.scalar(value=False), len(new))])
    for name in names:
        new_values, old_values = new.column(name), old.column(name)
        if not new_values.equals(old_values):
            is_changed = pc.or_(is_changed, differs(new_values, old_values))
    return is_changed
