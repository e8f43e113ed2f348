"""What a feed holds after each kind of night, and what it refuses."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import ANY

import pyarrow.parquet as pq
import pytest
from feed_loader import Warehouse

import lexport
from lexport.cli.main import run
from lexport.errors import SettingsError
from lexport.query.feed import open_feed, write_feed
from lexport.tables.fed import fed_tables

AT = datetime(2026, 11, 20, 2, tzinfo=UTC)
DAY = timedelta(days=1)
F = {"function_name": "f", "version": "$LATEST"}

pytestmark = pytest.mark.asyncio


@pytest.fixture
def command(capsys):
    """Run the command in this process: its exit code, stdout and stderr."""

    def invoke(*arguments):
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return invoke


def fed(command, dest, since):
    """The records of a feed, and what was said."""
    done = command("feed", dest, "--since", since)
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()], done.err


async def test_only_what_is_new(tmp_path, write_dataset, command):
    """A row in which nothing changed but the night is not fed again; the reading of its account-region moves.

    What did not change at all is no feed.
    """
    read = {**F, "carried_forward": False}
    nights = [{"at": AT + day * DAY, "functions": [{**read, "fetched_at": AT + day * DAY}]} for day in range(2)]
    first, second = write_dataset(tmp_path / "fleet", nights)
    records, said = fed(command, tmp_path / "fleet", first.snapshot_id)
    again, _ = fed(command, tmp_path / "fleet", second.snapshot_id)

    place = {"account_id": "111122223333", "region": "eu-west-1"}
    ids = {"since": first.snapshot_id, "next_since": second.snapshot_id}
    about = {"write_mode": "hard-delete", "schema_version": "2", "lexport_version": lexport.__version__}
    assert records[0] == {"type": "feed", "format": "lexport-feed/2", "load_id": ANY, **ids, **about}
    assert [(record["type"], record["table"]) for record in records if record["type"] == "schema"] == [
        ("schema", fed.name) for fed in fed_tables()
    ]
    assert [record for record in records if record["type"] == "scope"] == [
        {
            "type": "scope",
            **place,
            "mode": "delta",
            "snapshot_id": second.snapshot_id,
            "snapshot_at": "2026-11-21T02:00:00.000000Z",
            "status": "complete",
            "since_snapshot_id": first.snapshot_id,
            "reason": None,
        }
    ]
    assert [record["table"] for record in records if record["type"] == "upsert"] == [
        "scopes",
        "scope_resources",
        "snapshots",
    ]
    assert records[-1] == {
        "type": "end",
        "next_since": second.snapshot_id,
        "totals": {"upserts": 3, "deletes": 0},
        "parts": [
            {"table": name, "action": "upsert", "rows": 1, "sha256": ANY}
            for name in ("scopes", "scope_resources", "snapshots")
        ],
    }
    assert said == f"3 rows to upsert, 0 to delete; next: --since {second.snapshot_id}\n"
    assert {record["type"] for record in again} == {"feed", "schema", "end"}


async def test_what_is_not_whole_gives_nothing(tmp_path, write_dataset, command):
    """An account-region whose newest reading is not whole is left as it was, and named."""
    partial = {"at": AT + DAY, "scopes": [{"status": "partial"}], "status": "partial"}
    first, second = write_dataset(tmp_path / "fleet", [{"at": AT, "functions": [F]}, partial])
    records, said = fed(command, tmp_path / "fleet", first.snapshot_id)

    assert [
        (record["mode"], record["reason"], record["status"]) for record in records if record["type"] == "scope"
    ] == [("none", f"partial in {second.snapshot_id}", "partial")]
    assert {record["table"] for record in records if record["type"] == "upsert"} == {
        "scopes",
        "scope_resources",
        "snapshots",
    }
    assert f"lexport: 111122223333 eu-west-1 is not up to date: partial in {second.snapshot_id}" in said


async def test_runs_that_overlap(tmp_path, write_dataset):
    """A run that began earlier and was committed after the last feed is fed by the next one."""
    regions = ({"region": "eu-west-1"}, {"region": "us-east-1"})
    slow, quick = (
        {"at": AT + day * DAY, "scopes": [place], "functions": [{**F, **place}]} for day, place in enumerate(regions)
    )
    fleet, store = tmp_path / "fleet", Warehouse()
    _, loaded = write_dataset(fleet, [{**slow, "commit": False}, quick])
    write_feed(fleet, tmp_path / "first")
    store.load(tmp_path / "first")
    write_dataset(fleet, [slow, quick])
    path = fleet / "_runs" / "01K00000000000000000000001.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps(body | {"committed_at": "2026-11-25T00:00:00.000000Z"}))
    write_feed(fleet, tmp_path / "next", store.since)
    store.load(tmp_path / "next")

    assert loaded.snapshot_id == "01K00000000000000000000002"
    assert sorted(row["region"] for row in store.plain("functions")) == ["eu-west-1", "us-east-1"]
    assert store.since == "01K00000000000000000000001"


@pytest.mark.parametrize("loss", ["pruned", "damaged", "damaged and pruned"])
async def test_a_loaded_snapshot_that_is_gone(tmp_path, write_dataset, loss):
    """Where the loaded reading of an account-region is gone, all of it is fed: a change may have been undone since."""
    other = {"account_id": "444455556666", "region": "eu-west-1"}
    nights = [
        {"at": AT - 30 * DAY, "functions": [F]},
        {"at": AT, "changes": [{"kind": "removed", "table_name": "functions", "key": "f/$LATEST"}]},
        {"at": AT + DAY, "scopes": [other], "functions": [{**F, **other}]},
        {"at": AT + 2 * DAY, "changes": [{"kind": "added", "table_name": "functions", "key": "g/$LATEST"}]},
        {"at": AT + 3 * DAY, "functions": [F]},
    ]
    fleet, store = tmp_path / "fleet", Warehouse()
    ids = [done.snapshot_id for done in write_dataset(fleet, nights[:3])]
    write_feed(fleet, tmp_path / "first")
    store.load(tmp_path / "first")
    assert len(store.plain("functions")) == 1
    ids += [done.snapshot_id for done in write_dataset(fleet, nights)[3:]]
    if loss != "pruned":
        (fleet / "_runs" / f"{ids[1]}.json").write_text("{")
    if loss == "damaged and pruned":
        await lexport.prune(fleet, snapshot=ids[1])
    await lexport.prune(fleet, keep_last=1, keep_monthly=2)
    result = write_feed(fleet, tmp_path / "next", store.since)
    store.load(tmp_path / "next")

    assert [(scope.mode, scope.account_id) for scope in result.scopes] == [("whole", "111122223333")]
    assert len(store.plain("functions")) == 2
    assert "1 snapshot since then was pruned: its rows of changes, errors and scopes are not fed" in result.damage


async def test_a_newest_reading_that_is_lost(tmp_path, write_dataset):
    """Where the newest loaded reading is lost, the one before it counts again, in a warehouse too."""
    nights = [{"at": AT + day * DAY, "functions": [{**F, "memory_size": day}]} for day in range(2)]
    fleet, store = tmp_path / "fleet", Warehouse()
    first, second = write_dataset(fleet, nights)
    write_feed(fleet, tmp_path / "first")
    store.load(tmp_path / "first")
    write_dataset(fleet, [*nights, {"at": AT + 2 * DAY, "scopes": [], "packages": []}])
    (fleet / "_runs" / f"{second.snapshot_id}.json").write_text("{")
    with pytest.raises(SettingsError, match=f"--since {second.snapshot_id}: .* is damaged"):
        write_feed(fleet, tmp_path / "next", second.snapshot_id)
    store.since = "01K00000000000000000000003"
    result = write_feed(fleet, tmp_path / "next", store.since)
    store.load(tmp_path / "next")

    assert [scope.mode for scope in result.scopes] == ["whole"]
    assert [(row["snapshot_id"], row["memory_size"]) for row in store.plain("functions")] == [(first.snapshot_id, 0)]


async def test_a_pruned_since(tmp_path, write_dataset, command):
    """The id of a pruned snapshot is refused, with when it was pruned and what to do."""
    ids = [done.snapshot_id for done in write_dataset(tmp_path / "fleet", [{"at": AT}, {"at": AT + DAY}])]
    await lexport.prune(tmp_path / "fleet", keep_last=1)
    done = command("feed", tmp_path / "fleet", "--since", ids[0])

    assert done.code == 2
    assert f"--since {ids[0]}: this snapshot was pruned at 20" in done.err
    assert "run the feed without --since and load it: it replaces everything that was loaded before" in done.err


async def test_as_parquet(tmp_path, write_dataset, command):
    """A folder with a typed file per table, the deletes and the changes; private, never written over another."""
    before = {"functions": [F, {**F, "version": "1"}], "tags": [{"function_name": "f", "key": "team", "value": "x"}]}
    now = {
        "functions": [{**F, "memory_size": 128}],
        "changes": [{"kind": "removed", "table_name": "functions", "key": "f/1"}],
    }
    first, second = write_dataset(tmp_path / "fleet", [{"at": AT, **before}, {"at": AT + DAY, **now}])
    asked = ("feed", tmp_path / "fleet", "--since", first.snapshot_id, "--output", "parquet")
    done, again, nowhere = [command(*asked, *more) for more in (("-o", tmp_path / "new"), ("-o", tmp_path / "new"), ())]
    folder = tmp_path / "new"

    assert (done.code, done.err) == (
        0,
        f"5 rows to upsert, 2 to delete; next: --since {second.snapshot_id}\n",
    )
    names = {path.name for path in folder.iterdir()}
    assert names == {f"{table.name}.parquet" for table in fed_tables()} | {"deletes.parquet", "feed.json"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    rows = pq.read_table(folder / "functions.parquet").to_pylist()
    assert [(row["version"], row["memory_size"]) for row in rows] == [("$LATEST", 128)]
    for fed in fed_tables():
        assert pq.read_schema(folder / f"{fed.name}.parquet").names == list(fed.names)
    assert pq.read_table(folder / "changes.parquet")["key"].to_pylist() == ["f/1"]
    place = {"account_id": "111122223333", "region": "eu-west-1", "function_name": "f"}
    assert [
        {name: value for name, value in row.items() if value is not None}
        for row in pq.read_table(folder / "deletes.parquet").to_pylist()
    ] == [
        {"table_name": "functions", **place, "version": "1", "deleted_at": AT + DAY},
        {"table_name": "tags", **place, "key": "team", "deleted_at": AT + DAY},
    ]
    described = json.loads((folder / "feed.json").read_text())
    assert described["next_since"] == second.snapshot_id
    for part in described["parts"]:
        body = (folder / part["path"]).read_bytes()
        assert (len(body), hashlib.sha256(body).hexdigest()) == (part["size_bytes"], part["sha256"])
        assert pq.read_metadata(folder / part["path"]).num_rows == part["rows"]
    assert (again.code, again.err) == (2, f"lexport: -o {folder} is there already; a new folder is wanted\n")
    assert (nowhere.code, "needs -o FOLDER" in nowhere.err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("since", "text"),
    [("01K09", "is no snapshot of this dataset"), ("2026-11-20", "the id of a snapshot is wanted")],
)
async def test_wrong_since(tmp_path, write_dataset, since, text):
    """What is no snapshot of the dataset is refused, and no folder is left."""
    write_dataset(tmp_path / "fleet", [{"at": AT}])

    with pytest.raises(SettingsError, match=text):
        await lexport.feed(tmp_path / "fleet", tmp_path / "new", since=since)
    assert [path.name for path in tmp_path.iterdir()] == ["fleet"]


async def test_a_region_that_was_never_on(tmp_path, write_dataset):
    """A Region that is switched off and was never read is no news and no hole; once it was read, it is one."""
    off = {"region": "us-east-1", "status": "unavailable"}
    write_dataset(tmp_path, [{"at": AT, "scopes": [{}, off]}])
    assert [scope.region for scope in open_feed(tmp_path).scopes] == ["eu-west-1"]

    write_dataset(
        tmp_path,
        [{"at": AT, "scopes": [{}, {"region": "us-east-1"}]}, {"at": AT + DAY, "scopes": [{}, off]}],
    )
    found = {scope.region: (scope.mode, scope.reason) for scope in open_feed(tmp_path).scopes}
    assert found["us-east-1"] == ("whole", "unavailable in 01K00000000000000000000002")
