"""``packages`` and ``snapshot --packages`` on workers: they die, keep the quota, and let no link out."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal

import anyio
import psutil
import pytest
from worker_runs import whole

from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

PACKAGES = "_packages/sha256"
STALE = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "2 s"}


def fleet_of(functions):
    return Fleet(FleetSpec(functions=functions, versions=1))


def made(server):
    return sum(count for (_, _, call), count in server.calls.items() if call == "GetFunction")


def stored(dest):
    """The stored packages; the name of each is the hash of its bytes."""
    files = sorted((dest / PACKAGES).rglob("*.zip"))
    for path in files:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    return [path.name for path in files]


async def until(is_so, within_s=60):
    with anyio.fail_after(within_s):
        while not is_so():  # noqa: ASYNC110 - the simulator has counters and no events
            await anyio.sleep(0.01)


def without_run(rows):
    """The rows of packages without what tells of the run, and of a try before this one."""
    own = ("snapshot_id", "snapshot_at", "verified_at", "status")
    return [{name: value for name, value in row.items() if name not in own} for row in rows]


async def test_a_worker_that_dies(simulator, environment, run_lexport, start_lexport, dask, flags, look, tmp_path):
    """What a dead worker had to fetch is fetched elsewhere, and what it stored is kept."""
    environment |= {"LEXPORT_TEST_WAITS": "0.02"} | STALE
    fleet, dests = fleet_of(50), [tmp_path / name for name in ("one", "several")]
    async with simulator(fleet=fleet) as server:
        done = await run_lexport("snapshot", dests[0], *flags(server.url))
        assert done.code == 0, done.err
        shutil.copytree(*dests)
        one = await run_lexport("packages", dests[0], *flags(server.url), "--allow-partial")
        assert one.code == 0, one.err
        with dask(2) as running:
            slow = [*flags(server.url), "--get-function-rate", "60", "--dask", running.url, "--allow-partial"]
            before = made(server)
            async with start_lexport("packages", dests[1], *slow) as run:
                await until(lambda: made(server) >= before + 20)
                running.workers[0].kill()
                with anyio.fail_after(60):
                    said = b"".join([part async for part in run.stderr]).decode()
                    assert await run.wait() == 0, said
            assert made(server) - before <= len(stored(dests[0])) + 16
    assert stored(dests[1]) == stored(dests[0])
    tables = [without_run(look.read_rows(dest)["packages"]) for dest in dests]
    assert tables[1] == tables[0]
    assert {row["status"] for row in look.read_rows(dests[1])["packages"]} > {"stored", "denied"}


@whole
async def test_a_command_that_is_killed(simulator, environment, run_lexport, start_lexport, dask, flags, tmp_path):
    """Workers started by hand stop soon after their command was killed."""
    environment |= {"LEXPORT_TEST_WAITS": "0.02"} | STALE
    dest = tmp_path / "fleet"
    async with simulator(fleet=fleet_of(50)) as server:
        assert (await run_lexport("snapshot", dest, *flags(server.url))).code == 0
        with dask(2) as running:
            before = made(server)
            slow = [*flags(server.url), "--get-function-rate", "5", "--dask", running.url]
            async with start_lexport("packages", dest, *slow) as run:
                await until(lambda: made(server) >= before + 3)
                os.kill(run.pid, signal.SIGKILL)
                await run.wait()
            calls = [made(server)]
            with anyio.fail_after(30):
                while len(calls) < 4 or calls[-1] != calls[-4]:
                    await anyio.sleep(0.4)
                    calls.append(made(server))
            assert calls[-1] - before < 30  # the tasks that they had begun need 40


async def test_a_command_that_is_interrupted(simulator, run_lexport, start_lexport, flags, tmp_path):
    """SIGINT is exit 130; its workers end with it, and what they had stored stays and is not fetched again."""
    fleet, dest = fleet_of(60), tmp_path / "fleet"
    async with simulator(fleet=fleet) as server:
        assert (await run_lexport("snapshot", dest, *flags(server.url))).code == 0
        before = made(server)
        arguments = ["packages", dest, *flags(server.url), "--allow-partial", "--processes", "2"]
        async with start_lexport(*arguments, "--get-function-rate", "5") as run:
            await until(lambda: made(server) >= before + 8 and (dest / PACKAGES).exists() and stored(dest))
            children = psutil.Process(run.pid).children(recursive=True)
            os.kill(run.pid, signal.SIGINT)
            with anyio.fail_after(60):
                said = b"".join([part async for part in run.stderr]).decode().splitlines()
                assert await run.wait() == 130, said
        _, alive = await anyio.to_thread.run_sync(lambda: psutil.wait_procs(children, timeout=15))
        assert (len(children) >= 2, alive) == (True, [])
        assert "packages was interrupted by SIGINT" in said[-1]
        kept, before = stored(dest), made(server)
        assert kept
        assert all(path.stat().st_size for path in dest.rglob("*.part*"))  # the next run goes on from its bytes
        done = await run_lexport(*arguments)
        assert done.code in (0, 3), done.err
        assert not list(dest.rglob("*.part*"))
        assert made(server) - before <= 2 * 60 - len(kept)
    assert set(kept) < set(stored(dest))


@whole
async def test_a_bucket(simulator, run_lexport, flags, bucket, tmp_path):
    """Workers store packages in a bucket under the names, and with the bytes, that they have in a folder."""
    fleet, folder = fleet_of(12), tmp_path / "fleet"
    async with simulator(fleet=fleet) as server:
        for dest, more in ((folder, []), (bucket.url, ["--processes", "2"])):
            assert (await run_lexport("snapshot", dest, *flags(server.url))).code == 0
            done = await run_lexport("packages", dest, *flags(server.url), "--allow-partial", *more)
            assert done.code in (0, 3), done.err
    found = sorted(bucket.keys())
    keys = [key for key in found if key.endswith(".zip")]
    assert [key.rpartition("/")[2] for key in keys] == stored(folder)
    for key in keys:
        body = bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read()
        assert hashlib.sha256(body).hexdigest() in key
    assert not [key for key in found if "_staging/" in key]


async def test_processes_keep_the_quota_together(simulator, run_lexport, look, flags, tmp_path):
    """Two processes that request links in one account-region are not throttled there; each is in the summary."""
    fleet, dest = fleet_of(150), tmp_path / "fleet"
    async with simulator(fleet=fleet) as server:
        done = await run_lexport("snapshot", dest, *flags(server.url))
        assert done.code == 0, done.err
    async with simulator(fleet=fleet, quotas=True) as server:
        url = ("--endpoint-url", server.url, "--region", "us-east-1", "--allow-partial")
        done = await run_lexport("packages", dest, *url, "--processes", "2")
        assert done.code == 0, done.err
        assert made(server) >= 200  # AWS gives out 100 links a second
        assert not server.throttles
    lines = [line for line in done.err.splitlines() if line.startswith("tls://")]
    assert len(lines) == 2
    count = sum(int(line.split(" package")[0].split()[-1]) for line in lines)
    assert count == sum(row["status"] == "stored" for row in look.read_rows(dest)["packages"])


async def test_no_link_leaves_a_worker(simulator, environment, run_lexport, dask, flags, look, tmp_path):
    """A snapshot fetches packages on its workers; the scheduler and the tables see no link, of failures neither."""
    from distributed import Client

    environment["LEXPORT_TEST_WAITS"] = "0.01"
    fleet, dests = fleet_of(8), [tmp_path / "one", tmp_path / "several"]
    faults = [
        Fault(operation="GetFunction", kind="denied", function_name=fleet.name(1), times=None),
        Fault(operation="GetObject", kind="reset", function_name=fleet.name(2), times=None),
        Fault(operation="GetObject", kind="expired", function_name=fleet.name(3), times=None),
        Fault(operation="GetObject", kind="corrupt", function_name=fleet.name(4), times=None),
    ]
    async with simulator(*faults, fleet=fleet, verify=False) as server:
        options = [*flags(server.url), "--packages", "--layers", "--allow-partial"]
        with dask(2, AWS_SECRET_ACCESS_KEY="canary/secret/of/the/worker") as running:
            done = [await run_lexport("snapshot", dests[0], *options)]
            async with Client(running.url, asynchronous=True, set_as_default=False) as client:
                done.append(await run_lexport("snapshot", dests[1], *options, "--dask", running.url))
                await client.dump_cluster_state(str(tmp_path / "dump"), format="yaml")
                kept = [await client.get_events(), await client.get_scheduler_logs(), await client.get_worker_logs()]
            printed = [running.said(name) for name in ("scheduler", "worker-0", "worker-1")]
    assert [ended.code for ended in done] == [3, 3], done[1].err
    assert stored(dests[1]) == stored(dests[0])
    assert len(stored(dests[0])) > 4
    rows = [look.read_rows(dest) for dest in dests]
    for table in ("packages", "layer_versions"):
        assert without_run(rows[1][table]) == without_run(rows[0][table])
    assert {row["status"] for row in rows[1]["packages"]} >= {"stored", "failed"}
    seen = "".join((str(kept), *printed, done[1].err, (tmp_path / "dump.yaml").read_text(errors="replace")))
    seen += "".join(str(body) for path, body in look.tree(dests[1]).items() if not path.endswith(".zip"))
    assert "packages-000000" in seen
    for secret in ("X-Amz-Signature", "canary/secret", environment["LEXPORT_HASH_KEY"]):
        assert secret not in seen


@whole
async def test_no_scheduler(simulator, environment, run_lexport, flags, tmp_path):
    """One line says what is wrong, and nothing was fetched."""
    environment["LEXPORT_TEST_WAITS"] = "0.02"
    dest = tmp_path / "fleet"
    async with simulator(functions=2) as server:
        assert (await run_lexport("snapshot", dest, *flags(server.url))).code == 0
        done = await run_lexport("packages", dest, *flags(server.url), "--dask", "tcp://127.0.0.1:1")
    assert (done.code, "no scheduler answers there" in done.last) == (1, True), done.err
    assert not (dest / "_packages").exists() or not stored(dest)
