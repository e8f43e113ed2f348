"""A snapshot appears whole or not at all, and what a crash left undone is done by the next one."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lexport.dataset.commit import (
    commit,
    open_destination,
    open_staging,
    remove_staging,
    write_snapshot_rows,
)
from lexport.dataset.commits import newest_first
from lexport.dataset.layout import data_path
from lexport.dataset.manifest import OF_EVERY_SNAPSHOT, FileEntry, Manifest, ScopeEntry
from lexport.errors import PublishError, SettingsError, UnknownCommitError, WriteError
from lexport.model import new_ulid
from lexport.tables.arrow import table_schema
from lexport.tables.run import SNAPSHOTS

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    return open_destination(tmp_path / "dest", group_readable=False)


SCOPE = ScopeEntry(
    account_id="111122223333",
    region="us-east-1",
    coverage="fleet",
    status="complete",
    functions=0,
    versions=0,
    aliases=0,
    get_function_calls=0,
    list_calls=0,
    throttles=0,
)


TABLES = tuple(table.name for table in OF_EVERY_SNAPSHOT)


def draft(number=0, tables=TABLES, status="complete", scopes=(SCOPE,)):
    at = AT + timedelta(days=number)
    snapshot_id = f"01KB{number:022d}"
    return Manifest(
        snapshot_id=snapshot_id,
        snapshot_at=at,
        committed_at=at,
        status=status,
        gaps=0 if status == "complete" else 1,
        lexport_version="0.1.0",
        schema_version="1",
        hash_key_id=None,
        options={},
        files=tuple(
            FileEntry(
                table=table,
                path=data_path(table, snapshot_id, at),
                size_bytes=1,
                rows=len(scopes) if table == "scopes" else 0,
                sha256="0" * 64,
            )
            for table in tables
        ),
        scopes=scopes,
    )


def staged(store, done):
    """The files of a draft, finished, in its staging folder."""
    folder = open_staging(store, done.snapshot_id)
    found = {}
    for entry in done.files:
        found[entry.path] = folder / f"{entry.table}.parquet"
        found[entry.path].write_bytes(entry.table.encode())
    return found


def publish(store, number=0, note=pytest.fail, **fields):
    done = draft(number, **fields)
    return commit(store, done, staged(store, done), note=note)


def everything(store):
    """Every file but staging, with its bytes."""
    return {
        str(path.relative_to(store.root)): path.read_bytes()
        for path in store.root.rglob("*")
        if path.is_file() and "_staging" not in path.parts
    }


def hinted(store):
    return json.loads(store.read("_latest.json"))["snapshot_id"]


def snapshot_rows(store):
    paths = sorted((store.root / "snapshots").rglob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path, page_checksum_verification=True).to_pylist()]


# --- the destination ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["new", "new/and/deep", "there"])
def test_a_destination(tmp_path, name):
    """A folder that is not there yet is made; one that is there and empty will do."""
    (tmp_path / "there").mkdir()
    store = open_destination(tmp_path / name, group_readable=False)

    assert store.root == tmp_path / name
    assert store.names("") == ["_staging"]
    assert store.names("_staging") == []


def test_a_relative_destination(tmp_path, monkeypatch):
    """A relative path means the folder of this moment, wherever the process goes later."""
    monkeypatch.chdir(tmp_path)

    assert open_destination(Path("dest"), group_readable=False).root == tmp_path / "dest"


def test_a_file_is_no_destination(tmp_path):
    """A file in the place of the folder is refused, and stays as it was."""
    path = tmp_path / "dest"
    path.write_text("mine")
    with pytest.raises(SettingsError, match=f"DEST {path} is a file, not a folder"):
        open_destination(path, group_readable=False)

    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["thesis.docx", "src", "functions.parquet"])
def test_a_folder_with_other_things(tmp_path, name):
    """A folder that holds something else is refused by what it holds, and nothing is added to it."""
    (tmp_path / name).write_text("mine")
    with pytest.raises(SettingsError, match=f"holds something else \\({name}\\); a new folder or a dataset"):
        open_destination(tmp_path, group_readable=False)

    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("names", [[".DS_Store"], ["lost+found"], ["_runs", "notes.txt"], ["functions", "_staging"]])
def test_a_folder_that_will_do(tmp_path, names):
    """A dataset, even with a note beside it, the rest of an aborted run, or a fresh disk will do."""
    for name in names:
        (tmp_path / name).mkdir()

    assert open_destination(tmp_path, group_readable=False).root == tmp_path


@pytest.mark.parametrize("place", ["/proc/lexport", "/proc/self/dest", "/dev/null/dest", "/" + "x" * 300])
def test_a_destination_that_cannot_be_written(place):
    """Where nothing can be written, one line says so before anything else is done."""
    with pytest.raises(SettingsError, match="cannot be written: ") as refused:
        open_destination(Path(place), group_readable=False)

    assert refused.value.option == "DEST"


@pytest.mark.parametrize("name", ["tags", "_runs", "_staging"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.touch, "Not a directory"),
        (os.mkfifo, "Not a directory"),
        (lambda path: path.symlink_to("nowhere"), "Not a directory"),
        (lambda path: path.symlink_to(path.parents[1] / "outside"), "is a link to .*outside, outside of DEST"),
    ],
    ids=["file", "pipe", "dangling", "outside"],
)
def test_what_lies_in_the_place_of_a_folder(tmp_path, name, make, said):
    """It is found before anything is read, not when all is read and is to be published; nothing is written."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "dest" / "_runs").mkdir(parents=True)
    if name == "_runs":
        (tmp_path / "dest" / "functions").mkdir()
        (tmp_path / "dest" / "_runs").rmdir()
    make(tmp_path / "dest" / name)
    with pytest.raises(SettingsError, match=rf"DEST .*dest cannot be written: .*{name}.* {said}"):
        open_destination(tmp_path / "dest", group_readable=False)

    assert list((tmp_path / "outside").iterdir()) == []


