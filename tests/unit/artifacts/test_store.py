"""The package store: one name for one content, and partial downloads that only one run writes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from lexport.artifacts.partial_download import MAX_PARTIAL_DOWNLOADS
from lexport.artifacts.store import PackageStore
from lexport.dataset.layout import package_path, package_places
from lexport.dataset.local import LocalStore
from lexport.errors import PackageError, WriteError

BODY = b"PK" * 1000
HEX = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def package_store(tmp_path):
    return PackageStore(LocalStore(tmp_path / "dest"), tmp_path)


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def put(package_store, body=BODY):
    partial = package_store.open_partial(HEX)
    partial.write([body[:7], body[7:]])
    path = package_store.keep(partial)
    partial.close()
    return package_store.destination.root / path


def test_a_stored_package_is_found(package_store):
    """A stored package is found by its hash, with or without a size, and no partial download is left."""
    path = put(package_store)

    assert path == package_store.destination.root / package_path(HEX)
    for size_bytes in (len(BODY), None):
        found = package_store.find(HEX, size_bytes)
        assert (found.path, found.size_bytes) == (package_path(HEX), len(BODY))
    assert package_store.destination.names("_staging/packages") == []
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_group_readable(tmp_path):
    """Packages follow --group-readable."""
    path = put(PackageStore(LocalStore(tmp_path / "dest", group_readable=True), tmp_path))

    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o640, 0o750)


def test_group_readable_under_a_strict_umask(tmp_path):
    """A umask removes no permission that --group-readable grants."""
    before = os.umask(0o077)
    try:
        path = put(PackageStore(LocalStore(tmp_path / "dest", group_readable=True), tmp_path))
    finally:
        os.umask(before)

    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o640, 0o750)


def test_a_missing_package(package_store):
    """A package that was never stored is not found."""
    assert package_store.find(HEX, len(BODY)) is None


@pytest.mark.parametrize("damaged", [b"", BODY[:-1], BODY + b"x"])
def test_a_file_of_another_size_is_removed(package_store, damaged):
    """A stored file of a wrong size and hash is damaged and is removed."""
    path = put(package_store)
    path.write_bytes(damaged)

    assert package_store.find(HEX, len(BODY)) is None
    assert not path.exists()


def test_a_wrong_code_size_is_no_damage(package_store):
    """If AWS sends another size, the hash decides."""
    put(package_store)

    assert package_store.find(HEX, 5).size_bytes == len(BODY)


def test_a_package_that_a_former_release_stored(package_store):
    """A package in the folder of the table packages is found there, unless it is damaged."""
    new, old = package_places(HEX)
    path = package_store.destination.root / old
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)

    assert package_store.find(HEX, len(BODY)).path == old
    path.write_bytes(BODY[:-1])
    assert package_store.find(HEX, len(BODY)) is None
    assert not path.exists()
    assert put(package_store) == package_store.destination.root / new


@pytest.mark.parametrize("is_known", [True, False])
def test_a_symlink_is_not_followed(package_store, tmp_path, is_known):
    """A symbolic link in the store is no package."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(BODY)
    path = put(package_store)
    path.unlink()
    path.symlink_to(elsewhere)

    assert package_store.find(HEX, len(BODY) if is_known else None) is None
    assert elsewhere.read_bytes() == BODY


def test_a_partial_download_is_no_symlink(package_store, tmp_path):
    """A partial download that is a symbolic link is not written to."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = package_store.destination.make_folder("_staging/packages")
    (folder / f"{HEX}.part").symlink_to(victim)
    with pytest.raises(WriteError):
        package_store.open_partial(HEX)

    assert victim.read_text() == "mine"


def test_a_second_download_keeps_the_first(package_store):
    """Two downloads of the same content leave one file: the first stays, a damaged one is replaced."""
    first, second, third = (package_store.open_partial(HEX) for _ in range(3))
    for partial in (first, second, third):
        partial.write([BODY])
    path = package_store.destination.root / package_store.keep(first)
    inode = path.stat().st_ino
    package_store.keep(second)
    kept = path.stat().st_ino
    path.write_bytes(b"damaged")
    package_store.keep(third)
    for partial in (first, second, third):
        partial.close()

    assert kept == inode
    assert path.read_bytes() == BODY
    assert package_store.destination.names("_staging/packages") == []


def test_a_run_that_was_killed_after_it_stored_a_package(package_store):
    """A partial download that is the stored package too is never written to again."""
    partial = package_store.open_partial(HEX)
    partial.write([BODY])
    stored = package_store.destination.root / package_path(HEX)
    stored.parent.mkdir(parents=True)
    os.link(partial.path, stored)
    partial.close()
    again = package_store.open_partial(HEX)
    again.write([b"x"])
    again.close()

    assert (stored.read_bytes(), stored.stat().st_nlink) == (BODY, 1)


def test_a_partial_download_stays_for_the_next_run(package_store):
    """A partial download stays for the next run, which hashes it; an empty one is removed."""
    partial = package_store.open_partial(HEX)
    partial.write([BODY[:500]])
    partial.close()
    again = package_store.open_partial(HEX)

    assert (again.size_bytes, again.sha256_hex) == (500, hashlib.sha256(BODY[:500]).hexdigest())
    again.restart()
    again.close()
    assert package_store.destination.names("_staging/packages") == []


@pytest.mark.parametrize("is_begun_anew", [False, True])
def test_a_partial_download_that_is_stored_while_it_is_opened(package_store, at_event, is_begun_anew):
    """A partial download that its owner stores between our open and our lock is not written to."""
    first = package_store.open_partial(HEX)
    first.write([BODY])
    others = []
    before = open_files()

    def store():
        package_store.keep(first)
        first.close()
        if is_begun_anew:
            others.append(package_store.open_partial(HEX))

    at_event("fcntl.flock", store)
    second = package_store.open_partial(HEX)
    second.write([b"x"])

    assert (package_store.destination.root / package_path(HEX)).read_bytes() == BODY
    assert second.path.read_bytes() == b"x"
    assert [second.path.name] == [f"{HEX}.1.part" if is_begun_anew else f"{HEX}.part"]
    for partial in (second, *others):
        partial.close()
    assert open_files() == before - 1  # the first one's


def test_partial_downloads_are_not_shared(package_store):
    """Each run has its own partial download, up to a limit."""
    before = open_files()
    partials = [package_store.open_partial(HEX) for _ in range(MAX_PARTIAL_DOWNLOADS)]

    assert len({partial.path for partial in partials}) == MAX_PARTIAL_DOWNLOADS
    with pytest.raises(PackageError, match="wait for them"):
        package_store.open_partial(HEX)
    for partial in partials:
        partial.close()
    assert open_files() == before
