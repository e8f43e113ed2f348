"""``lexport publish DEST iceberg``: tables of a SQLite catalog, as pyiceberg and polars read them."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import duckdb
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import parquet_file_to_data_file

from lexport.dataset.open_store import open_store
from lexport.dataset.prune import prune_store
from lexport.dataset.prune_order import PruneOrder
from lexport.dataset.retention import KeepRules
from lexport.dataset.retire import retire
from lexport.errors import ReadError, SettingsError
from lexport.query.publish.ducklake import publish_ducklake
from lexport.query.publish.iceberg import publish_iceberg
from lexport.query.publish.iceberg_schema import table_schema
from lexport.query.sql import open_result
from lexport.query.warehouse.apply import apply_feed
from lexport.query.warehouse.dbt.profiles import DBT_DIALECTS
from lexport.query.warehouse.dbt.project import project
from lexport.query.warehouse.dialects import DIALECTS
from lexport.query.warehouse.location import check_location
from lexport.settings import Destination
from lexport.tables import registry
from lexport.tables.functions import FUNCTIONS

FRAMES = Path(__file__).parents[2] / "build" / "frames"
CATALOG, FILE = "a%20catalog.db", "a catalog.db"  # as SQLAlchemy reads it
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "open-table-formats.md"
AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
FORMER = {name: former for former, name in FUNCTIONS.renames().items()}

POLARS = """
import json, sys, warnings
warnings.simplefilter("ignore")
import polars
found = {}
for name, path in json.load(sys.stdin).items():
    rows = polars.scan_iceberg(path)
    found[name] = [rows.select(polars.len()).collect().item(), rows.collect_schema().names()]
    if name == "functions":
        found["concurrency"] = rows.select(polars.col(sys.argv[1]).sum()).collect().item()
