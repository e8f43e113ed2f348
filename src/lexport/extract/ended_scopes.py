"""Retire what has ended, once a run that listed the whole organization is published (``--retire-after``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from anyio import CancelScope, to_thread

from lexport.dataset.commits import fleet_commits, newest_whole
from lexport.dataset.manifest import Manifest
from lexport.dataset.retire import RetiredScope, retire_scopes, retired_scope
from lexport.dataset.store import Store
from lexport.errors import RunError
from lexport.model import Scope, ShardResult
from lexport.settings import ALL_REGIONS, SnapshotSettings


def ended_scopes(
    results: Iterable[ShardResult], readings: Mapping[Scope, Manifest], *, before: datetime, is_all_regions: bool
) -> dict[Scope, Manifest]:
    """Return the account-regions that have ended, each with its last whole reading, which is older than ``before``.

    The run has a shard for every active account of the organization, so an account without one was closed or has left.
    Of the others, a Region has ended where AWS's own list of Regions says that it is switched off. Pure.
    """
    shards = [result.shard for result in results]
    active = {shard.scope.account_id for shard in shards}
    off = {shard.scope for shard in shards if shard.region_status == "disabled"} if is_all_regions else set[Scope]()
    return {
        scope: commit
        for scope, commit in readings.items()
        if commit.snapshot_at < before and (scope.account_id not in active or scope in off)
    }


async def retire_ended(
    store: Store, published: Manifest, results: Iterable[ShardResult], settings: SnapshotSettings
) -> tuple[tuple[RetiredScope, ...], tuple[str, ...]]:
    """Retire what has ended, as the settings ask; return it, and notes for the user.

    A snapshot with gaps retires nothing. Never raises RunError: the snapshot is published.
    """
    if settings.retire_after is None:
        return (), ()
    if published.status != "complete":
        return (), ("nothing was retired, because the snapshot has gaps",)
    try:
        with CancelScope(shield=True):
            readings = await to_thread.run_sync(lambda: newest_whole(fleet_commits(store)))
            ended = ended_scopes(
                results,
                readings,
                before=published.snapshot_at - settings.retire_after,
                is_all_regions=settings.regions == (ALL_REGIONS,),
            )
            _, notes = await retire_scopes(store, ended) if ended else (None, list[str]())
    except (OSError, RunError) as error:
        return (), (f"warning: what has ended was not retired: {error}; the next run with --retire-after tries again",)
    return tuple(retired_scope(scope, ended[scope]) for scope in sorted(ended)), tuple(notes)
