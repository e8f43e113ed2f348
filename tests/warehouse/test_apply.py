"""Feeds that are loaded into PostgreSQL and DuckDB: the databases show what ``lexport sql`` shows, to the row."""

import resource
import shutil
from pathlib import Path

import duckdb
import pytest

from lexport.errors import PublishError, RunError, SettingsError
from lexport.query.feed import write_feed
from lexport.query.warehouse.apply import OPENERS, apply_feed, read_load
from lexport.query.warehouse.apply_duckdb import open_duckdb
from lexport.query.warehouse.apply_postgres import open_postgres
from lexport.query.warehouse.existing import MENDED

OPEN = {"postgres": open_postgres, "duckdb": open_duckdb}
LAST_LOAD = "load_id = (SELECT MAX(load_id) FROM lexport_tables.lexport_loads)"


@pytest.mark.asyncio
async def test_five_feeds(warehouse, stages, sql_shows, view_rows, apply, differing, show, run_lexport, tmp_path):
    """After five feeds every name and every view shows what ``lexport sql`` shows.

    The first is loaded by the command. The third is loaded twice. The fourth breaks off in the middle, changes nothing,
    and is repeated.
    """
    done = await run_lexport("feed", stages[0], "--apply", warehouse.kind, "--to", warehouse.url)
    assert done.code == 0, done.err
    assert "rows loaded" in done.last

    for number, stage in enumerate(stages):
        if number == 3:
            break_off(warehouse, stage, tmp_path)
            assert differing(warehouse, sql_shows(stages[2])) == []
        applied = apply(stage, warehouse)
        assert applied.is_news == (number > 0)
        if number == 2:
            warehouse.run(f"DELETE FROM lexport_tables.lexport_loads WHERE {LAST_LOAD}")
            assert apply(stage, warehouse).is_news
    assert differing(warehouse, sql_shows(stages[-1])) == []
    assert differing(warehouse, view_rows(), show.number) == []
    assert len(warehouse.query("SELECT load_id FROM lexport_tables.lexport_loads")) == len(stages)


def break_off(warehouse, stage, tmp_path):
    """Load a feed whose last file is cut off."""
    since = "01KB0000000000000000000005"
    feed = write_feed(stage, tmp_path / "cut", since)
    last = [part for part in feed.parts if part.rows and part.table is not None][-1]
    path = tmp_path / "cut" / last.path
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RunError), OPEN[warehouse.kind](warehouse.url) as opened:
        opened.load(tmp_path / "cut", read_load(tmp_path / "cut"))
    assert not Path(f"{warehouse.url}.wal").exists()


@pytest.mark.parametrize("mode", ["soft-delete", "scd2"])
def test_rows_that_are_gone_are_kept(warehouse, stages, sql_shows, apply, differing, show, mode):
    """Rows that are deleted keep the time; with scd2 the rows of a night can be read as they were then.

    A table that was dropped comes back with all rows, and the others keep theirs that are gone.
    """
    for stage in stages[:3]:
        apply(stage, warehouse, write_mode=mode)
    warehouse.run(f"DROP TABLE lexport_tables.tags{cascade(warehouse)}")
    (note, *_) = apply(stages[3], warehouse, write_mode=mode).notes[::-1]
    assert "all rows of lexport_tables.tags were loaded" in note
    assert differing(warehouse, sql_shows(stages[3])) == []
    column = {"soft-delete": "deleted_at", "scd2": "valid_to"}[mode]
    gone = warehouse.query(f"SELECT function_name, {column} FROM lexport_tables.functions WHERE {column} IS NOT NULL")
    assert gone
    if mode == "scd2":
        names = "account_id, region, function_name, version, memory_size, description"
        for number, stage in ((1, stages[0]), (2, stages[1]), (5, stages[2])):
            at = f"CAST('2026-11-{20 + number} 02:00:00.123456+00' AS TIMESTAMPTZ)"
            then = warehouse.query(
                f"SELECT {names} FROM lexport_tables.functions"
                f" WHERE valid_from <= {at} AND (valid_to > {at} OR valid_to IS NULL)"
            )
            query = f"(SELECT {names} FROM main.functions)"
            assert then == show.of_sql(stage, [query])[query]
    with pytest.raises(SettingsError, match=f"is loaded with --{mode}, so it cannot be without it"):
        apply(stages[4], warehouse)


