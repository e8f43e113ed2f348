"""``lexport publish`` by DuckDB's extensions, which are there for DuckDB 1.5: run by ``make catalogs``.

DuckLake on a file and on PostgreSQL, with the dataset in a folder and in a bucket; and Iceberg tables, which DuckDB
reads.
"""

import importlib.util
import json
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import duckdb
import pytest

from lexport.dataset.open_store import open_store
from lexport.dataset.prune import prune_store
from lexport.dataset.prune_order import PruneOrder
from lexport.dataset.retention import KeepRules
from lexport.tables import registry
from lexport.tables.functions import FUNCTIONS

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
CONCURRENCY = next(name for name in FUNCTIONS.renames().values() if name.endswith("max_concurrency"))
TARGET = Path(duckdb.__file__).parents[1]
COMMAND = (sys.executable, "-m", "lexport")


@pytest.fixture
def home(environment, monkeypatch):
    """A home folder in which DuckDB finds its extensions."""
    with duckdb.connect() as connection:
        ((version,),) = connection.execute("SELECT library_version FROM pragma_version()").fetchall()
        ((platform,),) = connection.execute("PRAGMA platform").fetchall()
    folder = Path(environment["HOME"]) / ".duckdb" / "extensions" / version / platform
    folder.mkdir(parents=True)
    for name in ("avro", "ducklake", "httpfs", "iceberg", "postgres_scanner"):
        found = importlib.util.find_spec(f"duckdb_extension_{name}")
        (file,) = Path(found.origin).parent.glob(f"extensions/*/{name}.duckdb_extension")
        (folder / file.name).symlink_to(file)
    monkeypatch.setenv("HOME", environment["HOME"])
    environment["PYTHONPATH"] = str(TARGET)


def night(number, hand_written, **more):
    """A night with ten functions, whose concurrency is its number."""
    rows = [{"function_name": f"f{n}", "version": "$LATEST", CONCURRENCY: number} for n in range(10)]
    tags = [{"function_name": "f1", "key": "team", "value": str(number)}]
    at = AT + timedelta(days=number)
    return {"id": hand_written.snapshot_id(number), "at": at, "functions": rows, "tags": tags, **more}


async def run(environment, *arguments):
    """Run the command with this DuckDB; return exit code, stdout as JSON where it is some, and stderr."""
    done = await anyio.run_process([*COMMAND, *map(str, arguments)], env=environment, check=False)
    return done.returncode, json.loads(done.stdout or b"null"), done.stderr.decode()


async def rows_in_lexport(environment, dest):
    """The rows of every table over all commits."""
    query = " UNION ALL ".join(
        f"SELECT '{table.name}' AS t, count(*) AS n FROM history.{table.name}" for table in registry.tables()
    )
    _, rows, errors = await run(environment, "sql", dest, query, "--output", "json")
    assert rows is not None, errors
    return {row["t"]: row["n"] for row in rows}


def look(catalog, query, extension="ducklake"):
    """Ask a DuckLake."""
    with duckdb.connect() as connection:
        connection.load_extension(extension)
        if extension == "ducklake":
            connection.execute(f"ATTACH 'ducklake:{catalog}' AS lake (READ_ONLY)")
        return connection.execute(query).fetchall()


def check_lake(catalog, counts):
    """Compare rows and comments."""
    for table in registry.tables():
        assert look(catalog, f"SELECT count(*) FROM lake.lexport.{table.name}") == [(counts[table.name],)], table.name
    comments = look(
        catalog, "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = 'lexport'"
    )
    assert {(table, column): comment for table, column, comment in comments} == {
        (table.name, column.name): column.meaning for table in registry.tables() for column in table.columns
    }


def lose(dest, snapshot_id):
    """Prune a snapshot, and then its files."""
    prune_store(open_store(dest), PruneOrder(rules=KeepRules(), snapshot=snapshot_id))
    prune_store(open_store(dest), PruneOrder(rules=KeepRules(last=99), grace=timedelta(0)))
    assert not list(dest.glob(f"functions/*/{snapshot_id}*"))


def kill_when_it_works(arguments, environment):
    """Kill a publication when it has opened its catalog for writing."""
    catalog = Path(arguments[arguments.index("--catalog") + 1])
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with process:
        while str(catalog) not in set(open_files(process.pid)):
            assert process.poll() is None
        process.kill()


