"""The places of packages: one name for one content, drafts that one run alone writes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from lexport.artifacts.store import MOST_DRAFTS, PackagePlaces
from lexport.dataset.local import LocalStore
from lexport.dataset.manifest import package_path
from lexport.errors import PackageError, WriteError

BODY = b"PK" * 1000
HEX = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def places(tmp_path):
    return PackagePlaces(LocalStore(tmp_path / "dest"))


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def put(places, body=BODY):
    draft = places.open_draft(HEX)
    draft.write([body[:7], body[7:]])
    path = draft.keep()
    draft.close()
    return places.store.root / path


def test_kept_and_found(places):
    """A kept draft is found by its hash, with or without a size, and no draft is left."""
    path = put(places)

    assert path == places.store.root / package_path(HEX)
    assert (places.find(HEX, len(BODY)), places.find(HEX, None)) == (len(BODY), len(BODY))
    assert places.store.names("_staging/packages") == []
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_group_readable(tmp_path):
    """Packages follow --group-readable."""
    path = put(PackagePlaces(LocalStore(tmp_path / "dest", group_readable=True)))

    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o640, 0o750)


def test_group_readable_under_a_strict_umask(tmp_path):
    """A umask takes nothing away of what --group-readable grants."""
    before = os.umask(0o077)
    try:
        path = put(PackagePlaces(LocalStore(tmp_path / "dest", group_readable=True)))
    finally:
        os.umask(before)

    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o640, 0o750)


def test_not_there(places):
    """What was never stored is not found."""
    assert places.find(HEX, len(BODY)) is None


@pytest.mark.parametrize("damaged", [b"", BODY[:-1], BODY + b"x"])
def test_a_file_of_another_size_is_removed(places, damaged):
    """A stored file whose size is off and whose hash is wrong is damaged: it is removed, to be fetched again."""
    path = put(places)
    path.write_bytes(damaged)

    assert places.find(HEX, len(BODY)) is None
    assert not path.exists()


def test_a_wrong_code_size_is_no_damage(places):
    """Where AWS told another size, the hash decides."""
    put(places)

    assert places.find(HEX, 5) == len(BODY)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_link_instead_of_a_file_is_not_followed(places, tmp_path, is_known):
    """What a name in the store leads to elsewhere is no package."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(BODY)
    path = put(places)
    path.unlink()
    path.symlink_to(elsewhere)

    assert places.find(HEX, len(BODY) if is_known else None) is None
    assert elsewhere.read_bytes() == BODY


def test_a_draft_is_no_link(places, tmp_path):
    """A draft that is a link to somewhere is not written to."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = places.store.make_folder("_staging/packages")
    (folder / f"{HEX}.part").symlink_to(victim)
    with pytest.raises(WriteError):
        places.open_draft(HEX)

    assert victim.read_text() == "mine"


def test_who_comes_second_keeps_the_first(places):
    """Two that bring the same content leave one file; the first one's stays, a damaged one is replaced."""
    first, second, third = (places.open_draft(HEX) for _ in range(3))
    for draft in (first, second, third):
        draft.write([BODY])
    path = places.store.root / first.keep()
    inode = path.stat().st_ino
    second.keep()
    kept = path.stat().st_ino
    path.write_bytes(b"damaged")
    third.keep()
    for draft in (first, second, third):
        draft.close()

    assert kept == inode
    assert path.read_bytes() == BODY
    assert places.store.names("_staging/packages") == []


def test_a_draft_is_taken_up(places):
    """What a run left is there for the next, hashed; an empty draft is not left."""
    draft = places.open_draft(HEX)
    draft.write([BODY[:500]])
    draft.close()
    again = places.open_draft(HEX)

    assert (again.size_bytes, again.sha256_hex) == (500, hashlib.sha256(BODY[:500]).hexdigest())
    again.restart()
    again.close()
    assert places.store.names("_staging/packages") == []


@pytest.mark.parametrize("is_begun_anew", [False, True])
def test_a_draft_that_is_stored_while_it_is_opened(places, at_event, is_begun_anew):
    """A draft that its owner stores between our opening and our lock is a package by then, and not written to."""
    first = places.open_draft(HEX)
    first.write([BODY])
    others = []
    before = open_files()

    def store():
        first.keep()
        first.close()
        if is_begun_anew:
            others.append(places.open_draft(HEX))

    at_event("fcntl.flock", store)
    second = places.open_draft(HEX)
    second.write([b"x"])

    assert (places.store.root / package_path(HEX)).read_bytes() == BODY
    assert second.path.read_bytes() == b"x"
    assert [second.path.name] == [f"{HEX}.1.part" if is_begun_anew else f"{HEX}.part"]
    for draft in (second, *others):
        draft.close()
    assert open_files() == before - 1  # the first one's


def test_drafts_are_not_shared(places):
    """As many drafts as runs, up to a limit that says so."""
    before = open_files()
    drafts = [places.open_draft(HEX) for _ in range(MOST_DRAFTS)]

    assert len({draft.path for draft in drafts}) == MOST_DRAFTS
    with pytest.raises(PackageError, match="wait for them"):
        places.open_draft(HEX)
    for draft in drafts:
        draft.close()
    assert open_files() == before
