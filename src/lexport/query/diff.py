"""DEST, two moments -> what changed between them, account-region by account-region.

Any two snapshots are compared file by file, as publishing does it for two that follow each other; so what was not read
whole is never told as gone, and no night in between needs to have been read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
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
from lexport.errors import SettingsError
from lexport.model import Scope
from lexport.query.catalog import Catalog, open_catalog
from lexport.tables.staged import ANSWER
from lexport.tables.text import plural

ScopeState = Literal["compared", "first_reading", "not_whole", "not_read_again", "asked_differently"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeDiff:
    """Which two readings of an account-region are compared, or why none are."""

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
    """What changed: rows as of the table ``changes``, sorted by account, Region and function.

    ``damage`` names the snapshots that cannot be read, which are passed over.
    """

    scopes: tuple[ScopeDiff, ...]
    changes: pa.Table
    damage: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The same, its changes yet to be read: a stream of tables, all changes of a function in one of them."""

    scopes: tuple[ScopeDiff, ...]
    changes: Iterator[pa.Table]
    damage: tuple[str, ...]


COLUMNS = ("snapshot_id", *(name for name in SCHEMA.names if name != ANSWER))
_ORDER = ("account_id", "region", "function_name", "table_name", "key", "kind", "column_name")


async def diff(dest: str | os.PathLike[str], a: str | None = None, b: str | None = None) -> FleetDiff:
    """Tell what changed in the fleet between two moments.

    Without ``a`` and ``b`` each account-region's last whole reading is compared with the one before it, with ``a``
    alone the last one with that at ``a``. A moment is a snapshot's id, the begin of one, a date or an instant.
    Raises SettingsError where there is no such moment, ReadError where a file is damaged.
    """

    def run() -> FleetDiff:
        found = compare(dest, a, b)
        return FleetDiff(scopes=found.scopes, changes=pa.concat_tables([_EMPTY, *found.changes]), damage=found.damage)

    return await anyio.to_thread.run_sync(run)


def compare(dest: str | os.PathLike[str], a: str | None = None, b: str | None = None) -> Comparison:
    """Return which account-regions are compared, and what changed in them as a stream of tables. Blocking."""
    dataset = open_catalog(dest)
    then = dataset.as_of(b, option="B") if b is not None else dataset
    before = then.latest_before() if a is None else _earlier(dataset, then, a, b).latest()
    pairs = {
        scope: (before.get(scope), commit, _judge(entry, before.get(scope), commit))
        for scope, (commit, entry) in sorted(then.newest_tried().items(), key=lambda item: _place(item[0]))
        if scope in before or entry.status != "unavailable"
    }
    scopes = tuple(_describe(scope, *pair) for scope, pair in pairs.items())
    return Comparison(scopes=scopes, changes=_changes(dataset, pairs), damage=then.damage())


_Pair = tuple[Manifest | None, Manifest, tuple[ScopeState, str]]


def _earlier(dataset: Catalog, then: Catalog, a: str, b: str | None) -> Catalog:
    earlier = dataset.as_of(a, option="A")
    if b is not None and len(earlier.snapshots) >= len(then.snapshots):
        raise SettingsError(f"A {a} is not before B {b}: no snapshot lies between them", option="A")
    return earlier


def _judge(entry: ScopeEntry, before: Manifest | None, now: Manifest) -> tuple[ScopeState, str]:
    if entry.status != "complete":
        return "not_whole", f"{entry.status} in {now.snapshot_id}"
    if before is None:
        return "first_reading", f"first read whole in {now.snapshot_id}: {plural(entry.functions, 'function')}"
    if before.snapshot_id == now.snapshot_id:
        return "not_read_again", f"not read since {before.snapshot_id}"
    if not is_comparable(now.options, before.options):
        return "asked_differently", "one snapshot has $LATEST alone, the other all but $LATEST"
    return "compared", ""


def _describe(scope: Scope, before: Manifest | None, now: Manifest, judged: tuple[ScopeState, str]) -> ScopeDiff:
    return ScopeDiff(
        account_id=scope.account_id,
        region=scope.region,
        state=judged[0],
        reason=judged[1],
        from_snapshot_id=before.snapshot_id if before else None,
        from_at=before.snapshot_at if before else None,
        to_snapshot_id=now.snapshot_id,
        to_at=now.snapshot_at,
    )


def _changes(dataset: Catalog, pairs: Mapping[Scope, _Pair]) -> Iterator[pa.Table]:
    """Read neighbours that have the same two snapshots in one go."""
    compared = [(scope, pair) for scope, pair in pairs.items() if pair[2][0] == "compared"]
    for _, group in groupby(compared, key=lambda item: [commit and commit.snapshot_id for commit in item[1][:2]]):
        members = list(group)
        before, now, _judged = members[0][1]
        assert before is not None
        sides = SnapshotFiles.of(before, dataset.root), SnapshotFiles.of(now, dataset.root)
        for found in find_changes([scope for scope, _ in members], before=sides[0], now=sides[1]):
            if len(found):
                yield _in_order(found, now.snapshot_id)


def _in_order(found: pa.Table, snapshot_id: str) -> pa.Table:
    function = pc.list_element(pc.split_pattern(found.column("key"), "/", max_splits=1), 0)
    found = found.append_column("function_name", function)
    found = found.append_column("snapshot_id", pa.repeat(pa.scalar(snapshot_id), len(found)))
    return found.sort_by([(name, "ascending") for name in _ORDER]).select(list(COLUMNS))


def _place(scope: Scope) -> tuple[str, str]:
    return scope.account_id, scope.region


_EMPTY = pa.schema([(name, pa.string()) for name in COLUMNS]).empty_table()