def open_files(process_id):
    """The paths of the files that a process has open now."""
    for file in Path(f"/proc/{process_id}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield str(file.readlink())


@pytest.mark.asyncio
async def test_five_publications_into_a_ducklake(tmp_path, hand_written, environment, home):
    """After five publications, two repeated and one killed, a DuckLake has rows and comments, and each file once."""
    dest, catalog = tmp_path / "a [fleet]", tmp_path / "metadata.ducklake"
    arguments = ("publish", dest, "ducklake", "--catalog", catalog, "--output", "json")
    (first,) = hand_written.write_dataset(dest, [night(1, hand_written, without=["durable_config_execution_timeout"])])
    hand_written.make_old(dest, first)
    hand_written.write_dataset(dest, [night(9, hand_written, commit=False)])
    first = await run(environment, *arguments)
    again = await run(environment, *arguments)
    assert first[0] == again[0] == 0, first[2] + again[2]
    assert {line["files_added"] for line in again[1]} == {0}

    hand_written.write_dataset(dest, [night(2, hand_written, heal=False), night(3, hand_written)])
    kill_when_it_works(arguments, environment)
    code, _, errors = await run(environment, *arguments)
    assert code == 0, errors
    lose(dest, hand_written.snapshot_id(2))
    hand_written.write_dataset(dest, [night(4, hand_written)])
    dry = await run(environment, *arguments, "--dry-run")
    done = await run(environment, *arguments)
    last = await run(environment, *arguments)

    assert done[0] == last[0] == 0, done[2] + last[2]
    of_functions = [{line["table"]: line for line in told[1]}["functions"] for told in (dry, done)]
    assert of_functions[0] | {"rows": 30} == of_functions[1]
    assert {line["files_added"] for line in last[1]} == {0}
    counts = await rows_in_lexport(environment, dest)
    assert counts["functions"] == 30
    check_lake(catalog, counts)
    assert look(catalog, f"SELECT sum({CONCURRENCY}) FROM lake.lexport.functions") == [(10 * (1 + 3 + 4),)]
    ids = look(catalog, "SELECT DISTINCT snapshot_id FROM lake.lexport.functions ORDER BY ALL")
    assert [found for (found,) in ids] == [hand_written.snapshot_id(number) for number in (1, 3, 4)]


@pytest.mark.asyncio
async def test_two_publications_at_once_into_postgres(tmp_path, hand_written, environment, home, postgres):
    """Of two publications at once into a DuckLake on PostgreSQL, one adds each file; the other finds it."""
    dest = tmp_path / "fleet"
    hand_written.write_dataset(dest, [night(1, hand_written), night(2, hand_written)])
    catalog = f"postgres:{postgres}"
    with duckdb.connect() as connection:
        connection.load_extension("ducklake")
        connection.execute(f"ATTACH 'ducklake:{catalog}' AS lake (DATA_PATH '{tmp_path}/lake')")
    ended = []

    async def publish():
        ended.append(await run(environment, "publish", dest, "ducklake", "--catalog", catalog, "--output", "json"))

    async with anyio.create_task_group() as both:
        both.start_soon(publish)
        both.start_soon(publish)

    assert [code for code, _, _ in ended] == [0, 0], ended
    check_lake(catalog, await rows_in_lexport(environment, dest))
    assert sum(line["rows_added"] for _, told, _ in ended for line in told if line["table"] == "functions") == 20


@pytest.mark.asyncio
async def test_a_bucket_in_a_ducklake(tmp_path, hand_written, environment, home, bucket):
    """The files of a dataset in a bucket are added, and no credential is printed or kept."""
    hand_written.write_dataset(tmp_path / "fleet", [night(1, hand_written)])
    for path in (tmp_path / "fleet").rglob("*"):
        if path.is_file():
            bucket.client.upload_file(str(path), bucket.name, str(path.relative_to(tmp_path)))
    catalog = tmp_path / "metadata.ducklake"
    code, told, errors = await run(
        environment, "publish", f"{bucket.url}/fleet", "ducklake", "--catalog", catalog, "--output", "json"
    )

    assert code == 0, errors
    assert {line["table"]: line["rows"] for line in told}["functions"] == 10
    assert b"testing" not in catalog.read_bytes()
    files = look(catalog, "SELECT data_file FROM ducklake_list_files('lake', 'functions', schema => 'lexport')")
    assert [file.startswith(f"{bucket.url}/fleet/functions/") for (file,) in files] == [True]


@pytest.mark.asyncio
async def test_duckdb_reads_iceberg(tmp_path, hand_written, environment, home):
    """DuckDB reads published Iceberg tables, files with former names of columns and without some among them."""
    from pyiceberg.catalog.sql import SqlCatalog

    dest, catalog = tmp_path / "fleet", f"sqlite:///{tmp_path}/catalog.db"
    (first,) = hand_written.write_dataset(dest, [night(1, hand_written)])
    hand_written.make_old(dest, first)
    hand_written.write_dataset(dest, [night(2, hand_written), night(3, hand_written)])
    arguments = ("publish", dest, "iceberg", "--catalog", catalog, "--output", "json")
    assert (await run(environment, *arguments))[0] == 0
    lose(dest, hand_written.snapshot_id(2))
    assert (await run(environment, *arguments))[0] == 0

    opened, counts = SqlCatalog("lexport", uri=catalog), await rows_in_lexport(environment, dest)
    for table in registry.tables():
        path = opened.load_table(("lexport", table.name)).metadata_location
        assert look(None, f"SELECT count(*) FROM iceberg_scan('{path}')", "iceberg") == [(counts[table.name],)]
    functions = opened.load_table("lexport.functions").metadata_location
    assert look(None, f"SELECT sum({CONCURRENCY}) FROM iceberg_scan('{functions}')", "iceberg") == [(40,)]
    opened.close()
