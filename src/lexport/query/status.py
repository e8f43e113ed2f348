"""One row per snapshot, newest first, from the manifests alone: no DuckDB, no Parquet."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import anyio.to_thread

from lexport.dataset.manifest import EntryStatus, Manifest
from lexport.query.catalog import Catalog, open_catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotStatus:
    """One committed snapshot: its completeness, content and calls.

    ``coverage`` is ``mixed`` where the fleet was read in some account-regions and a selection in others. Calls include
    retries; ``size_bytes`` is the sum of its files. ``packages`` counts the distinct packages to be fetched by it or by
    the last run of packages before the next snapshot, ``packages_stored`` those of them that are stored; None where
    there is no such run.
    """

    snapshot_id: str
    snapshot_at: datetime
    committed_at: datetime
    status: Literal["complete", "partial"]
    coverage: Literal["fleet", "selection", "mixed"]
    scopes_complete: int
    scopes_total: int
    gaps: int
    functions: int
    versions: int
    get_function_calls: int
    list_calls: int
    throttles: int
    packages: int | None
    packages_stored: int | None
    size_bytes: int


async def status(dest: str | os.PathLike[str]) -> tuple[SnapshotStatus, ...]:
    """List the readable snapshots of a dataset, newest first, without commits of packages alone."""
    return describe(await anyio.to_thread.run_sync(open_catalog, dest))


def describe(dataset: Catalog) -> tuple[SnapshotStatus, ...]:
    """List the snapshots of a catalog."""
    described: list[SnapshotStatus] = []
    counted: Manifest | None = None
    for commit in dataset.manifests:  # the newest first
        if counted is None and commit.packages is not None:
            counted = commit
        if commit.is_snapshot:
            described.append(_describe(commit, counted))
            counted = None
    return tuple(described)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeAge:
    """When an account-region was last read whole and last tried, and whether it is retired; as the view scope_ages."""

    account_id: str
    region: str
    last_whole_at: datetime | None
    last_status: EntryStatus
    last_attempt_at: datetime
    is_retired: bool
    retired_at: datetime | None
    functions: int | None
    last_whole_snapshot_id: str | None


def scope_ages(dataset: Catalog) -> tuple[ScopeAge, ...]:
    """List the account-regions that snapshots set out to read whole, by age: the oldest reading first."""
    read = Catalog(store=dataset.store, manifests=dataset.snapshots)
    attempts, whole, retired = read.last_attempts(), read.latest(), dataset.retired()
    shown = dataset.last_attempts()
    ages = [
        ScopeAge(
            account_id=scope.account_id,
            region=scope.region,
            last_whole_at=reading.snapshot_at if (reading := whole.get(scope)) else None,
            last_status=entry.status,
            last_attempt_at=attempt.snapshot_at,
            is_retired=scope in retired,
            retired_at=retired[scope].snapshot_at if scope in retired else None,
            functions=next(each.functions for each in reading.scopes if each.scope == scope) if reading else None,
            last_whole_snapshot_id=reading.snapshot_id if reading else None,
        )
        for scope, (attempt, entry) in attempts.items()
        if scope in shown
    ]
    oldest = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(ages, key=lambda age: (age.last_whole_at or oldest, age.account_id, age.region)))


def _describe(snapshot: Manifest, packages: Manifest | None) -> SnapshotStatus:
    scopes = snapshot.scopes
    kinds = {scope.coverage for scope in scopes}
    return SnapshotStatus(
        snapshot_id=snapshot.snapshot_id,
        snapshot_at=snapshot.snapshot_at,
        committed_at=snapshot.committed_at,
        status=snapshot.status,
        coverage=kinds.pop() if len(kinds) == 1 else "mixed",
        scopes_complete=sum(scope.status == "complete" for scope in scopes),
        scopes_total=len(scopes),
        gaps=snapshot.gaps,
        functions=sum(scope.functions for scope in scopes),
        versions=sum(scope.versions for scope in scopes),
        get_function_calls=sum(scope.get_function_calls for scope in scopes),
        list_calls=sum(scope.list_calls for scope in scopes),
        throttles=sum(scope.throttles for scope in scopes),
        packages=None if packages is None else packages.packages,
        packages_stored=None if packages is None else packages.packages_stored,
        size_bytes=sum(file.size_bytes for file in snapshot.files),
    )
