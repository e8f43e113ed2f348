"""Account-regions are read in parallel: a slow or failing one delays no other, and each has its own quota."""

import asyncio

import pytest

import lexport
from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

HUB = "111122223333"
ACCOUNTS = tuple(str(int(HUB) + position) for position in range(5))
REGIONS = ("ap-southeast-2", "eu-west-1", "us-east-1")
ROLE = "lexport-reader"


def fleet_of(**spec):
    """Make a fleet of five accounts that the role can read."""
    return Fleet(FleetSpec(accounts=ACCOUNTS, **spec))


@pytest.mark.parametrize("broken", ["slow", "hang", "throttle", "error"])
async def test_faults_delay_no_other_account_region(simulator, aws, settings, tmp_path, broken):
    """While some account-regions are slow, hang, throttle or fail, every healthy one ends before any of them.

    The benchmarks measure how much time it costs the healthy ones.
    """
    fleet = fleet_of(functions=5, versions=3)
    rates = {"get_function_rate_per_s": 20.0, "list_rate_per_s": 8.0, "quota_share": 1.0}
    regions = (*REGIONS, "eu-north-1")
    faulty = {(ACCOUNTS[1], REGIONS[0]), (ACCOUNTS[2], REGIONS[1])}
    healthy = {(account, region) for account in ACCOUNTS for region in regions} - faulty
    faults = [
        Fault(operation=None, kind=broken, account_id=account, region=region, times=None, after=4, delay_s=2.0)
        for account, region in faulty
    ]
    ended: set[tuple[str, str]] = set()
    all_healthy_ended = asyncio.Event()

    async def watch(progress):
        while not healthy <= ended:
            await asyncio.sleep(0.02)
            ended.update((shard.scope.account_id, shard.scope.region) for shard in progress.shards if shard.is_done)
        all_healthy_ended.set()

    async with simulator(*faults, fleet=fleet, verify=False) as server:
        options = settings(
            server.url, account_role=ROLE, organization=True, regions=regions, allow_partial=True, **rates
        )
        run = asyncio.create_task(lexport.snapshot(tmp_path / "all", options, report=watch))
        await all_healthy_ended.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    assert ended == healthy


@pytest.mark.parametrize("operation", ["AssumeRole", "ListRegions"])
async def test_a_hanging_account_delays_no_other(simulator, aws, settings, tmp_path, operation):
    """While one account hangs before its first listing, the others are read completely."""
    fleet = fleet_of(functions=4, versions=2, regions=(*REGIONS, "me-south-1"))
    hanging = {"account_id": ACCOUNTS[1]} if operation == "ListRegions" else {}
    async with simulator(Fault(operation=operation, kind="hang", **hanging), fleet=fleet) as server:
        options = settings(server.url, account_role=ROLE, organization=True, regions=("all",))
        waiting = asyncio.Event()

        async def watch(progress):
            # The progress has counters and no events.
            while len({shard.scope.account_id for shard in progress.shards if shard.is_done}) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            waiting.set()

        run = asyncio.create_task(lexport.snapshot(tmp_path, options, report=watch))
        async with asyncio.timeout(40):  # an account that hangs is given up after a minute
            await waiting.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run


async def test_each_account_region_has_its_own_quota(simulator, aws, settings, tmp_path):
    """Twelve account-regions at strict quotas, scaled down, do not share one quota, and are rarely throttled."""
    fleet = fleet_of(functions=16, versions=3)
    rates = {GET_FUNCTION_QUOTA: 25.0, LIST_QUOTA: 10.0}
    options = {"get_function_rate_per_s": 25.0, "list_rate_per_s": 10.0}
    async with simulator(fleet=fleet, quotas=True, rates=rates) as server:
        result = await lexport.snapshot(
            tmp_path, settings(server.url, account_role=ROLE, accounts=ACCOUNTS[1:], regions=REGIONS, **options)
        )

    calls, throttles = (
        sum(getattr(scope, name) for scope in result.manifest.scopes) for name in ("get_function_calls", "throttles")
    )
    assert result.published
    assert {64} == {scope.versions for scope in result.manifest.scopes}
    assert throttles < 0.1 * calls
    assert result.duration_s < calls / 20 / 2  # one quota for all could not be faster than calls / 20
