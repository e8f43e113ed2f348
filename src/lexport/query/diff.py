"""Compare the fleet at two moments, account-region by account-region.

The files of both snapshots are compared, as a run compares its snapshot with the one before. The snapshots in between
are not needed, and an account-region that was not read whole is never reported as removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Literal

import anyio.to_thread
import pyarrow as pa
import pyarrow.compute as pc

from lexport.dataset.changes import SCHEMA, find_changes, is_comparable
from lexport.dataset.compare import SnapshotFiles
from lexport.dataset.manifest import Manifest, ScopeEntry
from lexport.dataset.store import Store
from lexport.errors import SettingsError
from lexport.model import Scope
from lexport.query.catalog import Catalog, read_dataset
from lexport.query.resources import read_resources, unread_lines
from lexport.tables.registry import state_tables
from lexport.tables.run import RETIRED
from lexport.tables.staged import ANSWER
from lexport.tables.text import plural

ScopeState = Literal["compared", "retired", "first_reading", "not_whole", "not_read_again", "asked_differently"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeDiff:
    """The two readings of an account-region that are compared, or the reason why none are.

    One that is ``retired`` since lost everything that the earlier reading has.
    """

    account_id: str
    region: str
    state: ScopeState
    reason: str
    from_snapshot_id: str | None
    from_at: datetime | None
    to_snapshot_id: str
    to_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetDiff:
    """What changed: rows of ``changes``, sorted by account, Region and function.

    ``damage`` has a line for each snapshot that cannot be read and is skipped, and for each resource that was not read
    whole, so that it is not compared.
    """

    scopes: tuple[ScopeDiff, ...]
    changes: pa.Table
    damage: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A diff whose changes are read on demand: a stream of tables, with all changes of a function in one of them."""

    scopes: tuple[ScopeDiff, ...]
    changes: Iterator[pa.Table]
    damage: tuple[str, ...]


COLUMNS = ("snapshot_id", *(name for name in SCHEMA.names if name != ANSWER))
_ORDER = ("account_id", "region", "function_name", "table_name", "key", "kind", "column_name")


async def diff(dest: str | os.PathLike[str], a: str | None = None, b: str | None = None) -> FleetDiff:
    """Return what changed in the fleet between two moments.

    Without ``a`` and ``b`` the last whole reading of each account-region is compared with the one before it, with ``a``
    alone the last one with the one at ``a``. A moment is a snapshot's id, the beginning of one, a date or an instant.
    Raises SettingsError where no snapshot is that old, ReadError where a file is damaged.
    """

    def run() -> FleetDiff:
        comparison = compare(dest, a, b)
        rows = pa.concat_tables([_EMPTY, *comparison.changes])
        return FleetDiff(scopes=comparison.scopes, changes=rows, damage=comparison.damage)

    return await anyio.to_thread.run_sync(run)


def compare(dest: str | os.PathLike[str], a: str | None = None, b: str | None = None) -> Comparison:
    """Return the account-regions that are compared, and their changes as a stream of tables. Blocking.

    Raises ReadError where a file that is needed is missing or damaged.
    """
    return read_dataset(dest, lambda catalog: _compare(catalog, a, b))


def _compare(catalog: Catalog, a: str | None, b: str | None) -> Comparison:
    then = catalog.as_of(b, option="B") if b is not None else catalog
    before = then.settled_before() if a is None else _earlier(catalog, then, a, b).settled()
    scopes = tuple(
        _describe(scope, entry, before.get(scope), commit)
        for scope, (commit, entry) in sorted(then.last_attempts().items())
        if not _is_gone(entry, before.get(scope))
    )
    pairs = tuple(_pairs(catalog, scopes))
    damage = (*then.damage(), *_not_compared(catalog, scopes))
    return Comparison(scopes=scopes, changes=_changes(pairs, catalog.store), damage=damage)