def test_what_was_dropped_comes_back(warehouse, stages, sql_shows, apply, differing):
    """Tables come back with all rows, views and schemas also where nothing is new; the clock can have been set back."""
    with pytest.raises(PublishError, match="is empty, but this feed leads on from"):
        apply(stages[0], warehouse, since="01KB0000000000000000000001")
    apply(stages[0], warehouse)
    warehouse.run("UPDATE lexport_tables.lexport_loads SET loaded_at = '2099-01-01 00:00:00+00'")
    warehouse.run(f"DROP TABLE lexport_tables.tags{cascade(warehouse)}")
    warehouse.run(f"ALTER TABLE lexport_tables.scopes DROP COLUMN status{cascade(warehouse)}")
    warehouse.run("DROP SCHEMA lexport_history CASCADE")

    assert "all rows of lexport_tables.tags, lexport_tables.scopes were loaded" in apply(stages[1], warehouse).notes[-1]
    assert differing(warehouse, sql_shows(stages[1])) == []
    warehouse.run("UPDATE lexport_tables.lexport_loads SET loaded_at = '2099-01-02 00:00:00+00'")
    assert apply(stages[2], warehouse).is_news
    warehouse.run("DROP SCHEMA lexport CASCADE")
    mended = apply(stages[2], warehouse)
    assert (mended.is_news, mended.notes) == (False, [MENDED])
    assert differing(warehouse, sql_shows(stages[2])) == []


def cascade(warehouse):
    return " CASCADE" if warehouse.kind == "postgres" else ""


@pytest.mark.parametrize(
    ("schema", "kind", "definition", "reason"),
    [
        ("lexport_tables", "TABLE", "(a INT NOT NULL)", "lacks columns of its key"),
        ("lexport_tables", "VIEW", "AS SELECT 1 AS a", "is a view"),
        ("lexport", "TABLE", "(a INT)", "is a table"),
    ],
)
def test_names_that_are_taken(warehouse, stages, apply, schema, kind, definition, reason):
    """What is another's is named, and nothing is changed."""
    warehouse.run(f"CREATE SCHEMA {schema}")
    warehouse.run(f"CREATE {kind} {schema}.functions {definition}")

    with pytest.raises(RunError, match=rf"{schema}.functions is not lexport's: it {reason}"):
        apply(stages[0], warehouse)
    assert warehouse.query(f"SELECT COUNT(*) FROM {schema}.functions") == [(str(int(kind == "VIEW")),)]


def test_nobody_else_reads_a_duckdb_file(tmp_path):
    """A new file and its write-ahead log are for their owner alone; the log of another is as that file is."""
    path = tmp_path / "warehouse.duckdb"
    for mode in (0o600, 0o640):
        with open_duckdb(str(path)) as opened, opened.transaction():
            assert {oct(each.stat().st_mode & 0o777) for each in tmp_path.iterdir()} == {oct(mode)}
            assert len([*tmp_path.iterdir()]) == 2
        duckdb.connect(str(path)).execute("CREATE TABLE IF NOT EXISTS t (a INT)").close()
        path.chmod(0o640)


def test_a_cursor_that_is_gone(warehouse, stages, sql_shows, apply, differing, tmp_path):
    """Where the loaded commit was pruned, the error says what to do; then the load replaces everything."""
    dest = tmp_path / "fleet"
    apply(stages[1], warehouse)
    shutil.copytree(stages[2], dest)
    (dest / "_runs" / "01KB0000000000000000000003.json").unlink()

    with pytest.raises(SettingsError, match=r"delete all rows of .* and run again") as failed:
        apply(dest, warehouse)
    assert failed.value.exit_code == 2
    warehouse.run("DELETE FROM lexport_tables.lexport_loads")
    apply(stages[2], warehouse)

    assert differing(warehouse, sql_shows(stages[2])) == []


