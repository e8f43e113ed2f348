"""One damaged night hurts only itself: what needs it says so in one line, everything else goes on."""

import asyncio
import hashlib
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lexport
from lexport.cli.main import run
from lexport.dataset.commits import DamagedCommit, newest_first, newest_whole, read_commit
from lexport.dataset.local import LocalStore
from lexport.errors import ReadError, RunError
from lexport.extract.incremental import open_last
from lexport.model import Scope
from lexport.query.catalog import open_catalog
from lexport.query.feed import open_feed
from lexport.query.sql import open_query_session, open_result
from lexport.query.verify.files import find_damage
from lexport.tables.registry import BY_NAME

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
SCOPE = Scope(account_id="111122223333", region="eu-west-1")
IDS = [f"01K0{number:022d}" for number in (1, 2, 3)]
PLAIN = "SELECT min(description), count(*) FROM functions"
HISTORY = "SELECT count(*) FROM history.functions"


def night(day):
    """Ten functions; of the same size each night, and other descriptions."""
    rows = [{"function_name": f"f{n}", "version": "$LATEST", "description": f"night {day}"} for n in range(10)]
    tags = [{"function_name": f"f{n}", "key": "team", "value": f"{day}"} for n in range(10)]
    return {"at": AT + day * timedelta(days=1), "functions": rows, "tags": tags}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, write_dataset):
    dest = tmp_path_factory.mktemp("whole") / "fleet"
    write_dataset(dest, [night(day) for day in range(3)])
    return dest


@pytest.fixture
def dest(whole, tmp_path):
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "fleet"))


def ask(dest, query):
    with open_result(dest, query) as result:
        return [tuple(row.values()) for row in result.reader.read_all().to_pylist()]


def file_of(dest, number, table="functions"):
    return next(dest.glob(f"{table}/*/{IDS[number]}-0000.parquet"))


def manifest_of(dest, number):
    return dest / "_runs" / f"{IDS[number]}.json"


def edit(dest, number, change):
    """Change a manifest as JSON."""
    told = json.loads(manifest_of(dest, number).read_bytes())
    change(told)
    manifest_of(dest, number).write_text(json.dumps(told))


