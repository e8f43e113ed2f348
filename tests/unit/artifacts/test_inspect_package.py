"""The inspection of one stored package: its rows and its problems."""

import subprocess
import sys
import zipfile

import orjson
import pytest

from lexport.artifacts.archive_limits import ArchiveLimits
from lexport.artifacts.inspect_package import inspect_package
from lexport.artifacts.package_rows import BATCH_ROWS

SHA = "ab" * 32
POM = b"groupId=org.apache.logging.log4j\nartifactId=log4j-core\nversion=2.14.1\n"
LOG4J = ("maven", "org.apache.logging.log4j:log4j-core", "2.14.1")
POM_PATH = "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties"


@pytest.fixture
def inspect(tmp_path):
    """Return a function: bytes -> rows of both tables, and problems by code."""

    def run(body, **limits):
        (tmp_path / "p.zip").write_bytes(body)
        batches = []
        done = inspect_package(tmp_path / "p.zip", sha256_hex=SHA, emit=batches.append, limits=ArchiveLimits(**limits))
        assert done.status in (("incomplete",) if done.problems else ("complete", "unknown"))
        rows = {"package_files": [], "package_dependencies": []}
        for batch in batches:
            for name, staged in batch.items():
                for account, region, sha, *values, answer in (row.values() for row in staged.to_pylist()):
                    assert (account, region, sha, answer) == (None, None, SHA, "")
                    rows[name].append(tuple(values))
        assert list(tmp_path.iterdir()) == [tmp_path / "p.zip"]
        return rows["package_files"], rows["package_dependencies"], {item.code: item.message for item in done.problems}

    return run


def jar(zips, *more, pom=POM):
    return zips.zip_bytes(zips.Member(name=POM_PATH, data=pom), *more)


def test_a_package_of_everything(inspect, zips):
    """Files and dependencies of every ecosystem are rows; those inside a jar have its name in their path."""
    go = (
        b"\x7fELF".ljust(64, b"\1")
        + b"\xff Go buildinf:\x08\x02".ljust(32, b"\0")
        + b"\x08go1.22.1"
        + bytes([16 + 14 + 16])
        + b"0" * 16
        + b"dep\tx.org/y\tv1\n"[:14]
        + b"1" * 16
    )
    body = zips.zip_bytes(
        zips.Member(name="a-1.dist-info/METADATA", data=b"Name: A_b\nVersion: 1\n\n"),
        zips.Member(name="a-1.dist-info/RECORD", data=b"a/__init__.py,,\n"),
        zips.Member(name="Pipfile.lock", data=b'{"default": {"x": {"version": "==1"}, "A.b": {"version": "==0.9"}}}'),
        zips.Member(name="node_modules/@s/n/package.json", data=b'{"name":"@s/n","version":"2"}'),
        zips.Member(name="lib/stored.jar", data=jar(zips), stored=True),
        zips.Member(name="lib/packed.jar", data=jar(zips)),
        zips.Member(name="bootstrap", data=go, mode=0o100755),
        zips.Member(name="folder/"),
    )
    files, dependencies, findings = inspect(body)

    assert findings == {"not_installed": f"package {SHA}: Pipfile.lock names x, which is not in the package"}
    assert [path for path, *_ in files] == [
        "a-1.dist-info/METADATA",
        "a-1.dist-info/RECORD",
        "Pipfile.lock",
        "node_modules/@s/n/package.json",
        "lib/stored.jar",
        "lib/packed.jar",
        "bootstrap",
    ]
    assert files[1][:2] == ("a-1.dist-info/RECORD", 16)
    assert dependencies == [
        ("pypi", "a-b", "1", "a-1.dist-info/METADATA"),
        ("npm", "@s/n", "2", "node_modules/@s/n/package.json"),
        (*LOG4J, f"lib/stored.jar!/{POM_PATH}"),
        (*LOG4J, f"lib/packed.jar!/{POM_PATH}"),
        ("golang", "stdlib", "1.22.1", "bootstrap"),
        ("pypi", "x", "1", "Pipfile.lock"),
    ]


