"""A folder as a destination: whole files or none, never over another one, readable for whom they should be."""

from __future__ import annotations

import errno
import os
import re
import resource
import stat
import threading
from pathlib import Path

import pytest

from lexport.dataset.local import LocalStore, sync_file, write_error
from lexport.errors import PublishError, WriteError


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "dest")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def files(store):
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())


# --- create ---------------------------------------------------------------------------------------------------------


def test_create(store):
    """A new file is there with its folders, and nothing else is."""
    store.create("a/b/c.json", b"one")

    assert store.read("a/b/c.json") == b"one"
    assert files(store) == ["a/b/c.json"]


def test_create_refuses_a_taken_name(store):
    """What exists is not overwritten, and no draft is left."""
    store.create("c.json", b"one")
    with pytest.raises(PublishError) as refused:
        store.create("c.json", b"two")

    assert refused.value.destination == str(store.root)
    assert store.read("c.json") == b"one"
    assert files(store) == ["c.json"]


def test_create_twice_the_same(store):
    """A name that holds these very bytes already is no conflict: an answer that got lost looks like that."""
    assert store.create("c.json", b"one") is None
    assert store.create("c.json", b"one") is None
    assert files(store) == ["c.json"]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("one"), Path.touch])
def test_create_where_something_else_is(store, make):
    """A folder, a pipe, a link or an empty file has the name: it stays, and no draft is left."""
    store.create("one", b"one")
    make(store.root / "c.json")
    before = (store.root / "c.json").lstat()
    with pytest.raises(PublishError):
        store.create("c.json", b"one")

    assert (store.root / "c.json").lstat() == before
    assert not [name for name in store.names("") if name.startswith(".")]


def test_only_one_creates(store):
    """Of many who create the same file at once, one does, and the file is wholly that one's."""
    store.make_folder("")
    won, start = [], threading.Barrier(8)

    def create(number):
        start.wait()
        try:
            store.create("c.json", bytes([number]) * 10_000)
        except PublishError:
            return
        won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [store.read("c.json")] == [bytes([number]) * 10_000 for number in won]
    assert files(store) == ["c.json"]


# --- replace --------------------------------------------------------------------------------------------------------


def test_replace(store):
    """A file is made or replaced, without a draft left over."""
    store.replace("h.json", b"one")
    store.replace("h.json", b"two")

    assert store.read("h.json") == b"two"
    assert files(store) == ["h.json"]


@pytest.mark.slow
def test_a_reader_sees_the_old_or_the_new_file(store):
    """While a file is replaced again and again, whoever reads it reads one of them whole."""
    bodies = [bytes([number]) * (1000 + number) for number in range(20)]
    store.replace("h.json", bodies[0])
    done, seen = threading.Event(), set()

    def read():
        while not done.is_set():
            seen.add(store.read("h.json"))

    reader = threading.Thread(target=read)
    reader.start()
    for body in bodies * 10:
        store.replace("h.json", body)
    done.set()
    reader.join()

    assert seen <= set(bodies)
    assert seen


def test_an_open_file_stays_as_it_was(store):
    """Whoever has the old file open keeps the old bytes."""
    store.replace("h.json", b"one")
    with (store.root / "h.json").open("rb") as file:
        store.replace("h.json", b"two, longer")

        assert file.read() == b"one"


# --- place ----------------------------------------------------------------------------------------------------------


def test_place(store, tmp_path):
    """A finished file gets its name, with its folders; its bytes are on disk once."""
    source = tmp_path / "done.parquet"
    source.write_bytes(b"data")
    store.place(source, "t/snapshot_date=2026-11-22/x.parquet")

    assert source.samefile(store.root / "t/snapshot_date=2026-11-22/x.parquet")
    assert store.read("t/snapshot_date=2026-11-22/x.parquet") == b"data"
    assert files(store) == ["t/snapshot_date=2026-11-22/x.parquet"]


def test_place_refuses_a_taken_name(store, tmp_path):
    """What exists is not overwritten, and the file stays where it was."""
    source = tmp_path / "done.parquet"
    source.write_bytes(b"new")
    store.create("x.parquet", b"old")
    with pytest.raises(PublishError):
        store.place(source, "x.parquet")

    assert (source.read_bytes(), store.read("x.parquet")) == (b"new", b"old")


def test_place_twice(store, tmp_path):
    """The same file may be placed again; the same bytes in another file are another run's."""
    source, other = tmp_path / "done.parquet", tmp_path / "other.parquet"
    source.write_bytes(b"data")
    other.write_bytes(b"data")
    store.place(source, "t/x.parquet")
    store.place(source, "t/x.parquet")
    with pytest.raises(PublishError):
        store.place(other, "t/x.parquet")

    assert store.read("t/x.parquet") == b"data"


def test_place_where_a_link_is(store, tmp_path):
    """A link to the very file is not the file: the name is taken."""
    source = tmp_path / "done.parquet"
    source.write_bytes(b"data")
    store.make_folder("t")
    (store.root / "t/x.parquet").symlink_to(source)
    with pytest.raises(PublishError):
        store.place(source, "t/x.parquet")


