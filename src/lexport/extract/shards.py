"""The shards of a run: which account-regions there are, and the work on all of them side by side.

Each account is a task, and so is each of its Regions. None waits for another, and connections and open files are
shared fairly.
"""

from __future__ import annotations

import resource
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from anyio import CapacityLimiter, create_task_group

from lexport.aws.client import LambdaClient
from lexport.aws.http.pool import FairShares
from lexport.aws.organizations import list_members
from lexport.aws.regions import Regions
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
    note: Callable[[str], None],
) -> tuple[Shard, ...]:
    """Return the shards that the settings name, by account, then by Region; ``identify`` comes first.

    Where roles are assumed and all Regions are read, the Regions of an account can only be listed with its role: here
    the account is one shard of ``aws-global``. Raises SettingsError and CredentialsError.
    """
    if not access.uses_roles:
        regions = await access.find_regions(access.own_account)
        names = (*_names(regions), *access.more_regions)
        account_id = await find_own_account(access, names, selection=selection, note=note)
        return _shards_in(account_id, regions, selection)
    if settings.organization:
        members = await list_members(access.session, access.home_region, settings.organizational_units)
        accounts = active_accounts(members, excluded=settings.exclude_accounts, note=note)
    names = (GLOBAL_REGION,) if access.is_all else access.regions
    return tuple(Shard(scope=Scope(account_id=account, region=name)) for account in accounts for name in names)


def _names(regions: Regions) -> tuple[str, ...]:
    return tuple(sorted((*regions.enabled, *regions.uncertain))) if regions.uncertain else regions.enabled


def _shards_in(account_id: str, regions: Regions, selection: Selection | None = None) -> tuple[Shard, ...]:
    """Return the shards of an account: its Regions that are read, then those that are switched off."""
    read = choose_shards(selection, account_id=account_id, regions=_names(regions), uncertain=regions.uncertain)
    disabled = (Scope(account_id=account_id, region=name) for name in regions.disabled)
    return (*read, *(Shard(scope=scope, region_status="disabled") for scope in disabled))


async def work_on_shards(
    shards: Sequence[Shard],
    access: Access,
    *,
    work: Callable[[Shard, LambdaClient], Awaitable[None]],
    on_account_error: Callable[[str, Sequence[Shard], ItemError], None],
    progress: Progress,
) -> None:
    """Assume the role of each account and do the ``work`` on each of its shards, all side by side.

    ``on_account_error`` gets an account whose role cannot be assumed, with its shards; the other accounts go on.
    ``work`` raises no ItemError.
    """
    by_account: dict[str, list[Shard]] = defaultdict(list)
    for shard in shards:
        by_account[shard.scope.account_id].append(shard)
    limits = limits_of_process()
    slots = CapacityLimiter(limits.shards)
    fair_shares = FairShares(access.send, limits.connections)
    progress.stage = "reading"
    progress.accounts_left = len(by_account)

    async with create_task_group() as tasks:

        async def open_account(account_id: str, shards: Sequence[Shard]) -> None:
            try:
                async with access.account_slots:
                    await access.assume_role(account_id)
                    if shards[0].scope.region == GLOBAL_REGION:
                        shards = _shards_in(account_id, await access.find_regions(account_id))
            except ItemError as error:
                on_account_error(account_id, shards, error)
            else:
                for shard in shards:
                    tasks.start_soon(work_on, shard)
            finally:
                progress.accounts_left -= 1

        async def work_on(shard: Shard) -> None:
            async with slots:
                with fair_shares.open_share() as own_send:
                    await work(shard, await access.client(shard.scope, own_send))

        for account_id, of_account in by_account.items():
            tasks.start_soon(open_account, account_id, of_account)
