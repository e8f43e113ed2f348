"""The last complete reading of each resource of an account-region, which an incremental run builds on. Blocking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

import pyarrow as pa

from lexport.dataset.commits import newest_first
from lexport.dataset.manifest import Manifest
from lexport.dataset.store import Store
from lexport.errors import ReadError
from lexport.extract.stored_rows import StoredTables
from lexport.model import Scope
from lexport.tables.resource import Resource
from lexport.tables.run import SCOPE_RESOURCES

DAMAGE = (OSError, pa.ArrowException, ReadError)
_NOT_READ = (None, "not_requested")
_YOUNG_PART = 4  # so large a part of the period everything is young


@dataclass(frozen=True, slots=True, kw_only=True)
class LastReading:
    """The last complete reading of one resource: in which snapshot it is, and from when on changes matter to it.

    ``oldest_read_at`` is no later than the reading of its oldest item, by the clock of ``fetched_at``.
    """

    commit: Manifest
    began_at: datetime
    oldest_read_at: datetime

    @property
    def at(self) -> datetime:
        """The time of the snapshot."""
        return self.commit.snapshot_at


def find_last_readings(
    tables: StoredTables,
    store: Store,
    scope: Scope,
    resources: Iterable[Resource],
    *,
    hash_key_id: str | None,
    not_before: datetime,
    note: Callable[[str], object],
) -> dict[Resource, LastReading]:
    """Return the last reading of each resource in a whole snapshot of an account-region, where it was complete.

    Of a resource whose last reading was not complete, nothing is returned, and of one that was last read before
    ``not_before``. Snapshots with HMACs of another key are passed over. ``note`` gets a note about a damaged one, which
    ends the search: an older one may lack what it has.
    """
    found: dict[Resource, LastReading] = {}
    open_ = list(resources)
    for commit in newest_first(store, of=scope):
        if not open_ or commit.snapshot_at < not_before:
            break
        if commit.hash_key_id != hash_key_id or scope not in commit.whole_scopes():
            continue
        try:
            rows = _rows(tables, store, commit, scope)
        except DAMAGE as error:
            note(f"the last snapshot is damaged: {error}; every resource is read")
            return {}
        for resource in list(open_):
            row = rows.get(resource.option, {})
            if row.get("status") in _NOT_READ or not resource.is_read(commit.options):
                continue
            open_.remove(resource)
            if row["status"] == "complete":
                found[resource] = _reading(commit, row)
    return found


def _rows(tables: StoredTables, store: Store, commit: Manifest, scope: Scope) -> Mapping[str, Mapping[str, Any]]:
    rows = tables.rows(store, commit, SCOPE_RESOURCES, scope, ("resource", "status", "read_at", "oldest_read_at")).all()
    return {} if rows is None else {row["resource"]: row for row in rows.to_pylist()}


def _reading(commit: Manifest, row: Mapping[str, Any]) -> LastReading:
    read_at = row["read_at"] or commit.snapshot_at
    oldest_read_at = row["oldest_read_at"] or commit.snapshot_at
    return LastReading(
        commit=commit,
        began_at=min(read_at, commit.snapshot_at),
        oldest_read_at=min(oldest_read_at, commit.snapshot_at),
    )


def is_due(name: str, last: LastReading, *, now: datetime, refresh_after: timedelta) -> bool:
    """Return whether what was last read of a function is read again for its age alone.

    In every period of ``refresh_after`` each function has its moment, by a hash of its name; so the ages are bounded
    and the reading is spread over the nights. Shortly after everything was read, nothing is due: what has had its
    moment by then is caught up with.
    """
    period_s, young = refresh_after.total_seconds(), refresh_after / _YOUNG_PART
    if now - last.oldest_read_at < young:
        return False
    if last.at - last.oldest_read_at > refresh_after:  # the runs before had a longer period
        return True
    since = last.oldest_read_at if last.at - last.oldest_read_at < young else last.at
    phase_s = crc32(name.encode()) / 2**32 * period_s
    return (since.timestamp() + phase_s) // period_s != (now.timestamp() + phase_s) // period_s
