"""``snapshot --processes`` and ``--dask``: one run on several processes has the bytes of one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import lexport
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

ID = "01K00000000000000000000000"
ACCOUNTS = ("111122223333", "111122223334", "111122223335")
REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
CHANGING = ("errors", "scopes", "snapshots")


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(accounts=ACCOUNTS, functions=6, versions=3, regions=REGIONS))


def data(dest, look):
    """The bytes of every table that does not tell of the run itself; the names of files have the attempt's numbers."""
    return [
        (path.rpartition("-")[0], body)
        for path, body in look.tree(dest).items()
        if path.endswith(".parquet") and path.split("/")[0] not in CHANGING
    ]


async def test_two_processes_make_the_snapshot_of_one(
    simulator, aws, fleet, settings, flags, look, run_lexport, tmp_path
):
    """A run of two processes has the bytes of one process, and makes the same calls, but for those that size shards."""
    name = fleet.name(2)
    gone = Fault(operation="GetFunction", kind="denied", function_name=name, region="eu-west-1", times=None)
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    options = {"account_role": "reader", "accounts": ACCOUNTS, "regions": REGIONS, "allow_partial": True}
    options |= {"snapshot_id": ID, "snapshot_at": at}
    async with simulator(gone, fleet=fleet) as server:
        alone = await lexport.snapshot(tmp_path / "alone", settings(server.url, **options))
    async with simulator(gone, fleet=fleet) as server:
        shared = await lexport.snapshot(tmp_path / "shared", settings(server.url, processes=2, **options))

    assert (alone.workers, sum(worker.shards for worker in shared.workers)) == ((), 9)
    assert shared.manifest.gaps == alone.manifest.gaps
    assert data(tmp_path / "shared", look) == data(tmp_path / "alone", look)
    assert not list((tmp_path / "shared" / "_staging").iterdir())