def test_a_day_that_leads_out_of_the_destination(store, tmp_path):
    """Nothing is published through a link that no reader would follow, and what was placed is removed."""
    outside, done = tmp_path / "outside", draft()
    outside.mkdir()
    files = staged(store, done)
    day = (store.root / done.files[-1].path).parent
    day.parent.mkdir(exist_ok=True)
    day.symlink_to(outside)
    with pytest.raises(WriteError, match=f"{day} is a link to {outside}, outside of DEST; make it a folder"):
        commit(store, done, files, note=pytest.fail)

    assert everything(store) == {}
    assert list(outside.iterdir()) == []


def test_staging_is_ones_own(store):
    """A run has a folder for its work; another run of the same id, and a committed id, are refused."""
    open_staging(store, "01KB0000000000000000000000")
    with pytest.raises(PublishError, match="nothing was changed"):
        open_staging(store, "01KB0000000000000000000000")
    remove_staging(store, "01KB0000000000000000000000")
    publish(store)
    remove_staging(store, "01KB0000000000000000000000")
    with pytest.raises(PublishError, match="has a snapshot or a run 01KB0000000000000000000000 already"):
        open_staging(store, "01KB0000000000000000000000")


# --- the commit -----------------------------------------------------------------------------------------------------


def test_commit(store):
    """A commit is its data files, its manifest, a row in ``snapshots`` and the hint, and nothing else."""
    before = datetime.now(UTC)
    done = publish(store)
    found = everything(store)

    assert set(found) == {
        *(f"{table}/snapshot_date=2026-11-22/01KB0000000000000000000000-0000.parquet" for table in TABLES),
        "snapshots/snapshot_date=2026-11-22/01KB0000000000000000000000-0000.parquet",
        "_runs/01KB0000000000000000000000.json",
        "_latest.json",
    }
    assert found["tags/snapshot_date=2026-11-22/01KB0000000000000000000000-0000.parquet"] == b"tags"
    assert Manifest.from_json(found["_runs/01KB0000000000000000000000.json"]) == done
    assert before <= done.committed_at <= datetime.now(UTC)
    assert hinted(store) == "01KB0000000000000000000000"
    assert next(newest_first(store), None) == done
    assert snapshot_rows(store) == [
        {
            "snapshot_id": "01KB0000000000000000000000",
            "snapshot_at": AT,
            "account_id": None,
            "region": None,
            "status": "complete",
            "committed_at": done.committed_at,
            "lexport_version": "0.1.0",
            "schema_version": "1",
        }
    ]


