"""The ZIP reader: the content of valid files, and the problem of each kind of invalid one."""

import io
import os
import subprocess
import sys
import zipfile

import pytest

from lexport.artifacts.archive_limits import ArchiveBudget, ArchiveLimits
from lexport.artifacts.zip_reader import Archive, FileSource, MemorySource
from lexport.errors import ArchiveError


@pytest.fixture
def read():
    """Return a function: bytes -> entries, codes of problems, and the archive."""

    def run(body, **limits):
        budget = ArchiveBudget(ArchiveLimits(**limits))
        paths = []
        archive = None
        try:
            archive = Archive(MemorySource(body), budget)
            paths.extend(archive.entries())
        except ArchiveError as error:
            budget.report(error.code, str(error))
        return paths, set(budget.problems), archive

    return run


def members_of(paths, archive, max_bytes=2**20):
    return {entry.path: archive.read(entry, max_bytes=max_bytes) for entry in paths}


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n"])
@pytest.mark.parametrize("comment", [b"", b"PK\x03\x04 a comment"])
def test_valid_zips(read, zips, zip64, before, comment):
    """Stored and deflated members are read, also with 64-bit fields, a prefix or a comment."""
    members = zips.Member(name="a.txt", data=b"a" * 1000), zips.Member(name="é/b", data=b"bb", stored=True)
    entries, codes, archive = read(zips.zip_bytes(*members, before=before, comment=comment, zip64=zip64))

    assert codes == set()
    assert [(e.path, e.size_bytes, e.compressed_bytes) for e in entries] == [
        ("a.txt", 1000, len(zips.deflate(b"a" * 1000))),
        ("é/b", 2, 2),
    ]
    assert members_of(entries, archive) == {"a.txt": b"a" * 1000, "é/b": b"bb"}


def test_agrees_with_the_standard_library(read):
    """Files of zipfile are read with the same names, sizes and checksums, also members of many chunks."""
    body, noise = io.BytesIO(), os.urandom(300_000)
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("noise", noise)
        writer.writestr("blanks", b" " * 900_000)
        writer.mkdir("folder")
        writer.writestr("folder/x", b"")
    entries, codes, archive = read(body.getvalue())
    with zipfile.ZipFile(body) as expected:
        infos = [info for info in expected.infolist() if not info.is_dir()]

    assert codes == set()
    assert [(i.filename, i.file_size, i.compress_size, i.CRC) for i in infos] == [
        (e.path, e.size_bytes, e.compressed_bytes, e.crc32) for e in entries
    ]
    assert members_of(entries, archive) == {"noise": noise, "blanks": b" " * 900_000, "folder/x": b""}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_a_zip"),
        (b"\x1f\x8b\x08 a gzip", "not_a_zip"),
        (b"PK\x03\x04" + b"\0" * 500, "truncated"),
        (b"PK\x05\x06" + b"\0" * 10, "not_a_zip"),
    ],
)
def test_not_a_zip(read, body, code):
    """A file that is no ZIP file, or only the beginning of one, is an error that says so."""
    assert read(body)[:2] == ([], {code})


def test_every_truncation(read, zips):
    """A ZIP file cut anywhere is never read as a complete one, and raises nothing but ArchiveError."""
    body = zips.zip_bytes(*(zips.Member(name=f"{n}", data=b"x" * n) for n in range(9)))
    codes = [read(body[:length])[1] for length in range(len(body))]

    assert all(codes)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "..\\x", "C:\\x", "\\\\host\\x"])
def test_traversal_names(read, zips, name):
    """A name that leads out of its folder is kept and reported."""
    entries, codes, _ = read(zips.zip_bytes(zips.Member(name=name, data=b"x")))

    assert ([e.path for e in entries], codes) == ([name], {"traversal_name"})


@pytest.mark.parametrize("name", ["a..b", "..a/b", "a:b"[1:], "x/C:/y"])
def test_harmless_names(read, zips, name):
    """Other dots and colons in names are no problem."""
    assert read(zips.zip_bytes(zips.Member(name=name)))[1] == set()


@pytest.mark.parametrize(
    ("name", "path"),
    [(b"a\0b.py", "a\ufffdb.py"), (b"\xff\xfe", "\u00a0\u25a0"), (b"", ""), (b"n" * 2000, "n" * 1024)],
)
def test_names_that_no_table_can_hold(read, zips, name, path):
    """Names with NUL or invalid bytes, empty and overlong names become text that a table can hold."""
    entries, codes, _ = read(zips.zip_bytes(zips.Member(name=name, data=b"x")))

    assert [e.path for e in entries] == [path]
    assert codes == (set() if name == b"\xff\xfe" else {"bad_name"})


