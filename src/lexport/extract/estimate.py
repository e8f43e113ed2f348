"""settings -> what a snapshot would cost: lists the fleets as a run would, and fetches nothing.

The minimum time is the quotas' own: the two classes run beside each other, and a listing is one chain of pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from anyio import create_memory_object_stream, create_task_group, current_time, to_thread

from lexport.aws.client import LambdaClient
from lexport.aws.errors import ends_run
from lexport.aws.quota.pacer import Pacer
from lexport.aws.quota.retry import CallApi, call_with_retries
from lexport.aws.session import open_session
from lexport.dataset import layout
from lexport.dataset.local import LocalStore, local_folder
from lexport.errors import CredentialsError, ItemError, SettingsError
from lexport.extract.access import REGION_OFF, Account
from lexport.extract.accounts import read_accounts
from lexport.extract.hash_key import load_hash_key
from lexport.extract.incremental import LastSnapshot, PendingBudget, PendingVersions, open_last
from lexport.extract.listing import discover_functions
from lexport.extract.progress import Progress, Report, ShardProgress, keep_reporting, report_nothing
from lexport.extract.shards import one_error, visit
from lexport.model import (
    GET_FUNCTION_QUOTA,
    GLOBAL_REGION,
    LIST_QUOTA,
    FunctionRef,
    QuotaClass,
    Reply,
    Scope,
    Shard,
    new_ulid,
)
from lexport.settings import SnapshotSettings
from lexport.tables.call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopePlan:
    """What one account-region needs. ``versions`` counts rows, ``$LATEST`` ones included.

    ``get_function_calls`` and ``list_calls`` are those of a full snapshot, retries not counted; ``minimum_s`` is the
    least time that the quotas and ``quota_share`` allow for them. The ``incremental_`` ones are None without a dataset
    to build on. ``page_s`` is how long a page of the listing took here.
    """

    account_id: str
    region: str
    functions: int
    versions: int
    get_function_calls: int
    list_calls: int
    minimum_s: float
    incremental_get_function_calls: int | None
    incremental_minimum_s: float | None
    page_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """The plans of all account-regions, in order. ``missing`` says what could not be listed, ``notes`` what else."""

    scopes: tuple[ScopePlan, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def minimum_s(self) -> float:
        """The least time of all together: they run side by side, each on its own quota."""
        return max((scope.minimum_s for scope in self.scopes), default=0.0)


def minimum_s(
    *, get_function_calls: int, list_calls: int, pages: int, page_s: float, rates_per_s: dict[QuotaClass, float]
) -> float:
    """Return the least time for these calls: the slower quota class, or the chain of pages if that is slower still."""
    return max(
        get_function_calls / rates_per_s[GET_FUNCTION_QUOTA],
        list_calls / rates_per_s[LIST_QUOTA],
        pages * page_s,
    )


async def plan(
    dest: str | Path | None = None, settings: SnapshotSettings | None = None, *, report: Report = report_nothing
) -> FleetPlan:
    """Say what a snapshot with these settings would cost; with ``dest``, what an incremental one would.

    Costs the listing itself: one List* call per 50 versions. Raises RunError as a snapshot does.
    """
    options = settings or SnapshotSettings()
    options.check_reads_a_fleet()
    if options.is_selection:
        raise SettingsError("a list of functions needs no plan: each is one GetFunction call", option="--function")
    planner = _Planner(options, None if dest is None else _open_store(dest), Progress())
    with one_error():
        async with create_task_group() as tasks:
            tasks.start_soon(keep_reporting, report, planner.progress)
            accounts = await to_thread.run_sync(
                read_accounts, options.accounts, options.accounts_from, abandon_on_cancel=True
            )
            async with open_session(profile=options.profile, endpoint_url=options.endpoint_url) as session:
                await visit(
                    options,
                    session,
                    planner,
                    planner.progress,
                    selection=None,
                    accounts=accounts,
                    session_name=f"lexport-plan-{new_ulid(datetime.now(UTC))}",
                )
            tasks.cancel_scope.cancel()
    planner.settle()
    if planner.missing and not planner.scopes:
        passing = (error for error in planner.errors if not isinstance(ends_run(error), CredentialsError))
        raise ends_run(next(passing, planner.errors[0]), "; nothing could be listed")
    return FleetPlan(
        scopes=tuple(sorted(planner.scopes, key=lambda scope: (scope.account_id, scope.region))),
        missing=tuple(planner.missing),
        notes=tuple(planner.progress.notes),
    )


def _open_store(dest: str | Path) -> LocalStore:
    store = LocalStore(local_folder(dest).absolute())
    if not store.names(layout.RUNS):
        raise SettingsError(f"DEST {dest} holds no snapshot to build on", option="DEST")
    return store


@dataclass(slots=True)
class _Tally:
    """What the listing of one shard has shown so far; ``to_fetch`` is what an incremental run would fetch."""

    functions: int = 0
    versions: int = 0
    to_fetch: int = 0
    pages: int = 0
    page_s: list[float] = field(default_factory=list)


class _Planner:
    """Visits account-regions: lists each, and counts."""

    def __init__(self, options: SnapshotSettings, store: LocalStore | None, progress: Progress) -> None:
        self.options, self.store, self.progress = options, store, progress
        self.rates_per_s = {name: rate * options.quota_share for name, rate in options.rates_per_s.items()}
        self.pacer = Pacer(options.rates_per_s, options.quota_share)
        key = load_hash_key(options.hash_key_file) if store and options.env != "none" else None
        self.hash_key_id = key.key_id if key else None
        self.scopes: list[ScopePlan] = []
        self.missing: list[str] = []
        self.errors: list[ItemError] = []
        self.refused: list[tuple[Scope, ItemError]] = []  # by Regions that may be off
        self.budget = PendingBudget()

    async def read_shard(self, shard: Shard, api: LambdaClient) -> None:
        """List one shard and plan it; what is lost on the way makes the plan too small, and is said."""
        scope, pacer, tally = shard.scope, self.pacer, _Tally()
        seen = ShardProgress(scope=scope, pace=partial(pacer.readings, scope))
        self.progress.shards.append(seen)
        last, why = None, None
        if self.store is not None:
            last, why = await to_thread.run_sync(
                partial(
                    open_last,
                    self.store,
                    scope,
                    env=self.options.env,
                    hash_key_id=self.hash_key_id,
                    note=self.progress.note,
                )
            )
            if why:
                self.progress.note(f"{scope.account_id} {scope.region}: {why}; an incremental run fetches everything")
        named = f"{scope.account_id} {scope.region}"

        async def choose(page: Sequence[FunctionRef] | None) -> Sequence[FunctionRef]:
            for ref in page or ():
                tally.versions += 1
                tally.functions += ref.qualifier is None
                if last is None or ref.qualifier is None or ref.listed is None:
                    tally.to_fetch += 1
                else:
                    pending.put((ref,))
            if last is not None and (page is None or self.budget.is_used_up_by(pending)):
                tally.to_fetch += await to_thread.run_sync(_count_unknown, last, pending)
            seen.listed = seen.fetched = tally.versions
            return ()  # nothing goes on: nobody fetches

        refs_out, refs = create_memory_object_stream[Sequence[FunctionRef]](1)
        refs.close()
        try:
            with self.budget.reader(), PendingVersions() as pending:
                await discover_functions(
                    api,
                    _timed(partial(call_with_retries, pacer, scope), tally),
                    scope,
                    qualifiers=self.options.qualifiers,
                    refs_out=refs_out,
                    choose=choose,
                    keeps_items=last is not None,
                    lose=lambda operation, name, error: self._miss(f"{named}: {operation} {name or ''}", error),
                    note=lambda text: self.progress.note(f"{named}: {text}"),
                )
            self.scopes.append(self._plan(shard, tally, is_incremental=self.store is not None))
        except ItemError as error:
            if shard.region_status == "uncertain" and error.code in REGION_OFF and not tally.versions:
                self.refused.append((scope, error))
            else:
                self._miss(named, error)
        seen.is_listed = seen.is_done = True

    def skip_shards(self, shards: Sequence[Shard]) -> None:
        """Leave out Regions that are switched off: they cost nothing."""

    def lose_account(self, account: Account, shards: Sequence[Shard], error: ItemError) -> None:  # noqa: ARG002
        """Note an account that could not be entered."""
        self._miss(f"{account.account_id} {GLOBAL_REGION}", error)

    def settle(self) -> None:
        """Take a Region that refused the token for one that is off only where another one of its account answers."""
        answering = {scope.account_id for scope in self.scopes}
        for scope, error in self.refused:
            if scope.account_id not in answering:
                self._miss(f"{scope.account_id} {scope.region}", error)

    def _miss(self, what: str, error: ItemError) -> None:
        self.missing.append(f"{what}: {error}")
        self.errors.append(error)

    def _plan(self, shard: Shard, tally: _Tally, *, is_incremental: bool) -> ScopePlan:
        list_calls = tally.pages + 1 + (tally.functions if self.options.aliases else 0)  # one GetAccountSettings
        page_s = sum(tally.page_s) / len(tally.page_s) if tally.page_s else 0.0
        least = partial(
            minimum_s, list_calls=list_calls, pages=tally.pages, page_s=page_s, rates_per_s=self.rates_per_s
        )
        return ScopePlan(
            account_id=shard.scope.account_id,
            region=shard.scope.region,
            functions=tally.functions,
            versions=tally.versions,
            get_function_calls=tally.versions,
            list_calls=list_calls,
            minimum_s=round(least(get_function_calls=tally.versions), 1),
            incremental_get_function_calls=tally.to_fetch if is_incremental else None,
            incremental_minimum_s=round(least(get_function_calls=tally.to_fetch), 1) if is_incremental else None,
            page_s=round(page_s, 3),
        )


def _count_unknown(last: LastSnapshot, pending: PendingVersions) -> int:
    return sum(found.older is None for found in last.find(pending, None))


def _timed(inner: CallApi, tally: _Tally) -> CallApi:
    """Count the calls of a listing and time each, waiting for the quota not included."""

    async def timed(call: Call, attempt: Callable[[], Awaitable[Reply]]) -> Reply:
        async def once() -> Reply:
            started_s = current_time()
            reply = await attempt()
            tally.page_s.append(current_time() - started_s)
            return reply

        tally.pages += 1
        return await inner(call, once)

    return timed
