"""``lexport shard plan``, ``read`` and ``commit``: one run in many processes, by the installed command."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

import lexport
from lexport.simulator import Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

ID = "01K00000000000000000000000"
REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=6, versions=3, regions=REGIONS))


async def test_three_steps_make_the_snapshot_of_one(
    simulator, aws, fleet, settings, flags, look, run_lexport, tmp_path
):
    """A run in a process for each account-region has the bytes of one process, and no step makes a call twice."""
    async with simulator(fleet=fleet) as server:
        planned = await run_lexport(
            "shard", "plan", "fleet", *flags(server.url, "--region", ",".join(REGIONS)), "--run", ID
        )
        again = await run_lexport(
            "shard", "plan", "fleet", *flags(server.url, "--region", ",".join(REGIONS)), "--run", ID
        )
        plan = json.loads(planned.out)
        assert (planned.code, planned.out) == (0, again.out)
        assert (plan["run"], plan["shards"]) == (ID, 3)
        lines = (tmp_path / "fleet" / plan["shards_path"]).read_text().splitlines()
        for line in lines:
            scope = json.loads(line)["scope"]
            read = await run_lexport("shard", "read", "fleet", ID, scope["account_id"], scope["region"])
            assert (read.code, json.loads(read.out)["status"]) == (0, "complete"), read.err
        calls = server.calls.copy()
        read = await run_lexport("shard", "read", "fleet", ID, scope["account_id"], scope["region"])
        assert json.loads(read.out)["status"] == "complete"
        committed = await run_lexport("shard", "commit", "fleet", ID)
        assert committed.code == 0, committed.err
        assert (await run_lexport("shard", "commit", "fleet", ID)).out == committed.out
        assert server.calls == calls
        done = json.loads(committed.out)
        alone = await lexport.snapshot(
            tmp_path / "alone",
            settings(
                server.url, regions=REGIONS, snapshot_id=ID, snapshot_at=datetime.fromisoformat(done["snapshot_at"])
            ),
        )

    assert (done["versions"], done["gaps"]) == (sum(scope.versions for scope in alone.manifest.scopes), 0)
    assert look.table_bytes(tmp_path / "fleet") == look.table_bytes(tmp_path / "alone")
