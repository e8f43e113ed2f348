"""``snapshot --processes`` with fewer account-regions than processes."""

from __future__ import annotations

import pytest

import lexport
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

HUB, OTHER = "111122223333", "111122223334"
REGIONS = ("us-east-1", "eu-west-1")


async def test_one_account_that_is_entered_late(simulator, aws, fast_retries, settings, tmp_path):
    """One shard on two processes ends; all Regions of an account that is entered only then are in the snapshot."""
    fleet = Fleet(FleetSpec(accounts=(HUB, OTHER), functions=2, versions=1, regions=REGIONS))
    lost = Fault(operation="AssumeRole", account_id=HUB, kind="error", status=400, code="Odd", times=1)
    options = {"account_role": "reader", "accounts": (OTHER,), "regions": ("all",), "processes": 2}
    async with simulator(lost, fleet=fleet) as server:
        done = await lexport.snapshot(tmp_path / "fleet", settings(server.url, **options))

    read = {scope.region for scope in done.manifest.scopes if scope.functions}
    assert (done.manifest.gaps, read) == (0, set(REGIONS))
    assert "aws-global" not in {scope.region for scope in done.manifest.scopes}
