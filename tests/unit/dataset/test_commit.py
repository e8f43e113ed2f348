"""A snapshot is published completely or not at all."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lexport.dataset.commit import (
    commit,
    prepare_destination,
)
from lexport.dataset.commits import newest_first
from lexport.dataset.manifest import OF_EVERY_SNAPSHOT, Manifest
from lexport.errors import PublishError, UnknownCommitError, WriteError
from lexport.tables.arrow import table_schema
from lexport.tables.run import SNAPSHOTS

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def test_commit(store, commits):
    """A commit is its data files, its manifest, a row in ``snapshots`` and the hint, and nothing else."""
    before = datetime.now(UTC)
    done = commits.publish()
    found = commits.everything()

    assert set(found) == {
        *(
            f"{table.name}/snapshot_date=2026-11-22/01KB0000000000000000000000-0000.parquet"
            for table in OF_EVERY_SNAPSHOT
        ),
        "snapshots/snapshot_date=2026-11-22/01KB0000000000000000000000-0000.parquet",
        "_runs/01KB0000000000000000000000.json",
        "_latest.json",
    }
    assert found["tags/snapshot_date=2026-11-22/01KB0000000000000000000000-0000.parquet"] == b"tags"
    assert Manifest.from_json(found["_runs/01KB0000000000000000000000.json"]) == done
    assert before <= done.committed_at <= datetime.now(UTC)
    assert commits.hinted() == "01KB0000000000000000000000"
    assert next(newest_first(store), None) == done
    assert commits.snapshot_rows() == [
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


def test_the_row_of_a_snapshot_is_typed(store, commits):
    """The file of a row in ``snapshots`` has the table's own schema."""
    commits.publish()
    (path,) = (store.root / "snapshots").rglob("*.parquet")

    assert pq.read_schema(path).equals(table_schema(SNAPSHOTS))


@pytest.mark.parametrize(("group_readable", "wanted"), [(False, {0o600, 0o700}), (True, {0o640, 0o750})])
def test_modes(tmp_path, group_readable, wanted, commits):
    """Everything that is published is for the user alone, or readable for the group."""
    store = commits.store = prepare_destination(tmp_path / "other", group_readable=group_readable)
    commits.publish()
    store.remove_folder("_staging/01KB0000000000000000000000")

    assert {stat.S_IMODE(path.stat().st_mode) for path in [store.root, *store.root.rglob("*")]} == wanted


def test_a_taken_id(store, commits):
    """A snapshot that is there already is not touched, and what was placed for the other one goes."""
    commits.publish()
    before = commits.everything()
    again = commits.draft(0, tables=("layers", "functions"))
    files = commits.staged(again)
    for file in files.values():
        file.path.write_bytes(b"again")
    with pytest.raises(PublishError):
        commit(store, again, files, note=pytest.fail)

    assert commits.everything() == before


def test_a_taken_commit(store, commits):
    """Where only the commit itself is taken, every data file that was placed is removed."""
    store.create("_runs/01KB0000000000000000000000.json", b"another run's")
    before = commits.everything()
    done = commits.draft()
    files = commits.staged(done)
    with pytest.raises(PublishError):
        commit(store, done, files, note=pytest.fail)

    assert commits.everything() == before


def test_a_file_that_is_missing(store, commits):
    """A file that is not there when it is to be placed undoes the rest."""
    done = commits.draft()
    files = commits.staged(done)
    files[done.files[-1].path].path.unlink()
    with pytest.raises(WriteError, match=r"scopes\.parquet: No such file"):
        commit(store, done, files, note=pytest.fail)

    assert commits.everything() == {}
    assert next(newest_first(store), None) is None


def test_earlier_snapshots_stay(commits):
    """A commit adds; what was there before does not change by a byte, but for the hint."""
    commits.publish(0)
    before = commits.everything()
    del before["_latest.json"]
    commits.publish(1)
    after = commits.everything()

    assert {path: after[path] for path in before} == before
    assert len(commits.snapshot_rows()) == 2


def test_a_commit_of_which_nothing_can_be_found_out(store, at_event, commits):
    """Where the commit can neither be made nor read back, no file that it may name is removed; the error says so."""
    runs = store.make_folder("_runs")

    def break_it():
        runs.rename(store.root / "_staging" / "runs")
        runs.symlink_to(runs)

    at_event("os.link", break_it, on="/_runs/")
    done = commits.draft()
    files = commits.staged(done)
    with pytest.raises(UnknownCommitError, match="may or may not be published, so its files were kept; see lexport st"):
        commit(store, done, files, note=pytest.fail)

    assert all((store.root / path).exists() for path in files)


def test_an_answer_to_the_commit_that_got_lost(store, at_event, commits):
    """Where the commit is there although its making seems to have failed, the snapshot is published."""
    done = commits.draft()
    files = commits.staged(done)

    def come_first():
        (body,) = store.root.glob("_runs/.*")
        os.link(body, store.root / "_runs" / f"{done.snapshot_id}.json")

    at_event("os.link", come_first, on="/_runs/")
    done = commit(store, done, files, note=pytest.fail)

    assert next(newest_first(store)) == done
    assert all((store.root / path).exists() for path in files)


@pytest.mark.parametrize("where", ["snapshots", "_latest.json"])
def test_what_comes_after_the_commit_cannot_undo_it(store, where, commits):
    """Where the row or the hint cannot be written, the snapshot is published all the same, and the next run heals."""
    in_the_way = store.root / where
    if where == "snapshots":
        in_the_way.touch()
    else:
        in_the_way.mkdir()
    notes, done = [], commits.draft()
    done = commit(store, done, commits.staged(done), note=notes.append)

    assert next(newest_first(store)) == done
    assert all((store.root / entry.path).exists() for entry in done.files)
    (note,) = notes
    assert note.endswith(("Not a directory", "Is a directory"))
    assert "will be written by the next run" in note
    if where == "snapshots":
        in_the_way.unlink()
    else:
        in_the_way.rmdir()
    commits.publish(1)
    assert len(commits.snapshot_rows()) == 2
    assert commits.hinted() == f"01KB{1:022d}"


@pytest.mark.parametrize(
    "make", [Path.mkdir, lambda path: path.symlink_to("nowhere"), lambda path: path.write_bytes(b"[")]
)
def test_a_damaged_commit_hinders_nobody(store, make, commits):
    """A commit that cannot be read keeps no other from its row in ``snapshots``, and the run says so."""
    store.make_folder("_runs")
    make(store.root / "_runs" / "01KA0000000000000000000000.json")
    notes = []
    done = commits.publish(note=notes.append)
    assert ["snapshot 01KA0000000000000000000000 is damaged" in note for note in notes] == [True]

    assert [row["snapshot_id"] for row in commits.snapshot_rows()] == [done.snapshot_id]
    assert commits.hinted() == done.snapshot_id


@pytest.mark.parametrize("attempt", [1, 2, 150, 151, 9999])
def test_any_attempt_can_publish(store, commits, attempt):
    """However often a run was resumed, its files have names that every reader accepts."""
    draft = commits.draft()
    done = commit(store, draft, commits.staged(draft), note=pytest.fail, attempt=attempt)

    assert next(newest_first(store)) == done
    assert all((store.root / entry.path).exists() for entry in done.files)
