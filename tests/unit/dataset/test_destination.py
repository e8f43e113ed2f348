"""The folder that snapshots are published into: created, checked before anything is read, and never left."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lexport.dataset.claims import take_claim
from lexport.dataset.commit import (
    commit,
    prepare_destination,
)
from lexport.dataset.staging import check_is_new
from lexport.errors import PublishError, SettingsError, WriteError

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize("name", ["new", "new/and/deep", "there"])
def test_a_destination(tmp_path, name):
    """A folder that is not there yet is made; one that is there and empty will do."""
    (tmp_path / "there").mkdir()
    store = prepare_destination(tmp_path / name, group_readable=False)

    assert store.root == tmp_path / name
    assert store.names("") == ["_staging"]
    assert store.names("_staging") == []


def test_a_relative_destination(tmp_path, monkeypatch):
    """A relative path means the folder of this moment, wherever the process goes later."""
    monkeypatch.chdir(tmp_path)

    assert prepare_destination(Path("dest"), group_readable=False).root == tmp_path / "dest"


def test_a_file_is_no_destination(tmp_path):
    """A file in the place of the folder is refused, and stays as it was."""
    path = tmp_path / "dest"
    path.write_text("mine")
    with pytest.raises(SettingsError, match=f"DEST {path} is a file, not a folder"):
        prepare_destination(path, group_readable=False)

    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["thesis.docx", "src", "functions.parquet"])
def test_a_folder_with_other_things(tmp_path, name):
    """A folder that holds something else is refused by what it holds, and nothing is added to it."""
    (tmp_path / name).write_text("mine")
    with pytest.raises(SettingsError, match=f"holds something else \\({name}\\); choose an empty folder"):
        prepare_destination(tmp_path, group_readable=False)

    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("names", [[".DS_Store"], ["lost+found"], ["_runs", "notes.txt"], ["functions", "_staging"]])
def test_a_folder_that_will_do(tmp_path, names):
    """A dataset, even with a note beside it, the rest of an aborted run, or a fresh disk will do."""
    for name in names:
        (tmp_path / name).mkdir()

    assert prepare_destination(tmp_path, group_readable=False).root == tmp_path


@pytest.mark.parametrize("place", ["/proc/lexport", "/proc/self/dest", "/dev/null/dest", "/" + "x" * 300])
def test_a_destination_that_cannot_be_written(place):
    """Where nothing can be written, one line says so before anything else is done."""
    with pytest.raises(SettingsError, match="cannot be written: ") as refused:
        prepare_destination(Path(place), group_readable=False)

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
        prepare_destination(tmp_path / "dest", group_readable=False)

    assert list((tmp_path / "outside").iterdir()) == []


def test_a_day_that_leads_out_of_the_destination(store, tmp_path, commits):
    """Nothing is published through a link that no reader would follow, and what was placed is removed."""
    outside, done = tmp_path / "outside", commits.draft()
    outside.mkdir()
    files = commits.staged(done)
    day = (store.root / done.files[-1].path).parent
    day.parent.mkdir(exist_ok=True)
    day.symlink_to(outside)
    with pytest.raises(WriteError, match=f"{day} is a link to {outside}, outside of DEST; make it a folder"):
        commit(store, done, files, note=pytest.fail)

    assert commits.everything() == {}
    assert list(outside.iterdir()) == []


def test_staging_is_ones_own(store, commits):
    """A run has a folder for its work; another run of the same id, and a committed id, are refused."""
    take_claim(store, "01KB0000000000000000000000", 1)
    with pytest.raises(PublishError, match="nothing was changed"):
        check_is_new(store, "01KB0000000000000000000000")
    store.remove_folder("_staging/01KB0000000000000000000000")
    commits.publish()
    store.remove_folder("_staging/01KB0000000000000000000000")
    with pytest.raises(PublishError, match="has a snapshot or a run 01KB0000000000000000000000 already"):
        check_is_new(store, "01KB0000000000000000000000")
