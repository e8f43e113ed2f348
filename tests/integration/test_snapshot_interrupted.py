"""A run that is interrupted publishes nothing, leaves earlier snapshots as they were, and keeps what it read."""

import asyncio
import shlex
import signal
import threading

import anyio
import pytest

import lexport
from lexport.simulator import Fault

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

STUCK = Fault(operation="GetFunction", kind="hang", after=40, times=None)


async def reached(simulator, look, calls):
    """Wait until the simulator has seen so many GetFunction calls."""
    with anyio.fail_after(20):
        while simulator.calls[look.account, look.region, "GetFunction"] < calls:  # noqa: ASYNC110 - it has no event
            await anyio.sleep(0.005)


def data(look, dest):
    """Return every file of a dataset except staging files."""
    return {path: body for path, body in look.tree(dest).items() if not path.startswith("_staging/")}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
async def test_signal(simulator, run_lexport, start_lexport, flags, look, tmp_path, number, code):
    """A signal ends the run with its code and one line, whose command goes on; the earlier snapshot keeps its bytes."""
    dest = tmp_path / "fleet"
    async with simulator(functions=30, versions=3) as aws:
        assert (await run_lexport("snapshot", dest, *flags(aws.url))).code == 0
        before = data(look, dest)
        aws.inject(Fault(operation="GetFunction", kind="hang", after=40, times=40))
        aws.calls.clear()
        async with start_lexport("snapshot", dest, *flags(aws.url)) as process:
            await reached(aws, look, 120)  # 40 calls hang; the responses of the others are there, or on their way
            process.send_signal(number)
            with anyio.fail_after(20):
                said = b"".join([part async for part in process.stderr])
                assert code == await process.wait()

        assert before == data(look, dest)
        (line,) = said.decode().splitlines()
        begin, _, rest = line.partition("; what was read is kept, with 0 of 1 account-region finished; go on with: ")
        assert begin == f"lexport: snapshot was interrupted by {number.name}; nothing was published"
        program, *command = shlex.split(rest)
        assert program == "lexport"
        aws.calls.clear()
        done = await run_lexport(*command)

    assert done.code == 0, done.err
    assert (aws.calls[look.account, look.region, "GetFunction"]) <= 120 - 40
    assert list((dest / "_staging").iterdir()) == []
    assert look.newest(dest).snapshot_id == command[-1]


async def test_killed(simulator, run_lexport, start_lexport, flags, look, tmp_path):
    """kill -9 leaves earlier snapshots as they were, and the next run publishes."""
    dest = tmp_path / "fleet"
    async with simulator(functions=30, versions=3) as aws:
        assert (await run_lexport("snapshot", dest, *flags(aws.url))).code == 0
        before = data(look, dest)
        aws.inject(Fault(operation="GetFunction", kind="hang", after=40, times=100))
        aws.calls.clear()
        async with start_lexport("snapshot", dest, *flags(aws.url)) as process:
            await reached(aws, look, 41)
            process.kill()
            await process.wait()
        assert before == data(look, dest)
        asked = await run_lexport("sql", dest, "SELECT count(*) FROM functions")
        assert asked.out.split()[-1] == "120"

    async with simulator(functions=30, versions=3) as aws:
        done = await run_lexport("snapshot", dest, *flags(aws.url))

    assert done.code == 0, done.err
    after = data(look, dest)
    assert {path: after[path] for path in before if path != "_latest.json"} == {
        path: body for path, body in before.items() if path != "_latest.json"
    }
    assert len(list(dest.glob("_runs/*.json"))) == 2


async def test_cancelled_call(simulator, aws, settings, look, tmp_path):
    """A library call that is cancelled inside a running loop leaves what it read, and the next call works."""
    dest = tmp_path / "fleet"
    async with simulator(functions=30, versions=3) as server:
        await lexport.snapshot(dest, settings(server.url))
        before = data(look, dest)
        server.calls.clear()
        server.inject(STUCK)
        task = asyncio.create_task(lexport.snapshot(dest, settings(server.url)))
        await reached(server, look, 41)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert before == data(look, dest)
        (left,) = (dest / "_staging").iterdir()
        assert not list(left.glob(".work-*"))

    async with simulator(functions=30, versions=3) as server:
        result = await lexport.snapshot(dest, settings(server.url))

    assert result.published
    assert result.snapshot_id == look.newest(dest).snapshot_id


@pytest.mark.parametrize("by", ["asyncio", "anyio"])
async def test_cancelled_while_publishing(simulator, aws, settings, look, at_event, tmp_path, by):
    """A cancellation that comes while a run publishes is too late: the snapshot is there, and the call says so."""
    dest = tmp_path / "fleet"
    loop, scope = asyncio.get_running_loop(), anyio.CancelScope()
    task, seen = None, threading.Event()

    def cancel_in_loop(rounds=5):
        if rounds == 5:
            (task if by == "asyncio" else scope).cancel()
        if rounds:  # what is cancelled had its turns
            loop.call_soon(cancel_in_loop, rounds - 1)
        else:
            seen.set()

    def cancel():  # in the thread that publishes
        loop.call_soon_threadsafe(cancel_in_loop)
        assert seen.wait(20)

    async def run(url):
        with scope:
            return await lexport.snapshot(dest, settings(url))

    at_event("os.link", cancel, on="snapshot_date=")
    async with simulator() as server:
        task = asyncio.create_task(run(server.url))
        result = await task

    assert seen.is_set()
    assert result.published
    assert result.snapshot_id == look.newest(dest).snapshot_id
    assert await lexport.verify(dest, data=True) == ()
    assert list((dest / "_staging").iterdir()) == []


async def test_timeout(simulator, aws, settings, tmp_path):
    """A deadline of anyio around the call works as any cancellation does."""
    async with simulator(Fault(operation="ListFunctions", kind="hang", times=None)) as server:
        with anyio.move_on_after(0.3) as scope:
            await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    assert scope.cancelled_caught
    assert [path.name for path in (tmp_path / "fleet").iterdir()] == ["_staging"]
    assert not list((tmp_path / "fleet").rglob(".work-*"))


async def test_two_at_once(simulator, aws, settings, look, tmp_path):
    """Two runs into one destination at once both commit."""
    async with simulator(functions=30, versions=3) as server:
        first, second = await asyncio.gather(
            lexport.snapshot(tmp_path / "fleet", settings(server.url)),
            lexport.snapshot(tmp_path / "fleet", settings(server.url)),
        )

    committed = sorted([first.snapshot_id, second.snapshot_id])
    assert committed == sorted(path.stem for path in tmp_path.glob("fleet/_runs/*.json"))
    assert committed[-1] in (tmp_path / "fleet" / "_latest.json").read_text()
    asked = await lexport.sql(tmp_path / "fleet", "SELECT count(*) AS n FROM history.functions")
    assert asked.to_pylist() == [{"n": 240}]