def test_the_row_of_a_snapshot_is_typed(store):
    """The file of a row in ``snapshots`` has the table's own schema."""
    publish(store)
    (path,) = (store.root / "snapshots").rglob("*.parquet")

    assert pq.read_schema(path).equals(table_schema(SNAPSHOTS))


@pytest.mark.parametrize(("group_readable", "wanted"), [(False, {0o600, 0o700}), (True, {0o640, 0o750})])
def test_modes(tmp_path, group_readable, wanted):
    """Everything that is published is for the user alone, or readable for the group."""
    store = open_destination(tmp_path / "dest", group_readable=group_readable)
    publish(store)
    remove_staging(store, "01KB0000000000000000000000")

    assert {stat.S_IMODE(path.stat().st_mode) for path in [store.root, *store.root.rglob("*")]} == wanted


def test_a_taken_id(store):
    """A snapshot that is there already is not touched, and what was placed for the other one goes."""
    publish(store)
    before = everything(store)
    again = draft(0, tables=("layers", "functions"))
    files = {entry.path: store.root / "_staging" / f"{entry.table}.again" for entry in again.files}
    for path in files.values():
        path.write_bytes(b"again")
    with pytest.raises(PublishError):
        commit(store, again, files, note=pytest.fail)

    assert everything(store) == before


def test_a_taken_commit(store):
    """Where only the commit itself is taken, every data file that was placed is removed."""
    store.create("_runs/01KB0000000000000000000000.json", b"another run's")
    before = everything(store)
    done = draft()
    folder = store.make_folder("_staging/work")
    files = {entry.path: folder / entry.table for entry in done.files}
    for path in files.values():
        path.write_bytes(b"x")
    with pytest.raises(PublishError):
        commit(store, done, files, note=pytest.fail)

    assert everything(store) == before


def test_a_file_that_is_missing(store):
    """A file that is not there when it is to be placed undoes the rest."""
    done = draft()
    files = staged(store, done)
    files[done.files[-1].path].unlink()
    with pytest.raises(WriteError, match=r"scopes\.parquet: No such file"):
        commit(store, done, files, note=pytest.fail)

    assert everything(store) == {}
    assert next(newest_first(store), None) is None


def test_earlier_snapshots_stay(store):
    """A commit adds; what was there before does not change by a byte, but for the hint."""
    publish(store, 0)
    before = everything(store)
    del before["_latest.json"]
    publish(store, 1)
    after = everything(store)

    assert {path: after[path] for path in before} == before
    assert len(snapshot_rows(store)) == 2


def test_a_commit_of_which_nothing_can_be_found_out(store, at_event):
    """Where the commit can neither be made nor read back, no file that it may name is removed; the error says so."""
    runs = store.make_folder("_runs")

    def break_it():
        runs.rename(store.root / "_staging" / "runs")
        runs.symlink_to(runs)

    at_event("os.link", break_it, on="/_runs/")
    done = draft()
    files = staged(store, done)
    with pytest.raises(
        UnknownCommitError, match="is published or not, so none of its files was removed; see lexport st"
    ):
        commit(store, done, files, note=pytest.fail)

    assert all((store.root / path).exists() for path in files)


