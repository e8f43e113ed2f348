"""How large shards are, so that the largest begin first: a run lasts as long as its last shard."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec
from anyio import to_thread

from lexport.aws.client import LambdaClient
from lexport.aws.quota.pacer import Pacer
from lexport.dataset.commits import last_sizes
from lexport.dataset.store import Store
from lexport.errors import ItemError
from lexport.extract.progress import Progress
from lexport.extract.shards import ShardVisits
from lexport.model import Scope, Shard
from lexport.tables.account_settings import GET_ACCOUNT_SETTINGS


class _Usage(msgspec.Struct):
    FunctionCount: int = 0


class _Settings(msgspec.Struct):
    AccountUsage: _Usage = msgspec.field(default_factory=_Usage)


async def shard_sizes(
    store: Store, shards: Sequence[Shard], visits: ShardVisits, pacer: Pacer, progress: Progress
) -> dict[Scope, int]:
    """Return the versions of shards in the last snapshot; where it has none of them, their functions as AWS counts.

    A shard whose size nobody says is left out.
    """
    sizes = await to_thread.run_sync(last_sizes, store, [shard.scope for shard in shards])
    progress.versions_before = dict(sizes)
    if sizes:
        return sizes

    async def ask(shard: Shard, api: LambdaClient) -> None:
        if shard.region_status == "disabled":
            return
        try:
            response = await pacer.call(shard.scope, GET_ACCOUNT_SETTINGS, partial(api.call, GET_ACCOUNT_SETTINGS))
            sizes[shard.scope] = msgspec.json.decode(response.body, type=_Settings).AccountUsage.FunctionCount
        except (ItemError, msgspec.DecodeError):
            return  # the shard itself records what it meets

    async def pass_over(_shards: Sequence[Shard], _error: ItemError) -> None:
        return

    await visits.visit_all([shard for shard in shards if shard.refs is None], ask, pass_over)
    return sizes