def test_symlinks(read, zips):
    """A symbolic link is reported; only Unix systems write them."""
    link = zips.Member(name="l", data=b"/etc/passwd", mode=0o120777)
    other = zips.Member(name="m", data=b"/etc/passwd", mode=0o120777, made_by=0)

    assert read(zips.zip_bytes(link, other))[1] == {"symlink"}
    assert read(zips.zip_bytes(other))[1] == set()


def test_encrypted(read, zips):
    """An encrypted member is an entry and a problem; reading it raises ArchiveError."""
    entries, codes, archive = read(zips.zip_bytes(zips.Member(name="s", data=b"secret", says={"flags": 1})))

    assert codes == {"encrypted"}
    with pytest.raises(ArchiveError) as raised:
        archive.read(entries[0], max_bytes=100)
    assert raised.value.code == "encrypted"


def test_overlapping(read, zips):
    """Members that share bytes are reported, whether at one position or one inside another."""
    kernel = zips.Member(name="0", data=b"x" * 5000)
    same_place = [kernel, *(zips.Member(name=f"{n}", stored=True, says={"offset": 0}) for n in range(1, 5))]
    quoting = [zips.Member(name="q", data=b"y" * 50, stored=True, says={"compressed": 80, "size": 80}), kernel]

    assert read(zips.zip_bytes(*same_place))[1] == {"overlapping"}
    assert read(zips.zip_bytes(*quoting))[1] == {"overlapping"}


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ({"count": 0}, "wrong_count"),
        ({"count": 1}, "wrong_count"),
        ({"count": 65_000}, "wrong_count"),
        ({"size": 0}, "wrong_count"),
        ({"size": 20}, "damaged_directory"),
        ({"size": 10**6}, "truncated"),
        ({"offset": 10**6}, "truncated"),
        ({"offset": 3}, "damaged_entry"),
    ],
)
@pytest.mark.parametrize("zip64", [False, True])
def test_false_directory_values(read, zips, end, code, zip64):
    """Counts, sizes and positions of the directory are compared with the file."""
    body = zips.zip_bytes(*(zips.Member(name=f"{n}", data=b"x" * 9) for n in range(3)), zip64=zip64, **end)
    entries, codes, archive = read(body)
    for entry in entries:
        with pytest.raises(ArchiveError) if code == "damaged_entry" else _nothing() as raised:
            archive.read(entry, max_bytes=100)
        codes |= {raised.value.code} if raised else set()

    assert code in codes


class _nothing:  # noqa: N801 - stands beside pytest.raises
    def __enter__(self):
        return None

    def __exit__(self, *_):
        return None


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ({"size": 10}, "bomb"),  # more comes out than it claims
        ({"crc": 1}, "damaged_entry"),
        ({"size": 30_000_001}, "damaged_entry"),
        ({"compressed": 10}, "damaged_entry"),
        ({"compressed": 10**6}, "truncated"),
        ({"offset": 10**9}, "damaged_entry"),
        ({"offset": 1}, "damaged_entry"),
        ({"method": 14}, "unknown_method"),
        ({"local_name": b"another"}, "damaged_entry"),
    ],
)
def test_members_that_differ_from_the_directory(read, zips, says, code):
    """A member that differs from its directory entry is not read."""
    data = os.urandom(200) * 5
    entries, _, archive = read(zips.zip_bytes(zips.Member(name="m", data=data, says=says)))

    with pytest.raises(ArchiveError) as raised:
        archive.read(entries[0], max_bytes=10**9)
    assert raised.value.code == code


def test_bombs_are_not_inflated(read, zips):
    """A member that inflates a thousandfold is abandoned after a few megabytes; its declared size is a problem."""
    entries, codes, archive = read(zips.zip_bytes(zips.Member(name="zeros", data=bytes(50_000_000))))
    produced = []

    assert codes == {"bomb"}
    with pytest.raises(ArchiveError) as raised:
        produced.extend(map(len, archive.chunks(entries[0])))
    assert raised.value.code == "bomb"
    assert sum(produced) < 15_000_000


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"entries": 99}, "too_many_entries"),
        ({"directory_bytes": 1000}, "too_many_entries"),
        ({"declared_bytes": 99}, "bomb"),
        ({"seconds": -1}, "too_slow"),
    ],
)
def test_limits(read, zips, limits, code):
    """Each limit of the directory is enforced and named."""
    assert read(zips.zip_bytes(*(zips.Member(name=f"{n}", data=b"x") for n in range(300))), **limits)[1] == {code}


@pytest.mark.parametrize(("limits", "code"), [({"inflated_bytes": 99}, "bomb"), ({"seconds": -1}, "too_slow")])
def test_limits_of_members(read, zips, limits, code):
    """Each limit of inflated bytes is enforced and named."""
    entries, _, archive = read(zips.zip_bytes(zips.Member(name="m", data=b"x" * 100)), **limits)

    with pytest.raises(ArchiveError) as raised:
        archive.read(entries[0], max_bytes=10**6)
    assert raised.value.code == code