def test_an_answer_to_the_commit_that_got_lost(store, at_event):
    """Where the commit is there although its making seems to have failed, the snapshot is published."""
    done = draft()
    files = staged(store, done)

    def come_first():
        (body,) = store.root.glob("_runs/.*")
        os.link(body, store.root / "_runs" / f"{done.snapshot_id}.json")

    at_event("os.link", come_first, on="/_runs/")
    done = commit(store, done, files, note=pytest.fail)

    assert next(newest_first(store)) == done
    assert all((store.root / path).exists() for path in files)


@pytest.mark.parametrize("where", ["snapshots", "_latest.json"])
def test_what_comes_after_the_commit_cannot_undo_it(store, where):
    """Where the row or the hint cannot be written, the snapshot is published all the same, and the next run heals."""
    in_the_way = store.root / where
    if where == "snapshots":
        in_the_way.touch()
    else:
        in_the_way.mkdir()
    notes, done = [], draft()
    done = commit(store, done, staged(store, done), note=notes.append)

    assert next(newest_first(store)) == done
    assert all((store.root / entry.path).exists() for entry in done.files)
    (note,) = notes
    assert note.endswith(("Not a directory", "Is a directory"))
    assert "will be written by the next run" in note
    if where == "snapshots":
        in_the_way.unlink()
    else:
        in_the_way.rmdir()
    publish(store, 1)
    assert len(snapshot_rows(store)) == 2
    assert hinted(store) == f"01KB{1:022d}"


@pytest.mark.parametrize(
    "make", [Path.mkdir, lambda path: path.symlink_to("nowhere"), lambda path: path.write_bytes(b"[")]
)
def test_a_damaged_commit_hinders_nobody(store, make):
    """A commit that cannot be read keeps no other from its row in ``snapshots``, and the run says so."""
    store.make_folder("_runs")
    make(store.root / "_runs" / "01KA0000000000000000000000.json")
    notes = []
    done = publish(store, note=notes.append)
    assert ["snapshot 01KA0000000000000000000000 is damaged" in note for note in notes] == [True]

    assert [row["snapshot_id"] for row in snapshot_rows(store)] == [done.snapshot_id]
    assert hinted(store) == done.snapshot_id


# --- healing --------------------------------------------------------------------------------------------------------


def test_a_missing_row_is_healed(store):
    """A run that died between commit and row gets its row from the next one, as it would have been."""
    publish(store, 0)
    wanted = snapshot_rows(store)
    (path,) = (store.root / "snapshots").rglob("*.parquet")
    path.unlink()
    publish(store, 1)

    assert snapshot_rows(store)[:1] == wanted
    assert [row["snapshot_id"] for row in snapshot_rows(store)] == [f"01KB{number:022d}" for number in range(2)]


def test_a_row_that_cannot_be_healed(store):
    """A row of another run that still cannot be written keeps no other from being healed, and is not told of."""
    for number in (1, 2):
        publish(store, number)
    for path in (store.root / "snapshots").rglob("*.parquet"):
        path.unlink()
    blocked = store.root / data_path("snapshots", draft(2).snapshot_id, draft(2).snapshot_at)
    blocked.parent.rmdir()
    blocked.parent.touch()
    publish(store, 3)

    healed = {row["snapshot_id"] for row in snapshot_rows(store)}
    assert healed == {draft(number).snapshot_id for number in (1, 3)}


def test_another_run_heals_at_the_same_time(store, at_event):
    """Where another run writes a row first, its row stays, and there is nothing to tell."""
    done = draft()
    files = staged(store, done)

    def come_first():
        (body,) = store.root.glob("_staging/.snapshots-*")
        row = store.root / data_path("snapshots", done.snapshot_id, done.snapshot_at)
        row.write_bytes(body.read_bytes())

    at_event("os.link", come_first, on="/snapshots/")
    commit(store, done, files, note=pytest.fail)

    assert [row["snapshot_id"] for row in snapshot_rows(store)] == [done.snapshot_id]
    assert not list(store.root.glob("_staging/.snapshots-*"))


