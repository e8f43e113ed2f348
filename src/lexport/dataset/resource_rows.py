"""The rows of ``scope_resources``: how each resource of each account-region was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow.parquet as pq

from lexport.model import ResourceResult, Scope, Shard, ShardResult
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import fleet_resources, resource_of, resources_read
from lexport.tables.table import SCOPE_KEY

Unread: TypeAlias = tuple[Scope, str]
"""An account-region, and a resource that was not read whole there."""
_COMPARABLE = ("complete", "not_requested")  # what was not requested is known by the options of its run


def resource_rows(result: ShardResult, options: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield a row for every resource that a run can read; ``options`` are those of the run, as a manifest has them."""
    scope = result.shard.scope
    for each in resource_results(result, options):
        counts: tuple[int | None, ...] = (each.items, each.carried_items, each.calls, each.throttles)
        if each.status == "not_requested":
            counts = (None, None, None, None)
        times = (each.read_at, each.oldest_read_at, each.changes_until)
        yield (scope.account_id, scope.region, each.resource, each.status, *counts, *times, "")


def resource_results(result: ShardResult, options: Mapping[str, Any]) -> Iterator[ResourceResult]:
    """Yield the result of every resource. Where a shard says nothing of one, it is judged by the shard itself.

    That is so where no process could read the shard, and where an older release has read it. Where the Region never
    accepted the credentials, or is switched off, so is every resource. A part of a resource that the run leaves out,
    such as the policies of versions, has a row under its own name.
    """
    known = {each.resource: each for each in result.resources}
    read = names_read(result.shard, options)
    is_all_refused = not result.is_answering and result.status in ("denied", "unavailable")
    for option in dict.fromkeys(resource.option for resource in fleet_resources()):
        if option not in read:
            yield ResourceResult(resource=option, status="not_requested")
        elif option not in known:
            yield _judged_by_shard(result, option)
        elif is_all_refused:
            yield replace(known[option], status=result.status)
        else:
            yield known[option]
    for part in left_out_parts(options):
        yield ResourceResult(resource=part, status="not_requested")


def left_out_parts(options: Mapping[str, Any]) -> list[str]:
    """Return the names of operations that a run leaves out of resources that it reads."""
    read = resources_read(options)
    names, asked = {resource.name for resource in read}, {resource.option for resource in read}
    return [each.name for each in fleet_resources() if each.option in asked and each.name not in names]


def unread_resources(results: Iterable[ShardResult], options: Mapping[str, Any]) -> frozenset[Unread]:
    """Return the resources that a run was to read and did not read whole, each with its account-region."""
    return frozenset(
        (result.shard.scope, each.resource)
        for result in results
        for each in resource_results(result, options)
        if each.status not in _COMPARABLE
    )


def unread_in(paths: Iterable[Path]) -> frozenset[Unread]:
    """Return the same by the files of ``scope_resources``. Blocking; raises OSError and ArrowException."""
    names = [*SCOPE_KEY, "resource", "status"]
    rows = (row for path in paths for row in pq.read_table(path, columns=names, use_threads=False).to_pylist())
    return frozenset(
        (Scope(account_id=row["account_id"], region=row["region"]), row["resource"])
        for row in rows
        if row["status"] not in _COMPARABLE
    )


def names_read(shard: Shard, options: Mapping[str, Any]) -> list[str]:
    """Return the resources that a shard is to read, as ``--with`` names them: of named functions that is themselves."""
    read = resources_read(options)
    if shard.refs is not None:
        read = tuple(resource for resource in read if resource is resource_of(FUNCTIONS))
    return list(dict.fromkeys(resource.option for resource in read))


def _judged_by_shard(result: ShardResult, option: str) -> ResourceResult:
    resources = [resource for resource in fleet_resources() if resource.option == option]
    operations = {call.operation for resource in resources for call in (resource.call, *resource.lists)}
    read_at = result.started_at if result.is_answering else None
    return ResourceResult(
        resource=option,
        status=result.status,
        items=sum(result.rows.get(resource.tables[0].name, 0) for resource in resources),
        calls=sum(result.calls.get(operation, 0) for operation in operations),
        read_at=read_at,
        oldest_read_at=None if result.carried_rows else read_at,
    )