def test_a_member_can_be_too_large(read, zips):
    """A member that declares more than the maximum is not read; its first bytes can be."""
    entries, _, archive = read(zips.zip_bytes(zips.Member(name="m", data=b"ab" * 100)))

    with pytest.raises(ArchiveError) as raised:
        archive.read(entries[0], max_bytes=199)
    assert raised.value.code == "too_large"
    assert archive.read_head(entries[0], max_bytes=3) == b"aba"


def test_a_stored_member_is_read_in_place(read, zips):
    """An uncompressed jar can be read in place; a deflated one cannot."""
    inner = zips.zip_bytes(zips.Member(name="in", data=b"side"))
    entries, _, archive = read(
        zips.zip_bytes(zips.Member(name="s.jar", data=inner, stored=True), zips.Member(name="d.jar", data=inner))
    )
    nested = Archive(archive.stored_range(entries[0]), ArchiveBudget())

    assert [nested.read(entry, max_bytes=9) for entry in nested.entries()] == [b"side"]
    assert archive.stored_range(entries[1]) is None


BIG = """
import resource, sys
from lexport.artifacts.zip_reader import Archive, FileSource
from lexport.artifacts.archive_limits import ArchiveBudget
import tracemalloc

with open(sys.argv[1], "rb") as file:
    tracemalloc.start()
    budget = ArchiveBudget()
    count = sum(1 for _ in Archive(FileSource(file.fileno()), budget).entries())
    print(count, sorted(budget.problems), tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.slow
def test_a_hundred_thousand_entries(tmp_path):
    """100,000 entries are read one by one: memory grows by 16 bytes for each, plus the final sort."""
    with zipfile.ZipFile(tmp_path / "big.zip", "w") as writer:
        for number in range(100_000):
            writer.writestr(zipfile.ZipInfo(f"node_modules/package-{number}/index.js"), b"")
    done = subprocess.run([sys.executable, "-c", BIG, tmp_path / "big.zip"], capture_output=True, text=True, check=True)
    count, codes, peak = done.stdout.split()

    assert (count, codes) == ("100000", "[]")
    assert int(peak) < 16 * 2**20


def test_a_file_is_read_by_position(tmp_path, zips):
    """A file on disk is read like bytes in memory."""
    (tmp_path / "a.zip").write_bytes(zips.zip_bytes(zips.Member(name="m", data=b"x")))
    with (tmp_path / "a.zip").open("rb") as file:
        archive = Archive(FileSource(file.fileno()), ArchiveBudget())

        assert [archive.read(entry, max_bytes=1) for entry in archive.entries()] == [b"x"]


def test_a_member_ends_before_the_directory(read, zips):
    """A member that ends inside the directory is cut off, even if its bytes are valid."""
    data = os.urandom(100)
    says = {"compressed": len(zips.deflate(data)) + 20}
    entries, codes, archive = read(zips.zip_bytes(zips.Member(name="m", data=data, says=says)))

    assert codes == {"truncated"}
    with pytest.raises(ArchiveError) as raised:
        archive.read(entries[0], max_bytes=10**6)
    assert raised.value.code == "truncated"


@pytest.mark.parametrize("flag", [0x0001, 0x0040, 0x2000])
def test_every_kind_of_encryption(read, zips, flag):
    """Weak, strong and masked encryption are all reported, and no such member is read."""
    entries, codes, archive = read(zips.zip_bytes(zips.Member(name="s", data=b"secret", says={"flags": flag})))

    assert codes == {"encrypted"}
    with pytest.raises(ArchiveError) as raised:
        archive.read_head(entries[0], max_bytes=1)
    assert raised.value.code == "encrypted"


def test_output_after_the_last_input(read, zips):
    """The last bytes of a member are returned although zlib has consumed all input before."""
    sizes = range(256 * 1024 + 1, 256 * 1024 + 300, 6)
    entries, codes, archive = read(
        zips.zip_bytes(*(zips.Member(name=f"{n}", data=bytes(n)) for n in sizes)), ratio=2000
    )

    assert codes == set()
    assert [len(archive.read(entry, max_bytes=10**6)) for entry in entries] == list(sizes)


def test_zip64_after_a_prefix(read, zips):
    """A 64-bit ZIP file appended to a program is read, although its locator gives another position."""
    member = zips.Member(name="m", data=b"x" * 100)
    entries, codes, archive = read(b"#!/bin/sh\n" + zips.zip_bytes(member, zip64=True))

    assert codes == set()
    assert members_of(entries, archive) == {"m": b"x" * 100}
