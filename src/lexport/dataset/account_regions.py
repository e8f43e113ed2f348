"""The Regions of accounts that could not be entered while their run was planned. Blocking.

In the plan, such an account is one shard of ``aws-global``. Who enters it later writes which Regions it has before it
reads them, so that a Region that nobody has finished is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from lexport.dataset import layout
from lexport.dataset.manifest import NO_JSON
from lexport.dataset.staging import StagingError, is_scope, read_result
from lexport.dataset.store import Store, UnexpectedFileError
from lexport.errors import PublishError
from lexport.model import GLOBAL_REGION, Scope, Shard, ShardResult


def record_regions(store: Store, run: str, shard: Shard, found: Sequence[Shard]) -> Sequence[Shard]:
    """Write the shards that a shard of ``aws-global`` stands for; return those that were written first.

    Raises OSError and RunError.
    """
    if shard.scope.region != GLOBAL_REGION:
        return found
    lines = b"".join(msgspec.json.encode(each) + b"\n" for each in found)
    try:
        store.create(layout.regions_path(run, shard.scope), lines)
    except PublishError:
        return read_regions(store, run, shard.scope) or found
    return found


def read_regions(store: Store, run: str, scope: Scope) -> list[Shard] | None:
    """Return the shards that one of ``aws-global`` stands for; None where nobody has entered its account yet.

    Raises StagingError where the file is damaged, OSError.
    """
    path = layout.regions_path(run, scope)
    try:
        found = msgspec.json.Decoder(Shard).decode_lines(store.read(path))
    except FileNotFoundError:
        return None
    except (UnexpectedFileError, *NO_JSON) as error:
        raise StagingError(f"{store.url}/{path} is damaged: {error}") from error
    scopes = {shard.scope for shard in found}
    if len(scopes) < len(found) or any(
        each.account_id != scope.account_id or each.region == GLOBAL_REGION or not is_scope(each) for each in scopes
    ):
        raise StagingError(f"{store.url}/{path} is damaged: its account-regions are wrong")
    return found


def with_regions(store: Store, run: str, shards: Iterable[Shard]) -> list[Shard]:
    """Return shards, with those of its Regions in place of one of ``aws-global`` whose account was entered.

    Raises as ``read_regions``.
    """
    known: list[Shard] = []
    for shard in shards:
        found = read_regions(store, run, shard.scope) if shard.scope.region == GLOBAL_REGION else None
        known += [shard] if found is None else found
    return known


def results_of_accounts(
    store: Store, run: str, shards: Iterable[Shard], results: Iterable[ShardResult]
) -> tuple[list[ShardResult], list[Shard]]:
    """Return the results of shards; where one of ``aws-global`` was entered, those of all its Regions.

    The second value are the Regions without a result. Raises as ``read_regions``.
    """
    of_accounts = [shard for shard in shards if shard.scope.region == GLOBAL_REGION]
    found, missing = results_of(store, run, of_accounts)
    entered = {shard.scope.account_id for shard in of_accounts}
    others = [result for result in results if result.shard.scope.account_id not in entered]
    return [*others, *found], [shard for shard in missing if shard.scope.region != GLOBAL_REGION]


def results_of(store: Store, run: str, shards: Iterable[Shard]) -> tuple[list[ShardResult], list[Shard]]:
    """Return the results of shards, and the shards that have none; as ``with_regions``."""
    results: list[ShardResult] = []
    missing: list[Shard] = []
    for shard in with_regions(store, run, shards):
        result = read_result(store, run, shard.scope)
        if result is None:
            missing.append(shard)
        else:
            results.append(result)
    return results, missing