def test_another_cursor_is_refused(warehouse, stages, sql_shows, apply, differing):
    """A feed that begins elsewhere than the database stands changes nothing, and ends with exit code 6."""
    apply(stages[1], warehouse)

    with pytest.raises(PublishError, match="another load was first") as failed:
        apply(stages[2], warehouse, since="01KB0000000000000000000001")
    assert failed.value.exit_code == 6
    assert differing(warehouse, sql_shows(stages[1])) == []


def test_a_newer_lexport_was_here(warehouse, stages, apply):
    """A database that a newer lexport loaded is refused."""
    apply(stages[0], warehouse)
    warehouse.run("UPDATE lexport_tables.lexport_loads SET schema_version = '99'")

    with pytest.raises(RunError, match="newer lexport"):
        apply(stages[1], warehouse)


def test_an_older_lexport_was_here(warehouse, stages, sql_shows, apply, differing, show):
    """Columns that are missing are added, former ones renamed, tables and views that are missing created."""
    apply(stages[0], warehouse)
    for statement in (
        f"DROP VIEW lexport.canary_aliases{cascade(warehouse)}",
        f"DROP VIEW lexport.tags{cascade(warehouse)}",
        "CREATE VIEW lexport.tags AS SELECT 1 AS something",
        f"ALTER TABLE lexport_tables.functions DROP COLUMN description{cascade(warehouse)}",
        f"DROP TABLE lexport_tables.package_secrets{cascade(warehouse)}",
        "CREATE VIEW lexport.mine AS SELECT * FROM lexport.scopes",
    ):
        warehouse.run(statement)
    if warehouse.kind == "postgres":
        with pytest.raises(RunError, match=r"others depend on them.*lexport.mine"):
            apply(stages[1], warehouse)
        warehouse.run("DROP VIEW lexport.mine")
    warehouse.run("DELETE FROM lexport_tables.lexport_loads")
    apply(stages[1], warehouse)

    expected = {name: rows for name, rows in sql_shows(stages[1]).items() if name != "main.functions"}
    assert differing(warehouse, expected) == []
    assert len(warehouse.query("SELECT description FROM lexport.functions WHERE description IS NOT NULL")) > 3


@pytest.mark.parametrize("text", ["a\0b"])
def test_what_postgres_does_not_keep(write_dataset, tmp_path, postgres, show, text):
    """U+0000 becomes U+FFFD, and the command says in how many values."""
    rows = [{"function_name": name, "version": "$LATEST", "description": text} for name in "fg"]
    write_dataset(tmp_path / "fleet", [{"functions": rows}])

    applied = apply_feed(tmp_path / "fleet", "postgres", postgres, since=None, write_mode="hard-delete")

    assert applied.notes == ["PostgreSQL keeps no U+0000 in texts: it is U+FFFD in 2 values"]
    assert show.Postgres(postgres).query("SELECT DISTINCT description FROM lexport.functions") == [("'a\ufffdb'",)]


def test_texts_are_compared_by_bytes(write_dataset, tmp_path, postgres, show):
    """As in DuckDB, in a database that sorts texts as people do."""
    names = sorted(["alpha", "Beta", "a-z", "a_b", "aB"])
    rows = [{"function_name": name, "version": "$LATEST"} for name in names]
    write_dataset(tmp_path / "fleet", [{"functions": rows}])
    apply_feed(tmp_path / "fleet", "postgres", postgres, since=None, write_mode="hard-delete")
    database = show.Postgres(postgres)

    assert database.query("SELECT MIN(function_name), MAX(function_name) FROM lexport.functions") == [
        (repr(names[0]), repr(names[-1]))
    ]
    assert database.query("SELECT 1 WHERE 'alpha' < 'Beta'") != []  # what the database itself says


def test_a_full_disk(stages, apply, show, tmp_path):
    """Where the disk is full the error of a first load says so, and no file is left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(RunError, match=r"Could not write file .*: File too large"):
            apply(stages[0], show.DuckDB(tmp_path / "warehouse.duckdb"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert list(tmp_path.iterdir()) == []


def test_every_database_has_an_opener():
    """What --apply takes can be opened."""
    assert {*OPENERS} == {*OPEN}
