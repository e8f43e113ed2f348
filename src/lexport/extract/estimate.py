"""Estimate the cost of a snapshot: each shard is listed as a run lists it, and nothing is fetched.

The minimum time is that of the quotas: the two classes run beside each other, and a listing is one chain of pages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from anyio import create_memory_object_stream, current_time, to_thread

from lexport.aws.client import LambdaClient
from lexport.aws.errors import ends_run
from lexport.aws.quota.pacer import CallApi
from lexport.errors import CredentialsError, ItemError
from lexport.extract.access import REGION_OFF
from lexport.extract.carry.shard_carry import open_shard_carry
from lexport.extract.context import RunContext
from lexport.extract.incremental import LastSnapshot, PendingVersions
from lexport.extract.incremental_calls import IncrementalCalls
from lexport.extract.listing import discover_functions
from lexport.extract.resource_calls import CallRange, ResourceCalls, ResourceCounter, RowsBefore
from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA, FunctionRef, QuotaClass, Reply, Scope, Shard
from lexport.settings import SnapshotSettings
from lexport.tables.call import Call
from lexport.tables.events import LOOKUP_EVENTS
from lexport.tables.resource import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopePlan:
    """The calls and the time of one account-region. ``versions`` counts rows, ``$LATEST`` ones included.

    ``get_function_calls`` and ``list_calls``, all others, are those of a full snapshot, retries not counted;
    ``minimum_s`` is the least time that the quotas and ``quota_share`` allow for them: that of the slowest quota class.
    The ``incremental_`` ones are None without a dataset to build on; look-ups of the event history are among them.
    ``page_s`` is how long a page of the listing took here. ``resource_calls`` are the calls, among ``list_calls``, by
    the names that ``with_resources`` takes; ``quota_calls`` and ``quota_s`` are all calls and their least time by quota
    class. ``dollars`` is what AWS bills for them; None where it bills nothing. What is not known before the run is at
    least the number given, and at most the number given for it as ``…_at_most``; None where that is not known either.
    """

    account_id: str
    region: str
    functions: int
    versions: int
    get_function_calls: int
    list_calls: int
    minimum_s: float
    incremental_get_function_calls: int | None
    incremental_list_calls: int | None = None
    incremental_list_calls_at_most: int | None = None
    incremental_minimum_s: float | None
    page_s: float
    list_calls_at_most: int | None = 0
    resource_calls: Mapping[str, CallRange] = field(default_factory=dict)
    quota_calls: Mapping[str, CallRange] = field(default_factory=dict)
    quota_s: Mapping[str, float] = field(default_factory=dict)
    dollars: float | None = None
    dollars_at_most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """The plans of all account-regions, in order. ``missing`` says what could not be listed, ``notes`` what else."""

    scopes: tuple[ScopePlan, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def minimum_s(self) -> float:
        """The minimum time of all together: account-regions run side by side, each with its own quota."""
        return max((scope.minimum_s for scope in self.scopes), default=0.0)


def minimum_s(calls: Mapping[QuotaClass, int], rates_per_s: Mapping[QuotaClass, float], *, listing_s: float) -> float:
    """Return the least time for these calls: the slowest quota class, or the chain of pages if that is slower still."""
    return max(listing_s, *(count / rates_per_s[quota] for quota, count in calls.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardEstimate:
    """The estimate of one shard. ``plan`` is None where nothing could be listed, and for a Region that is off.

    ``errors`` are titles of what could not be listed, with the errors. ``is_refused`` says that the Region did not take
    the token, as one that is switched off does not.
    """

    shard: Shard
    plan: ScopePlan | None = None
    errors: tuple[tuple[str, ItemError], ...] = ()
    is_refused: bool = False


async def estimate_shard(run: RunContext, shard: Shard, api: LambdaClient) -> ShardEstimate:
    """List one shard and count what a snapshot would call, and an incremental one where ``run`` has a dataset for it.

    Never raises an ItemError: what could not be listed makes the estimate too small, and is in ``errors``.
    """
    if shard.region_status == "disabled":
        return ShardEstimate(shard=shard)
    scope, tally, title = shard.scope, _Tally(), str(shard.scope)
    shard_progress = run.begin(scope)
    last = await run.open_last(scope, otherwise="an incremental run fetches everything")
    errors: list[tuple[str, ItemError]] = []

    counter = ResourceCounter(run.settings)
    carry = await open_shard_carry(run, scope, counter.resources)
    incremental = IncrementalCalls(carry, counter.resources)

    async def count(page: Sequence[FunctionRef] | None) -> Sequence[FunctionRef]:
        await incremental.put(page or (), counter.count(page or ()))
        for ref in page or ():
            tally.versions += 1
            tally.functions += ref.qualifier is None
            if last is None or ref.qualifier is None or ref.listed is None:
                tally.to_fetch += 1
            else:
                pending.put((ref,))
        if last is not None and (page is None or run.budget.is_used_up_by(pending)):
            tally.to_fetch += await to_thread.run_sync(_count_unknown, last, pending)
        shard_progress.listed = shard_progress.fetched = tally.versions
        return ()  # nothing is fetched

    refs_out, refs = create_memory_object_stream[Sequence[FunctionRef]](1)
    refs.close()
    plan, is_refused = None, False
    try:
        await carry.read_history(api, partial(run.pacer.call, scope))
        with run.budget.reader(), PendingVersions() as pending:
            await discover_functions(
                api,
                _timed(partial(run.pacer.call, scope), tally),
                scope,
                qualifiers=run.settings.qualifiers,
                refs_out=refs_out,
                choose=count,
                keeps_items=last is not None,
                lose=lambda operation, name, error: errors.append((f"{title}: {operation} {name or ''}", error)),
                note=lambda text: run.progress.note(f"{title}: {text}"),
            )
        before = await to_thread.run_sync(RowsBefore, run.store, scope, run.progress.note)
        resources = await to_thread.run_sync(counter.calls, before)
        await incremental.finish()
        tally.look_ups = run.pacer.counts(scope).by_operation[LOOKUP_EVENTS.operation]
        plan = _scope_plan(scope, tally, resources, run.settings, None if run.store is None else incremental)
    except ItemError as error:
        errors.append((title, error))
        is_refused = shard.region_status == "uncertain" and error.code in REGION_OFF and not tally.versions
    shard_progress.finish()
    return ShardEstimate(shard=shard, plan=plan, errors=tuple(errors), is_refused=is_refused)


def fleet_plan(estimates: Sequence[ShardEstimate], notes: Sequence[str]) -> FleetPlan:
    """Put the estimates together; raises RunError where nothing could be listed.

    A Region that refused the token is off, and costs nothing, only where another Region of its account answers.
    """
    answering = {estimate.shard.scope.account_id for estimate in estimates if estimate.plan is not None}
    errors = [
        error
        for estimate in estimates
        if not (estimate.is_refused and estimate.shard.scope.account_id in answering)
        for error in estimate.errors
    ]
    plans = [estimate.plan for estimate in estimates if estimate.plan is not None]
    if errors and not plans:
        transient = (error for _, error in errors if not isinstance(ends_run(error), CredentialsError))
        raise ends_run(next(transient, errors[0][1]), "; nothing could be listed")
    return FleetPlan(
        scopes=tuple(sorted(plans, key=lambda plan: (plan.account_id, plan.region))),
        missing=tuple(f"{title}: {error}" for title, error in errors),
        notes=tuple(notes),
    )


@dataclass(slots=True)
class _Tally:
    """The counts of a listing so far; ``to_fetch`` counts what an incremental run would fetch."""

    functions: int = 0
    versions: int = 0
    to_fetch: int = 0
    pages: int = 0
    look_ups: int = 0
    page_s: list[float] = field(default_factory=list)


def _scope_plan(
    scope: Scope,
    tally: _Tally,
    resources: ResourceCalls,
    settings: SnapshotSettings,
    incremental: IncrementalCalls | None,
) -> ScopePlan:
    by_quota, others = _by_quota(tally.versions, tally.pages, resources.calls)
    by_option: dict[str, CallRange] = defaultdict(CallRange)
    for resource, calls in resources.calls.items():
        if not resource.in_every_snapshot:
            by_option[resource.option] += calls
    page_s = sum(tally.page_s) / len(tally.page_s) if tally.page_s else 0.0

    def pace_per_s(quota: QuotaClass) -> float:
        return settings.rates_per_s.get(quota, quota.rate_per_s) * settings.quota_share

    def least_s(by_quota: Mapping[QuotaClass, CallRange]) -> float:
        least = {quota: calls.least for quota, calls in by_quota.items()}
        return round(minimum_s(least, {quota: pace_per_s(quota) for quota in least}, listing_s=tally.pages * page_s), 1)

    later_s, later = None, CallRange(0, None)
    if incremental is not None:
        less = {resource: incremental.of(resource, calls) for resource, calls in resources.calls.items()}
        by_quota_later, later = _by_quota(tally.to_fetch, tally.pages, less)
        look_ups = CallRange(tally.look_ups, tally.look_ups)
        later += look_ups
        later_s = least_s(by_quota_later | {LOOKUP_EVENTS.quota: look_ups})
    costs_money = any(resource.costs_money for resource in resources.calls)
    return ScopePlan(
        account_id=scope.account_id,
        region=scope.region,
        functions=tally.functions,
        versions=tally.versions,
        get_function_calls=tally.versions,
        list_calls=others.least,
        list_calls_at_most=others.most,
        minimum_s=least_s(by_quota),
        incremental_get_function_calls=None if incremental is None else tally.to_fetch,
        incremental_list_calls=None if incremental is None else later.least,
        incremental_list_calls_at_most=later.most,
        incremental_minimum_s=later_s,
        page_s=round(page_s, 3),
        resource_calls=dict(by_option),
        quota_calls={quota.name: calls for quota, calls in by_quota.items()},
        quota_s={quota.name: round(calls.least / pace_per_s(quota), 1) for quota, calls in by_quota.items()},
        dollars=resources.dollars[0] if costs_money else None,
        dollars_at_most=resources.dollars[1] if costs_money else None,
    )


def _by_quota(
    get_function_calls: int, pages: int, resources: Mapping[Resource, CallRange]
) -> tuple[dict[QuotaClass, CallRange], CallRange]:
    """Return the calls by quota class, and all but those of GetFunction together."""
    by_quota = defaultdict(CallRange, {GET_FUNCTION_QUOTA: CallRange(get_function_calls, get_function_calls)})
    by_quota[LIST_QUOTA] = others = CallRange(pages, pages)
    for resource, calls in resources.items():
        by_quota[resource.call.quota] += calls
        others += calls
    return by_quota, others


def _count_unknown(last: LastSnapshot, pending: PendingVersions) -> int:
    unknown = sum(match.older is None for match in last.find(pending.take(), pending, None))
    pending.clear()
    return unknown


def _timed(inner: CallApi, tally: _Tally) -> CallApi:
    """Count the calls of a listing and time each, without the time spent waiting for the quota."""

    async def timed(call: Call, attempt: Callable[[], Awaitable[Reply]]) -> Reply:
        async def once() -> Reply:
            started_s = current_time()
            reply = await attempt()
            tally.page_s.append(current_time() - started_s)
            return reply

        tally.pages += 1
        return await inner(call, once)

    return timed
