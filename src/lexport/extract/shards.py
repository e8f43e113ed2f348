"""The shards of a run: which account-regions there are, and the work on all of them side by side.

Each account is a task, and so is each of its Regions. None waits for another, and connections and open files are
shared fairly.
"""

from __future__ import annotations

import resource
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from anyio import CapacityLimiter, create_task_group, sleep

from lexport.aws.client import LambdaClient
from lexport.aws.http.pool import FairShares
from lexport.aws.organizations import list_members
from lexport.aws.regions import Regions
from lexport.aws.waits import scaled
from lexport.errors import ItemError, SettingsError
from lexport.extract.access import Access
from lexport.extract.accounts import active_accounts, find_own_account
from lexport.extract.progress import Progress
from lexport.extract.selection import Selection, choose_shards
from lexport.model import GLOBAL_REGION, Scope, Shard
from lexport.settings import SnapshotSettings
from lexport.tables.functions import GET_FUNCTION
from lexport.tables.registry import fleet_resources

MOST_CONNECTIONS = 512  # to Lambda: 5,000 calls/s at 0.1 s each, what a core can do; each takes some 70 KB
MOST_SHARDS = 256  # account-regions read at once; further ones wait until one is done
STUCK_AFTER_S = scaled(5.0)  # no account was entered for so long: those that are left hang
FILES_OF_A_SHARD = 2  # pending listings; the last snapshot
FILES_OF_A_QUEUE = 2  # it is written and read


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """How much of a process its shards use together."""

    connections: int
    shards: int


