"""The DuckDB file has the same names as ``sql``, and always shows the present snapshots."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

import lexport
from lexport.dataset.retire import retire
from lexport.errors import NoSnapshotError, ReadError, RunError, SettingsError
from lexport.query.shipped_views import shipped_views

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
DAY = timedelta(days=1)

pytestmark = pytest.mark.asyncio


def ask(db, query):
    with duckdb.connect(str(db), read_only=True) as connection:
        return connection.execute(query).fetchall()


def names(db, table):
    return [name for (name,) in ask(db, f"SELECT function_name FROM {table} ORDER BY 1")]


def night(name, days, **more):
    return {"at": AT + days * DAY, "functions": [{"function_name": name, "version": "$LATEST"}], **more}


async def test_right_as_snapshots_come_and_go(tmp_path, write_dataset):
    """A file that was written once shows each new commit, and neither uncommitted nor removed ones."""
    dest, db = tmp_path / "fleet", tmp_path / "fleet.duckdb"
    write_dataset(dest, [night("first", 0, heal=False)])
    await lexport.views(dest, db=db)
    assert names(db, "functions") == ["first"]

    nights = [night("first", 0), night("second", 1), night("half", 2, scopes=[{"status": "partial"}], status="partial")]
    _, _, third, _ = write_dataset(dest, [*nights, night("aborted", 3, commit=False)])

    assert names(db, "functions") == ["second"]
    assert names(db, "snapshot.functions") == ["half"]
    assert names(db, "history.functions") == ["first", "half", "second"]
    assert ask(db, "SELECT status, 1 FROM history.snapshots ORDER BY snapshot_id OFFSET 1") == [
        ("complete", 1),
        ("partial", 1),
    ]

    (dest / "_runs" / f"{third.snapshot_id}.json").unlink()
    assert names(db, "snapshot.functions") == ["second"]


async def test_what_a_later_commit_reads_and_retires(tmp_path, write_dataset):
    """A file that was written once shows tables that only a later commit reads, and no longer what has ended."""
    dest, db = tmp_path / "fleet", tmp_path / "fleet.duckdb"
    first = night("first", 0)
    first["functions"][0]["code_sha256"] = "sum"
    write_dataset(dest, [first])
    await lexport.views(dest, db=db)
    assert ask(db, "SELECT count(*) FROM packages") == [(0,)]

    packages = {"at": AT + DAY, "scopes": [], "packages": [{"code_sha256": "sum"}]}
    write_dataset(dest, [first, packages])
    assert ask(db, "SELECT code_sha256 FROM packages") == [("sum",)]
    assert ask(db, "SELECT count(*) FROM snapshot.functions") == [(1,)]

    await retire(dest, "111122223333", region="eu-west-1")
    assert ask(db, "SELECT count(*) FROM functions") == [(0,)]
    assert names(db, "history.functions") == ["first"]
    assert names(db, "snapshot.functions") == ["first"]


async def test_a_list_is_never_the_fleet(tmp_path, write_dataset):
    """A newer snapshot of listed functions hides no function of the fleet."""
    write_dataset(tmp_path / "fleet", [night("whole", 0), night("picked", 1, scopes=[{"coverage": "selection"}])])
    await lexport.views(tmp_path / "fleet", db=tmp_path / "x.duckdb")

    assert names(tmp_path / "x.duckdb", "functions") == ["whole"]
    assert names(tmp_path / "x.duckdb", "snapshot.functions") == ["picked"]


STRAY = {
    "{id}-0000 (conflicted copy).parquet": "copy",
    "{id}-0000 (1).parquet": "copy",
    "._{id}-0000.parquet": "garbage",
    ".{id}-0000.parquet": "copy",
    "{id}-0000.parquet.tmp": "garbage",
    "{id}-0000.PARQUET": "garbage",
    "{id}-00000.parquet": "garbage",
    "{id}-0001.parquet": "copy",
    "copy of {id}-0000.parquet": "garbage",
    "x.parquet": "garbage",
    "sub/{id}-0000.parquet": "copy",
    "../{id}-0000.parquet": "copy",
    "../snapshot_date=2026-11-01/{id}-0000.parquet": "copy",
    "../snapshot_date=2026-11-01 (1)/{id}-0000.parquet": "garbage",
    "../old/{id}-0000.parquet": "garbage",
}


async def test_strangers_files(tmp_path, write_dataset):
    """Other files in the folders, added before or after the views, change no result."""
    dest, dbs = tmp_path / "fleet", (tmp_path / "before.duckdb", tmp_path / "after.duckdb")
    *_, newest = write_dataset(dest, [night("first", 0), night("second", 1)])
    await lexport.views(dest, db=dbs[0])
    for table in ("functions", "scopes", "tags"):
        (path,) = dest.glob(f"{table}/*/{newest.snapshot_id}-0000.parquet")
        for name, kind in STRAY.items():
            stray = path.parent / name.format(id=newest.snapshot_id)
            stray.parent.mkdir(exist_ok=True)
            stray.write_bytes(path.read_bytes() if kind == "copy" else b"\0" * 4096)
    runs = dest / "_runs"
    body = (runs / f"{newest.snapshot_id}.json").read_bytes()
    for name in ("{id} (1).json", "._{id}.json", "notes.json", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ.json", "{id}.json.bak"):
        (runs / name.format(id=newest.snapshot_id)).write_bytes(body)
    (runs / "7ZZZZZZZZZZZZZZZZZZZZZZZZY.json").write_bytes(b"{")
    await lexport.views(dest, db=dbs[1])

    for db in dbs:
        assert names(db, "functions") == names(db, "snapshot.functions") == ["second"]
        assert names(db, "history.functions") == ["first", "second"]
        assert ask(db, "SELECT count(*) FROM history.snapshots") == [(2,)]
        assert ask(db, "SELECT count(*) FROM history.scopes") == [(2,)]
    assert (await lexport.sql(dest, "SELECT count(*) AS n FROM history.functions")).to_pylist() == [{"n": 2}]


async def test_a_torn_file_of_no_snapshot(tmp_path, write_dataset):
    """A torn file with the name of a data file, which DuckDB has to open, is named, and so is what to do."""
    dest = tmp_path / "fleet"
    write_dataset(dest, [night("first", 0)])
    (path,) = dest.glob("functions/*/*.parquet")
    torn = path.with_name("7ZZZZZZZZZZZZZZZZZZZZZZZZZ-0000.parquet")
    torn.write_bytes(b"")

    with pytest.raises(RunError, match=f"functions/.*/{torn.name} is damaged, and no snapshot names it: remove it"):
        await lexport.views(dest, db=tmp_path / "x.duckdb")
    torn.unlink()
    await lexport.views(dest, db=tmp_path / "x.duckdb")
    assert names(tmp_path / "x.duckdb", "functions") == ["first"]


NEEDS_FUNCTIONS = (
    "SELECT count(*) FROM functions",
    "SELECT function_name FROM functions WHERE function_name = 'none'",
    "SELECT count(*) FROM functions JOIN tags USING (function_name)",
    "SELECT count(*) FROM snapshot.functions",
    "SELECT count(*) FROM history.functions WHERE function_name = 'first'",
    "SELECT count(*) FROM runtimes",
)


async def test_a_lost_file_is_no_empty_table(tmp_path, write_dataset):
    """A query that needs a missing file fails with its name and snapshot; no row is lost silently."""
    dest, db = tmp_path / "fleet", tmp_path / "x.duckdb"
    *_, last = write_dataset(dest, [night("first", 0), night("second", 1)])
    await lexport.views(dest, db=db)
    (lost,) = dest.glob(f"functions/*/{last.snapshot_id}-0000.parquet")
    lost.unlink()

    for place in (lambda _: None, os.mkfifo):
        place(lost)
        for query in NEEDS_FUNCTIONS:
            with pytest.raises(duckdb.Error, match=f"functions of snapshot {last.snapshot_id} is damaged: functions/"):
                ask(db, query)
        assert ask(db, "SELECT count(*) FROM tags") == [(0,)]


async def test_a_file_of_an_old_night_is_lost(tmp_path, write_dataset):
    """An old missing file fails only queries of the history, even in the table that names the latest snapshot."""
    dest, db = tmp_path / "fleet", tmp_path / "x.duckdb"
    first, _ = write_dataset(dest, [night("first", 0), night("second", 1)])
    await lexport.views(dest, db=db)
    for table in ("functions", "scopes"):
        next(dest.glob(f"{table}/*/{first.snapshot_id}-0000.parquet")).unlink()

    assert names(db, "functions") == names(db, "snapshot.functions") == ["second"]
    for table in ("functions", "scopes"):
        with pytest.raises(duckdb.Error, match=f"{table} of snapshot {first.snapshot_id} is damaged"):
            ask(db, f"SELECT count(*) FROM history.{table}")


async def test_all_files_of_a_table_are_lost(tmp_path, write_dataset):
    """If no file can be written, the error names the file of the dataset, not the one to be written."""
    *_, last = write_dataset(tmp_path / "fleet", [night("first", 0), night("second", 1)])
    shutil.rmtree(tmp_path / "fleet" / "layers")

    with pytest.raises(ReadError, match=f"layers of snapshot {last.snapshot_id} is damaged: layers/"):
        await lexport.views(tmp_path / "fleet", db=tmp_path / "x.duckdb")
    assert not (tmp_path / "x.duckdb").exists()


async def test_a_manifest_that_lacks_a_table(tmp_path, write_dataset):
    """A snapshot without a table is skipped, and the one before is shown: a missing table is not an empty one."""
    dest, db = tmp_path / "fleet", tmp_path / "x.duckdb"
    *_, last = write_dataset(dest, [night("first", 0), night("second", 1)])
    path = dest / "_runs" / f"{last.snapshot_id}.json"
    told = json.loads(path.read_text())
    told["files"] = [entry for entry in told["files"] if entry["table"] != "functions"]
    path.write_text(json.dumps(told))
    await lexport.views(dest, db=db)

    assert names(db, "functions") == names(db, "snapshot.functions") == ["first"]


async def test_packages_are_those_of_the_latest_functions(tmp_path, write_dataset, package_commits):
    """The tables of packages show the same as in ``sql``."""
    commits, answers = package_commits
    write_dataset(tmp_path / "fleet", commits)
    await lexport.views(tmp_path / "fleet", db=tmp_path / "x.duckdb")

    assert {query: ask(tmp_path / "x.duckdb", query) for query in answers} == answers


async def test_shipped_views(tmp_path, write_dataset):
    """Every shipped view works, and the partition folder is not a column."""
    write_dataset(tmp_path / "fleet", [night("f", 0)])
    await lexport.views(tmp_path / "fleet", db=tmp_path / "fleet.duckdb")

    for view in shipped_views():
        ask(tmp_path / "fleet.duckdb", f"SELECT count(*) FROM {view.name}")
    assert ask(tmp_path / "fleet.duckdb", "SELECT 1 FROM duckdb_columns() WHERE column_name = 'snapshot_date'") == []


async def test_older_files(tmp_path, write_dataset):
    """A column that an older release did not write is NULL."""
    older = night("old", 0, without=["config_sha256"], version="0.0.9")
    write_dataset(tmp_path / "fleet", [older, night("new", 1)])
    await lexport.views(tmp_path / "fleet", db=tmp_path / "x.duckdb")

    assert ask(tmp_path / "x.duckdb", "SELECT config_sha256 FROM history.functions") == [(None,), (None,)]


@pytest.mark.parametrize("name", ["two words", "it's", "a[x]b", "a*b"])
async def test_odd_destinations(tmp_path, write_dataset, name):
    """A destination with a name that is a glob pattern is read, and no other folder."""
    write_dataset(tmp_path / name, [night("mine", 0)])
    write_dataset(tmp_path / "aXb", [night("neighbour", 0)])
    await lexport.views(tmp_path / name, db=tmp_path / "lexport.duckdb")

    assert names(tmp_path / "lexport.duckdb", "history.functions") == ["mine"]


async def test_replaces_its_own(tmp_path, write_dataset):
    """A second run replaces the file of the first and leaves no temporary file."""
    write_dataset(tmp_path / "fleet", [night("f", 0)])
    for _ in range(2):
        await lexport.views(tmp_path / "fleet", db=tmp_path / "v.duckdb")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["fleet", "v.duckdb"]
    assert (tmp_path / "v.duckdb").stat().st_mode & 0o777 == 0o600


def _database(path, statement):
    with duckdb.connect(str(path)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("name", "make", "text"),
    [
        ("x.duckdb", lambda path: path.write_text("my notes"), "not a DuckDB file"),
        ("x.duckdb", lambda path: path.touch(), "not a DuckDB file"),
        ("x.duckdb", lambda path: path.mkdir(), "is not a file"),
        ("x.duckdb", lambda path: _database(path, "CREATE TABLE mine (i INT)"), "main.mine"),
        ("x.duckdb", lambda path: _database(path, "CREATE VIEW runtimes AS SELECT 1"), "main.runtimes"),
        ("x.duckdb", lambda path: _database(path, "CREATE MACRO one() AS 1"), "main.one"),
        ("x.duckdb", lambda path: _database(path, "CREATE SCHEMA work"), "work"),
        ("snapshot.duckdb", lambda path: None, "choose another"),
        ("no/x.duckdb", lambda path: None, "folder does not exist"),
    ],
)
async def test_never_clobbers(tmp_path, write_dataset, name, make, text):
    """A file that lexport did not write is not changed."""
    write_dataset(tmp_path / "fleet", [night("f", 0)])
    make(tmp_path / name)
    before = (tmp_path / name).read_bytes() if (tmp_path / name).is_file() else None

    with pytest.raises(SettingsError, match=text):
        await lexport.views(tmp_path / "fleet", db=tmp_path / name)

    assert before == ((tmp_path / name).read_bytes() if (tmp_path / name).is_file() else None)


async def test_no_snapshot(tmp_path):
    """Without a snapshot no file is written."""
    with pytest.raises(NoSnapshotError):
        await lexport.views(tmp_path, db=tmp_path / "x.duckdb")

    assert list(tmp_path.iterdir()) == []
