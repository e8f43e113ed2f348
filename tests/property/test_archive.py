"""Hostile bytes lose rows, never the run: only ArchiveError is raised, and the limits are kept."""

import functools
import importlib.util
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings
from sampled import examples

from lexport.artifacts.archive_limits import ArchiveBudget, ArchiveLimits
from lexport.artifacts.dependencies.golang import read_executable
from lexport.artifacts.dependencies.manifests import _PATTERNS
from lexport.artifacts.inspect_package import inspect_package
from lexport.artifacts.zip_reader import Archive, MemorySource
from lexport.errors import ArchiveError

_SPEC = importlib.util.spec_from_file_location("zips", Path(__file__).parents[1] / "zips.py")
zips = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(zips)

LIMITS = ArchiveLimits(
    entries=200, directory_bytes=50_000, manifest_bytes=5_000, nested_bytes=20_000, inflated_bytes=100_000, seconds=30
)
POM = zips.Member(name="META-INF/maven/g/a/pom.properties", data=b"groupId=g\nartifactId=a\nversion=1\n")
GO = b"\x7fELF".ljust(64, b"\1") + b"\xff Go buildinf:\x08\x02".ljust(32, b"\0") + b"\x08go1.22.1\x2e" + b"0" * 46


@functools.cache
def real(zip64):
    inner = zips.zip_bytes(POM)
    return zips.zip_bytes(
        zips.Member(name="a-1.dist-info/METADATA", data=b"Name: A\nVersion: 1\n\n"),
        zips.Member(name="requirements.txt", data=b"x==1\n", stored=True),
        zips.Member(name="node_modules/n/package.json", data=b'{"name":"n","version":"2"}'),
        zips.Member(name="package-lock.json", data=b'{"packages":{"node_modules/a":{"version":"1"}}}'),
        zips.Member(name="lib/stored.jar", data=inner, stored=True),
        zips.Member(name="lib/packed.jar", data=inner),
        zips.Member(name="bootstrap", data=GO, mode=0o100755),
        zip64=zip64,
    )


class Counting(MemorySource):
    """Counts the bytes that are read."""

    total = 0

    def read_at(self, offset, length):
        assert offset >= 0
        assert 0 <= length <= 2**20
        body = super().read_at(offset, length)
        self.total += len(body)
        return body


def look(body):
    """Read every member of a ZIP file, as far as possible."""
    budget = ArchiveBudget(LIMITS)
    source = Counting(body)
    inflated = 0
    try:
        archive = Archive(source, budget)
        entries = list(archive.entries())
    except ArchiveError:
        return
    assert len(entries) <= LIMITS.entries
    for entry in entries:
        assert "\0" not in entry.path
        entry.path.encode()
        try:
            for chunk in archive.chunks(entry):
                inflated += len(chunk)
        except ArchiveError:
            continue
    assert inflated <= LIMITS.inflated_bytes
    assert source.total < 1_000_000


def inspect(tmp_path, body):
    """Inspect a package and check that its rows fit their columns."""
    path = tmp_path / "p.zip"
    path.write_bytes(body)
    batches = []
    done = inspect_package(path, sha256_hex="ab", emit=batches.append, limits=LIMITS)
    assert done.status == "incomplete" if done.problems else done.status in ("complete", "unknown")
    keys = set()
    for batch in batches:
        for name, rows in batch.items():
            for row in (tuple(each.values()) for each in rows.to_pylist()):
                key = (name, *row[2:4]) if name == "package_files" else (name, *row[2:])
                assert key not in keys
                keys.add(key)
    for item in done.problems:
        item.message.encode()
        assert len(item.message) < 1_000


@st.composite
def mutated(draw):
    """Generate a valid ZIP file with some bytes changed, removed or inserted."""
    body = bytearray(real(draw(st.booleans())))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(body) - 1))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            body[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == 1:
            width = draw(st.sampled_from([2, 4, 8]))
            body[at : at + width] = draw(st.sampled_from([b"\xff", b"\0", b"\x7f"])) * width
        elif kind == 2:
            del body[at : at + draw(st.integers(1, 40))]
        else:
            body[at:at] = draw(st.binary(max_size=40))
        if not body:
            break
    return bytes(body)


many = settings(max_examples=examples(250), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda b: b"PK\3\4" + b + b"PK\5\6" + b[:18].ljust(18)))
@example(real(zip64=False))
@example(real(zip64=True))
def test_random_bytes(tmp_path, body):
    """Arbitrary bytes are read within the limits or refused with ArchiveError."""
    look(body)
    inspect(tmp_path, body)


@many
@given(mutated())
def test_mutated_zips(tmp_path, body):
    """A damaged ZIP file is read within the limits or refused with ArchiveError."""
    look(body)
    inspect(tmp_path, body)


@pytest.mark.parametrize("parse", sorted({manifest.parse for _, manifest in _PATTERNS}, key=str))
@settings(max_examples=examples(150), deadline=None)
@given(body=st.data())
def test_parsers(parse, body):
    """A parser yields dependencies that fit their table, or raises ValueError."""
    words = st.sampled_from(
        [
            *(b"Name: ", b"Version: ", b"\n", b"\r\n ", b":", b"==", b"="),
            *(b"{", b"}", b"[", b"]", b"name", b'"version":', b'"packages":{"node_modules/', b'"dependencies":'),
            *(b"groupId=", b"artifactId=", b"version=", b"\xff", b"\0"),
            *(
                b"[[package]]\n",
                b"name='a'\n",
                b"  a@1:\n",
                b"    dependencies:\n",
                b"packages:\n",
                b"GEM\n    a (1)\n",
            ),
        ]
    )
    text = body.draw(st.binary(max_size=200) | st.lists(words | st.binary(max_size=8), max_size=30).map(b"".join))
    try:
        found = list(parse("p", text))
    except ValueError:
        return
    for item in found:
        assert item.name.isprintable()
        assert item.version is None or item.version.isprintable()
        item.name.encode()


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.binary(max_size=60) | st.sampled_from([GO, GO[:64], GO[64:80], b"\xff Go buildinf:"]), max_size=8))
def test_executables(chunks):
    """Arbitrary bytes in arbitrary chunks yield modules or nothing."""
    for item in read_executable("p", [b"\x7fELF", *chunks]):
        assert item.ecosystem == "golang"
        assert item.name.isprintable()
