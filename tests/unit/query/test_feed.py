"""What a warehouse is fed: applied one after another, feeds lead to the latest state, exactly."""

import io
import json
import random
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

import lexport
from lexport.cli.feed import write_lines
from lexport.dataset.compare import NEW_IN_EVERY_RUN
from lexport.errors import SettingsError
from lexport.query.feed import open_feed
from lexport.query.sql import open_query_session
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import BY_NAME, state_tables
from lexport.tables.run import CHANGES

AT = datetime(2026, 11, 20, 2, tzinfo=UTC)
DAY = timedelta(days=1)
REGIONS = ("eu-west-1", "us-east-1", "us-west-2")
F = {"function_name": "f", "version": "$LATEST"}

pytestmark = pytest.mark.asyncio


class Warehouse:
    """A loader: it keeps rows by key and knows nothing but what feeds say."""

    def __init__(self):
        self.tables = {table: {} for table in state_tables()}
        self.changes = []
        self.since = None

    def load(self, records):
        """Apply one feed, given as its JSON lines."""
        assert records[0]["type"] == "feed"
        assert records[-1]["type"] == "end"  # else it is cut off
        assert records[0]["since"] == self.since
        for record in records[1:-1]:
            if record["type"] == "scope":
                if record["mode"] == "whole":
                    for rows in self.tables.values():
                        for key in [key for key in rows if key[:2] == (record["account_id"], record["region"])]:
                            del rows[key]
            elif record["type"] == "change":
                self.changes.append(record["row"])
            else:
                table = BY_NAME[record["table"]]
                given = record.get("key") or record["row"]
                key = tuple(given[name] for name in table.key)
                if record["type"] == "delete":
                    del self.tables[table][key]  # what is not there is not to be deleted
                else:
                    self.tables[table][key] = record["row"]
        self.since = records[-1]["next_since"]


async def fed(run_lexport, dest, since=None):
    done = await run_lexport("feed", dest, *(("--since", since) if since else ()))
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()], done.err


def without(rows):
    """Rows without what is new every night, in the order of their key."""
    return sorted(
        ({name: value for name, value in row.items() if name not in NEW_IN_EVERY_RUN} for row in rows),
        key=lambda row: json.dumps(row, default=str, sort_keys=True),
    )


