"""Readers and commits of a planned run that are ended, late or doubled, and what cannot be read: nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
from functools import partial

import anyio
import pytest

from lexport.model import Scope
from lexport.pipeline import commit_shards
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

ID = "01K00000000000000000000000"
HUB, OTHER, CLOSED = "111122223333", "111122223334", "111122223335"
REGIONS = ("us-east-1", "eu-west-1")
HERE, THERE = (HUB, REGIONS[0]), (HUB, REGIONS[1])


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=4, versions=2, regions=REGIONS))


@pytest.fixture
def dest(tmp_path):
    return str(tmp_path / "fleet")


@pytest.fixture
def run(forks, fast_retries):
    """Run a command quickly, one at a time."""

    async def invoke(*arguments, **how):
        return await anyio.to_thread.run_sync(partial(forks.run, *arguments, **how))

    return invoke


@pytest.fixture
def plan(run, flags, dest):
    """Plan the run of the tests."""

    async def invoke(server, *more, dest=dest):
        regions = () if "--region" in more or "--function" in more else ("--region", ",".join(REGIONS))
        done = await run("shard", "plan", dest, *flags(server.url, *regions, *more), "--run", ID)
        assert done.code == 0, done
        return json.loads(done.out)

    return invoke


@pytest.fixture
def shard(run, dest):
    """Run ``lexport shard read`` or ``commit`` for the run of the tests."""

    async def invoke(step, *arguments, dest=dest, **how):
        return await run("shard", step, dest, ID, *arguments, **how)

    return invoke


def staged(tmp_path, pattern):
    return sorted(tmp_path.glob(f"fleet/_staging/{ID}/{pattern}"))


async def until(condition):
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - another process makes it true
            await anyio.sleep(0.02)


# --- readers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_reader_that_is_ended(simulator, plan, shard, forks, dest, tmp_path, number):
    """A reader that is started again makes only the calls of what was not staged; SIGTERM stages all that was read."""
    fleet = Fleet(FleetSpec(functions=40, versions=2, regions=REGIONS))
    last = fleet.name(39)
    async with simulator(fleet=fleet) as server:
        await plan(server)
        whole = await shard("read", *THERE)
        due = server.calls[*THERE, "GetFunction"]
        server.calls.clear()
        server.inject(Fault(operation="GetFunction", region=REGIONS[0], function_name=last, kind="hang", times=1))
        path = tmp_path / "fleet" / "_staging" / ID / "run.json"
        planned = json.loads(path.read_text())
        often = planned["settings"] | {"flush_after_s": 0.1}
        path.write_text(json.dumps(planned | {"settings": often}))
        pid = await anyio.to_thread.run_sync(partial(forks.start, "shard", "read", dest, ID, *HERE))
        await until(lambda: server.calls[*HERE, "GetFunction"] == due)
        await until(lambda: staged(tmp_path, f"{HUB}-us-east-1/0001/*.run"))
        await anyio.sleep(0.5)  # the last rows are flushed
        os.kill(pid, number)
        ended = await anyio.to_thread.run_sync(forks.wait, pid)
        server.calls.clear()
        again = await shard("read", *HERE)
        made = server.calls[*HERE, "GetFunction"]

    assert ended.code == (-9 if number == signal.SIGKILL else 143), ended
    if number == signal.SIGTERM:
        assert "what was read is kept; the same command goes on with it" in ended.last
    assert (again.code, json.loads(again.out)["attempt"]) == (0, 2), again
    assert json.loads(again.out)["references"] == json.loads(whole.out)["references"]
    assert made == 1


async def test_two_readers_of_one(simulator, plan, shard, fleet, dest, look, run_lexport, tmp_path):
    """Two readers of one account-region at once end well, in attempts of their own; a third makes no call."""
    async with simulator(fleet=fleet) as server:
        await plan(server)
        done = []

        async def read():
            done.append(await run_lexport("shard", "read", dest, ID, *HERE))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(read)
        server.calls.clear()
        third = await shard("read", *HERE)
        assert not server.calls
        await shard("read", *THERE)
        committed = await shard("commit")

    assert [(one.code, one.out) for one in done] == [(0, third.out)] * 2, done
    assert committed.code == 0, committed
    expected = look.expected_rows(fleet, *(Scope(account_id=HUB, region=region) for region in REGIONS))
    assert look.facts(look.read_rows(tmp_path / "fleet")["functions"]) == expected["functions"]


async def test_a_reader_after_the_commit(simulator, plan, shard, fleet, dest, forks, tmp_path):
    """A reader that is at work when the run is published is exit 6, and nothing of it stays."""
    slow = Fault(operation="GetFunction", region=REGIONS[0], kind="slow", delay_s=2.0, times=1)
    async with simulator(slow, fleet=fleet) as server:
        await plan(server)
        await shard("read", *THERE)
        pid = await anyio.to_thread.run_sync(partial(forks.start, "shard", "read", dest, ID, *HERE))
        await until(lambda: server.calls[*HERE, "GetFunction"] > 0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(run_beside, forks, dest))
            late = await anyio.to_thread.run_sync(forks.wait, pid)
        after = await shard("read", *HERE)

    assert (late.code, after.code) == (6, 6), (late, after)
    assert "is published by now, or was removed" in late.last
    assert not [path for path in tmp_path.glob("fleet/_staging/**/*") if path.is_file()]


async def run_beside(forks, dest):
    """Commit in a process of its own, while ``forks`` waits for another command."""
    await commit_shards(dest, ID, allow_partial=True)


# --- commits ----------------------------------------------------------------------------------------------------------


async def test_a_commit_without_all_results(simulator, plan, shard, run, fleet, dest, look, tmp_path):
    """A commit names what is not read and leaves everything as it is; --allow-partial publishes the rest, exit 3."""
    async with simulator(fleet=fleet) as server:
        await plan(server)
        nothing = await shard("commit", "--allow-partial")
        await shard("read", *HERE)
        before = look.tree(tmp_path / "fleet")
        refused = await shard("commit")
        assert look.tree(tmp_path / "fleet") == before
        status = await run("status", dest)
        partial_ = await shard("commit", "--allow-partial")
        again = await shard("commit")

    assert (nothing.code, refused.code, partial_.code, again.code) == (1, 1, 3, 3), (nothing, refused, partial_)
    assert f"2 of 2 account-regions of the run {ID} are not read, so nothing was published: {HUB} us" in nothing.last
    assert f"1 of 2 account-regions of the run {ID} are not read, so nothing was published: {HUB} eu-w" in refused.last
    assert f"run {ID} is planned: 1 of 2 account-regions read, begun " in status.err
    assert f"lexport shard commit {dest} {ID}" in status.err
    assert "--resume" not in status.err
    assert again.out == partial_.out
    done = json.loads(partial_.out)
    assert (done["status"], done["gaps"], done["shards"]) == ("partial", 1, 2)
    (row,) = look.read_rows(tmp_path / "fleet")["errors"]
    assert (row["region"], row["error_code"], row["is_gap"]) == (REGIONS[1], "not_read", True)


async def test_two_commits_at_once(simulator, plan, shard, fleet, dest, run_lexport, tmp_path):
    """Of two commits at once each prints the same, or is exit 6; one that was killed after it published is finished."""
    async with simulator(fleet=fleet) as server:
        await plan(server)
        for scope in (HERE, THERE):
            await shard("read", *scope)
        done = []

        async def commit():
            done.append(await run_lexport("shard", "commit", dest, ID))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(commit)
            tasks.start_soon(commit)
    winner = next(one for one in done if one.code == 0)
    assert all(one.code == 6 or one.out == winner.out for one in done), done
    (snapshots,) = tmp_path.glob("fleet/snapshots/*/*.parquet")
    snapshots.unlink()
    left = tmp_path / "fleet" / "_staging" / ID / f"{HUB}-us-east-1" / "0001" / "begun.json"
    left.parent.mkdir(parents=True)
    left.write_text("{}")
    finished = await shard("commit")

    assert finished.out == winner.out
    assert snapshots.exists()
    assert not left.exists()


async def test_what_cannot_be_read(simulator, plan, shard, fleet, dest, tmp_path):
    """Denied is read with gaps, exit 3; what fails for ever is exit 1 and keeps its best result; both can be committed.

    An attempt that reads less, or is killed, does not take the result of an earlier one away.
    """
    name = fleet.name(0)
    denied = Fault(operation="GetFunction", function_name=name, region=REGIONS[1], kind="denied", times=None)
    broken = Fault(
        operation="GetFunction", function_name=name, region=REGIONS[0], kind="error", status=400, code="Odd", times=None
    )
    async with simulator(denied, broken, fleet=fleet) as server:
        await plan(server)
        with_gaps = await shard("read", *THERE)
        server.calls.clear()
        again = await shard("read", *THERE)
        assert not server.calls
        failed = await shard("read", *HERE)
        assert server.calls
        server.inject(
            Fault(operation="ListFunctions", region=REGIONS[0], kind="error", status=400, code="Odd", times=None)
        )
        worse = await shard("read", *HERE)
        refused = await shard("commit")
        committed = await shard("commit", "--allow-partial")

    assert (with_gaps.code, again.code, again.out) == (3, 3, with_gaps.out), with_gaps
    assert (failed.code, json.loads(failed.out)["is_final"]) == (1, False), failed
    assert (worse.code, json.loads(worse.out)["references"]["rows"]) == (
        1,
        json.loads(failed.out)["references"]["rows"],
    )
    assert (refused.code, committed.code) == (1, 3), (refused, committed)
    assert f"lexport errors {dest} --run {ID}" in refused.last
    rows = sum(json.loads(one.out)["references"]["rows"] for one in (with_gaps, failed))
    assert json.loads(committed.out)["versions"] == rows


# --- accounts ---------------------------------------------------------------------------------------------------------


async def test_accounts_that_could_not_be_entered(simulator, plan, shard, tmp_path, look):
    """An account that could not be entered is one shard; once it is, none of its Regions is missed or read twice."""
    fleet = Fleet(
        FleetSpec(
            accounts=(HUB, OTHER, CLOSED),
            closed_accounts=(CLOSED,),
            functions=2,
            versions=1,
            regions=(*REGIONS, "me-south-1"),
        )
    )
    lost = Fault(operation="AssumeRole", account_id=HUB, kind="error", status=400, code="Odd", times=2)
    more = ("--region", "all", "--account-role", "reader", "--accounts", f"{OTHER},{CLOSED}")
    async with simulator(lost, fleet=fleet) as server:
        await plan(server, *more)
        lines = (tmp_path / "fleet" / "_staging" / ID / "shards.jsonl").read_text().splitlines()
        scopes = [tuple(json.loads(line)["scope"].values()) for line in lines]
        assert {scope for scope in scopes if scope[1] == "aws-global"} == {
            (OTHER, "aws-global"),
            (CLOSED, "aws-global"),
        }
        codes = {scope: (await shard("read", *scope)).code for scope in scopes if scope[0] != OTHER}
        stuck = Fault(
            operation="ListFunctions",
            account_id=OTHER,
            region=REGIONS[0],
            kind="error",
            status=400,
            code="Odd",
            times=1,
        )
        server.inject(stuck)
        half = await shard("read", OTHER, "aws-global")
        whole = await shard("read", OTHER, "aws-global")
        server.calls.clear()
        again = await shard("read", OTHER, "aws-global")
        assert not server.calls
        removed = staged(tmp_path, f"{OTHER}-eu-west-1/shard.json")[0]
        body = removed.read_bytes()
        removed.unlink()
        missed = await shard("commit")
        removed.write_bytes(body)
        refused = await shard("commit")
        committed = await shard("commit", "--allow-partial")

    assert codes == {(CLOSED, "aws-global"): 3}
    assert (half.code, whole.code, again.code, again.out) == (1, 0, 0, whole.out), (half, whole)
    assert (missed.code, refused.code, committed.code) == (1, 1, 3), (missed, refused, committed)
    assert f"are not read, so nothing was published: {OTHER} eu-west-1" in missed.last
    rows = look.read_rows(tmp_path / "fleet")
    found = {(row["account_id"], row["region"]): row["status"] for row in rows["scopes"]}
    assert {found[account, region] for account in (OTHER,) for region in REGIONS} == {"complete"}
    assert [scope for scope in found if scope[1] == "aws-global"] == [(CLOSED, "aws-global")]
    assert found[OTHER, "me-south-1"] == "unavailable"


# --- other commands ---------------------------------------------------------------------------------------------------


async def test_beside_snapshot_and_prune(simulator, plan, shard, run, fleet, flags, dest, tmp_path):
    """A new --resume leaves a planned run alone, --resume with its id takes it; a reader beside that one is exit 6."""
    async with simulator(fleet=fleet) as server:
        options = flags(server.url, "--region", ",".join(REGIONS))
        await plan(server)
        await shard("read", *HERE)
        kept = await run("prune", dest, "--keep-last", "1")
        newest = await run("snapshot", dest, *options, "--resume")
        assert staged(tmp_path, "run.json")
        claim = tmp_path / "fleet" / "_staging" / ID / "claim-0002.json"
        claim.write_bytes(
            b'{"attempt": 2, "owner": {"host": "h", "machine": "m", "namespace": "n", "pid": 1, "started": ""}}'
        )
        beside = await shard("read", *THERE)
        claim.unlink()
        server.calls.clear()
        taken = await run("snapshot", dest, *options, "--resume", ID)
        made = {region for _, region, name in server.calls if name == "GetFunction"}
        late = await shard("read", *THERE)

    assert (kept.code, newest.code) in ((0, 0), (1, 0)), (kept, newest)
    assert "lexport shard goes on with it" in newest.err
    assert (beside.code, taken.code, late.code) == (6, 0, 6), (beside, taken, late)
    assert made == {REGIONS[1]}


@pytest.mark.parametrize("env", ["none", "values"])
async def test_selection_and_variables(simulator, plan, shard, fleet, look, dest, tmp_path, env):
    """A list of functions and each kind of variables travel in the plan; without variables no key is needed."""
    names = [fleet.name(0), fleet.name(2)]
    chosen = [part for name in names for part in ("--function", name)]
    async with simulator(fleet=fleet) as server:
        await plan(server, *chosen, "--env", env)
        key = {"LEXPORT_HASH_KEY": ""} if env == "none" else {}
        read = await shard("read", *HERE, **key)
        committed = await shard("commit", **key)

    assert (read.code, committed.code) == (0, 0), (read, committed)
    rows = look.read_rows(tmp_path / "fleet")
    assert {row["function_name"] for row in rows["functions"]} == set(names)
    assert ("env_vars" in rows) == (env != "none")


async def test_in_a_bucket(simulator, bucket, plan, shard, forks, fleet, environment, tmp_path):
    """The steps work in a bucket as in a folder, and leave nothing but the snapshot."""
    dest = f"{bucket.url}/fleet"
    forks.environment = environment | {"TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    async with simulator(fleet=fleet) as server:
        planned = await plan(server, dest=dest)
        for scope in (HERE, THERE):
            read = await shard("read", *scope, dest=dest)
            assert read.code == 0, read
        reader = {"AWS_ACCESS_KEY_ID": "reading", "AWS_SECRET_ACCESS_KEY": "reading"}
        absent = await shard("read", *HERE, dest=f"s3://{bucket.name}-absent/fleet")
        denied = await shard("commit", dest=dest, **reader)
        committed = await shard("commit", dest=dest)
        again = await shard("commit", dest=dest)

    assert planned["destination"] == dest
    assert (absent.code, denied.code, committed.code, again.out) == (2, 5, 0, committed.out), (
        absent,
        denied,
        committed,
    )
    assert not [key for key in bucket.keys().copy() if "/_staging/" in key]
    assert not bucket.uploads()


# --- killed at each change to the disk --------------------------------------------------------------------------------

DIE = """
import os, sys
from lexport.cli.main import run
left, counts = {at}, os.open("changes", os.O_CREAT | os.O_WRONLY)
def count(event, arguments):
    global left
    if event in ("os.link", "os.rename", "os.remove", "os.rmdir", "os.mkdir"):
        left -= 1
        os.pwrite(counts, b"%6d" % -left, 0)
        if not left:
            os._exit(9)