print(json.dumps(found))
"""


def night(number, hand_written, **more):
    """A night with ten functions, a tag that differs, and a change."""
    concurrency = {name: number for name in FORMER if name.endswith("max_concurrency")}
    return {
        "id": hand_written.snapshot_id(number),
        "at": AT + timedelta(days=number),
        "functions": [{"function_name": f"f{n}", "version": "$LATEST", **concurrency} for n in range(10)],
        "tags": [{"function_name": "f1", "key": "team", "value": str(number)}],
        "env_vars": [{"function_name": "f1", "version": "$LATEST", "name": "PASSWORD", "value": "hunter22"}],
        **more,
    }


def counts_in_lexport(dest):
    """The rows of every table over all commits."""
    query = " UNION ALL ".join(
        f"SELECT '{table.name}' AS t, count(*) AS n FROM history.{table.name}" for table in registry.tables()
    )
    with open_result(dest, query) as result:
        return {row["t"]: row["n"] for row in result.reader.read_all().to_pylist()}


def open_tables(folder):
    """Every published table, as pyiceberg opens them."""
    catalog = SqlCatalog("lexport", uri=f"sqlite:///{folder}/{CATALOG}")
    try:
        return {name: catalog.load_table(("lexport", name)) for _, name in catalog.list_tables("lexport")}
    finally:
        catalog.close()


def rows_of(table):
    return table.scan().to_arrow()


async def read_by_polars(tables, environment):
    if not (FRAMES / ".ready").exists():
        give_up = pytest.fail if os.environ.get("LEXPORT_REQUIRE_ALL") == "1" else pytest.skip
        give_up("needs polars; run: make build/frames/.ready")
    done = await anyio.run_process(
        [sys.executable, "-c", POLARS, next(name for name in FORMER if name.endswith("max_concurrency"))],
        input=json.dumps({name: table.metadata_location for name, table in tables.items()}).encode(),
        env=environment | {"PYTHONPATH": str(FRAMES)},
    )
    return json.loads(done.stdout)


def publish(dest, folder, **more):
    result = publish_iceberg(
        Destination(str(dest)), catalog=f"sqlite:///{folder}/{CATALOG}", namespace="lexport", **more
    )
    return {table.table: table for table in result.tables}


def published_files(folder):
    """How often each data file stands in the tables."""
    files = [
        file for table in open_tables(folder).values() for file in table.inspect.files().column("file_path").to_pylist()
    ]
    return {file: files.count(file) for file in files}


@pytest.mark.slow
@pytest.mark.asyncio
async def test_five_publications(tmp_path, hand_written, run_lexport, lexport_path, environment):
    """After five publications, two repeated, one killed, two at once, two readers find rows and documentation.

    At the end the account is retired, which is published too.
    """
    dest, folder = tmp_path / "a fleet", tmp_path / "iceberg"
    folder.mkdir()
    arguments = ("publish", dest, "iceberg", "--catalog", f"sqlite:///{folder}/{CATALOG}", "--output", "json")
    (first,) = hand_written.write_dataset(dest, [night(1, hand_written, without=["durable_config_execution_timeout"])])
    hand_written.make_old(dest, first)
    hand_written.write_dataset(dest, [night(9, hand_written, commit=False)])  # a run that never committed
    begun = await run_lexport(*arguments)
    again = await run_lexport(*arguments)

    assert begun.code == again.code == 0, begun.err + again.err
    told, repeated = ({line["table"]: line for line in json.loads(done.out)} for done in (begun, again))
    assert (told["functions"]["is_new"], told["functions"]["files_added"], told["functions"]["rows_added"]) == (
        True,
        1,
        10,
    )
    assert "0 files of 0 rows added" in again.err
    assert {line["files_added"] for line in repeated.values()} == {0}
    assert {name: line["rows"] for name, line in repeated.items()} == counts_in_lexport(dest)

    hand_written.write_dataset(
        dest,
        [night(2, hand_written, heal=False), night(3, hand_written, scopes=[{"status": "partial"}], status="partial")],
    )
    kill_in_the_middle(lexport_path, arguments, folder, environment, tmp_path)
    assert open_tables(folder)["functions"].inspect.files().num_rows > 0
    assert open_tables(folder)["snapshots"].inspect.files().num_rows == 1
    after_kill = publish(dest, folder)
    assert {name: table.rows for name, table in after_kill.items()} == counts_in_lexport(dest)

    hand_written.write_dataset(dest, [night(4, hand_written)])
    compact(open_tables(folder)["tags"])
    lose(dest, hand_written.snapshot_id(2))
    async with anyio.create_task_group() as both:
        both.start_soon(succeed, run_lexport, arguments)
        both.start_soon(succeed, run_lexport, arguments)
    last = publish(dest, folder)

    tables, counts = open_tables(folder), counts_in_lexport(dest)
    assert {table.files_added for table in last.values()} == {0}
    assert counts["functions"] == 30
    assert {name: len(rows_of(table)) for name, table in tables.items()} == counts
    assert set(published_files(folder).values()) == {1}
    assert sorted(rows_of(tables["tags"]).column("value").to_pylist()) == ["1", "3", "4"]
    for table in registry.tables():
        schema = tables[table.name].schema()
        assert {field.name: field.doc for field in schema.fields} == {each.name: each.meaning for each in table.columns}
    variables = tables["env_vars"]  # the catalog's own files have no part of a value
    bounds = variables.inspect.files().column("lower_bounds").to_pylist()
    assert all(variables.schema().find_field("value").field_id not in dict(each) for each in bounds)
    of_functions = rows_of(tables["functions"])
    assert sorted(set(of_functions.column("snapshot_id").to_pylist())) == [
        hand_written.snapshot_id(n) for n in (1, 3, 4)
    ]
    concurrency = next(name for name in FORMER if name.endswith("max_concurrency"))
    assert sum(of_functions.column(concurrency).to_pylist()) == 10 * (1 + 3 + 4)
    by_polars = await read_by_polars(tables, environment)
    assert by_polars.pop("concurrency") == 80
    assert by_polars == {table.name: [counts[table.name], list(table.names())] for table in registry.tables()}

    assert latest_by_the_guide(tables) == 10
    await retire(dest, "111122223333")
    assert publish(dest, folder)["scopes"].snapshots_added == 1
    assert {table.files_added for table in publish(dest, folder, is_dry_run=True).values()} == {0}
    assert latest_by_the_guide(open_tables(folder)) == 0

    mine = [path for path in folder.rglob("*") if path.is_file() and "tags" not in path.parts]  # others are compact()'s
    assert {path.stat().st_mode & 0o777 for path in mine} <= {0o600, 0o640}  # hand-written manifests are 0644
    lose_metadata(open_tables(folder)["tags"])
    lost = await run_lexport(*arguments)
    assert (lost.code, "names metadata that is gone" in lost.err) == (1, True), lost.err


def lose_metadata(table):
    Path(table.metadata_location.removeprefix("file://")).unlink()


def latest_by_the_guide(tables):
    """Count the latest functions by the SQL of the guide."""
    (statement,) = re.findall(r"```sql\n(  SELECT f\..*?)```", GUIDE.read_text(), re.DOTALL)
    with duckdb.connect() as connection:
        for name in ("functions", "scopes"):
            connection.register(name, rows_of(tables[name]))
        return connection.execute(f"SELECT count(*) FROM ({statement})").fetchone()[0]


async def succeed(run_lexport, arguments):
    done = await run_lexport(*arguments)
    assert done.code == 0, done.err


def compact(table):
    """Replace every file by one of another name with the same rows, as engines do."""
    Path(f"{table.location()}/data".removeprefix("file://")).mkdir()
    with table.transaction() as change, change.update_snapshot().overwrite() as snapshot:
        for task in table.scan().plan_files():
            path = f"{table.location()}/data/{uuid.uuid4()}.parquet"
            pq.write_table(pq.read_table(task.file.file_path.removeprefix("file://"), partitioning=None), path[7:])
            snapshot.delete_data_file(task.file)
            snapshot.append_data_file(parquet_file_to_data_file(table.io, table.metadata, path))


def lose(dest, snapshot_id):
    """Prune a snapshot, and then its files."""
    prune_store(open_store(dest), PruneOrder(rules=KeepRules(), snapshot=snapshot_id))
    prune_store(open_store(dest), PruneOrder(rules=KeepRules(last=99), grace=timedelta(0)))
    assert not list(dest.glob(f"functions/*/{snapshot_id}*"))


def kill_in_the_middle(lexport_path, arguments, folder, environment, cwd):
    """Kill a publication when its third table has another state; tables after it are as they were."""
    before = dict(states(folder))
    process = subprocess.Popen(
        [lexport_path, *map(str, arguments)],
        env=environment,
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while sum(before[name] != state for name, state in states(folder)) < 3:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()


def states(folder):
    with sqlite3.connect(folder / FILE) as connection:
        found = connection.execute("SELECT table_name, metadata_location FROM iceberg_tables").fetchall()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("catalog", "told"),
    [
        ("https://user@catalog.example/x", "a user name is in it"),
        ("https://user:hunter22@catalog.example/x", "a password may be in it"),
        ("https://user:hunter22/more@127.0.0.1:1/db", "a password may be in it"),
        ("sqlite:///catalog.db?warehouse=x", "`?` or `#` is in it"),
        ("sqlite:///.", "is a folder; write it like sqlite:///catalog.db"),
        ("sqlite://catalog.db", "write it like sqlite:///catalog.db"),
        ("sqlite:///nowhere/catalog.db", "there is no folder"),
        ("ftp://host", "Could not infer the catalog type"),
        ("unknown", "pyiceberg knows no such catalog"),
        ("configured", "configured: InvalidURL"),
    ],
)
def test_wrong_catalogs(tmp_path, hand_written, monkeypatch, catalog, told):
    """A catalog that cannot be one is refused before anything is made, and no password is repeated."""
    hand_written.write_dataset(tmp_path / "fleet", [night(1, hand_written)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYICEBERG_CATALOG__CONFIGURED__URI", "https://user:hunter22/more@127.0.0.1:1/db")

    with pytest.raises(SettingsError) as refused:
        publish_iceberg(Destination("fleet"), catalog=catalog, namespace="lexport")

    assert told in str(refused.value)
    assert "hunter22" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["fleet"]


def refuse_iceberg(text):
    publish_iceberg(Destination("fleet"), catalog=text, namespace="lexport")


def refuse_ducklake(text):
    publish_ducklake(Destination("fleet"), catalog=text, namespace="lexport")


def refuse_apply(text):
    apply_feed("fleet", "duckdb", text, since=None, write_mode="hard-delete")


def refuse_location(text):
    check_location(text, DIALECTS["athena"])


def refuse_project(text):
    project(DBT_DIALECTS["duckdb"], text)


@pytest.mark.parametrize(
    "use",
    [refuse_iceberg, refuse_ducklake, refuse_apply, refuse_location, refuse_project],
    ids=lambda use: use.__name__,
)
def test_no_place_takes_a_password(use):
    """Every URL and connection string that is given is looked at before anything else, and is not repeated."""
    for text in ("postgresql://u:hunter/22@h/x", "s3://user:hunter22@b/x", "mysql:host=h pwd=hunter22"):
        with pytest.raises(SettingsError, match="a password may be in it") as refused:
            use(text)
        assert "hunter" not in str(refused.value)


def test_a_table_of_somebody_else(tmp_path, hand_written):
    """A table that lexport did not create is refused, and nothing is published; a dry run makes nothing either."""
    dest = tmp_path / "fleet"
    hand_written.write_dataset(dest, [night(1, hand_written)])
    would = publish(dest, tmp_path, is_dry_run=True)
    assert not (tmp_path / FILE).exists()
    assert (would["functions"].is_new, would["functions"].rows, would["snapshots"].rows) == (True, 10, 1)

    catalog = SqlCatalog("lexport", uri=f"sqlite:///{tmp_path}/{CATALOG}", warehouse=f"file://{tmp_path}")
    catalog.create_namespace("lexport")
    catalog.create_table(("lexport", "functions"), schema=table_schema(FUNCTIONS))
    with pytest.raises(SettingsError, match=r"lexport.functions of the catalog .* is not lexport's"):
        publish(dest, tmp_path)
    assert catalog.list_tables("lexport") == [("lexport", "functions")]
    catalog.close()


def test_damage_is_not_published(tmp_path, hand_written):
    """A file that is another than the manifest says is not added, and the error names it."""
    dest = tmp_path / "fleet"
    hand_written.write_dataset(dest, [night(1, hand_written), night(2, hand_written)])
    (first, second) = sorted(dest.glob("functions/*/*.parquet"))
    first.write_bytes(second.read_bytes())

    with pytest.raises(ReadError, match=r"functions of snapshot .* is damaged: .*its rows are of another snapshot"):
        publish(dest, tmp_path)
    first.unlink()
    with pytest.raises(ReadError, match="it is missing"):
        publish(dest, tmp_path)
    assert open_tables(tmp_path)["functions"].current_snapshot() is None
