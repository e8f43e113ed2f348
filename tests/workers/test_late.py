"""Workers that join a run which is being read."""

from __future__ import annotations

import anyio
import pytest
from worker_runs import whole

from lexport.simulator import Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

ACCOUNTS = [str(111122223333 + number) for number in range(9)]
REGIONS = ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1"]
AT_ONCE = 64  # account-regions that one process reads at the same time


@whole
async def test_one_that_comes_late(simulator, start_lexport, dask, flags, tmp_path):
    """It takes the account-regions that the first one has not begun, although dask had handed them to that one."""
    fleet = Fleet(FleetSpec(accounts=ACCOUNTS, functions=2, versions=1, regions=REGIONS))
    many = ["--account-role", "reader", "--accounts", ",".join(ACCOUNTS), "--region", ",".join(REGIONS)]
    never_ends = ["--get-function-rate", "0.01"]
    async with simulator(fleet=fleet) as server:
        with dask(1) as running:
            arguments = [*flags(server.url, *many), *never_ends, "--dask", running.url]
            async with start_lexport("snapshot", tmp_path / "fleet", *arguments) as run:

                async def reach(count, worker):
                    while begun(tmp_path / "fleet", worker) < count:
                        assert run.returncode is None
                        await anyio.sleep(0.1)

                with anyio.fail_after(120):
                    await reach(AT_ONCE, "worker-0")
                    running.start_workers(1)
                    await reach(len(ACCOUNTS) * len(REGIONS) - AT_ONCE, "worker-1")
                    run.terminate()
                    assert await run.wait() == 143
    assert begun(tmp_path / "fleet", "worker-0") == AT_ONCE


def begun(dest, worker):
    """How many account-regions a worker has begun."""
    return sum(f'"{worker}"' in path.read_text() for path in dest.glob("_staging/*/*/*/begun.json"))