def test_healing_changes_nothing_that_is_there(store):
    """Where every commit has its row, nothing is written."""
    done = publish(store)
    before = everything(store)
    write_snapshot_rows(store, done, note=pytest.fail)

    assert everything(store) == before
    assert not [name for name in store.names("_staging") if name.startswith(".")]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("01KB0000000000000000000009.json", b"{"),
        ("01KB0000000000000000000009.json", b'{"format": "lexport-manifest/2"}'),
        ("note.json", b"{}"),
        ("01KB0000000000000000000009.json.tmp", b""),
        (".01KB0000000000000000000009.json.1.ab", b""),
    ],
)
def test_what_is_no_commit_is_passed_over(store, name, body):
    """Damaged or foreign files among the commits hinder neither a commit nor healing; a commit of them is named."""
    store.create(f"_runs/{name}", body)
    notes = []
    done = publish(store, 1, note=notes.append)
    assert [f"snapshot {name[:26]} " in note for note in notes] == [True] * (len(name) == 31)

    assert next(newest_first(store), None) == done
    assert [row["snapshot_id"] for row in snapshot_rows(store)] == [done.snapshot_id]
    assert store.read(f"_runs/{name}") == body


def test_no_commit_yet(store):
    """An empty destination has no last manifest."""
    assert next(newest_first(store), None) is None


def test_the_hint_of_a_newer_lexport(store):
    """Where a newer lexport wrote the newest commit, an older one leaves the hint to it, and says what to do."""
    newer = "01KB0000000000000000000009"
    store.create(f"_runs/{newer}.json", b'{"format": "lexport-manifest/2"}')
    store.replace("_latest.json", b"{}")
    notes = []
    publish(store, 1, note=notes.append)

    assert store.read("_latest.json") == b"{}"
    assert [("upgrade lexport" in note, "damage" in note) for note in notes] == [(True, False)]
    done = publish(store, 10, note=notes.append)
    assert hinted(store) == done.snapshot_id


# --- the hint -------------------------------------------------------------------------------------------------------


def test_the_hint_moves_forward_only(store):
    """A snapshot that is older than the newest one does not become the hint; a newer one does."""
    for number, expected in ((1, 1), (0, 1), (3, 3), (2, 3)):
        publish(store, number)

        assert hinted(store) == f"01KB{expected:022d}"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"snapshot_id": 5}', b"{}", b"\xff", b'{"snapshot_id": ""}']
)
def test_a_damaged_hint_is_written_anew(store, body):
    """A hint that cannot be read is no obstacle; the next commit mends it."""
    store.replace("_latest.json", body)
    publish(store)

    assert hinted(store) == "01KB0000000000000000000000"


def test_a_hint_that_is_a_pipe(store):
    """A pipe in the place of the hint does not stop a run: the hint is written over it."""
    os.mkfifo(store.root / "_latest.json")
    done = publish(store)

    assert hinted(store) == done.snapshot_id


def test_ids_of_real_runs_sort(store):
    """Ids made one after the other are hinted one after the other."""
    ids = [new_ulid(AT + timedelta(seconds=second)) for second in range(3)]

    assert ids == sorted(ids)


def test_packages_alone_are_no_snapshot(store):
    """A commit without scopes is committed whole, but neither the hint nor the reader of snapshots takes it for one."""
    first = publish(store)
    alone = publish(store, 1, tables=("packages", "errors"), scopes=())

    assert hinted(store) == first.snapshot_id
    assert list(newest_first(store)) == [first]
    assert [row["snapshot_id"] for row in snapshot_rows(store)] == [first.snapshot_id, alone.snapshot_id]

    publish(store, 2)
    assert hinted(store) == next(newest_first(store)).snapshot_id != alone.snapshot_id
