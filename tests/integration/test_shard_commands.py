"""``lexport shard`` under wrong input, damaged plans, lost accounts and gaps: exit codes, messages and what is kept."""

from __future__ import annotations

import base64
import json
import re
from functools import partial

import anyio
import pytest

import lexport
from lexport.dataset.staging import StagingError
from lexport.errors import RunError, SettingsError
from lexport.extract.progress import report_nothing
from lexport.extract.shard_process import OwnAccess, read_planned_shard
from lexport.model import Scope
from lexport.pipeline import commit_shards
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

ID, OTHER = "01K00000000000000000000000", "01K00000000000000000000001"
HUB, CLOSED = "111122223333", "111122223334"
REGIONS = ("us-east-1", "eu-west-1")


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=4, versions=2, regions=REGIONS))


@pytest.fixture
def shard(forks, fast_retries):
    """Run ``lexport shard STEP`` for a run in the folder ``fleet``; ``dest`` and ``run`` are others if given."""

    async def invoke(step, *arguments, dest="fleet", run=ID, **how):
        line = ["shard", step, dest, *(() if step == "plan" else (run,)), *arguments]
        return await anyio.to_thread.run_sync(partial(forks.run, *line, **how))

    return invoke


@pytest.fixture
def plan(shard, flags):
    """Plan the run of the tests."""

    async def invoke(server, *more, dest="fleet", run=ID, **how):
        regions = () if "--region" in more or "--function" in more else ("--region", ",".join(REGIONS))
        return await shard("plan", *flags(server.url, *regions, *more), "--run", run, dest=dest, **how)

    return invoke


def calls(server):
    return sum(server.calls.values())


# --- wrong use --------------------------------------------------------------------------------------------------------


async def test_wrong_use(simulator, shard, plan, flags, fleet, tmp_path, forks):
    """A run, an account, a Region, a key, credentials or a destination that do not fit end a step before any call."""
    async with simulator(fleet=fleet) as server:
        planned = await plan(server)
        assert planned.code == 0, planned.err
        before = server.calls.copy()
        key = base64.b64encode(b"another key that nobody planned.").decode()
        for code, words, step, arguments, how in (
            (2, "has no planned run", "read", (HUB, "us-east-1"), {"run": OTHER}),
            (2, "has no planned run", "read", (HUB, "us-east-1"), {"dest": "absent"}),
            (2, "has no planned run", "commit", (), {"dest": "absent"}),
            (2, "is not the whole id of a run", "read", (HUB, "us-east-1"), {"run": "newest"}),
            (2, "is not the id of an account", "read", ("me", "us-east-1"), {}),
            (2, "is not the name of a Region", "read", (HUB, "../.."), {}),
            (2, f"has no account-region {HUB} us-west-2", "read", (HUB, "us-west-2"), {}),
            (2, "has no account-region 999999999999", "read", ("999999999999", "us-east-1"), {}),
            (2, "planned with the hash key", "read", (HUB, "us-east-1"), {"LEXPORT_HASH_KEY": key}),
            (2, "none is here", "read", (HUB, "us-east-1"), {"LEXPORT_HASH_KEY": ""}),
            (2, "is no hash key", "read", (HUB, "us-east-1"), {"LEXPORT_HASH_KEY": "short"}),
            (2, "is not the whole id of a run", "plan", ("--run", "mine"), {}),
            (2, "lexport[cloud]|no bucket|does not exist|cannot be", "commit", (), {"dest": "s3://"}),
        ):
            done = await shard(step, *arguments, **how)
            assert (done.code, done.out) == (code, ""), (words, done)
            assert re.search(words, done.err), (words, done.err)
            assert len(done.err.splitlines()) == 1
        assert server.calls == before
    assert not (tmp_path / "absent").exists()


