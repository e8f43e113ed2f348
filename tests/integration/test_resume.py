"""A run that was interrupted, refused or killed goes on: nothing that is staged is fetched again, nothing is lost."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import msgspec
import pytest

import lexport
from lexport.dataset import staging
from lexport.dataset.layout import claim_path, result_path
from lexport.dataset.local import LocalStore
from lexport.dataset.store import MOST_READ_BYTES
from lexport.errors import DeadlineError, IncompleteError, PublishError, ReadError, SettingsError
from lexport.model import RunSpec, Scope, Shard
from lexport.simulator import Change, Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
ID = "01K00000000000000000000000"
OTHER = "01J00000000000000000000000"


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=12, versions=3, regions=REGIONS))


@pytest.fixture
def options(settings, aws):
    """Settings of one run, always of the same id and instant."""

    def make(url, **more):
        at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
        return settings(url, **{"regions": REGIONS, "snapshot_id": ID, "snapshot_at": at, **more})

    return make


def calls(server, operation=None):
    """Count the calls by Region since the last time."""
    counted = {}
    for (_, region, name), count in server.calls.items():
        if name != "GetCallerIdentity" and operation in (None, name):
            counted[region] = counted.get(region, 0) + count
    server.calls.clear()
    return counted


async def interrupt(server, dest, settings, *, after):
    """Run until so many GetFunction calls were answered in ``ap-south-1``, then cancel."""
    server.inject(Fault(operation="GetFunction", kind="hang", region="ap-south-1", after=after, times=200))
    task = asyncio.create_task(lexport.snapshot(dest, settings))
    others = [Scope(account_id="111122223333", region=region) for region in REGIONS[:2]]

    def is_there():
        finished = all((dest / result_path(settings.snapshot_id, scope)).exists() for scope in others)
        return finished and server.calls["111122223333", "ap-south-1", "GetFunction"] > after

    with anyio.fail_after(20):
        while not is_there():  # noqa: ASYNC110 - the simulator has no event
            await anyio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def whole(simulator, fleet, dest, settings, look):
    """Run without an interruption; return the bytes of its tables."""
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(dest, replace(settings, endpoint_url=server.url))
    return look.table_bytes(dest)


async def test_only_what_is_missing_is_fetched(simulator, fleet, options, look, tmp_path):
    """A finished shard makes no call, a half-read one fetches what is not staged; every table has the same bytes."""
    dest = tmp_path / "fleet"
    async with simulator(fleet=fleet) as server:
        settings = options(server.url)
        expected = await whole(simulator, fleet, tmp_path / "whole", settings, look)
        await interrupt(server, dest, settings, after=30)
    async with simulator(fleet=fleet, port=int(settings.endpoint_url.rpartition(":")[2])) as server:
        result = await lexport.snapshot(dest, replace(settings, snapshot_id=None, snapshot_at=None, resume="newest"))
        made = calls(server)

    assert (result.snapshot_id, result.published) == (ID, True)
    assert set(made) == {"ap-south-1"}
    assert look.table_bytes(dest) == expected
    assert await lexport.verify(dest, data=True) == ()
    assert list((dest / "_staging").iterdir()) == []


async def test_two_interruptions(simulator, fleet, options, look, tmp_path):
    """A row that an attempt has staged again is one row, however often the run is interrupted, and nothing is gone."""
    dest = tmp_path / "fleet"
    async with simulator(fleet=fleet) as server:
        settings = options(server.url)
        expected = await whole(simulator, fleet, tmp_path / "whole", settings, look)
        await interrupt(server, dest, settings, after=20)
    again = replace(settings, snapshot_id=None, snapshot_at=None, resume=ID)
    for more in (8, 8):
        async with simulator(fleet=fleet, port=int(settings.endpoint_url.rpartition(":")[2])) as server:
            await interrupt(server, dest, replace(again, snapshot_id=ID), after=more)
    async with simulator(fleet=fleet, port=int(settings.endpoint_url.rpartition(":")[2])) as server:
        result = await lexport.snapshot(dest, again)
        fetched = calls(server, "GetFunction")

    assert result.published
    on_its_way = 3  # a response that is received after the interruption is requested again
    assert fetched["ap-south-1"] <= 12 * 4 - 20 - 8 - 8 + on_its_way
    assert look.table_bytes(dest) == expected
    assert not [kind for kind, _, _ in result.failures if kind.error_code == "gone"]


async def test_what_changed_meanwhile(simulator, fleet, options, tmp_path):
    """What changed since it was staged is fetched again; what is not listed any more is dropped, and is gone."""
    dest, scope = tmp_path / "fleet", Scope(account_id="111122223333", region="ap-south-1")
    async with simulator(fleet=fleet) as server:
        settings = options(server.url)
        await interrupt(server, dest, settings, after=48 - 1)
        port = int(settings.endpoint_url.rpartition(":")[2])
    rows = await staged_rows(dest, scope, tmp_path)
    kept = sorted({row["function_name"] for row in rows if row["version"] == "$LATEST"})
    gone, changed = kept[0], kept[1]
    async with simulator(fleet=fleet, port=port) as server:
        fleet.apply(Change(kind="delete_function", scope=scope, function_name=gone))
        fleet.apply(Change(kind="update_config", scope=scope, function_name=changed, memory_mb=3008))
        result = await lexport.snapshot(dest, replace(settings, snapshot_id=None, snapshot_at=None, resume=ID))

    assert result.published
    read = await lexport.sql(
        dest,
        f"SELECT function_name, memory_size FROM functions WHERE region = '{scope.region}' AND version = '$LATEST'",
    )
    memory = {row["function_name"]: row["memory_size"] for row in read.to_pylist()}
    assert gone not in memory
    assert memory[changed] == 3008
    errors = await lexport.sql(dest, "SELECT function_name, error_code, is_gap FROM errors WHERE error_code = 'gone'")
    assert {(row["function_name"], row["is_gap"]) for row in errors.to_pylist()} == {(gone, False)}
    assert await lexport.verify(dest, data=True) == ()


async def test_tags_that_were_removed_between_two_interruptions(simulator, fleet, options, tmp_path):
    """The tags of a staged version are those of the same response, not those of an earlier attempt."""
    dest, scope = tmp_path / "fleet", Scope(account_id="111122223333", region="ap-south-1")
    async with simulator(fleet=fleet) as server:
        settings = options(server.url)
        await lexport.snapshot(tmp_path / "before", settings)
        await interrupt(server, dest, settings, after=48 - 1)
        port = int(settings.endpoint_url.rpartition(":")[2])
    tagged = await lexport.sql(tmp_path / "before", f"SELECT function_name FROM tags WHERE region = '{scope.region}'")
    rows = await staged_rows(dest, scope, tmp_path)
    changed = next(row["function_name"] for row in tagged.to_pylist() if staged_latest(row["function_name"]) in rows)
    again = replace(settings, snapshot_id=None, snapshot_at=None, resume=ID)
    async with simulator(fleet=fleet, port=port) as server:
        fleet.apply(Change(kind="set_tags", scope=scope, function_name=changed, tags={}))
        fleet.apply(Change(kind="update_config", scope=scope, function_name=changed, memory_mb=3008))
        for name in {row["function_name"] for row in rows} - {changed}:
            server.inject(Fault(operation="GetFunction", kind="hang", function_name=name, times=None))
        task = asyncio.create_task(lexport.snapshot(dest, replace(again, flush_after_s=0.1)))
        with anyio.fail_after(20):
            while staged_latest(changed) not in await staged_rows(dest, scope, tmp_path, attempt=2):  # noqa: ASYNC110 - the run has no event
                await anyio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with simulator(fleet=fleet, port=port):
        result = await lexport.snapshot(dest, again)

    assert result.published
    read = await lexport.sql(
        dest, f"SELECT * FROM tags WHERE region = '{scope.region}' AND function_name = '{changed}'"
    )
    assert read.to_pylist() == []


def staged_latest(name):
    """The row of ``staged_rows`` that an unpublished version has."""
    return {"function_name": name, "version": "$LATEST"}


async def staged_rows(dest, scope, tmp_path, *, attempt=1):
    """The rows of ``functions`` that an attempt has staged of a shard."""
    store = LocalStore(dest)
    runs = [run for run in staging.staged_runs(store, ID, scope, before=attempt + 1) if f"/{attempt:04d}/" in run.path]
    sections = staging.open_staged(store, runs, tmp_path)
    return [
        row
        for section in sections
        if section.table == "functions"
        for block in section.blocks()
        for row in block.select(["function_name", "version"]).to_pylist()
    ]


async def test_denials_stay_and_failures_are_tried_again(simulator, fleet, options, tmp_path):
    """Of a refused run, what was denied is not asked for again, and what failed is; --allow-partial publishes."""
    dest = tmp_path / "fleet"
    faults = (
        Fault(operation="GetFunction", kind="denied", region="us-east-1", qualifier="1", times=1),
        Fault(operation="GetFunction", kind="error", status=400, code="Odd", region="eu-west-1", times=1),
    )
    async with simulator(*faults, fleet=fleet) as server:
        settings = options(server.url)
        with pytest.raises(IncompleteError):
            await lexport.snapshot(dest, settings)
        calls(server)
        again = replace(settings, snapshot_id=None, snapshot_at=None, resume="newest")
        with pytest.raises(IncompleteError) as refused:
            await lexport.snapshot(dest, again)
        made = calls(server, "GetFunction")
        assert made == {"eu-west-1": 1}
        assert refused.value.result.manifest.gaps == 1

        other = await lexport.snapshot(tmp_path / "other", replace(again, allow_partial=True))
        assert [note for note in other.notes if "a new run begins: no run is unfinished here" in note]
        calls(server)
        result = await lexport.snapshot(dest, replace(again, allow_partial=True))
        made = calls(server)

    assert (result.published, result.manifest.gaps, result.snapshot_id) == (True, 1, ID)
    assert made == {}


async def test_a_run_that_lacks_only_what_was_denied(simulator, fleet, options, tmp_path):
    """Without its id, such a run is left alone, since it would be refused again without a call; a new one begins."""
    denied = Fault(operation="GetFunction", kind="denied", region="us-east-1", qualifier="1", times=1)
    async with simulator(denied, fleet=fleet) as server:
        settings = options(server.url)
        with pytest.raises(IncompleteError):
            await lexport.snapshot(tmp_path, settings)
        result = await lexport.snapshot(
            tmp_path, replace(settings, snapshot_id=None, snapshot_at=None, resume="newest")
        )

    assert result.published
    assert result.snapshot_id != ID
    assert [note for note in result.notes if f"{ID}: what it lacks was denied; a new run asks again" in note]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"env": "none"}, "other settings .*env"),
        ({"regions": ("us-east-1",)}, "other settings .regions"),
        ({"resume_max_age": timedelta(seconds=1)}, "old, more than 1s"),
        ({"resume": "01K00000000000000000000009"}, f"no unfinished run of this id; unfinished are: {ID}"),
    ],
)
async def test_a_run_that_does_not_fit(simulator, fleet, options, tmp_path, change, why):
    """A named run that was begun otherwise, or is too old, is refused; the newest that does not fit is passed over."""
    async with simulator(fleet=fleet) as server:
        settings = options(server.url)
        await interrupt(server, tmp_path, settings, after=5)
    async with simulator(fleet=fleet, port=int(settings.endpoint_url.rpartition(":")[2])) as server:
        again = replace(settings, snapshot_id=None, snapshot_at=None, **{"resume": ID, **change})
        calls(server)
        with pytest.raises(SettingsError, match=why):
            await lexport.snapshot(tmp_path, again)
        assert calls(server) == {}
        result = await lexport.snapshot(tmp_path, replace(again, resume="newest"))

    assert result.published
    assert (result.snapshot_id == ID) is ("resume" in change)


async def test_two_at_one_run(simulator, fleet, options, tmp_path):
    """Of two processes that resume one run at once, one goes on, and the other is refused with exit code 6."""
    async with simulator(fleet=fleet) as server:
        settings = options(server.url)
        await interrupt(server, tmp_path, settings, after=5)
    async with simulator(fleet=fleet, port=int(settings.endpoint_url.rpartition(":")[2])) as server:
        again = replace(settings, snapshot_id=None, snapshot_at=None, resume=ID)
        both = await asyncio.gather(*(lexport.snapshot(tmp_path, again) for _ in range(2)), return_exceptions=True)

    assert [each.exit_code for each in both if isinstance(each, PublishError)] == [6]
    assert [each.published for each in both if not isinstance(each, Exception)] == [True]
    assert await lexport.verify(tmp_path, data=True) == ()


async def test_the_deadline(simulator, fleet, options, tmp_path):
    """A run that takes longer than --deadline ends with exit code 1, and goes on later."""
    async with simulator(Fault(operation="GetFunction", kind="hang", after=60, times=200), fleet=fleet) as server:
        settings = options(server.url, deadline=timedelta(seconds=4))
        with pytest.raises(DeadlineError, match="--deadline 4s is over, so nothing was published") as ended:
            await lexport.snapshot(tmp_path, settings)
        assert ended.value.exit_code == 1
    scopes = [Scope(account_id="111122223333", region=region) for region in REGIONS]
    staged = [row for scope in scopes for row in await staged_rows(tmp_path, scope, tmp_path)]
    async with simulator(fleet=fleet, port=int(settings.endpoint_url.rpartition(":")[2])) as server:
        result = await lexport.snapshot(
            tmp_path, replace(settings, snapshot_id=None, snapshot_at=None, deadline=None, resume=ID)
        )
        made = sum(calls(server, "GetFunction").values())

    assert result.published
    assert made == 12 * 4 * len(REGIONS) - len(staged)


async def test_staged_rows_that_are_damaged(simulator, fleet, options, look, tmp_path):
    """A staged file whose bytes changed is never published: its shard is read again."""
    dest = tmp_path / "fleet"
    async with simulator(fleet=fleet) as server:
        settings = options(server.url)
        expected = await whole(simulator, fleet, tmp_path / "whole", settings, look)
        await interrupt(server, dest, settings, after=30)
    for path in dest.glob("_staging/*/*/0001/*.run"):
        body = bytearray(path.read_bytes())
        body[len(body) // 2] ^= 1
        path.write_bytes(body)
    async with simulator(fleet=fleet, port=int(settings.endpoint_url.rpartition(":")[2])) as server:
        again = replace(settings, snapshot_id=None, snapshot_at=None, resume=ID)
        for _ in REGIONS[:2]:
            with pytest.raises(ReadError, match=r"are damaged: .*; nothing was published; the next attempt reads"):
                await lexport.snapshot(dest, again)
        result = await lexport.snapshot(dest, again)

    assert result.published
    assert look.table_bytes(dest) == expected


DAMAGE = {
    "bytes that are no text": b'{"format": "\xff"}',
    "nested too deeply": b'{"format":' * 100_000,
    "far too long": b" " * (MOST_READ_BYTES + 1),
    "no time zone": None,
}


@pytest.mark.parametrize("body", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("name", ["run.json", "shards.jsonl", "claim-0001.json"])
async def test_files_of_a_run_that_hold_anything(store_of_a_run, body, name):
    """A run whose files hold anything is listed as one that cannot be resumed, and the other runs with it."""
    path = store_of_a_run.root / "_staging" / ID / name
    if body is None:
        document = json.loads((path.parent / "run.json").read_bytes())
        path = path.parent / "run.json"
        body = json.dumps(document | {"snapshot_at": "2026-11-30T02:00:00"}).encode()
    path.write_bytes(body)
    damaged, other = await lexport.unfinished(store_of_a_run.root)

    assert (damaged.snapshot_id, other.snapshot_id) == (ID, OTHER)
    assert other.shards_total == 1
    assert (damaged.snapshot_at is None) == (name != "claim-0001.json" or path.name == "run.json")


@pytest.fixture
def store_of_a_run(tmp_path):
    """A folder with two runs that began, each with one shard."""
    store = LocalStore(tmp_path)
    shard = Shard(scope=Scope(account_id="111122223333", region="us-east-1"))
    for run in (ID, OTHER):
        spec = RunSpec(
            snapshot_id=run,
            snapshot_at=datetime.now(UTC),
            settings_fingerprint="",
            hash_key_id=None,
            lexport_version="",
            shards=(shard,),
        )
        staging.begin_run(store, spec)
    return store


async def test_no_value_and_no_secret_in_the_files_of_a_run(simulator, fleet, options, tmp_path):
    """What stands in run.json is plain JSON that names the settings; the files hold no value of a variable."""
    async with simulator(fleet=fleet) as server:
        settings = options(server.url)
        await interrupt(server, tmp_path, settings, after=30)

    (run,) = tmp_path.glob("_staging/*/run.json")
    document = json.loads(run.read_bytes())
    assert document["options"]["regions"] == list(REGIONS)
    assert document["options"]["functions"] == []
    assert document["identity"].startswith("arn:aws:")


@pytest.mark.parametrize("meanwhile", ["goes stale", "removed"])
async def test_a_claim_of_another_machine(simulator, fleet, options, tmp_path, monkeypatch, meanwhile):
    """A claim of another machine is waited for, as the progress says; a stale one is taken over, a lost one ends it."""
    monkeypatch.setattr("lexport.extract.resume.LOOK_EVERY_S", 0.05)
    async with simulator(fleet=fleet) as server:
        settings = options(server.url)
        await interrupt(server, tmp_path, settings, after=5)
    path = tmp_path / claim_path(ID, 1)
    claim = json.loads(path.read_bytes())
    assert claim["is_released"]
    path.write_bytes(
        msgspec.json.encode(claim | {"is_released": False, "owner": claim["owner"] | {"machine": "another"}})
    )

    async def change_when_waiting(progress):
        while not progress.stage.startswith(f"waiting up to 10 minutes for the run {ID}"):  # noqa: ASYNC110 - no event
            await anyio.sleep(0.01)
        if meanwhile == "removed":
            shutil.rmtree(path.parent)
        else:
            os.utime(path, (0, 0))

    again = replace(settings, snapshot_id=None, snapshot_at=None, resume=ID)
    async with simulator(fleet=fleet, port=int(settings.endpoint_url.rpartition(":")[2])):
        if meanwhile == "removed":
            with pytest.raises(PublishError, match=f"{ID} was published or removed meanwhile"):
                await lexport.snapshot(tmp_path, again, report=change_when_waiting)
            assert not path.parent.exists()
            return
        result = await lexport.snapshot(tmp_path, again, report=change_when_waiting)

    assert result.published


async def test_a_selection(simulator, fleet, options, tmp_path):
    """Of functions that the user named, those that are staged are not fetched again either."""
    scope = Scope(account_id="111122223333", region="us-east-1")
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "whole", options(server.url, regions=("us-east-1",)))
    read = await lexport.sql(tmp_path / "whole", "SELECT function_name, version FROM functions ORDER BY ALL")
    named = tuple(f"{row['function_name']}:{row['version']}" for row in read.to_pylist())
    async with simulator(Fault(operation="GetFunction", kind="hang", after=20, times=100), fleet=fleet) as server:
        settings = options(server.url, regions=("us-east-1",), functions=named)
        task = asyncio.create_task(lexport.snapshot(tmp_path / "fleet", settings))
        with anyio.fail_after(20):
            while server.calls[scope.account_id, scope.region, "GetFunction"] <= 20:  # noqa: ASYNC110 - it has no event
                await anyio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    staged = await staged_rows(tmp_path / "fleet", scope, tmp_path)
    async with simulator(fleet=fleet, port=int(settings.endpoint_url.rpartition(":")[2])) as server:
        again = replace(settings, snapshot_id=None, snapshot_at=None, resume="newest")
        result = await lexport.snapshot(tmp_path / "fleet", again)
        made = calls(server, "GetFunction")

    assert (result.published, result.snapshot_id) == (True, ID)
    assert sum(made.values()) == len(named) - len(staged) < len(named)
    read = await lexport.sql(tmp_path / "fleet", "SELECT function_name, version FROM snapshot.functions ORDER BY ALL")
    assert tuple(f"{row['function_name']}:{row['version']}" for row in read.to_pylist()) == named
    assert await lexport.verify(tmp_path / "fleet", data=True) == ()


async def test_staged_rows_that_nobody_wrote(simulator, fleet, options, tmp_path):
    """A staged file of strange bytes under their own hash is passed over, and what it should hold is read again."""
    async with simulator(fleet=fleet) as server:
        settings = options(server.url)
        await interrupt(server, tmp_path, settings, after=30)
    (path,) = tmp_path.glob("_staging/*/*ap-south-1/0001/*.run")
    path.unlink()
    footer = b'[{"table":"functions","offset":3,"batches":2,"rows":5}]'
    body = bytes(200) + footer + len(footer).to_bytes(8, "big") + b"LXRUN1"
    path.with_name(f"0000-{hashlib.sha256(body).hexdigest()}.run").write_bytes(body)
    async with simulator(fleet=fleet, port=int(settings.endpoint_url.rpartition(":")[2])):
        result = await lexport.snapshot(tmp_path, replace(settings, snapshot_id=None, snapshot_at=None, resume=ID))

    assert result.published
    assert [note for note in result.notes if "cannot be used" in note]
    assert await lexport.verify(tmp_path, data=True) == ()