def _not_compared(catalog: Catalog, scopes: Iterable[ScopeDiff]) -> list[str]:
    """Return a line for each resource that one of two compared snapshots did not read whole."""
    commits = {commit.snapshot_id: commit for commit in catalog.manifests}
    lines: dict[str, None] = {}
    for side in ("from_snapshot_id", "to_snapshot_id"):
        read = {
            Scope(account_id=scope.account_id, region=scope.region): commits[getattr(scope, side)]
            for scope in scopes
            if scope.state == "compared"
        }
        rows = [row for row in read_resources(catalog.store, read) if row["status"] in ("denied", "partial")]
        lines |= dict.fromkeys(f"not compared: {line}" for line in unread_lines(rows, state_tables()))
    return list(lines)


def _earlier(catalog: Catalog, then: Catalog, a: str, b: str | None) -> Catalog:
    earlier = catalog.as_of(a, option="A")
    if b is not None and len(earlier.fleet_commits) >= len(then.fleet_commits):
        raise SettingsError(f"A {a} is not before B {b}: no snapshot lies between them", option="A")
    return earlier


def _is_gone(entry: ScopeEntry, before: Manifest | None) -> bool:
    """Return whether an account-region was not there at either moment."""
    is_absent = before is None or before.is_retirement
    return is_absent and entry.status in ("unavailable", RETIRED)


def _judge(entry: ScopeEntry, before: Manifest | None, now: Manifest) -> tuple[ScopeState, str]:
    if entry.status == RETIRED:
        return "retired", f"retired in {now.snapshot_id}"
    if entry.status != "complete":
        return "not_whole", f"{entry.status} in {now.snapshot_id}"
    if before is None:
        return "first_reading", f"first read whole in {now.snapshot_id}: {plural(entry.functions, 'function')}"
    if before.snapshot_id == now.snapshot_id:
        return "not_read_again", f"not read since {before.snapshot_id}"
    if not is_comparable(now.options, before.options):
        return "asked_differently", "one snapshot has $LATEST alone, the other all but $LATEST"
    return "compared", f"read again after it was retired in {before.snapshot_id}" if before.is_retirement else ""


def _describe(scope: Scope, entry: ScopeEntry, before: Manifest | None, now: Manifest) -> ScopeDiff:
    state, reason = _judge(entry, before, now)
    return ScopeDiff(
        account_id=scope.account_id,
        region=scope.region,
        state=state,
        reason=reason,
        from_snapshot_id=before.snapshot_id if before else None,
        from_at=before.snapshot_at if before else None,
        to_snapshot_id=now.snapshot_id,
        to_at=now.snapshot_at,
    )


def _pairs(catalog: Catalog, scopes: Iterable[ScopeDiff]) -> Iterator[tuple[list[Scope], SnapshotFiles, SnapshotFiles]]:
    """Yield account-regions with the files of the two snapshots between which they are compared."""
    commits = {commit.snapshot_id: commit for commit in catalog.manifests}
    compared = (scope for scope in scopes if scope.state in ("compared", "retired"))
    for (then, now), group in groupby(compared, key=lambda scope: (scope.from_snapshot_id, scope.to_snapshot_id)):
        assert then is not None
        members = [Scope(account_id=scope.account_id, region=scope.region) for scope in group]
        before, after = (SnapshotFiles.of(commits[snapshot_id], catalog.store) for snapshot_id in (then, now))
        yield members, before, after


def _changes(
    pairs: Iterable[tuple[list[Scope], SnapshotFiles, SnapshotFiles]],
    _store: Store,  # which keeps the copies of a bucket's files as long as it is referenced
) -> Iterator[pa.Table]:
    for members, before, after in pairs:
        for rows in find_changes(members, before=before, now=after):
            if len(rows):
                yield _in_order(rows, after.snapshot_id)


def _in_order(rows: pa.Table, snapshot_id: str) -> pa.Table:
    function = pc.list_element(pc.split_pattern(rows.column("key"), "/", max_splits=1), 0)
    rows = rows.append_column("function_name", function)
    rows = rows.append_column("snapshot_id", pa.repeat(pa.scalar(snapshot_id), len(rows)))
    return rows.sort_by([(name, "ascending") for name in _ORDER]).select(list(COLUMNS))


_EMPTY = pa.schema([(name, pa.string()) for name in COLUMNS]).empty_table()