async def test_credentials(simulator, shard, plan, fleet, tmp_path):
    """Other credentials than those of the plan's account, and refused ones, are exit 5; the shard stays unread."""
    async with simulator(fleet=fleet) as server:
        await plan(server)
        path = tmp_path / "fleet" / "_staging" / ID / "shards.jsonl"
        path.write_text(path.read_text().replace(HUB, CLOSED))
        other = await shard("read", CLOSED, "us-east-1")
        path.write_text(path.read_text().replace(CLOSED, HUB))
        none = await shard("read", HUB, "us-east-1", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
        server.inject(Fault(operation="GetCallerIdentity", kind="expired_token", times=None))
        refused = await shard("read", HUB, "us-east-1")

    assert [done.code for done in (other, none, refused)] == [5, 5, 5], (other, none, refused)
    assert f"are of the account {HUB}, but the run was planned with those of {CLOSED}" in other.err
    assert not list(tmp_path.glob("fleet/_staging/*/*/shard.json"))


async def test_plan_wants_a_region(shard, tmp_path):
    """Without a Region nothing is planned, and nothing is left of the run."""
    done = await shard("plan", "--run", ID)

    assert (done.code, done.out) == (2, "")
    assert "no Region: give --region" in done.err
    assert not list(tmp_path.glob("fleet/_staging/*/*"))


# --- the plan, and what stands in its files ---------------------------------------------------------------------------


async def test_plan_again(simulator, shard, plan, fleet, tmp_path, forks):
    """A plan is made once: again it is printed, with other settings or another key it is exit 2."""
    staging = tmp_path / "fleet" / "_staging" / ID
    async with simulator(fleet=fleet) as server:
        first = await plan(server)
        before = server.calls.copy()
        again = await plan(server)
        others = await plan(server, "--env", "none")
        key = base64.b64encode(b"another key that nobody planned.").decode()
        other_key = await plan(server, LEXPORT_HASH_KEY=key)
        assert server.calls == before
        (staging / "claim-0001.json").unlink()
        unclaimed = await plan(server)
        claimed = (staging / "claim-0001.json").exists()
        (staging / "run.json").unlink()
        (staging / "claim-0001.json").unlink()
        (staging / "shards.jsonl").write_text("{")
        killed = await plan(server)
        lines = (staging / "shards.jsonl").read_text().splitlines()
        for line in lines:
            await shard("read", HUB, json.loads(line)["scope"]["region"])
        committed = await shard("commit")
        published = await plan(server)
        removed = await anyio.to_thread.run_sync(
            partial(forks.run, "snapshot", "fleet", "--endpoint-url", server.url, "--region", ",".join(REGIONS))
        )
        pruned = await anyio.to_thread.run_sync(partial(forks.run, "prune", "fleet", "--snapshot", ID))
        planned_after = await plan(server)

    assert (first.code, again.out, again.code) == (0, first.out, 0), first.err
    assert json.loads(first.out)["destination"] == str(tmp_path / "fleet")
    assert (others.code, other_key.code) == (2, 2)
    assert "begun with other settings (env: keys, now none)" in others.err
    assert "begun with another hash key" in other_key.err
    assert (unclaimed.code, claimed) == (0, True)
    assert (killed.code, len(lines), committed.code, removed.code) == (0, 2, 0, 0), (killed, committed, removed)
    assert (published.code, pruned.code, planned_after.code) == (6, 0, 6), (published, pruned, planned_after)


DAMAGES = {
    "run.json": [
        b"",
        b"{",
        b"[" * 100_000,
        b"[]",
        lambda plan: plan | {"format": "lexport-run/2"},
        lambda plan: plan | {"snapshot_id": OTHER},
        lambda plan: plan | {"snapshot_at": "2026-01-01T00:00:00"},
        lambda plan: plan | {"settings": {}},
        lambda plan: plan | {"settings": plan["settings"] | {"quota_share": 7}},
        lambda plan: plan | {"settings": plan["settings"] | {"regions": 1}},
        lambda plan: plan | {"settings": plan["settings"] | {"with_resources": ["nothing"]}},
        lambda plan: plan | {"settings": plan["settings"] | {"endpoint_url": "file:///etc"}},
        lambda plan: plan | {"settings": plan["settings"] | {"account_role": "a/b/c"}},
        lambda plan: plan | {"settings": plan["settings"] | {"refresh_after": "P9999999999D"}},
    ],
    "shards.jsonl": [
        b"",
        b"{",
        b"\xff\n",
        b'{"scope": {"account_id": "111122223333", "region": "us-east-1"}, "region_status": "fine"}\n',
        b'{"scope": {"account_id": "111122223333", "region": "us-east-1"}, "refs": [{}]}\n',
    ],
}


async def test_damaged_plan(simulator, shard, plan, fleet, tmp_path, aws):
    """Whatever stands in the files of a plan: no step believes it, or makes a call."""
    staging = tmp_path / "fleet" / "_staging" / ID

    async def step(name):
        if name == "read":
            scope = Scope(account_id=HUB, region=REGIONS[0])
            await read_planned_shard(tmp_path / "fleet", ID, scope, OwnAccess(), report=report_nothing)
        else:
            await commit_shards(tmp_path / "fleet", ID)

    async with simulator(fleet=fleet) as server:
        await plan(server)
        before = server.calls.copy()
        for name, damages in DAMAGES.items():
            path = staging / name
            whole = path.read_bytes()
            for damage in damages:
                body = damage if isinstance(damage, bytes) else json.dumps(damage(json.loads(whole))).encode()
                path.write_bytes(body)
                for step_name in ("read", "commit"):
                    with pytest.raises(RunError) as raised:
                        await step(step_name)
                    assert raised.value.exit_code in (1, 2), (name, body[-300:], raised.value)
            path.write_bytes(whole)
        (staging / "shards.jsonl").unlink()
        for step_name in ("read", "commit"):
            with pytest.raises(StagingError, match=r"shards\.jsonl"):
                await step(step_name)
        (staging / "run.json").write_text((staging / "run.json").read_text().replace(lexport.__version__, "0.0.1"))
        for step_name in ("read", "commit"):
            with pytest.raises(SettingsError, match=r"was planned by lexport 0\.0\.1"):
                await step(step_name)
        assert server.calls == before


async def test_damaged_results(simulator, shard, plan, fleet, tmp_path):
    """A damaged result or beginning of an attempt is read again; a commit never takes it for a read account-region."""
    folder = tmp_path / "fleet" / "_staging" / ID / f"{HUB}-us-east-1"
    async with simulator(fleet=fleet) as server:
        await plan(server)
        await shard("read", HUB, "eu-west-1")
        (folder / "0001").mkdir(parents=True)
        (folder / "0001" / "begun.json").write_bytes(b"[" * 5_000)
        (folder / "0007").mkdir()
        foreign = {"shard": {"scope": {"account_id": HUB, "region": "eu-west-1"}}, "status": "complete"}
        for body in (b"", b"{", json.dumps(foreign).encode(), b"[" * 100_000):
            (folder / "shard.json").write_bytes(body)
            refused = await shard("commit")
            assert refused.code == 1, refused
            assert f"1 of 2 account-regions of the run {ID} are not read" in refused.err
            assert f"{HUB} us-east-1" in refused.err
        read = await shard("read", HUB, "us-east-1")
        (staged, *_) = folder.glob("0008/*.run")
        staged.chmod(0o600)
        staged.write_bytes(staged.read_bytes()[:-9])
        torn = await shard("read", HUB, "us-east-1")
        committed = await shard("commit")

    assert (read.code, json.loads(read.out)["attempt"]) == (0, 8), read
    assert (torn.code, json.loads(torn.out)["attempt"], committed.code) == (0, 9, 0), (torn, committed)
