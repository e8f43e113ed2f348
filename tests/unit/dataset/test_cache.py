"""The cache of a bucket's files: private, bounded, never the wrong bytes, and nothing that is in use goes."""

from __future__ import annotations

import gc
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lexport.dataset.cache import Cache, CachedFile, cache_folder
from lexport.errors import RunError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "lexport"


def file_of(body):
    return CachedFile(hashlib.sha256(body).hexdigest(), len(body))


def fill(cache, *bodies):
    """Bring files in, as a download does."""
    missing = cache.hold([file_of(body) for body in bodies])
    for body in bodies:
        file = file_of(body)
        if file in missing:
            draft = cache.draft(file.sha256)
            draft.write_bytes(body)
            cache.admit(draft, file.sha256)
    return missing


def kept(folder):
    return sorted(path.read_bytes() for path in folder.iterdir() if path.is_file() and len(path.name) == 64)


def use(folder, body, at_s):
    """Say when a file was used last."""
    os.utime(folder / file_of(body).sha256, (at_s, at_s))


def test_where_it_lies(monkeypatch, tmp_path):
    """The cache follows XDG_CACHE_HOME where that is an absolute path, else it is in the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/mine")
    assert cache_folder() == Path("/var/cache/mine/lexport")
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder() == tmp_path / ".cache/lexport"


def test_it_is_private(folder):
    """Folder and files are for this user alone."""
    cache = Cache(folder, size_bytes=100)
    fill(cache, b"one")

    assert not cache.is_temporary
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(not path.stat().st_mode & 0o077 for path in folder.iterdir() if path.is_dir())


@pytest.mark.parametrize("what", ["link", "open", "file", "no home"])
def test_a_folder_that_others_may_change_is_not_used(folder, tmp_path, what):
    """Where the folder is a link, open to others, or cannot be made, a private one is used and removed at the end."""
    folder.parent.mkdir()
    match what:
        case "link":
            (tmp_path / "elsewhere").mkdir(mode=0o700)
            folder.symlink_to(tmp_path / "elsewhere")
        case "open":
            folder.mkdir(mode=0o755)
        case "file":
            folder.write_text("mine")
        case "no home":
            folder = Path("/proc/none/lexport")
    before = sorted(tmp_path.rglob("*"))
    cache = Cache(folder, size_bytes=100)
    fill(cache, b"one")

    assert cache.is_temporary
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert sorted(tmp_path.rglob("*")) == before
    cache.close()
    assert not cache.folder.exists()


def test_a_private_folder_goes_with_its_reader():
    """A temporary cache is removed where nobody closes it, too."""
    cache = Cache(None, size_bytes=100)
    folder = cache.folder
    fill(cache, b"one")
    del cache
    gc.collect()

    assert not folder.exists()


def test_files_are_found_again(folder):
    """What one reader brought in is not missing for the next, in another process too."""
    fill(Cache(folder, size_bytes=100), b"one", b"two")

    assert Cache(folder, size_bytes=100).hold([file_of(b"one"), file_of(b"two"), file_of(b"three")]) == [
        file_of(b"three")
    ]


def test_a_file_of_another_size_is_missing(folder):
    """A file that was cut by a loss of power is brought in again."""
    fill(Cache(folder, size_bytes=100), b"one")
    (folder / file_of(b"one").sha256).write_bytes(b"")

    assert Cache(folder, size_bytes=100).hold([file_of(b"one")]) == [file_of(b"one")]


def test_the_least_recently_used_goes_first(folder):
    """Room is made by removing what was used longest ago; being asked for counts as use."""
    first = Cache(folder, size_bytes=30)
    fill(first, b"a" * 10, b"b" * 10, b"c" * 10)
    first.close()
    for number, body in enumerate((b"a" * 10, b"b" * 10, b"c" * 10)):
        use(folder, body, 1000 + number)
    second = Cache(folder, size_bytes=30)
    second.hold([file_of(b"a" * 10)])
    second.close()

    fill(Cache(folder, size_bytes=30), b"d" * 10)
    assert kept(folder) == [b"a" * 10, b"c" * 10, b"d" * 10]


def test_what_is_in_use_stays(folder):
    """A file that a living reader holds is not evicted; once the reader has ended, it may be."""
    reader = Cache(folder, size_bytes=30)
    fill(reader, b"a" * 20)
    use(folder, b"a" * 20, 1)
    other = Cache(folder, size_bytes=30)

    with pytest.raises(RunError, match="30 bytes, and 40 are needed together with what other commands"):
        fill(other, b"b" * 20)
    assert kept(folder) == [b"a" * 20]
    reader.close()
    fill(other, b"b" * 20)
    assert kept(folder) == [b"b" * 20]


def test_a_reader_that_was_killed_holds_nothing(folder):
    """Drafts, links and holds of a process that was killed are gone with the next reader that needs room."""
    code = (
        "import os, signal, sys; from pathlib import Path; from lexport.dataset.cache import Cache, CachedFile\n"
        "cache = Cache(Path(sys.argv[1]), size_bytes=30); cache.hold([CachedFile('ab' * 32, 20)])\n"
        "cache.draft('ab' * 32).write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    folder.parent.mkdir()
    assert subprocess.run([sys.executable, "-c", code, folder], check=False).returncode == -9
    assert [path for path in folder.iterdir() if path.name.startswith(".part-")]

    with Reader(folder, 30) as cache:
        fill(cache, b"b" * 30)
        assert kept(folder) == [b"b" * 30]
        assert not [path for path in folder.iterdir() if path.name.startswith(".part-")]
        assert len(list((folder / "in-use").iterdir())) == 1


class Reader:
    """A reader that is closed at the end of a block."""

    def __init__(self, folder, size_bytes):
        self.cache = Cache(folder, size_bytes=size_bytes)

    def __enter__(self):
        return self.cache

    def __exit__(self, *_):
        self.cache.close()


def test_more_than_the_cache_may_have(folder):
    """A reader that needs more than fits is refused with both numbers, before anything is removed or moved."""
    first = Cache(folder, size_bytes=1500)
    fill(first, b"a" * 1000)
    first.close()
    cache = Cache(folder, size_bytes=1500)
    fill(cache, b"b" * 400)

    with pytest.raises(RunError, match=r"have 1,600 bytes, and the cache may have 1,500; give a larger --cache-size"):
        cache.hold([file_of(b"c" * 1200)])
    assert kept(folder) == [b"a" * 1000, b"b" * 400]
    assert cache.hold([file_of(b"b" * 400)]) == []


def test_a_file_counts_once(folder):
    """The same bytes under several names need room once."""
    cache = Cache(folder, size_bytes=10)

    assert cache.hold([file_of(b"a" * 10)] * 3) == [file_of(b"a" * 10)]
    assert cache.hold([file_of(b"a" * 10)]) == [file_of(b"a" * 10)]