def test_place_what_is_not_there(store, tmp_path):
    """A file that is gone is named with the reason."""
    with pytest.raises(WriteError, match=r"cannot write .*/absent: No such file or directory"):
        store.place(tmp_path / "absent", "t/x.parquet")


# --- modes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("group_readable", "file_mode", "folder_mode"), [(False, 0o600, 0o700), (True, 0o640, 0o750)])
def test_modes(tmp_path, umask, group_readable, file_mode, folder_mode):
    """Files and folders are for the user alone, or readable for the group, whatever the umask."""
    store = LocalStore(tmp_path / "new" / "dest", group_readable)
    store.create("a/b/c.json", b"")
    store.replace("a/h.json", b"")
    store.make_folder("d/e")

    assert store.file_mode == file_mode
    assert {mode(store.root / name) for name in ("a/b/c.json", "a/h.json")} == {file_mode}
    assert {mode(store.root / name) for name in ("", "..", "a", "a/b", "d", "d/e")} == {folder_mode}


def test_folders_that_are_there_keep_their_mode(tmp_path):
    """A folder that somebody else made is not opened or closed by us."""
    (tmp_path / "dest").mkdir(mode=0o755)
    (tmp_path / "dest").chmod(0o755)
    store = LocalStore(tmp_path / "dest")
    store.create("a/c.json", b"")

    assert (mode(store.root), mode(store.root / "a")) == (0o755, 0o700)


# --- the rest -------------------------------------------------------------------------------------------------------


def test_names(store):
    """A folder's names are sorted; an absent one, or a file, has none."""
    for name in ("b", "a", ".c"):
        store.create(f"f/{name}", b"")

    assert store.names("f") == [".c", "a", "b"]
    assert store.names("absent") == store.names("f/a") == []


def test_remove(store):
    """A file goes, and what is not there is fine."""
    store.create("a/b", b"")
    store.create("d", b"")
    for path in ("d", "d", "absent/x"):
        store.remove(path)

    assert files(store) == ["a/b"]


@pytest.mark.parametrize("path", ["a/b", "d"])
def test_what_cannot_be_removed(store, path):
    """What is no file is not removed, and the caller is told."""
    store.create("a", b"")
    store.create("d/e", b"")
    with pytest.raises(OSError, match="directory"):
        store.remove(path)

    assert files(store) == ["a", "d/e"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EIO, "Input/output error"), "cannot write {}: Input/output error"),
        (OSError(errno.ENOSPC, "Arrow says more"), "cannot write {}: No space left on device; [0-9,]+ bytes are free"),
        (
            OSError(errno.EDQUOT, "x"),
            "cannot write {}: Disk quota exceeded; [0-9,]+ bytes are free there, 7 are needed",
        ),
        (OSError(errno.EMFILE, "x"), "cannot write {}: Too many open files"),
        (OSError("Arrow: this\nand that"), "cannot write {}: Arrow: this and that"),
        (ValueError("no\n  schema"), "cannot write {}: no schema"),
    ],
)
def test_what_is_said(tmp_path, error, said):
    """An error names the file and the reason in one line, and of a full disk how much room there is."""
    path = tmp_path / "not" / "there" / "x"
    made = write_error(path, error, size_bytes=7)

    assert made.path == str(path)
    assert re.match(said.format(path), str(made))
    assert "\n" not in str(made)


def test_a_file_system_that_does_not_count_its_files():
    """Where a file system tells of no inodes at all, that is no lack of them."""
    said = str(write_error(Path("/proc/x"), OSError(errno.ENOSPC, "x")))

    assert said == "cannot write /proc/x: No space left on device; 0 bytes are free there"


def test_a_replacement_that_cannot_be(store):
    """Where a file cannot be replaced, the old one stays and no draft is left."""
    store.create("h.json/x", b"")
    with pytest.raises(WriteError, match=r"cannot write .*h\.json: Is a directory"):
        store.replace("h.json", b"new")

    assert files(store) == ["h.json/x"]


@pytest.mark.parametrize("write", ["create", "replace"])
def test_no_room_for_a_file(store, write):
    """A file for which there is no room leaves neither a part nor a draft, and the error says how much is needed."""
    store.make_folder("")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(WriteError) as refused:
            getattr(store, write)("x.json", b"x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert str(refused.value).endswith("bytes are free there, 20,000 are needed")
    assert store.names("") == []


def test_make_folder_twice(store):
    """A folder that is there already is just that."""
    assert store.make_folder("a/b") == store.make_folder("a/b") == store.root / "a" / "b"


@pytest.mark.parametrize("write", ["create", "replace"])
def test_a_file_that_cannot_be_written(write):
    """Where no file can be made, WriteError says which."""
    with pytest.raises(WriteError, match="cannot write /proc/x: ") as refused:
        getattr(LocalStore(Path("/proc")), write)("x", b"")

    assert refused.value.path == "/proc/x"


def test_sync_file(tmp_path):
    """What is not there cannot be synced; what is, is as it was."""
    (tmp_path / "x").write_bytes(b"x")
    sync_file(tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        sync_file(tmp_path / "y")

    assert (tmp_path / "x").read_bytes() == b"x"
