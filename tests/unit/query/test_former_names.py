"""Renamed columns: every reader shows snapshots of both schema versions under the names of today."""

import base64
import json
import shutil

import anyio
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import lexport
from lexport.dataset.manifest import Manifest
from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session
from lexport.simulator import Fleet, FleetSpec, open_simulator
from lexport.tables import registry
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import SCHEMA_VERSION

CONCURRENCY = "capacity_provider_per_environment_max_concurrency"
NAMES = ("capacity_provider_arn", CONCURRENCY, "capacity_provider_environment_memory_gib_per_vcpu")
FORMER = {former for table in registry.tables() for former in table.renames()}
ALL_THREE = f"count({NAMES[0]}), sum({NAMES[1]}), sum({NAMES[2]})"
SPACES = ("main", "snapshot", "history")


def with_less_concurrency(rows):
    """Make the capacity of every function half of what it is."""
    index = rows.column_names.index(CONCURRENCY)
    half = pc.cast(pc.divide(rows.column(CONCURRENCY), 2), pa.int32())
    return rows.set_column(index, CONCURRENCY, half)


@pytest.fixture(scope="module")
def nights(tmp_path_factory, make_old):
    """Three nights: the first with less concurrency, the first two of schema version 1, the second incremental."""
    dest = tmp_path_factory.mktemp("nights") / "fleet"

    async def take():
        found = []
        async with open_simulator(Fleet(FleetSpec(functions=40, versions=2)), quotas=False) as aws:
            for number in range(3):
                settings = lexport.SnapshotSettings(
                    endpoint_url=aws.url,
                    regions=("us-east-1",),
                    incremental=number == 1,
                    get_function_rate_per_s=1e6,
                    list_rate_per_s=1e6,
                )
                found.append((await lexport.snapshot(dest, settings)).manifest)
                if number == 0:
                    make_old(dest, found[0], functions=with_less_concurrency)
        make_old(dest, found[1])
        return found

    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        environment.setenv("LEXPORT_HASH_KEY", base64.b64encode(bytes(32)).decode())
        environment.setenv("NO_PROXY", "127.0.0.1")
        commits = anyio.run(take)
    return dest, [commit.snapshot_id for commit in commits]


def stored_columns(dest, snapshot_id):
    (path,) = dest.glob(f"functions/*/{snapshot_id}-*.parquet")
    return set(pq.read_schema(path).names)


def test_the_nights_are_of_two_versions(nights):
    """The files of the first two nights have the former names alone, those of the third the names of today."""
    dest, ids = nights
    told = [json.loads((dest / f"_runs/{snapshot_id}.json").read_bytes())["schema_version"] for snapshot_id in ids]

    assert told == ["1", "1", SCHEMA_VERSION]
    assert [FORMER & stored_columns(dest, snapshot_id) == FORMER for snapshot_id in ids] == [True, True, False]
    assert [stored_columns(dest, snapshot_id).isdisjoint(NAMES) for snapshot_id in ids] == [True, True, False]


def totals(ask):
    """Return the values of the three columns in every name space, and the names of all columns."""
    each = {space: ask(f"SELECT {ALL_THREE} FROM {space}.functions") for space in SPACES}
    by_night = ask(f"SELECT {ALL_THREE} FROM history.functions GROUP BY snapshot_id ORDER BY snapshot_id")
    return each, by_night