def latest(session, table):
    """The latest rows of a table; what JSON has no word for as the feed writes it."""
    rows = session.read(f"SELECT * FROM {table}").read_all().to_pylist()
    return [
        {
            name: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def a_fleet(dice, region):
    """Some functions with versions, variables, layers and tags, each by chance."""
    rows = {table.name: [] for table in state_tables()}
    for name in dice.sample("abcdefgh", dice.randint(0, 8)):
        function = {"function_name": name, "region": region}
        if dice.random() < 0.7:
            rows["tags"].append({**function, "key": "team", "value": dice.choice("xy")})
            rows["aliases"].append({**function, "alias": "live", "function_version": dice.choice("12")})
            rows["alias_routes"].append({**function, "alias": "live", "version": dice.choice("12"), "weight": 0.5})
        for version in ("$LATEST", *dice.sample("123", dice.randint(0, 2))):
            place = {**function, "version": version}
            rows["functions"].append(
                {
                    **place,
                    "memory_size": dice.choice((None, 128, 256)),
                    "last_modified_at": AT + dice.randint(0, 1) * DAY,
                }
            )
            rows["env_vars"] += [
                {**place, "name": key, "value_length": dice.randint(1, 2)} for key in dice.sample("AB", 1)
            ]
            rows["layers"] += [
                {**place, "position": at, "layer_arn": f"layer:{dice.randint(1, 2)}"}
                for at in range(dice.randint(0, 2))
            ]
            rows["subnets"] += [{**place, "subnet_id": part} for part in dice.sample(("s1", "s2"), dice.randint(0, 2))]
    rows["account_settings"].append({"region": region, "code_size_used": dice.randint(1, 3)})
    return {table: sorted(found, key=str) for table, found in rows.items()}


def a_night(dice, number):
    """A snapshot of some Regions, some of them not whole."""
    regions = dice.sample(REGIONS, dice.randint(1, 3))
    night = {"at": AT + number * DAY, "scopes": [], "status": "complete"}
    for region in sorted(regions):
        status = dice.choice(("complete", "complete", "partial", "denied"))
        night["scopes"].append({"region": region, "status": status})
        for table, rows in a_fleet(dice, region).items():
            night.setdefault(table, []).extend(rows if status != "denied" else [])
    for table in state_tables():
        night[table.name].sort(key=lambda row, table=table: tuple(str(row.get(name, "")) for name in table.key))
    night["changes"] = [{"kind": "added", "table_name": "functions", "key": f"n{number}", "region": REGIONS[0]}]
    return night


@pytest.mark.parametrize("seed", range(2))
async def test_feeds_lead_to_the_latest_state(tmp_path, write_dataset, seed):
    """Whatever happens between them, feeds applied to an empty store give the latest rows; no change is fed twice."""
    dice = random.Random(seed)
    nights = [a_night(dice, number) for number in range(7)]
    store = Warehouse()
    for number in sorted({1, *dice.sample(range(2, 7), 2), 7}):
        write_dataset(tmp_path / "fleet", nights[:number])
        lines = io.BytesIO()
        write_lines(open_feed(tmp_path / "fleet", store.since), lines)
        store.load([json.loads(line) for line in lines.getvalue().splitlines()])

        with open_query_session(tmp_path / "fleet") as session:
            for table, rows in store.tables.items():
                assert without(rows.values()) == without(latest(session, table.name)), table.name
    keys = [row["key"] for row in store.changes]
    told = [
        f"n{number}"
        for number, night in enumerate(nights)
        if {"region": REGIONS[0], "status": "complete"} in night["scopes"]
    ]
    assert keys == told


async def test_only_what_is_new(tmp_path, write_dataset, run_lexport):
    """A row in which nothing changed but the night is not fed again; what did not change at all is no feed."""
    nights = [{"at": AT + day * DAY, "functions": [{**F, "fetched_at": AT + day * DAY}]} for day in range(2)]
    first, second = write_dataset(tmp_path / "fleet", nights)
    records, said = await fed(run_lexport, "fleet", first.snapshot_id)
    again, _ = await fed(run_lexport, "fleet", second.snapshot_id)

    place = {"account_id": "111122223333", "region": "eu-west-1"}
    assert records == [
        {"type": "feed", "format": "lexport-feed/1", "since": first.snapshot_id, "next_since": second.snapshot_id},
        {
            "type": "scope",
            **place,
            "mode": "delta",
            "snapshot_id": second.snapshot_id,
            "since_snapshot_id": first.snapshot_id,
            "reason": None,
        },
        {"type": "end", "next_since": second.snapshot_id, "upserts": 0, "deletes": 0, "changes": 0},
    ]
    assert said == f"0 rows to upsert, 0 to delete, 0 changes; next: --since {second.snapshot_id}\n"
    assert [record["type"] for record in again] == ["feed", "end"]


async def test_what_is_not_whole_gives_nothing(tmp_path, write_dataset, run_lexport):
    """An account-region whose newest reading is not whole is left as it was, and named."""
    partial = {"at": AT + DAY, "scopes": [{"status": "partial"}], "status": "partial"}
    first, second = write_dataset(tmp_path / "fleet", [{"at": AT, "functions": [F]}, partial])
    records, said = await fed(run_lexport, "fleet", first.snapshot_id)

    assert [(record["type"], record.get("mode"), record.get("reason")) for record in records] == [
        ("feed", None, None),
        ("scope", "none", f"partial in {second.snapshot_id}"),
        ("end", None, None),
    ]
    assert f"lexport: 111122223333 eu-west-1 is not up to date: partial in {second.snapshot_id}" in said


async def test_runs_that_overlap(tmp_path, write_dataset, run_lexport):
    """A run that began earlier and was committed after the last feed is fed by the next one."""
    regions = ({"region": "eu-west-1"}, {"region": "us-east-1"})
    slow, quick = (
        {"at": AT + day * DAY, "scopes": [place], "functions": [{**F, **place}]} for day, place in enumerate(regions)
    )
    _, loaded = write_dataset(tmp_path / "fleet", [{**slow, "commit": False}, quick])
    store = Warehouse()
    store.load((await fed(run_lexport, "fleet"))[0])
    write_dataset(tmp_path / "fleet", [slow, quick])
    path = tmp_path / "fleet" / "_runs" / "01K00000000000000000000001.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps(body | {"committed_at": "2026-11-25T00:00:00.000000Z"}))
    store.load((await fed(run_lexport, "fleet", store.since))[0])

    assert loaded.snapshot_id == "01K00000000000000000000002"
    assert sorted(key[1] for key in store.tables[FUNCTIONS]) == ["eu-west-1", "us-east-1"]
    assert store.since == "01K00000000000000000000001"


@pytest.mark.parametrize("loss", ["pruned", "damaged", "damaged and pruned"])
async def test_a_loaded_snapshot_that_is_gone(tmp_path, write_dataset, run_lexport, loss):
    """Where the loaded reading of an account-region is gone, all of it is fed: a change may have been undone since."""
    other = {"account_id": "444455556666", "region": "eu-west-1"}
    nights = [
        {"at": AT - 30 * DAY, "functions": [F]},
        {"at": AT, "changes": [{"kind": "removed", "table_name": "functions", "key": "f/$LATEST"}]},
        {"at": AT + DAY, "scopes": [other], "functions": [{**F, **other}]},
        {"at": AT + 2 * DAY, "changes": [{"kind": "added", "table_name": "functions", "key": "g/$LATEST"}]},
        {"at": AT + 3 * DAY, "functions": [F]},
    ]
    store = Warehouse()
    ids = [done.snapshot_id for done in write_dataset(tmp_path / "fleet", nights[:3])]
    store.load((await fed(run_lexport, "fleet"))[0])
    assert len(store.tables[FUNCTIONS]) == 1
    ids += [done.snapshot_id for done in write_dataset(tmp_path / "fleet", nights)[3:]]
    if loss != "pruned":
        (tmp_path / "fleet" / "_runs" / f"{ids[1]}.json").write_text("{")
    if loss == "damaged and pruned":
        await lexport.prune(tmp_path / "fleet", snapshot=ids[1])
    await lexport.prune(tmp_path / "fleet", keep_last=1, keep_monthly=2)
    records, said = await fed(run_lexport, "fleet", store.since)
    store.load(records)

    assert [(record["mode"], record["account_id"]) for record in records if record["type"] == "scope"] == [
        ("whole", "111122223333")
    ]
    assert len(store.tables[FUNCTIONS]) == 2
    assert "1 snapshot since then was pruned: its rows of changes are not fed" in said


async def test_a_pruned_since(tmp_path, write_dataset, run_lexport):
    """The id of a pruned snapshot is refused, with when it was pruned and what to do."""
    ids = [done.snapshot_id for done in write_dataset(tmp_path / "fleet", [{"at": AT}, {"at": AT + DAY}])]
    await lexport.prune(tmp_path / "fleet", keep_last=1)
    done = await run_lexport("feed", "fleet", "--since", ids[0])

    assert done.code == 2
    assert f"--since {ids[0]}: this snapshot was pruned at 20" in done.last
    assert "run the feed without --since, and load it into empty tables" in done.last


async def test_as_parquet(tmp_path, write_dataset, run_lexport):
    """A folder with a typed file per table, the deletes and the changes; private, never written over another."""
    before = {"functions": [F, {**F, "version": "1"}], "tags": [{"function_name": "f", "key": "team", "value": "x"}]}
    now = {
        "functions": [{**F, "memory_size": 128}],
        "changes": [{"kind": "removed", "table_name": "functions", "key": "f/1"}],
    }
    first, second = write_dataset(tmp_path / "fleet", [{"at": AT, **before}, {"at": AT + DAY, **now}])
    asked = ("feed", "fleet", "--since", first.snapshot_id, "--output", "parquet")
    done, again, nowhere = [await run_lexport(*asked, *more) for more in (("-o", "new"), ("-o", "new"), ())]
    folder = tmp_path / "new"

    assert (done.code, done.err) == (
        0,
        f"1 row to upsert, 2 to delete, 1 change; next: --since {second.snapshot_id}\n",
    )
    names = {path.name for path in folder.iterdir()}
    assert names == {f"{table.name}.parquet" for table in (*state_tables(), CHANGES)} | {
        "deletes.parquet",
        "feed.json",
    }
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    rows = pq.read_table(folder / "functions.parquet").to_pylist()
    assert [(row["version"], row["memory_size"], row["snapshot_id"]) for row in rows] == [
        ("$LATEST", 128, second.snapshot_id)
    ]
    assert pq.read_table(folder / "changes.parquet")["key"].to_pylist() == ["f/1"]
    place = {"account_id": "111122223333", "region": "eu-west-1", "function_name": "f"}
    assert [
        {name: value for name, value in row.items() if value is not None}
        for row in pq.read_table(folder / "deletes.parquet").to_pylist()
    ] == [{"table_name": "functions", **place, "version": "1"}, {"table_name": "tags", **place, "key": "team"}]
    assert json.loads((folder / "feed.json").read_text())["next_since"] == second.snapshot_id
    assert (again.code, again.err) == (2, "lexport: -o new is there already; a new folder is wanted\n")
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
