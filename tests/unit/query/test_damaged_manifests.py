"""A damaged manifest hides one snapshot, and every reader reports it."""

import asyncio
import json
import os
import shutil
from itertools import product
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

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
from lexport.query.catalog import open_catalog
from lexport.query.verify.files import find_damage
from lexport.tables.registry import BY_NAME

nights = SimpleNamespace(**run_path(str(Path(__file__).with_name("three_nights.py"))))
SCOPE = nights.SCOPE
IDS = nights.IDS
PLAIN = nights.PLAIN
HISTORY = nights.HISTORY
night = nights.night
ask = nights.ask
manifest_of = nights.manifest_of
edit = nights.edit
feed_of = nights.feed_of
open_diff = nights.open_diff


@pytest.fixture
def dest(three_nights, tmp_path):
    """A copy of the dataset to damage."""
    return Path(shutil.copytree(three_nights, tmp_path / "fleet"))


# --- manifests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 2])
def test_a_damaged_manifest(dest, number, capsys):
    """Every reader skips a snapshot with a damaged manifest and names it."""
    manifest_of(dest, number).write_bytes(manifest_of(dest, number).read_bytes()[:100])
    shown = "night 2" if number == 0 else "night 1"
    message = f"snapshot {IDS[number]} is damaged (_runs/{IDS[number]}.json: "

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
        assert message in (err := capsys.readouterr().err), command
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
    """Account-regions that a damaged newer snapshot may contain are not read whole; an older one hides nothing."""
    manifest_of(dest, 0).write_bytes(b"")
    result = asyncio.run(lexport.check(dest, only=["not_read_whole"]))
    assert (result.findings, result.unjudged) == ((), ())
    assert [IDS[0] in line for line in result.notices] == [True]

    manifest_of(dest, 2).write_bytes(b"")
    result = asyncio.run(lexport.check(dest, only=["not_read_whole"]))
    assert [(one.region, one.details["status"], one.details["snapshot_id"]) for one in result.findings] == [
        (SCOPE.region, "damaged", IDS[2])
    ]
    assert [(one.region, one.is_unread) for one in result.unjudged] == [(SCOPE.region, True)]
    assert run(["check", str(dest)]) == 4


def test_as_of(dest):
    """A damaged snapshot is not reported as of a moment before it."""
    manifest_of(dest, 2).write_bytes(b"")
    dataset = open_catalog(dest)

    assert dataset.as_of(IDS[1], option="--as-of").damage() == ()
    assert len(dataset.as_of("2026-11-29", option="--as-of").damage()) == 1


def test_many_damaged_manifests(dest):
    """Many damaged manifests are reported in few lines."""
    for number in range(9):
        (dest / "_runs" / f"01J{number}{'0' * 22}.json").write_bytes(b"")
    lines = open_catalog(dest).damage()

    assert len(lines) == 4
    assert "6 more snapshots are damaged" in lines[-1]


@pytest.mark.parametrize("command", ["sql", "status", "check", "diff", "feed", "views", "report", "packages"])
def test_a_newer_format(dest, command, capsys):
    """Every reader rejects a dataset that a newer lexport wrote and asks to upgrade."""
    edit(dest, 2, lambda manifest: manifest.update(format="lexport-manifest/3"))
    more = {"sql": ["SELECT 1"], "views": ["--db", str(dest.parent / "x.duckdb")]}.get(command, [])

    assert run([command, str(dest), *more]) == 1
    assert "upgrade lexport" in capsys.readouterr().err
    assert run(["verify", str(dest)]) == 4


def test_a_copied_manifest(dest):
    """A copy of a manifest under another id is damage, whether it names the original files or copies of them."""
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


# --- any manifest -----------------------------------------------------------------------------------------------------


VALUES = [
    *(None, True, -1, 1.5, 10**400, 2**63, "", "x", "../x", "/etc/passwd", "\x1b[31m", [], {}, ["x"], {"x": []}),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-24T02:00:00", "2026-11-24T00:00:00Z", "lexport/1"),
]


def paths(node, path=()):
    """Yield the path of every value in a manifest; of a list only of its first two items."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node[:2]) if isinstance(node, list) else ():
        yield (*path, key)
        yield from paths(value, (*path, key))


def readers(dest):
    """Yield every reader of a dataset, in this process."""
    yield lambda: ask(dest, PLAIN)
    yield lambda: ask(dest, HISTORY)
    yield lambda: ask(dest, "SELECT count(*), min(committed_at) FROM history.snapshots")
    yield lambda: open_catalog(dest).notices(tables=BY_NAME)
    yield lambda: feed_of(dest)
    yield lambda: list(open_diff(dest))
    yield lambda: open_last(LocalStore(dest), SCOPE, env=None, hash_key_id=None, note=lambda _: None)
    yield lambda: newest_whole(newest_first(LocalStore(dest)), {SCOPE})
    yield lambda: list(find_damage(dest, data=True))


def results(dest):
    for reader in readers(dest):
        try:
            yield reader()
        except RunError as error:
            yield str(error)


def test_any_value_in_a_manifest(dest):
    """No value in a manifest causes a traceback, rows from outside the dataset, or a wrong count."""
    pq.write_table(pa.table({"snapshot_id": [IDS[2]], "function_name": ["stolen"]}), dest.parent / "x")
    original = manifest_of(dest, 2).read_text()
    accepted = 0
    for number, (path, value) in enumerate(product(paths(json.loads(original)), VALUES)):
        manifest = json.loads(original)
        node = manifest
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
        manifest_of(dest, 2).write_text(json.dumps(manifest))
        is_damaged = isinstance(read_commit(LocalStore(dest), IDS[2]), DamagedCommit)
        accepted += not is_damaged
        if (is_damaged and number % 199) or (not is_damaged and accepted % 5):
            continue  # a sample is enough: readers treat all damaged manifests alike
        plain, history, *others = results(dest)
        if is_damaged:
            assert (plain, history) == ([("night 1", 10)], [(20,)])
        else:
            is_older = path[0] == "scopes" and plain == [("night 1", 10)]  # the manifest names another scope
            assert plain == [("night 2", 10)] or is_older or "is damaged" in plain, (path, value)
            assert history == [(30,)] or "is damaged" in history, (path, value)
        assert "stolen" not in str(others)
    assert 0 < accepted < 100


def test_any_file_instead_of_a_manifest(dest, capsys):
    """With a folder, a pipe, a link or binary data instead of a manifest, every command ends and reports it."""
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