sys.addaudithook(count)
sys.exit(run({line!r}))
"""


@pytest.mark.parametrize("step", ["plan", "commit"])
async def test_a_step_that_is_killed(simulator, plan, shard, run, fleet, flags, look, tmp_path, step):
    """Wherever ``plan`` or ``commit`` is killed, the same command ends the work, and nothing is left behind."""
    async with simulator(fleet=fleet) as server:
        line = ["shard", "plan", "fleet", *flags(server.url, "--region", ",".join(REGIONS)), "--run", ID]
        folder, before = tmp_path / "fleet", tmp_path / "before"
        if step == "commit":
            line = ["shard", "commit", "fleet", ID]
            await plan(server)
            for scope in (HERE, THERE):
                await shard("read", *scope)
        else:
            folder.mkdir()
        shutil.copytree(folder, before)
        whole = await run(script=DIE.format(at=0, line=line))
        changes = int((tmp_path / "changes").read_text())
        expected = data_of(look.tree(folder))
        for at in range(1, changes + 1, max(1, changes // 12)):
            shutil.rmtree(folder)
            shutil.copytree(before, folder)
            killed = await run(script=DIE.format(at=at, line=line))
            assert killed.code == 9, (at, killed)
            again = await run(*line)
            assert again.code == 0, (at, again)
            if step == "plan":
                assert json.loads(again.out)["shards"] == 2
                assert (await shard("read", *HERE)).code == 0
            else:
                assert (again.out, data_of(look.tree(folder))) == (whole.out, expected), at

    assert changes > 8


def data_of(files):
    """The bytes of the tables that do not tell of the run itself, and every file that is none of the snapshot's."""
    tables = sorted(
        (path.split("/")[0], body)
        for path, body in files.items()
        if path.endswith(".parquet") and not path.startswith(("errors", "scope", "snapshots", "_"))
    )
    others = [path for path in files if path.startswith("_staging") and "/.probe-" not in path]
    return tables, others, sum(path.startswith("snapshots") for path in files)
