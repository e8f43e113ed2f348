"""A damaged data file fails only the queries that need it; everything else goes on."""

import os
import shutil
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexport.cli.main import run
from lexport.dataset.local import LocalStore
from lexport.errors import ReadError
from lexport.extract.incremental import open_last
from lexport.query.catalog import read_dataset
from lexport.query.sql import open_query_session

nights = SimpleNamespace(**run_path(str(Path(__file__).with_name("three_nights.py"))))
SCOPE = nights.SCOPE
IDS = nights.IDS
PLAIN = nights.PLAIN
HISTORY = nights.HISTORY
night = nights.night
ask = nights.ask
file_of = nights.file_of
edit = nights.edit
fit = nights.fit
feed_of = nights.feed_of
open_diff = nights.open_diff


@pytest.fixture
def dest(three_nights, tmp_path):
    """A copy of the dataset to damage."""
    return Path(shutil.copytree(three_nights, tmp_path / "fleet"))


def of_another_table(dest, number):
    file_of(dest, number).write_bytes(file_of(dest, number, "tags").read_bytes())
    fit(dest, number, file_of(dest, number))


def of_another_night(dest, number):
    other = file_of(dest, 1 if number != 1 else 0)
    file_of(dest, number).write_bytes(other.read_bytes())
    fit(dest, number, file_of(dest, number))


def of_two_nights(dest, number):
    path = file_of(dest, number)
    own, other = (
        pq.read_table(path, partitioning=None),
        pq.read_table(file_of(dest, (number + 1) % 3), partitioning=None),
    )
    pq.write_table(pa.concat_tables([own.slice(0, 5), other.slice(5)]), path)
    fit(dest, number, path)


def linked_away(dest, number):
    outside = dest.parent / "outside.parquet"
    file_of(dest, number).rename(outside)
    file_of(dest, number, "tags").parent.mkdir(exist_ok=True)
    (dest / "functions" / f"snapshot_date=2026-11-{22 + number}" / f"{IDS[number]}-0000.parquet").symlink_to(outside)


def folder_linked_away(dest, number):
    folder = file_of(dest, number).parent
    folder.rename(dest.parent / "outside")
    folder.symlink_to(dest.parent / "outside")


def piped(dest, number):
    path = file_of(dest, number)
    path.unlink()
    os.mkfifo(path)


def garbage(dest, number):
    path = file_of(dest, number)
    path.write_bytes(b"x" * path.stat().st_size)


