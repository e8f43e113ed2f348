"""Workers, schedulers and commands that die, stand still or are cut off: the tables are those of a run without."""

from __future__ import annotations

import os
import re
import shlex
import signal

import anyio
import psutil
import pytest
from worker_runs import IS_WHOLE

from lexport.simulator import Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1", "sa-east-1")
VERSIONS = 4 * 20 * 4
ENDS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
WAITS = {"LEXPORT_TEST_WAITS": "0.05"}


def fleet_of(functions=20):
    return Fleet(FleetSpec(functions=functions, versions=3, regions=REGIONS))


def made(server):
    return sum(count for (_, _, call), count in server.calls.items() if call == "GetFunction")


async def until(is_so, within_s=60):
    with anyio.fail_after(within_s):
        while not is_so():  # noqa: ASYNC110 - the simulator has counters and no events
            await anyio.sleep(0.01)


def options(flags, url):
    regions = (part for region in REGIONS for part in ("--region", region))
    return [*flags(url, *regions), "--get-function-rate", "20"]  # few calls are on their way at any moment


def check_rows(look, dest, fleet):
    """Every version is there once."""
    rows = look.read_rows(dest)["functions"]
    keys = [(row["region"], row["function_name"], row["version"]) for row in rows]
    assert len(set(keys)) == len(keys) == VERSIONS


async def test_the_scheduler_dies(simulator, environment, start_lexport, run_lexport, dask, flags, look, tmp_path):
    """The run ends with one line, which says how to go on; its command goes on without dask."""
    environment |= WAITS | {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2 s"}
    fleet, dest = fleet_of(), tmp_path / "fleet"
    async with simulator(fleet=fleet) as server:
        with dask(2) as running:
            arguments = options(flags, server.url)
            async with start_lexport("snapshot", dest, *arguments, "--dask", running.url) as run:
                await until(lambda: made(server) >= VERSIONS // 2)
                running.scheduler.kill()
                with anyio.fail_after(60):
                    said = b"".join([part async for part in run.stderr]).decode()
                    assert await run.wait() == 1, said
            assert "the scheduler of dask is gone" in said.splitlines()[-1]
            assert "Traceback" not in said
            if IS_WHOLE:  # dask tries to connect again for half a minute
                await until(lambda: all(worker.poll() is not None for worker in running.workers), 90)
        before = made(server)
        done = await run_lexport("snapshot", dest, *arguments, "--resume", re.search(r"--resume (\S+)", said)[1])
    assert done.code == 0, done.err
    check_rows(look, dest, fleet)
    if IS_WHOLE:  # workers that outlive the scheduler for a while make calls too
        assert made(server) - before < VERSIONS


async def test_a_command_that_is_killed(
    simulator, environment, start_lexport, run_lexport, dask, flags, look, tmp_path
):
    """Workers started by hand stop soon after the command was killed; a resumed run goes on from what they wrote."""
    environment |= {"LEXPORT_TEST_WAITS": "0.02"}
    fleet, dest = fleet_of(), tmp_path / "fleet"
    async with simulator(fleet=fleet) as server:
        with dask(2) as running:
            arguments = options(flags, server.url)
            slow = ["--get-function-rate", "8", "--dask", running.url]
            async with start_lexport("snapshot", dest, *arguments, *slow) as run:
                await until(lambda: made(server) >= 20)
                run.kill()
                await run.wait()
            (left,) = (path.name for path in (dest / "_staging").iterdir())
            calls = [made(server)]
            with anyio.fail_after(30):
                while len(calls) < 4 or calls[-1] != calls[-4]:
                    await anyio.sleep(0.5)
                    calls.append(made(server))
            assert calls[-1] < VERSIONS
        done = await run_lexport("snapshot", dest, *arguments, "--resume", left)
    assert done.code == 0, done.err
    check_rows(look, dest, fleet)
    assert made(server) <= VERSIONS + 40


@pytest.mark.parametrize(("number", "code"), ENDS if IS_WHOLE else ENDS[-1:])
async def test_the_processes_end_with_the_command(
    simulator, environment, start_lexport, run_lexport, flags, look, tmp_path, number, code
):
    """However the command ends, its workers end too; the line of an interrupted one has the command to go on."""
    (tmp_path / "tmp").mkdir()
    environment |= WAITS | {"TMPDIR": str(tmp_path / "tmp")}
    fleet, dest = fleet_of(), tmp_path / "fleet"
    async with simulator(fleet=fleet) as server:
        async with start_lexport(
            "snapshot", dest, *options(flags, server.url), "--processes", "2", "--shard-retries", "0"
        ) as run:
            await until(lambda: made(server) >= VERSIONS // 4)
            children = psutil.Process(run.pid).children(recursive=True)
            os.kill(run.pid, number)
            with anyio.fail_after(15):
                assert await run.wait() == code
            said = b"" if number == signal.SIGKILL else b"".join([part async for part in run.stderr])
            _, alive = await anyio.to_thread.run_sync(lambda: psutil.wait_procs(children, timeout=15))
            assert not alive
        if number != signal.SIGKILL:
            (line,) = said.decode().splitlines()
            command = shlex.split(line.partition("go on with: ")[2])[1:]
            assert not list((tmp_path / "tmp").iterdir())
            done = await run_lexport(*command)
            assert done.code == 0, done.err
            check_rows(look, dest, fleet)
            assert made(server) <= VERSIONS + 40
