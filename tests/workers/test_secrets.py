"""What the scheduler of dask sees and keeps of a run; where the parent of workers hands out what is secret."""

from __future__ import annotations

import pytest

from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_the_scheduler_sees_no_secret(simulator, environment, run_lexport, dask, flags, look, tmp_path):
    """Its log, its state, its events and the logs of the workers have no credentials, no key and no value."""
    from distributed import Client

    environment["AWS_SECRET_ACCESS_KEY"] = "canary/secret/of/the/command"
    fleet = Fleet(FleetSpec(functions=4, versions=2))
    denied = Fault(operation="GetFunction", kind="denied", function_name=fleet.name(1), times=None)
    async with simulator(denied, fleet=fleet, verify=False) as server:
        with dask(1, AWS_SECRET_ACCESS_KEY="canary/secret/of/the/worker") as running:
            async with Client(running.url, asynchronous=True, set_as_default=False) as client:
                done = await run_lexport(
                    "snapshot", tmp_path / "fleet", *flags(server.url), "--dask", running.url, "--allow-partial"
                )
                assert done.code == 3, done.err
                await client.dump_cluster_state(str(tmp_path / "dump"), format="yaml")
                events = await client.get_events()
                logs = [await client.get_scheduler_logs(), await client.get_worker_logs()]
            printed = running.said("scheduler") + running.said("worker-0")
    kept = "".join((str(events), str(logs), printed, (tmp_path / "dump.yaml").read_text(errors="replace")))
    assert "lexport" in kept
    for secret in ("canary/secret", environment["LEXPORT_HASH_KEY"], "X-Amz-Signature", *values(fleet, look.scope)):
        assert secret not in kept


def values(fleet, scope):
    """The values of the variables that only a reader of the fleet knows."""
    rows = fleet.expected(scope, env="values", value_hmac=str, hash_key_id="")
    found = {row["value"] for table, row in rows if table == "env_vars" and row["value"]}
    assert found
    return {value for value in found if len(value) > 12}


async def test_a_long_temporary_folder(simulator, environment, run_lexport, flags, tmp_path):
    """A socket has a short path at most; workers get their credentials nevertheless."""
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    async with simulator(functions=2) as server:
        done = await run_lexport(
            "snapshot", tmp_path / "fleet", *flags(server.url), "--processes", "1", TMPDIR=str(folder)
        )
    assert done.code == 0, done.err
    assert not list(folder.iterdir())