def limits_of_process() -> ProcessLimits:
    """Return the limits that the number of open files allows; an eighth of it is for everything else."""
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    queues = sum(read.call is not GET_FUNCTION and read.per != "account_region" for read in fleet_resources())
    files = FILES_OF_A_SHARD + queues * FILES_OF_A_QUEUE
    return ProcessLimits(
        connections=min(MOST_CONNECTIONS, open_files // 2), shards=min(MOST_SHARDS, open_files * 3 // 8 // files)
    )


async def identify(access: Access, selection: Selection | None) -> None:
    """Find out whose the credentials are, in a Region that is read; raises SettingsError where none is named."""
    if not access.regions and not (selection and all(function.region for function in selection)):
        raise SettingsError(
            "no Region: give --region, set AWS_REGION, or choose a profile that has one", option="--region"
        )
    await access.identify()


async def find_shards(
    access: Access,
    settings: SnapshotSettings,
    *,
    accounts: Sequence[str],
    selection: Selection | None,
    progress: Progress,
) -> tuple[Shard, ...]:
    """Return the shards that the settings name, by account, then by Region; ``identify`` comes first.

    Where all Regions are read with roles, the role of each account is assumed to list its Regions. An account whose
    Regions cannot be listed is one shard of ``aws-global``. Raises SettingsError and CredentialsError.
    """
    if not access.uses_roles:
        regions = await access.find_regions(access.own_account)
        names = (*_names(regions), *access.more_regions)
        account_id = await find_own_account(access, names, selection=selection, note=progress.note)
        return _shards_in(account_id, regions, selection)
    account_names: dict[str, str | None] = {}
    if settings.organization:
        members = await list_members(access.session, access.home_region, settings.organizational_units)
        accounts = active_accounts(members, excluded=settings.exclude_accounts, note=progress.note)
        account_names = {member.account_id: member.name for member in members}
    of_accounts = [
        Shard(scope=Scope(account_id=account_id, region=GLOBAL_REGION), account_name=account_names.get(account_id))
        for account_id in accounts
    ]
    if access.is_all:
        return await _shards_in_all(access, of_accounts, progress)
    return tuple(
        replace(shard, scope=replace(shard.scope, region=name)) for shard in of_accounts for name in access.regions
    )


async def _shards_in_all(access: Access, of_accounts: Sequence[Shard], progress: Progress) -> tuple[Shard, ...]:
    """Return the shards of all accounts in all their Regions, given one shard of ``aws-global`` for each.

    One whose Regions cannot be listed now is one shard of ``aws-global``: it is tried again when that shard is read,
    and so is one that hangs, which must not delay the others.
    """
    found: dict[str, Sequence[Shard]] = {}
    progress.accounts_left = len(of_accounts)

    async def find(shard: Shard) -> None:
        try:
            found[shard.scope.account_id] = await _enter(access, [shard])
        except ItemError:
            found[shard.scope.account_id] = [shard]
        progress.accounts_left -= 1
        if len(found) == len(of_accounts):
            tasks.cancel_scope.cancel()

    async def end_if_stuck() -> None:
        before = -1
        while len(found) > before:
            before = len(found)
            await sleep(STUCK_AFTER_S)
        tasks.cancel_scope.cancel()

    async with create_task_group() as tasks:
        for shard in of_accounts:
            tasks.start_soon(find, shard)
        tasks.start_soon(end_if_stuck)
    progress.accounts_left = 0
    return tuple(chain.from_iterable(found.get(shard.scope.account_id, [shard]) for shard in of_accounts))


async def _enter(access: Access, shards: Sequence[Shard]) -> Sequence[Shard]:
    """Assume the role of the account of some shards; return them, or those of its Regions for ``aws-global``."""
    account_id = shards[0].scope.account_id
    async with access.account_slots:
        await access.assume_role(account_id)
        if shards[0].scope.region != GLOBAL_REGION:
            return shards
        found = _shards_in(account_id, await access.find_regions(account_id))
        return tuple(replace(shard, account_name=shards[0].account_name) for shard in found)


def _names(regions: Regions) -> tuple[str, ...]:
    return tuple(sorted((*regions.enabled, *regions.uncertain))) if regions.uncertain else regions.enabled


def _shards_in(account_id: str, regions: Regions, selection: Selection | None = None) -> tuple[Shard, ...]:
    """Return the shards of an account: its Regions that are read, then those that are switched off."""
    read = choose_shards(selection, account_id=account_id, regions=_names(regions), uncertain=regions.uncertain)
    disabled = (Scope(account_id=account_id, region=name) for name in regions.disabled)
    return (*read, *(Shard(scope=scope, region_status="disabled") for scope in disabled))


OnShard = Callable[[Shard, LambdaClient], Awaitable[None]]
OnAccountError = Callable[[Sequence[Shard], ItemError], Awaitable[None]]
OnRegions = Callable[[Shard, Sequence[Shard]], Awaitable[Sequence[Shard]]]


class ShardVisits:
    """Visits to shards, side by side, within the limits of this process, which all visits share."""

    def __init__(self, access: Access, progress: Progress) -> None:
        limits = limits_of_process()
        self._access, self._progress = access, progress
        self._slots = CapacityLimiter(limits.shards)
        self._fair_shares = FairShares(access.send, limits.connections)

    async def visit_all(
        self,
        shards: Sequence[Shard],
        work: OnShard,
        on_account_error: OnAccountError,
        on_regions: OnRegions | None = None,
    ) -> None:
        """Assume the role of each account and do the ``work`` on each of its shards, all side by side.

        ``on_account_error`` gets the shards of an account whose role cannot be assumed; the other accounts go on.
        ``on_regions`` gets a shard of ``aws-global`` and those that it stands for, and returns those to visit. ``work``
        raises no ItemError.
        """
        by_account: dict[str, list[Shard]] = defaultdict(list)
        for shard in shards:
            by_account[shard.scope.account_id].append(shard)
        self._progress.accounts_left += len(by_account)

        async with create_task_group() as tasks:

            async def open_account(of_account: Sequence[Shard]) -> None:
                try:
                    entered = await _enter(self._access, of_account)
                except ItemError as error:
                    await on_account_error(of_account, error)
                else:
                    if on_regions is not None and of_account[0].scope.region == GLOBAL_REGION:
                        entered = await on_regions(of_account[0], entered)
                    for shard in entered:
                        tasks.start_soon(self._visit, shard, work)
                finally:
                    self._progress.accounts_left -= 1

            for of_account in by_account.values():
                tasks.start_soon(open_account, of_account)

    async def _visit(self, shard: Shard, work: OnShard) -> None:
        async with self._slots:
            with self._fair_shares.open_share() as own_send:
                await work(shard, await self._access.client(shard.scope, own_send))