DAMAGE = {
    "missing": lambda dest, number: file_of(dest, number).unlink(),
    "cut": lambda dest, number: file_of(dest, number).write_bytes(file_of(dest, number).read_bytes()[:-9]),
    "empty": lambda dest, number: file_of(dest, number).write_bytes(b""),
    "garbage": garbage,
    "of another night": of_another_night,
    "of another table": of_another_table,
    "of two nights": of_two_nights,
    "linked away": linked_away,
    "folder linked away": folder_linked_away,
    "piped": piped,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_file_of_an_old_night(dest, kind, capsys):
    """Queries that do not read the old night work; those that do name snapshot, file and remedy in their error."""
    path = str(file_of(dest, 0).relative_to(dest))
    DAMAGE[kind](dest, 0)

    assert ask(dest, PLAIN) == [("night 2", 10)]
    assert ask(dest, "SELECT 1") == [(1,)]
    assert ask(dest, "SELECT count(*) FROM history.tags") == [(30,)]
    assert ask(dest, "SELECT count(*) FROM snapshot.functions") == [(10,)]
    with pytest.raises(
        ReadError, match=f"{IDS[0]} is damaged: {path}: .*; lexport verify .* lists all damage"
    ) as caught:
        ask(dest, HISTORY)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
    for command in (
        ["status", "--max-age", "99999d"],
        ["diff"],
        ["diff", IDS[1]],
        ["feed"],
        ["feed", "--since", IDS[1]],
        ["check", "--fail-on", "none"],
    ):
        assert run([command[0], str(dest), *command[1:]]) == 0, command
    assert run(["verify", str(dest), "--data"]) == 4
    assert run(["diff", str(dest), IDS[0]]) == 1
    assert run(["feed", str(dest), "--since", IDS[0]]) == 1
    assert f"{IDS[0]} is damaged: {path}: " in capsys.readouterr().err


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_file_of_the_last_night(dest, kind):
    """Queries of the damaged table fail instead of showing nothing or older rows; other tables can be read."""
    DAMAGE[kind](dest, 2)

    for query in (
        PLAIN,
        "SELECT count(*) FROM snapshot.functions",
        HISTORY,
        "FROM runtimes",
        "FROM query('FROM functions')",
    ):
        with pytest.raises(ReadError, match=IDS[2]):
            ask(dest, query)
    assert ask(dest, "SELECT count(*), min(value) FROM tags") == [(10, "2")]
    assert ask(dest, "SELECT sum(functions) FROM scopes WHERE 'functions' <> 'history.functions'") == [(None,)]
    assert len(ask(dest, "SELECT DISTINCT table_name FROM duckdb_columns() WHERE table_name = 'functions'")) == 1
    for command in ("check", "diff", "feed", "report"):
        assert run([command, str(dest), *(("-o", os.devnull) if command == "report" else ())]) == 1, command
    last, why = open_last(LocalStore(dest), SCOPE, env=None, hash_key_id=None, note=(notes := []).append)
    assert (last is not None, why) == (True, None)
    assert [IDS[2] in note and IDS[1] in note for note in notes] == [True]


def test_nothing_to_build_on(dest):
    """If no reading can be used, an incremental run names the damaged one and reuses none."""
    for number in range(3):
        DAMAGE["cut"](dest, number)
    last, why = open_last(LocalStore(dest), SCOPE, env=None, hash_key_id=None, note=pytest.fail)

    assert last is None
    assert f"{IDS[2]} cannot be read" in why


@pytest.mark.parametrize(
    "query",
    [
        "FROM (PIVOT tags ON key IN ('team') USING count(*))",
        'FROM "HISTORY" . "Tags"',
        "FROM query_table('tags')",
        "FROM tags AS functions",
    ],
)
def test_what_a_statement_names(dest, query):
    """Tables are recognized in every way a statement can name them; files of other tables are not checked."""
    DAMAGE["missing"](dest, 2)
    if "query_table" in query:  # it could name any table
        with pytest.raises(ReadError, match=IDS[2]):
            ask(dest, query)
    else:
        assert ask(dest, query)
    file_of(dest, 2, "tags").unlink()
    with pytest.raises(ReadError, match=IDS[2]):
        ask(dest, query)


def test_a_lost_night_does_not_stop_checks(dest, capsys):
    """An older night that lost every file is reported, and checks judge the newer night."""
    for path in dest.glob(f"*/*/{IDS[1]}-0000.parquet"):
        path.unlink()

    assert run(["check", str(dest), "--check", "not_read_whole"]) == 0
    assert f"scopes of snapshot {IDS[1]} is damaged" in (err := capsys.readouterr().err)
    assert "its manifest was read instead" in err
    query = "SELECT snapshot_id, status, functions, versions, snapshot_at FROM history.scopes ORDER BY ALL"
    assert [row[:4] for row in ask(dest, query)] == [
        (IDS[0], "complete", None, None),
        (IDS[1], "complete", 0, 10),
        (IDS[2], "complete", None, None),
    ]
    for path in dest.glob(f"scopes/*/{IDS[2]}-0000.parquet"):
        path.unlink()
    assert run(["check", str(dest), "--check", "not_read_whole"]) == 1


def test_one_session_many_queries(dest):
    """A session that has read DuckDB's catalog still rejects a damaged table."""
    DAMAGE["missing"](dest, 2)
    with open_query_session(dest) as session:
        assert (
            session.read("SELECT count(*) AS n FROM duckdb_views() WHERE view_name = 'functions'")
            .read_all()["n"][0]
            .as_py()
            == 3
        )
        with pytest.raises(ReadError):
            session.read(PLAIN)
        assert session.read("SELECT count(*) AS n FROM tags").read_all()["n"][0].as_py() == 10


# --- several files ----------------------------------------------------------------------------------------------------


def split(dest, number, table, at, *, again=0):
    """Split a file in two; the second begins with the last ``again`` rows of the first."""
    path = file_of(dest, number, table)
    other = path.with_name(path.name.replace("-0000.", "-0001."))
    rows = pq.ParquetFile(path).read()
    parts = {path: rows.slice(0, at), other: rows.slice(at - again)}
    for name, part in parts.items():
        pq.write_table(part, name, row_group_size=3)

    def change(manifest):
        first = next(entry for entry in manifest["files"] if dest / entry["path"] == path)
        second = first | {"path": str(other.relative_to(dest)), "rows": len(parts[other])}
        first["rows"] = at
        manifest["files"].insert(0, second)
        if table == "functions":
            manifest["scopes"][0]["versions"] += again

    edit(dest, number, change)
    for name in parts:
        fit(dest, number, name)


def test_several_files_of_a_table(dest, tmp_path):
    """A table in two files is read whole, once, and in order, by every reader."""
    before = feed_of(dest), [row for table in open_diff(dest) for row in table.to_pylist()]
    for table in ("functions", "tags"):
        split(dest, 1, table, 3)
        split(dest, 2, table, 7)
    split(dest, 0, "tags", 10)  # the second file has no rows

    assert ask(dest, PLAIN) == [("night 2", 10)]
    assert ask(dest, HISTORY) == [(30,)]
    assert (feed_of(dest), [row for table in open_diff(dest) for row in table.to_pylist()]) == before
    last, _ = open_last(LocalStore(dest), SCOPE, env=None, hash_key_id=None, note=pytest.fail)
    assert last is not None
    assert run(["views", str(dest), "--db", str(tmp_path / "x.duckdb")]) == 0
    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as connection:
        assert connection.sql(HISTORY).fetchall() == [(30,)]


@pytest.mark.parametrize("again", [1, 3])
def test_files_that_overlap(dest, again):
    """Rows that are in two files of a table are never shown twice."""
    split(dest, 2, "functions", 5, again=again)

    for query in (PLAIN, HISTORY, "FROM snapshot.functions"):
        with pytest.raises(ReadError, match=r"-0001\.parquet: its rows do not come after those of"):
            ask(dest, query)
    assert run(["feed", str(dest)]) == run(["diff", str(dest)]) == run(["check", str(dest)]) == 1


@pytest.mark.parametrize("kind", ["overlapping", "linked away"])
def test_damage_that_the_file_of_views_knows(dest, tmp_path, kind):
    """In DuckDB's file too, a damaged file of the last night fails only the queries that need it."""
    if kind == "overlapping":
        split(dest, 2, "functions", 5, again=2)
    else:
        linked_away(dest, 2)
    assert run(["views", str(dest), "--db", str(tmp_path / "x.duckdb")]) == 0

    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as connection:
        for query in (PLAIN, "SELECT count(*) FROM snapshot.functions"):
            with pytest.raises(duckdb.Error, match=f"functions of snapshot {IDS[2]} is damaged"):
                connection.sql(query).fetchall()
        assert connection.sql("SELECT count(*) > 0 FROM tags").fetchall() == [(True,)]


def test_a_file_that_is_cut_off_keeps_views_from_being_made(dest, tmp_path, capsys):
    """DuckDB must open every file to create the views; the error names the file and the snapshot."""
    file_of(dest, 2).write_bytes(file_of(dest, 2).read_bytes()[:-7])

    assert run(["views", str(dest), "--db", str(tmp_path / "x.duckdb")]) == 1
    assert f"functions of snapshot {IDS[2]} is damaged: functions/" in capsys.readouterr().err
    assert not (tmp_path / "x.duckdb").exists()


def test_three_files_of_a_table(dest):
    """Every file is compared with the one before it."""
    split(dest, 2, "functions", 3)
    second, third = (file_of(dest, 2).with_name(f"{IDS[2]}-000{number}.parquet") for number in (1, 2))
    pq.write_table(pq.read_table(second, partitioning=None).slice(5), third)  # its last two rows again

    def change(manifest):
        entry = next(entry for entry in manifest["files"] if dest / entry["path"] == second)
        manifest["files"].append(entry | {"path": str(third.relative_to(dest)), "rows": 2})
        manifest["scopes"][0]["versions"] += 2

    edit(dest, 2, change)
    fit(dest, 2, third)
    with pytest.raises(ReadError, match=r"-0002\.parquet: its rows do not come after those of"):
        ask(dest, PLAIN)


# --- a commit that is removed while it is read ------------------------------------------------------------------------


def remove(dest, number):
    """Remove a commit and its files, as ``lexport prune`` does in two runs."""
    nights.manifest_of(dest, number).unlink()
    for path in dest.glob(f"*/*/{IDS[number]}-0000.parquet"):
        path.unlink()


def test_a_commit_that_is_removed_meanwhile(dest):
    """A reader that misses a file reads the commits again, and answers without the one that is gone."""
    with open_query_session(dest) as session:

        def count(query):
            return session.read(query).read_all().to_pylist()

        assert count("SELECT count(*) AS n FROM history.tags") == [{"n": 30}]
        remove(dest, 0)
        assert count("SELECT count(*) AS n FROM history.functions") == [{"n": 20}]
        assert count("SELECT count(*) AS n FROM history.tags") == [{"n": 20}]
        assert count("SELECT min(description) AS d FROM functions") == [{"d": "night 2"}]
        file_of(dest, 2, "scopes").unlink()
        with pytest.raises(ReadError, match=IDS[2]):
            count("FROM scopes")


def test_a_comparison_whose_commit_is_removed_meanwhile(dest):
    """What is compared is chosen again where a commit is gone."""

    def read(catalog):
        ids = [commit.snapshot_id for commit in catalog.manifests]
        if len(ids) == 3:
            remove(dest, 1)
        return ids, len(catalog.files("functions"))

    assert read_dataset(dest, read) == ([IDS[2], IDS[0]], 2)
    file_of(dest, 0).unlink()
    with pytest.raises(ReadError, match=IDS[0]):
        read_dataset(dest, read)
