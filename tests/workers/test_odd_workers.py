"""Workers that cannot read: each shard gets its try on another one."""

from __future__ import annotations

import anyio
import pytest

from lexport.simulator import Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1", "sa-east-1")


@pytest.mark.parametrize(
    "odd",
    [
        {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
        {"LEXPORT_HASH_KEY": None},
        {"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": ""},
    ],
    ids=["no credentials", "no hash key", "no network"],
)
async def test_one_worker_that_cannot_read(simulator, environment, run_lexport, dask, flags, look, tmp_path, odd):
    """It fails at once and would take every shard; those are read by the worker that can."""
    environment["LEXPORT_TEST_WAITS"] = "0.05"
    fleet, dest = Fleet(FleetSpec(functions=4, versions=2, regions=REGIONS)), tmp_path / "fleet"
    regions = [part for region in REGIONS for part in ("--region", region)]
    async with simulator(fleet=fleet) as server:
        with dask(1) as running:
            running.start_workers(1, **odd)
            with anyio.fail_after(60):
                while running.said("scheduler").count("Register worker") < 2:  # noqa: ASYNC110 - a log has no event
                    await anyio.sleep(0.05)
            arguments = [*flags(server.url, *regions), "--dask", running.url]
            done = await run_lexport("snapshot", dest, *arguments)
    assert done.code == 0, done.err
    assert "a try on" in done.err
    assert len(look.read_rows(dest)["functions"]) == 4 * 4 * 3


async def test_no_worker_can_read(simulator, environment, run_lexport, dask, flags, tmp_path):
    """Where no worker has credentials, the run ends with the exit code and the one line of a run without workers."""
    environment["LEXPORT_TEST_WAITS"] = "0.05"
    async with simulator(functions=2) as server:
        with dask(0) as running:
            running.start_workers(1, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
            done = await run_lexport("snapshot", tmp_path / "fleet", *flags(server.url), "--dask", running.url)
    assert done.code == 5, done.err
    assert "no worker can read" in done.last
