"""What is written after a commit: a later run completes it where a run crashed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from lexport.dataset.commit import (
    commit,
    write_snapshot_rows,
)
from lexport.dataset.commits import newest_first
from lexport.dataset.hint import move_hint
from lexport.dataset.layout import data_path
from lexport.model import new_ulid

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


# --- healing --------------------------------------------------------------------------------------------------------


def test_a_missing_row_is_healed(store, commits):
    """A run that died between commit and row gets its row from the next one, as it would have been."""
    commits.publish(0)
    wanted = commits.snapshot_rows()
    (path,) = (store.root / "snapshots").rglob("*.parquet")
    path.unlink()
    commits.publish(1)

    assert commits.snapshot_rows()[:1] == wanted
    assert [row["snapshot_id"] for row in commits.snapshot_rows()] == [f"01KB{number:022d}" for number in range(2)]


def test_a_row_that_cannot_be_healed(store, commits):
    """A row of another run that still cannot be written keeps no other from being healed, and is not told of."""
    for number in (1, 2):
        commits.publish(number)
    for path in (store.root / "snapshots").rglob("*.parquet"):
        path.unlink()
    blocked = store.root / data_path("snapshots", commits.draft(2).snapshot_id, commits.draft(2).snapshot_at)
    blocked.parent.rmdir()
    blocked.parent.touch()
    commits.publish(3)

    healed = {row["snapshot_id"] for row in commits.snapshot_rows()}
    assert healed == {commits.draft(number).snapshot_id for number in (1, 3)}


def test_another_run_heals_at_the_same_time(store, at_event, commits):
    """Where another run writes a row first, its row stays, and there is nothing to tell."""
    done = commits.draft()
    files = commits.staged(done)

    def come_first():
        row = store.root / data_path("snapshots", done.snapshot_id, done.snapshot_at)
        (body,) = row.parent.glob(".*")
        row.write_bytes(body.read_bytes())

    at_event("os.link", come_first, on="/snapshots/")
    commit(store, done, files, note=pytest.fail)

    assert [row["snapshot_id"] for row in commits.snapshot_rows()] == [done.snapshot_id]
    assert not list(store.root.rglob("snapshots/**/.*"))


def test_healing_changes_nothing_that_is_there(store, commits):
    """Where every commit has its row, nothing is written."""
    done = commits.publish()
    before = commits.everything()
    write_snapshot_rows(store, done, note=pytest.fail)

    assert commits.everything() == before
    assert not [name for name in store.names("_staging") if name.startswith(".")]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("01KB0000000000000000000009.json", b"{"),
        ("01KB0000000000000000000009.json", b'{"format": "lexport-manifest/3"}'),
        ("note.json", b"{}"),
        ("01KB0000000000000000000009.json.tmp", b""),
        (".01KB0000000000000000000009.json.1.ab", b""),
    ],
)
def test_what_is_no_commit_is_passed_over(store, name, body, commits):
    """Damaged or foreign files among the commits hinder neither a commit nor healing; a commit of them is named."""
    store.create(f"_runs/{name}", body)
    notes = []
    done = commits.publish(1, note=notes.append)
    assert [f"snapshot {name[:26]} " in note for note in notes] == [True] * (len(name) == 31)

    assert next(newest_first(store), None) == done
    assert [row["snapshot_id"] for row in commits.snapshot_rows()] == [done.snapshot_id]
    assert store.read(f"_runs/{name}") == body


def test_no_commit_yet(store):
    """An empty destination has no last manifest."""
    assert next(newest_first(store), None) is None


def test_the_hint_of_a_newer_lexport(store, commits):
    """Where a newer lexport wrote the newest commit, an older one leaves the hint to it, and says what to do."""
    newer = "01KB0000000000000000000009"
    store.create(f"_runs/{newer}.json", b'{"format": "lexport-manifest/3"}')
    store.replace("_latest.json", b"{}")
    notes = []
    commits.publish(1, note=notes.append)

    assert store.read("_latest.json") == b"{}"
    assert [("upgrade lexport" in note, "damage" in note) for note in notes] == [(True, False)]
    done = commits.publish(10, note=notes.append)
    assert commits.hinted() == done.snapshot_id


# --- the hint -------------------------------------------------------------------------------------------------------


def test_the_hint_moves_forward_only(commits):
    """A snapshot that is older than the newest one does not become the hint; a newer one does."""
    for number, expected in ((1, 1), (0, 1), (3, 3), (2, 3)):
        commits.publish(number)

        assert commits.hinted() == f"01KB{expected:022d}"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"snapshot_id": 5}', b"{}", b"\xff", b'{"snapshot_id": ""}']
)
def test_a_damaged_hint_is_written_anew(store, body, commits):
    """A hint that cannot be read is no obstacle; the next commit mends it."""
    store.replace("_latest.json", body)
    commits.publish()

    assert commits.hinted() == "01KB0000000000000000000000"


def test_a_hint_that_is_a_pipe(store, commits):
    """A pipe in the place of the hint does not stop a run: the hint is written over it."""
    os.mkfifo(store.root / "_latest.json")
    done = commits.publish()

    assert commits.hinted() == done.snapshot_id


def test_the_hint_never_names_a_snapshot_that_is_gone(store, commits):
    """Where the snapshot that the hint names is no longer there, or is about to go, the newest other one is named."""
    for number in range(3):
        commits.publish(number)

    move_hint(store, leaving_out="01KB0000000000000000000002")
    assert commits.hinted() == "01KB0000000000000000000001"
    move_hint(store)
    assert commits.hinted() == "01KB0000000000000000000002"
    store.remove("_runs/01KB0000000000000000000002.json")
    move_hint(store)
    assert commits.hinted() == "01KB0000000000000000000001"
    store.replace("_runs/01KB0000000000000000000001.json", b"damaged")
    move_hint(store)
    assert commits.hinted() == "01KB0000000000000000000001"


def test_no_hint_without_a_snapshot(store, commits):
    """The hint goes with the last snapshot."""
    done = commits.publish()
    move_hint(store, leaving_out=done.snapshot_id)

    assert "_latest.json" not in store.names("")


def test_the_row_of_a_commit_that_is_removed_meanwhile(store, commits, at_event):
    """A run that writes the missing row of an earlier commit leaves none of one that is pruned at that moment."""
    first = commits.publish()
    row = data_path("snapshots", first.snapshot_id, first.snapshot_at)
    store.remove(row)
    at_event("os.link", lambda: store.remove(f"_runs/{first.snapshot_id}.json"), on=row)
    second = commits.publish(1)

    assert [found["snapshot_id"] for found in commits.snapshot_rows()] == [second.snapshot_id]


def test_ids_of_real_runs_sort():
    """Ids made one after the other are hinted one after the other."""
    ids = [new_ulid(AT + timedelta(seconds=second)) for second in range(3)]

    assert ids == sorted(ids)


def test_packages_alone_are_no_snapshot(store, commits):
    """A commit without scopes is committed whole, but neither the hint nor the reader of snapshots takes it for one."""
    first = commits.publish()
    alone = commits.publish(1, tables=("packages", "errors"), scopes=())

    assert commits.hinted() == first.snapshot_id
    assert list(newest_first(store)) == [first]
    assert [row["snapshot_id"] for row in commits.snapshot_rows()] == [first.snapshot_id, alone.snapshot_id]

    commits.publish(2)
    assert commits.hinted() == next(newest_first(store)).snapshot_id != alone.snapshot_id