def fit(dest, number, path):
    """Make a manifest tell what a file is now."""
    body = path.read_bytes()
    facts = {"size_bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}

    def change(told):
        entry = next(entry for entry in told["files"] if (dest / entry["path"]) == path)
        entry.update(facts)

    edit(dest, number, change)


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
    """What does not need an old night answers as before; what needs it names snapshot, file and what to do."""
    path = str(file_of(dest, 0).relative_to(dest))
    DAMAGE[kind](dest, 0)

    assert ask(dest, PLAIN) == [("night 2", 10)]
    assert ask(dest, "SELECT 1") == [(1,)]
    assert ask(dest, "SELECT count(*) FROM history.tags") == [(30,)]
    assert ask(dest, "SELECT count(*) FROM snapshot.functions") == [(10,)]
    with pytest.raises(ReadError, match=f"{IDS[0]} is damaged: {path}: .*; lexport verify") as caught:
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
    """What needs the last night is refused, neither empty nor older; what needs other tables of it goes on."""
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
    """Where no whole reading can be read, an incremental run says which is damaged, and builds on none."""
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
    """Tables are found in a statement however they are written; those it does not name are not looked at."""
    DAMAGE["missing"](dest, 2)
    if "query_table" in query:  # which could name any
        with pytest.raises(ReadError, match=IDS[2]):
            ask(dest, query)
    else:
        assert ask(dest, query)
    file_of(dest, 2, "tags").unlink()
    with pytest.raises(ReadError, match=IDS[2]):
        ask(dest, query)


def test_a_lost_night_does_not_stop_checks(dest, capsys):
    """Once there is a newer night, one that lost every file is named, and checks judge the newer one."""
    for path in dest.glob(f"*/*/{IDS[1]}-0000.parquet"):
        path.unlink()

    assert run(["check", str(dest), "--check", "not_read_whole"]) == 0
    assert f"scopes of snapshot {IDS[1]} is damaged" in (said := capsys.readouterr().err)
    assert "its manifest was read instead" in said
    query = "SELECT snapshot_id, status, functions, versions, snapshot_at FROM history.scopes ORDER BY ALL"
    assert [row[:4] for row in ask(dest, query)] == [
        (IDS[0], "complete", None, None),
        (IDS[1], "complete", 0, 10),
        (IDS[2], "complete", None, None),
    ]
    for path in dest.glob(f"scopes/*/{IDS[2]}-0000.parquet"):
        path.unlink()
    assert run(["check", str(dest), "--check", "not_read_whole"]) == 1


# --- manifests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 2])
def test_a_damaged_manifest(dest, number, capsys):
    """A snapshot whose manifest is damaged is passed over by name in every reader."""
    manifest_of(dest, number).write_bytes(manifest_of(dest, number).read_bytes()[:100])
    shown = "night 2" if number == 0 else "night 1"
    said = f"snapshot {IDS[number]} is damaged (_runs/{IDS[number]}.json: "

    assert ask(dest, PLAIN) == [(shown, 10)]
    assert ask(dest, HISTORY) == [(20,)]
    for command in (
        ["sql", "SELECT 1"],
        ["status", "--max-age", "99999d"],
        ["diff"],
        ["feed"],
        ["feed", "-o", str(dest.parent / "feed")],
        ["check", "--fail-on", "none"],
        ["views", "--db", str(dest.parent / "x.duckdb")],
    ):
        assert run([command[0], str(dest), *command[1:]]) == 0, command
        assert said in (err := capsys.readouterr().err), command
        assert "lexport verify" in err
    with duckdb.connect(str(dest.parent / "x.duckdb"), read_only=True) as connection:
        assert connection.sql(PLAIN).fetchall() == [(shown, 10)]
        assert connection.sql(HISTORY).fetchall() == [(20,)]
        assert connection.sql("SELECT count(*) FROM history.snapshots").fetchall() == [(2,)]
    notes = []
    before = newest_whole(newest_first(LocalStore(dest), notes.append), {SCOPE})
    assert before[SCOPE].snapshot_id == IDS[2 if number == 0 else 1]
    assert [found.snapshot_id for found in notes] == ([] if number == 0 else [IDS[2]])
    assert run(["verify", str(dest)]) == 4


def test_a_check_does_not_pass_over_damage(dest):
    """What a damaged newer snapshot may have read is not read whole; an older one hides nothing."""
    manifest_of(dest, 0).write_bytes(b"")
    found = asyncio.run(lexport.check(dest, only=["not_read_whole"]))
    assert (found.findings, found.unjudged) == ((), ())
    assert [IDS[0] in line for line in found.notices] == [True]

    manifest_of(dest, 2).write_bytes(b"")
    found = asyncio.run(lexport.check(dest, only=["not_read_whole"]))
    assert [(one.region, one.details["status"], one.details["snapshot_id"]) for one in found.findings] == [
        (SCOPE.region, "damaged", IDS[2])
    ]
    assert [(one.region, one.is_unread) for one in found.unjudged] == [(SCOPE.region, True)]
    assert run(["check", str(dest)]) == 4


def test_as_of(dest):
    """As of a moment before it, nothing is said of a damaged snapshot."""
    manifest_of(dest, 2).write_bytes(b"")
    dataset = open_catalog(dest)

    assert dataset.as_of(IDS[1], option="--as-of").damage() == ()
    assert len(dataset.as_of("2026-11-29", option="--as-of").damage()) == 1


def test_many_damaged_manifests(dest):
    """A dataset full of damage says so in few lines."""
    for number in range(9):
        (dest / "_runs" / f"01J{number}{'0' * 22}.json").write_bytes(b"")
    lines = open_catalog(dest).damage()

    assert len(lines) == 4
    assert "6 more snapshots are damaged" in lines[-1]


@pytest.mark.parametrize("command", ["sql", "status", "check", "diff", "feed", "views", "report", "packages"])
def test_a_newer_format(dest, command, capsys):
    """Readers of a dataset that a newer lexport wrote say that they are too old for it."""
    edit(dest, 2, lambda told: told.update(format="lexport-manifest/2"))
    more = {"sql": ["SELECT 1"], "views": ["--db", str(dest.parent / "x.duckdb")]}.get(command, [])

    assert run([command, str(dest), *more]) == 1
    assert "upgrade lexport" in capsys.readouterr().err
    assert run(["verify", str(dest)]) == 4


def test_a_copied_manifest(dest):
    """A copy of a night under another id is damage, whether it names the files of that night or copies of them."""
    copied = "7" + "Z" * 25
    text = manifest_of(dest, 2).read_text()
    (dest / "_runs" / f"{copied}.json").write_text(text)
    assert ask(dest, PLAIN) == [("night 2", 10)]

    (dest / "_runs" / f"{copied}.json").write_text(
        text.replace(f'"snapshot_id": "{IDS[2]}"', f'"snapshot_id": "{copied}"')
    )
    assert ask(dest, PLAIN) == [("night 2", 10)]

    (dest / "_runs" / f"{copied}.json").write_text(text.replace(IDS[2], copied))
    for path in list(dest.glob(f"*/*/{IDS[2]}-0000.parquet")):
        shutil.copy(path, path.with_name(f"{copied}-0000.parquet"))
    with pytest.raises(ReadError, match=f"{copied} is damaged: .*: its rows are of snapshot {IDS[2]}"):
        ask(dest, PLAIN)


# --- several files ----------------------------------------------------------------------------------------------------


def split(dest, number, table, at, *, again=0):
    """Part a file in two, the second beginning ``again`` rows earlier than the first ends."""
    path = file_of(dest, number, table)
    other = path.with_name(path.name.replace("-0000.", "-0001."))
    rows = pq.ParquetFile(path).read()
    parts = {path: rows.slice(0, at), other: rows.slice(at - again)}
    for name, part in parts.items():
        pq.write_table(part, name, row_group_size=3)

    def change(told):
        first = next(entry for entry in told["files"] if dest / entry["path"] == path)
        second = first | {"path": str(other.relative_to(dest)), "rows": len(parts[other])}
        first["rows"] = at
        told["files"].insert(0, second)
        if table == "functions":
            told["scopes"][0]["versions"] += again

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
    """Rows that two files of a table have are never shown twice."""
    split(dest, 2, "functions", 5, again=again)

    for query in (PLAIN, HISTORY, "FROM snapshot.functions"):
        with pytest.raises(ReadError, match=r"-0001\.parquet: its rows do not come after those of"):
            ask(dest, query)
    assert run(["feed", str(dest)]) == run(["diff", str(dest)]) == run(["check", str(dest)]) == 1


@pytest.mark.parametrize("kind", ["overlapping", "linked away"])
def test_damage_that_the_file_of_views_knows(dest, tmp_path, kind):
    """In DuckDB's file, too, a damaged file of the last night is an error of what needs it, and hurts nothing else."""
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
    """DuckDB must open every file to make the views; the error names the file and the snapshot."""
    file_of(dest, 2).write_bytes(file_of(dest, 2).read_bytes()[:-7])

    assert run(["views", str(dest), "--db", str(tmp_path / "x.duckdb")]) == 1
    assert f"functions of snapshot {IDS[2]} is damaged: functions/" in capsys.readouterr().err
    assert not (tmp_path / "x.duckdb").exists()


def test_three_files_of_a_table(dest):
    """Each file is compared with the one before it, and not the first two alone."""
    split(dest, 2, "functions", 3)
    second, third = (file_of(dest, 2).with_name(f"{IDS[2]}-000{number}.parquet") for number in (1, 2))
    pq.write_table(pq.read_table(second, partitioning=None).slice(5), third)  # its last two rows again

    def change(told):
        entry = next(entry for entry in told["files"] if dest / entry["path"] == second)
        told["files"].append(entry | {"path": str(third.relative_to(dest)), "rows": 2})
        told["scopes"][0]["versions"] += 2

    edit(dest, 2, change)
    fit(dest, 2, third)
    with pytest.raises(ReadError, match=r"-0002\.parquet: its rows do not come after those of"):
        ask(dest, PLAIN)


def feed_of(dest):
    return [
        (part.action, part.table.name, row) for part in open_feed(dest, IDS[1]).parts for row in part.rows.to_pylist()
    ]


def open_diff(dest):
    from lexport.query.diff import compare

    return compare(dest).changes


# --- whatever stands in a manifest ------------------------------------------------------------------------------------


VALUES = [
    *(None, True, -1, 1.5, 10**400, 2**63, "", "x", "../x", "/etc/passwd", "\x1b[31m", [], {}, ["x"], {"x": []}),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-24T02:00:00", "2026-11-24T00:00:00Z", "lexport/1"),
]


def places(node, path=()):
    """Yield every place in a manifest; of a list its first two entries, others are alike."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node[:2]) if isinstance(node, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def readers(dest):
    """Everything that reads a dataset, in this process."""
    yield lambda: ask(dest, PLAIN)
    yield lambda: ask(dest, HISTORY)
    yield lambda: ask(dest, "SELECT count(*), min(committed_at) FROM history.snapshots")
    yield lambda: open_catalog(dest).notices(tables=BY_NAME)
    yield lambda: feed_of(dest)
    yield lambda: list(open_diff(dest))
    yield lambda: open_last(LocalStore(dest), SCOPE, env=None, hash_key_id=None, note=lambda _: None)
    yield lambda: newest_whole(newest_first(LocalStore(dest)), {SCOPE})
    yield lambda: list(find_damage(dest, data=True))


def answers(dest):
    for reader in readers(dest):
        try:
            yield reader()
        except RunError as error:
            yield str(error)


def test_whatever_stands_in_a_manifest(dest):
    """No value anywhere in a manifest leads to a traceback, to rows of elsewhere, or to a wrong count."""
    pq.write_table(pa.table({"snapshot_id": [IDS[2]], "function_name": ["stolen"]}), dest.parent / "x")
    original = manifest_of(dest, 2).read_text()
    believed = 0
    for number, (path, value) in enumerate(product(places(json.loads(original)), VALUES)):
        told = json.loads(original)
        node = told
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
        manifest_of(dest, 2).write_text(json.dumps(told))
        is_damaged = isinstance(read_commit(dest, IDS[2]), DamagedCommit)
        believed += not is_damaged
        if (is_damaged and number % 199) or (not is_damaged and believed % 5):
            continue  # to all readers one damaged manifest is like another, and most of the others are alike
        plain, history, *others = answers(dest)
        if is_damaged:
            assert (plain, history) == ([("night 1", 10)], [(20,)])
        else:
            is_older = path[0] == "scopes" and plain == [("night 1", 10)]  # it says that it read something else
            assert plain == [("night 2", 10)] or is_older or "is damaged" in plain, (path, value)
            assert history == [(30,)] or "is damaged" in history, (path, value)
        assert "stolen" not in str(others)
    assert 0 < believed < 100


def test_whatever_lies_in_the_place_of_a_manifest(dest, capsys):
    """A folder, a pipe, a link, brackets, binary: every command ends by itself, with one line."""
    kinds = {
        "folder": lambda path: path.mkdir(),
        "pipe": os.mkfifo,
        "link": lambda path: path.symlink_to("/etc/passwd"),
        "dangling": lambda path: path.symlink_to("nowhere"),
        "loop": lambda path: path.symlink_to(path.name),
        "brackets": lambda path: path.write_bytes(b"[" * 200_000),
        "objects": lambda path: path.write_bytes(b'{"format":' * 200_000),
        "binary": lambda path: path.write_bytes(bytes(range(256)) * 64),
        "zeros": lambda path: (path.touch(), os.truncate(path, 2**31)),
    }
    for kind, make in kinds.items():
        path = manifest_of(dest, 2)
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        make(path)
        assert ask(dest, PLAIN) == [("night 1", 10)], kind
        assert run(["status", str(dest), "--max-age", "99999d"]) == 0
        assert f"snapshot {IDS[2]} is damaged" in capsys.readouterr().err
        assert run(["verify", str(dest)]) == 4
        assert "root:" not in capsys.readouterr().out


def test_one_session_many_questions(dest):
    """A session that has looked at the catalog still refuses a table that is damaged."""
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
