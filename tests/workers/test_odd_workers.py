"""Workers that cannot read: each shard gets its try on another one."""

from __future__ import annotations

import anyio
import psutil
import pytest
from hidden_modules import of_release, without
from worker_runs import whole

from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1", "sa-east-1")


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, marks=whole),
        {"LEXPORT_HASH_KEY": None},
        pytest.param({"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": ""}, marks=whole),
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


@whole
async def test_workers_of_another_release_and_without_lexport(
    simulator, environment, run_lexport, dask, flags, look, tmp_path
):
    """Where no worker has this release, the run says so and what to do; where one has, the others are named."""
    environment["LEXPORT_TEST_WAITS"] = "0.5"
    fleet, dest = Fleet(FleetSpec(functions=3, versions=1, regions=REGIONS)), tmp_path / "fleet"
    (tmp_path / "other").mkdir()
    async with simulator(fleet=fleet) as server:
        with dask(0) as running:
            arguments = [*flags(server.url, "--region", ",".join(REGIONS)), "--dask", running.url]
            running.start_workers(1, **of_release(tmp_path / "other", "0.0.7"))
            running.start_workers(1, **without(tmp_path / "python", "lexport"))
            with anyio.fail_after(60):
                while not running.are_registered():  # noqa: ASYNC110 - a log has no event
                    await anyio.sleep(0.05)
            server.calls.clear()
            refused = await run_lexport("snapshot", dest, *arguments)
            assert not [call for _, _, call in +server.calls if call in ("ListFunctions", "GetFunction")]
            assert not list((dest / "_staging").iterdir())
            running.start_workers(1)
            with anyio.fail_after(60):
                while not running.are_registered():  # noqa: ASYNC110 - a log has no event
                    await anyio.sleep(0.05)
            done = await run_lexport("snapshot", dest, *arguments)
    assert (refused.code, "install the same release on all machines" in refused.last) == (2, True), refused.err
    assert done.code == 0, done.err
    assert {"has lexport 0.0.7" in done.err, "has no lexport" in done.err} == {True}
    assert {row["region"] for row in look.read_rows(dest)["functions"]} == set(REGIONS)


async def test_a_scheduler_without_workers(simulator, environment, run_lexport, dask, flags, tmp_path):
    """The run waits for a worker for a while, and then says how to start one; no account-region was read."""
    environment["LEXPORT_TEST_WAITS"] = "0.02"
    async with simulator(functions=1) as server:
        with dask(0) as running:
            done = await run_lexport("snapshot", tmp_path / "fleet", *flags(server.url), "--dask", running.url)
        assert not server.calls["111122223333", "us-east-1", "ListFunctions"]
    assert done.code == 1, done.err
    assert (
        f"the scheduler has no worker, and none came within 1 s; start one with: dask worker {running.url}" in done.last
    )


async def test_a_run_that_is_terminated_twice(
    simulator, environment, start_lexport, run_lexport, flags, look, tmp_path
):
    """SIGTERM is exit 143 and leaves what can be resumed; a second signal ends the command at once.

    The command lines and the variables of its workers have no credentials and no key that were read from files.
    """
    environment |= {"LEXPORT_TEST_WAITS": "0.05", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del environment[name]
    key = environment.pop("LEXPORT_HASH_KEY")
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id=testing\naws_secret_access_key=canary/secret\n")
    (tmp_path / "key").write_text(key)
    (tmp_path / "key").chmod(0o600)
    fleet, dest = Fleet(FleetSpec(functions=4, versions=2)), tmp_path / "fleet"
    hang = Fault(operation="GetFunction", kind="hang", function_name=fleet.name(3), times=1)
    async with simulator(hang, fleet=fleet, verify=False) as server:
        arguments = [*flags(server.url), "--processes", "2", "--hash-key-file", tmp_path / "key"]
        async with start_lexport("snapshot", dest, *arguments) as run:
            with anyio.fail_after(60):
                while not server.calls["111122223333", "us-east-1", "GetFunction"]:  # noqa: ASYNC110 - a counter
                    await anyio.sleep(0.02)
                children = psutil.Process(run.pid).children(recursive=True)
                shown = "".join(str((child.cmdline(), child.environ())) for child in children)
                run.terminate()
                run.terminate()
                said = b"".join([part async for part in run.stderr]).decode()
                assert await run.wait() == 143, said
        assert len(children) >= 2
        assert [secret for secret in ("canary/secret", key) if secret in shown] == []
        done = await run_lexport("snapshot", dest, *arguments[:-4], *arguments[-2:], "--resume")  # without workers
    assert done.code == 0, done.err
    assert len(look.read_rows(dest)["functions"]) == 4 * 3
