"""Runs that were refused, killed or are running: what ``status`` and ``errors`` show, and that their advice works."""

from __future__ import annotations

import json
import re
import shlex

import anyio
import pytest

from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

READ, STUCK = "us-east-1", "eu-west-1"


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=3, versions=1))


async def finished(dest, *, shards):
    """Wait until so many shards of the one run are finished."""
    with anyio.fail_after(20):
        while len(list(dest.glob("_staging/*/*/shard.json"))) < shards:  # noqa: ASYNC110 - another process writes them
            await anyio.sleep(0.02)


async def test_killed_run(simulator, run_lexport, start_lexport, flags, fleet, tmp_path):
    """A run is shown while it runs and after kill -9: the account-regions read, and what they could not read."""
    dest, name = tmp_path / "a fleet", fleet.name(0)
    denied = Fault(
        operation="GetFunction", function_name=name, qualifier="$LATEST", region=READ, kind="denied", times=None
    )
    stuck = Fault(operation="ListFunctions", region=STUCK, kind="hang")
    async with simulator(denied, stuck, fleet=fleet) as aws:
        options = flags(aws.url, "--region", f"{READ},{STUCK}")
        async with start_lexport("snapshot", dest, *options) as process:
            await finished(dest, shards=1)
            running = await run_lexport("status", dest)
            shown = await run_lexport("errors", dest, "--output", "jsonl")
            process.kill()
            await process.wait()
        killed = await run_lexport("status", dest, "--output", "json")
        kept = await run_lexport("errors", dest, "--output", "jsonl")
        (run,) = (path.name for path in dest.glob("_staging/*"))
        resume = re.search(r"lexport (snapshot .* --resume \w+)", killed.err)
        show = re.search(r"lexport (errors .*)", killed.err)
        resumed = await run_lexport(*shlex.split(resume[1]), *options, "--allow-partial")
    after = await run_lexport("status", dest)
    published = await run_lexport(*shlex.split(show[1]))

    assert (running.code, killed.code, shown.code, kept.code) == (1, 1, 0, 0)
    assert f"lexport: run {run} is running: 1 of 2 account-regions read, begun " in running.err
    assert f"lexport: run {run} was interrupted: 1 of 2 account-regions read, begun " in killed.err
    assert "--resume" not in running.err
    (row,) = map(json.loads, kept.out.splitlines())
    assert (row["region"], row["error_code"], row["function_name"]) == (READ, "AccessDeniedException", name)
    assert shown.out == kept.out
    assert f"run {run} (still running, not published yet): 1 error, 1 gap" in shown.err
    assert f"run {run} (interrupted, not published): 1 error, 1 gap" in kept.err
    assert resumed.code == 3, resumed.err
    assert run not in after.err
    assert f"run {run} (published with gaps): 1 error, 1 gap" in published.err


async def test_refused_run(simulator, run_lexport, flags, fleet, tmp_path):
    """The message of a refused run names ``lexport errors``, and ``status`` shows the run until it is published."""
    dest = tmp_path / "fleet"
    fault = Fault(operation="GetFunction", function_name=fleet.name(0), qualifier="$LATEST", kind="denied", times=None)
    async with simulator(fault, fleet=fleet) as aws:
        refused = await run_lexport("snapshot", dest, *flags(aws.url))
        (run,) = (path.name for path in dest.glob("_staging/*"))
        listed = await run_lexport("status", dest)
        named = re.search(r"lexport (errors \S+ --run \w+)", refused.last)
        shown = await run_lexport(*shlex.split(named[1]), "--output", "jsonl")
        partial = await run_lexport("snapshot", dest, *flags(aws.url, "--resume", run, "--allow-partial"))
    after = await run_lexport("status", dest)

    assert (refused.code, listed.code, shown.code, partial.code, after.code) == (1, 1, 0, 3, 1)
    assert f"run {run} was refused because of gaps: 1 of 1 account-region read, begun " in listed.err
    (row,) = map(json.loads, shown.out.splitlines())
    assert (row["is_gap"], row["function_name"], row["errors"]) == (True, fleet.name(0), 1)
    assert run in after.out
    assert run not in after.err


async def test_a_refused_run_in_a_bucket(simulator, bucket, run_lexport, flags, fleet):
    """A refused run in a bucket is shown as in a folder, from its table of errors and from its staged rows alike."""
    dest = f"{bucket.url}/fleet"
    fault = Fault(operation="GetFunction", function_name=fleet.name(0), qualifier="$LATEST", kind="denied", times=None)
    async with simulator(fault, fleet=fleet) as aws:
        refused = await run_lexport("snapshot", dest, *flags(aws.url))
    run = re.search(r" --run (\w+)", refused.last)[1]
    listed = await run_lexport("status", dest)
    shown = await run_lexport("errors", dest, "--output", "jsonl")
    bucket.client.delete_object(Bucket=bucket.name, Key=f"fleet/_staging/{run}/errors-0001.parquet")
    staged = await run_lexport("errors", dest, "--output", "jsonl")
    pruned = await run_lexport("prune", dest, "--snapshot", run)
    after = await run_lexport("status", dest)

    assert (refused.code, listed.code, shown.code, staged.code, pruned.code) == (1, 1, 0, 0, 0), refused.err
    assert f"lexport errors {dest} --run {run}" in refused.last
    assert f"run {run} was refused because of gaps: 1 of 1 account-region read, begun " in listed.err
    assert json.loads(shown.out)["function_name"] == fleet.name(0)
    assert shown.out == staged.out
    assert "(refused because of gaps, not published): 1 error, 1 gap" in shown.err
    assert "(interrupted, not published): 1 error, 1 gap" in staged.err
    assert run not in after.err