def test_the_manifest_of_a_jar_is_a_fallback(inspect, zips):
    """MANIFEST.MF names the artifact of a jar without pom.properties."""
    words = zips.Member(name="META-INF/MANIFEST.MF", data=b"Implementation-Title: t\nImplementation-Version: 1\n")
    body = zips.zip_bytes(
        zips.Member(name="a.jar", data=jar(zips, words)), zips.Member(name="b.jar", data=zips.zip_bytes(words))
    )

    assert inspect(body)[1] == [
        (*LOG4J, f"a.jar!/{POM_PATH}"),
        ("maven", "t", "1", "b.jar!/META-INF/MANIFEST.MF"),
    ]


def test_nesting_is_limited(inspect, zips):
    """Archives are opened four levels deep; deeper ones are a problem and are not opened."""
    body = zips.zip_bytes(zips.Member(name="x.jar", data=b"PK"))
    for _ in range(6):
        body = zips.zip_bytes(*(zips.Member(name=f"lib {n}.jar", data=body) for n in range(4)))
    _, dependencies, findings = inspect(body)

    assert dependencies == []
    assert findings == {
        "too_deep": f"package {SHA}: 'lib 0.jar!/lib 0.jar!/lib 0.jar!/lib 0.jar' is an archive within archives and is"
        " not opened (and 255 more)"
    }


def test_problems_name_package_and_entry(inspect, zips):
    """Each code is reported once, with the hash, an example and a count; all other rows are written."""
    body = zips.zip_bytes(
        zips.Member(name="../up", data=b"x"),
        zips.Member(name="/abs", data=b"x"),
        zips.Member(name="l", data=b"up", mode=0o120777),
        zips.Member(name="same", data=b"1"),
        zips.Member(name="same", data=b"22"),
        zips.Member(name="node_modules/a/package.json", data=b"{secret"),
        zips.Member(name="node_modules/b/package.json", data=b'{"name":"b","version":"1"}', says={"flags": 1}),
        zips.Member(name="lib/no.jar", data=b"no jar"),
        zips.Member(name="requirements.txt", data=b"x==1"),
    )
    files, dependencies, findings = inspect(body)

    assert [path for path, *_ in files].count("same") == 1
    assert len(files) == 8
    assert dependencies == [("pypi", "x", "1", "requirements.txt")]
    assert findings == {
        "traversal_name": f"package {SHA}: '../up' leads out of its folder (and 1 more)",
        "symlink": f"package {SHA}: 'l' is a symbolic link",
        "encrypted": f"package {SHA}: 'node_modules/b/package.json' is encrypted (and 1 more)",
        "duplicate_name": f"package {SHA}: 'same' is there twice; the first is in package_files",
        "bad_manifest": f"package {SHA}: node_modules/a/package.json is not what its name says",
        "not_a_zip": f"package {SHA}: lib/no.jar!/: not a zip",
        "not_installed": f"package {SHA}: requirements.txt asks for x, which is not in the package",
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "not_a_zip: the package: not a zip"),
        (b"PK\x03\x04" + bytes(100), "truncated: the package: its end is missing"),
    ],
)
def test_not_a_zip(inspect, body, message):
    """A package that is no ZIP file has no rows and one problem."""
    files, dependencies, findings = inspect(body)
    code, text = message.split(": ", 1)

    assert (files, dependencies, findings) == ([], [], {code: f"package {SHA}: {text}"})


def test_entries_before_a_damaged_directory(inspect, zips):
    """Entries before the damage are rows, and the manifests among them are read."""
    body = zips.zip_bytes(zips.Member(name="requirements.txt", data=b"x==1"), zips.Member(name="gone", data=b"x"))
    at = body.rindex(b"PK\x01\x02")
    files, dependencies, findings = inspect(body[:at] + b"PKxx" + body[at + 4 :])

    assert [path for path, *_ in files] == ["requirements.txt"]
    assert dependencies == [("pypi", "x", "1", "requirements.txt")]
    assert findings == {
        "damaged_directory": f"package {SHA}: the package: its directory breaks off at byte {at}",
        "not_installed": f"package {SHA}: requirements.txt asks for x, which is not in the package",
    }


