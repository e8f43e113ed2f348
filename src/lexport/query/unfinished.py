"""The runs that are staged and not published: how far they came, and whether they still run."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import anyio.to_thread

from lexport.dataset.layout import STAGING, errors_path, staging_folder
from lexport.dataset.open_store import open_store
from lexport.dataset.store import Store
from lexport.errors import NoSnapshotError
from lexport.model import GLOBAL_REGION
from lexport.query.catalog import find_commits

if TYPE_CHECKING:
    from lexport.dataset.staging import UnfinishedRun

UnfinishedState = Literal["running", "refused", "interrupted", "planned"]
"""A ``refused`` run had gaps that were not allowed; an ``interrupted`` one was ended by a signal or an error.

The account-regions of a ``planned`` one are read by other processes, which are not known here.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedStatus:
    """One run that is not published; ``attempts`` counts how often it was begun. Its shards are account-regions.

    Where it ``is_stepwise``, ``lexport shard`` goes on with it, else ``lexport snapshot --resume``.
    ``snapshot_at`` and ``shards_total`` are None where the files that say so are damaged, and for a run over packages;
    ``shards_total`` also where the Regions of an account are only known once its role is assumed.
    """

    snapshot_id: str
    snapshot_at: datetime | None
    state: UnfinishedState
    attempts: int
    shards_done: int
    shards_total: int | None
    last_write_at: datetime
    size_bytes: int
    is_stepwise: bool = False


async def unfinished(dest: str | os.PathLike[str]) -> tuple[UnfinishedStatus, ...]:
    """List the runs that are not published, newest first: those that are running, and those that can be resumed."""

    def read() -> tuple[UnfinishedStatus, ...]:
        try:
            store, _ = find_commits(dest)
        except NoSnapshotError:
            store = open_store(dest)
        return describe_unfinished(store)

    return await anyio.to_thread.run_sync(read)


def describe_unfinished(store: Store) -> tuple[UnfinishedStatus, ...]:
    """List the runs of a store that are not published, newest first. Blocking."""
    if not store.names(STAGING):
        return ()
    from lexport.dataset.staging import unfinished_runs  # imports Arrow, which `status` mostly does not need

    now = datetime.now(UTC)
    return tuple(_describe(store, run, now) for run in unfinished_runs(store))


def _describe(store: Store, run: UnfinishedRun, now: datetime) -> UnfinishedStatus:
    return UnfinishedStatus(
        snapshot_id=run.snapshot_id,
        snapshot_at=run.spec.snapshot_at if run.spec else None,
        state=state_of(run, refused_errors(store, run), now),
        attempts=_attempt(run),
        shards_done=run.shards_done,
        shards_total=_shards_total(run),
        last_write_at=run.last_write_at,
        size_bytes=run.size_bytes,
        is_stepwise=run.spec is not None and run.spec.is_stepwise,
    )


def _shards_total(run: UnfinishedRun) -> int | None:
    if run.spec is None or any(shard.scope.region == GLOBAL_REGION for shard in run.spec.shards):
        return None
    return len(run.spec.shards)


def state_of(run: UnfinishedRun, refused: Sequence[str], now: datetime) -> UnfinishedState:
    """Judge a run; ``refused`` is what ``refused_errors`` returns for it."""
    if refused:
        return "refused"
    if run.is_alive(now):
        return "running"
    return "planned" if run.spec is not None and run.spec.is_stepwise else "interrupted"


def refused_errors(store: Store, run: UnfinishedRun) -> list[str]:
    """Return the files of the table ``errors`` that the last attempt at a run left because it was refused."""
    folder = staging_folder(run.snapshot_id)
    first = errors_path(run.snapshot_id, _attempt(run)).removesuffix(".parquet")
    paths = [f"{folder}/{name}" for name in store.names(folder)]
    found = [path for path in paths if path == f"{first}.parquet" or re.fullmatch(rf"{first}-[0-9]+\.parquet", path)]
    former = f"{folder}/errors.parquet"  # of a release that had no attempts
    return found or [path for path in paths if path == former and run.claim is None]


def _attempt(run: UnfinishedRun) -> int:
    return run.claim.attempt if run.claim else 1