@pytest.mark.parametrize("reader", ["sql", "views --db"])
def test_values_of_all_nights(nights, tmp_path, reader):
    """Plain names, ``snapshot`` and ``history`` show the values of old nights under the names of today, each once."""
    dest, _ = nights
    if reader == "sql":
        shown = lexport.Dataset(dest)
        each, by_night = totals(lambda query: [tuple(row.values()) for row in shown.sql(query).to_pylist()])
        found = {space: shown.sql(f"FROM {space}.functions LIMIT 0").schema.names for space in SPACES}
    else:
        anyio.run(lambda: lexport.views(dest, db=tmp_path / "fleet.duckdb"))
        with duckdb.connect(tmp_path / "fleet.duckdb", read_only=True) as connection:
            each, by_night = totals(lambda query: connection.execute(query).fetchall())
            found = {
                space: [name for name, *_ in connection.sql(f"FROM {space}.functions LIMIT 0").description]
                for space in SPACES
            }
    first, second, third = by_night

    assert min(third) > 0
    assert second == third
    assert first == (third[0], third[1] // 2, third[2])
    assert each == {
        "main": [third],
        "snapshot": [third],
        "history": [tuple(map(sum, zip(first, second, third, strict=True)))],
    }
    assert found == {space: list(FUNCTIONS.names()) for space in SPACES}


def test_as_of_an_old_night(nights):
    """A dataset of old nights only shows them under the names of today."""
    dest, ids = nights
    shown = lexport.Dataset(dest, as_of=ids[0])

    assert shown.sql(f"SELECT sum({CONCURRENCY}) > 0 AS x FROM functions").to_pylist() == [{"x": True}]
    assert shown.table("functions", space="history").schema.names == list(FUNCTIONS.names())


async def changed(dest, *moments):
    found = (await lexport.diff(dest, *moments)).changes.to_pylist()
    return {(row["kind"], row["column_name"], row["old_value"], row["new_value"]) for row in found}


@pytest.mark.asyncio
async def test_a_new_name_is_no_change(nights):
    """Two nights that differ only in the schema version have no changes; changed columns have the names of today."""
    dest, ids = nights
    real = {("changed", CONCURRENCY, "8", "16")}

    assert await changed(dest, ids[1], ids[2]) == set()
    assert await changed(dest, ids[0], ids[1]) == real
    assert await changed(dest, ids[0], ids[2]) == real


def test_changes_of_old_nights(nights):
    """The table ``changes`` has the names of today, also in rows of old nights."""
    dest, ids = nights
    rows = lexport.Dataset(dest).sql("SELECT DISTINCT snapshot_id, column_name FROM history.changes").to_pylist()

    assert rows == [{"snapshot_id": ids[1], "column_name": CONCURRENCY}]


@pytest.mark.asyncio
async def test_feed(nights, tmp_path):
    """A feed from an old night has its changes, and rows, under the names of today."""
    dest, ids = nights
    whole = await lexport.feed(dest, tmp_path / "whole", since=ids[0])
    same = await lexport.feed(dest, tmp_path / "same", since=ids[1])
    rows = pq.read_table(tmp_path / "whole/functions.parquet")
    told = pq.read_table(tmp_path / "whole/changes.parquet").column("column_name")

    assert (whole.deletes, same.deletes) == (0, 0)
    assert pq.read_table(tmp_path / "same/tags.parquet").num_rows == 0
    assert set(pq.read_table(tmp_path / "same/functions.parquet")["carried_forward"].to_pylist()) == {False}
    assert set(rows.column(CONCURRENCY).to_pylist()) == {16}
    assert set(told.to_pylist()) == {CONCURRENCY}


@pytest.mark.asyncio
async def test_every_command_reads_both(nights):
    """verify --data, check, report and every shipped view read old and new nights together."""
    dest, _ = nights

    assert await lexport.verify(dest, data=True) == ()
    reasons = {item.reason for item in (await lexport.check(dest)).unjudged}
    assert {reason for reason in reasons if "were not searched whole for secrets (packages" not in reason} == {
        "policies were left out (no --with policies)",
        "urls were left out (no --with urls)",
    }
    assert (await lexport.report(dest)).html.startswith("<!doctype html>")
    with open_query_session(dest) as session:
        for view in shipped_views():
            session.read(f"FROM {view.name}").read_all()


@pytest.fixture
def spoilt(nights, tmp_path, make_old):
    """Return a function that edits the files of a night and returns what verify --data reports."""
    dest = tmp_path / "fleet"
    shutil.copytree(nights[0], dest)

    async def spoil(night, *, schema_version="1", **edits):
        run = dest / f"_runs/{nights[1][night]}.json"
        make_old(dest, Manifest.from_json(run.read_bytes()), **edits)
        run.write_bytes(run.read_bytes().replace(b'version": "1"', f'version": "{schema_version}"'.encode()))
        return [(found.kind, found.detail) for found in await lexport.verify(dest, data=True)]

    return spoil


@pytest.mark.asyncio
async def test_verify_holds_an_old_name_to_its_type(spoilt):
    """verify --data reports a column that has the wrong type under its former name."""
    former = "capacity_provider_config_per_execution_environment_max_concurrency"

    def widen(rows):
        return rows.set_column(rows.column_names.index(former), former, rows.column(former).cast(pa.int64()))

    assert await spoilt(0, functions=widen) == [("wrong_columns", f"{former} is int64 and should be int32")]


@pytest.mark.asyncio
async def test_verify_takes_no_old_name_in_a_new_file(spoilt):
    """verify --data reports a file of today's schema version that has the former names."""
    kinds, details = zip(*await spoilt(2, schema_version=SCHEMA_VERSION), strict=True)

    assert set(kinds) == {"wrong_columns"}
    assert ", ".join(f"{name} is missing" for name in NAMES) in details