@pytest.mark.parametrize(
    ("limits", "code", "count"),
    [
        ({"entries": 100}, "too_many_entries", 100),
        ({"inflated_bytes": 30}, "bomb", 300),
        ({"dependencies": 2}, "too_many_dependencies", 300),
        ({"seconds": -1}, "too_slow", 144),
    ],
)
def test_limits_keep_the_rows_so_far(inspect, zips, limits, code, count):
    """When a limit ends the inspection, the rows so far are written and the problem names the limit."""
    members = (zips.Member(name=f"{n}.dist-info/METADATA", data=b"Name: x\nVersion: 1") for n in range(300))
    files, _, findings = inspect(zips.zip_bytes(*members), **limits)

    assert set(findings) == {code}
    assert len(files) == count or code == "too_slow"


def test_a_missing_file_is_a_problem(tmp_path):
    """A package that is missing from the store is reported as unreadable."""
    done = inspect_package(tmp_path / "no.zip", sha256_hex=SHA, emit=lambda _: None)

    assert done.status is None
    assert [(item.code, item.message) for item in done.problems] == [
        ("unreadable", f"package {SHA}: no.zip: No such file or directory")
    ]


def test_rows_go_out_in_batches(tmp_path):
    """At most one batch of rows is in memory."""
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as writer:
        for number in range(BATCH_ROWS * 2 + 1):
            writer.writestr(zipfile.ZipInfo(f"{number}"), b"")
    sizes = []
    inspect_package(tmp_path / "many.zip", sha256_hex=SHA, emit=lambda batch: sizes.append(len(batch["package_files"])))

    assert sizes == [BATCH_ROWS, BATCH_ROWS, 1]


LIMITED = """
import resource, sys
from pathlib import Path
from lexport.artifacts.inspect_package import inspect_package

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024

before = peak()
resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
rows = 0

def emit(batch):
    global rows
    rows += sum(map(len, batch.values()))

findings = inspect_package(Path(sys.argv[1]), sha256_hex="aa", emit=emit).problems
print(rows, ",".join(sorted(item.code for item in findings)) or "-", peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["many_manifests", "zeros", "overlapping_jars", "nested_lists"])
def test_memory_stays_bounded(tmp_path, zips, kind):
    """Hostile packages take less than 100 MB: 100,000 manifests, bombs, overlapping jars, a lock file of brackets."""
    if kind == "many_manifests":
        with zipfile.ZipFile(tmp_path / "p.zip", "w") as writer:
            for number in range(100_000):
                writer.writestr(
                    zipfile.ZipInfo(f"node_modules/p{number}/package.json"),
                    b'{"name":"p%d","version":"1"}' % number,
                )
    else:
        zeros = zips.Member(name="bootstrap", data=b"\x7fELF" + bytes(100_000_000), mode=0o100755)
        noisy = zips.Member(name="a.jar", data=zips.zip_bytes(zips.Member(name="z", data=bytes(60_000_000))))
        again = [
            zips.Member(name=f"{n}.jar", says={"offset": 0, "compressed": 58_000, "size": 60_000}) for n in range(2000)
        ]
        lists = zips.Member(name="package-lock.json", data=b"[" + b"{}," * 699_000 + b"0]", stored=True)
        members = {"zeros": [zeros], "overlapping_jars": [noisy, *again], "nested_lists": [lists]}[kind]
        (tmp_path / "p.zip").write_bytes(zips.zip_bytes(*members))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "p.zip"], capture_output=True, text=True, check=True
    )
    rows, codes, grown = done.stdout.split()

    assert (int(rows), codes) == {
        "many_manifests": (200_000, "-"),
        "zeros": (1, "bomb"),
        "overlapping_jars": (2001, "bomb,damaged_entry,overlapping"),
        "nested_lists": (1, "bad_manifest"),
    }[kind]
    assert int(grown) < 100 * 2**20


def test_a_lock_file_is_read_completely(inspect, zips):
    """A lock file within the limit yields all of its packages."""
    packages = {f"node_modules/p{n}": {"version": "1"} for n in range(10_000)}
    body = zips.zip_bytes(zips.Member(name="package-lock.json", data=orjson.dumps({"packages": packages})))

    assert len(inspect(body)[1]) == 10_000
