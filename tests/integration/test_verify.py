"""``lexport verify`` reports each kind of damage of a real dataset with a line and the exit code."""

import asyncio
import base64
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lexport
from lexport.cli.main import run
from lexport.dataset import layout, manifest
from lexport.simulator import Fleet, FleetSpec, open_simulator
from lexport.tables.arrow import table_schema
from lexport.tables.packages import PACKAGES
from lexport.tables.run import SNAPSHOTS

pytestmark = pytest.mark.slow

PACKAGE = b"PK\x05\x06".ljust(22, b"\0")
HEX = hashlib.sha256(PACKAGE).hexdigest()
STORED = f"packages/sha256/{HEX[:2]}/{HEX}.zip"
PACKAGES_ID = "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"
AT = datetime(2026, 11, 22, 3, tzinfo=UTC)


async def take(dest):
    async with open_simulator(Fleet(FleetSpec(functions=40, versions=3)), quotas=False) as aws:
        settings = lexport.SnapshotSettings(
            endpoint_url=aws.url, regions=("us-east-1",), get_function_rate_per_s=1e6, list_rate_per_s=1e6
        )
        await lexport.snapshot(dest, settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A dataset: a snapshot of the simulator, and a commit of packages with one in the store."""
    dest = tmp_path_factory.mktemp("whole") / "fleet"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "LEXPORT_HASH_KEY": base64.b64encode(b"k" * 32).decode(),
            "NO_PROXY": "127.0.0.1",
        }.items():
            patch.setenv(name, value)
        asyncio.run(take(dest))
    (dest / STORED).parent.mkdir(parents=True)
    (dest / STORED).write_bytes(PACKAGE)
    row = {"snapshot_id": PACKAGES_ID, "snapshot_at": AT, "sha256_hex": HEX, "status": "stored", "path": STORED}
    path = layout.data_path("packages", PACKAGES_ID, AT)
    (dest / path).parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row], schema=table_schema(PACKAGES)), dest / path)
    done = json.loads(next(dest.glob("_runs/*.json")).read_bytes())
    done |= {"snapshot_id": PACKAGES_ID, "snapshot_at": AT.isoformat(), "scopes": [], "files": []}
    done["files"] = [{"table": "packages", "path": path, "size_bytes": 0, "rows": 1, "sha256": ""}]
    (dest / "_runs" / f"{PACKAGES_ID}.json").write_text(json.dumps(done))
    fix(dest, path)
    path = layout.data_path("snapshots", PACKAGES_ID, AT)
    row = {"snapshot_id": PACKAGES_ID, "snapshot_at": AT, "status": "complete", "committed_at": AT}
    (dest / path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([row], schema=table_schema(SNAPSHOTS)), dest / path)
    return dest


@pytest.fixture
def dest(whole, tmp_path):
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "fleet"))


@pytest.fixture
def verify(dest, capsys):
    """Return a function that runs the command in this process: its lines, and its exit code."""

    def check(*options):
        code = run(["verify", str(dest), "--output", "jsonl", *options])
        return [tuple(json.loads(line).values()) for line in capsys.readouterr().out.splitlines()], code

    return check


def file_of(dest, table):
    """The path of a table's file in the snapshot, relative to the dataset."""
    return next(str(path.relative_to(dest)) for path in dest.glob(f"{table}/*/*.parquet") if path.name[0] != "7")


def fix(dest, path, rows=None):
    """Write the current size and hash of the file into the manifest."""
    for run_file in dest.glob("_runs/*.json"):
        told = json.loads(run_file.read_bytes())
        for entry in told["files"]:
            if entry["path"] == path:
                body = (dest / path).read_bytes()
                entry.update(size_bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
                if entry["table"] == "functions" and rows is not None:
                    told["scopes"][0]["versions"] += rows - entry["rows"]
                entry.update({} if rows is None else {"rows": rows})
        run_file.write_text(json.dumps(told))


def rewrite(dest, table, change, *, rows=None):
    """Write a table's file anew, changed, with a manifest that fits."""
    path = file_of(dest, table)
    changed = change(pq.ParquetFile(dest / path).read())
    pq.write_table(changed, dest / path, compression="zstd", write_page_checksum=True)
    fix(dest, path, len(changed) if rows is None else rows)
    return path


def flip(path):
    """Flip one bit of the last page of a column."""
    column = pq.ParquetFile(path).metadata.row_group(0).column(13)
    body = bytearray(path.read_bytes())
    body[(column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size - 1] ^= 1
    path.write_bytes(body)


def test_a_whole_dataset(verify):
    """A dataset that a run has written has no damage, rows included."""
    assert verify() == ([], 0)
    assert verify("--data") == ([], 0)


def test_a_flipped_bit(dest, verify):
    """One bit in a page shows in the hash, and with --data in the page's own checksum."""
    path = file_of(dest, "functions")
    flip(dest / path)
    (line,), code = verify()
    lines, data_code = verify("--data")

    assert (line[:3], code) == (("damage", path, "wrong_hash"), 4)
    assert ([found[1:3] for found in lines], data_code) == ([(path, "wrong_hash"), (path, "unreadable_page")], 4)


def test_a_flipped_bit_under_a_manifest_that_fits(dest, verify):
    """If the manifest was changed to fit, the page checksum still reveals the damage."""
    path = file_of(dest, "functions")
    flip(dest / path)
    fix(dest, path)

    assert verify() == ([], 0)
    (line,), code = verify("--data")
    assert (line[:3], code) == (("damage", path, "unreadable_page"), 4)
    assert "crc" in line[3].lower()


@pytest.mark.parametrize("options", [(), ("--data",)])
def test_a_truncated_file(dest, verify, options):
    """A file that was cut has the wrong size."""
    path = file_of(dest, "env_vars")
    body = (dest / path).read_bytes()
    (dest / path).write_bytes(body[:-100])

    expected = ("damage", path, "wrong_size", f"{len(body) - 100:,} bytes, the manifest says {len(body):,}")
    assert verify(*options) == ([expected], 4)


def test_a_missing_file(dest, verify):
    """A file that is gone is named, with its commit."""
    path = file_of(dest, "tags")
    (dest / path).unlink()
    snapshot_id = Path(path).name[:26]

    assert verify() == ([("damage", path, "missing", f"named by {snapshot_id}")], 4)


def test_swapped_files(dest, verify):
    """Swapped files are both reported; if the manifest was changed to fit, their columns reveal it."""
    one, two = file_of(dest, "subnets"), file_of(dest, "security_groups")
    aside = (dest / one).read_bytes()
    (dest / one).write_bytes((dest / two).read_bytes())
    (dest / two).write_bytes(aside)
    lines, code = verify()

    assert {line[1] for line in lines} == {one, two}
    assert code == 4
    fix(dest, one)
    fix(dest, two)
    assert verify() == ([], 0)
    assert {line[1] for line in verify("--data")[0] if line[2] == "wrong_columns"} == {one, two}


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda rows: pa.concat_tables([rows.slice(0, 3), rows.slice(2)]), "duplicate_key", "row 3 has the key of the"),
        (lambda rows: pa.concat_tables([rows.slice(5), rows.slice(0, 5)]), "not_sorted", "comes before the row above"),
        (lambda rows: rows.drop_columns(["timeout"]), "wrong_columns", "timeout is missing"),
        (
            lambda rows: rows.set_column(
                rows.schema.get_field_index("timeout"), "timeout", rows.column("timeout").cast(pa.int64())
            ),
            "wrong_columns",
            "timeout is int64 and should be int32",
        ),
        (
            lambda rows: rows.set_column(0, "snapshot_id", pa.array(["01" + "0" * 24] * len(rows))),
            "wrong_snapshot",
            "a row is of snapshot 01000000000000000000000000, not ",
        ),
    ],
)
def test_wrong_rows(dest, verify, change, kind, words):
    """Rows that lexport would not write are reported although hash and checksums fit."""
    path = rewrite(dest, "tags" if kind == "duplicate_key" else "functions", change)
    ((severity, named, found, detail),), code = verify("--data")

    assert (severity, named, found, code) == ("damage", path, kind, 4)
    assert words in detail
    assert verify() == ([], 0)


def test_references_that_do_not_add_up(dest, verify):
    """Every listed version is a row of functions or of errors; otherwise the numbers are reported."""
    commit = manifest.Manifest.from_json(min((dest / "_runs").glob("*.json")).read_bytes())
    (scope,) = commit.scopes
    claim = replace(commit, scopes=(replace(scope, references=scope.references + 2),))
    path = layout.run_path(commit.snapshot_id)
    (dest / path).write_bytes(claim.to_json())
    rows, lost = scope.versions, scope.references - scope.versions
    told = (
        f"{scope.account_id} {scope.region}: {scope.references + 2} versions were listed or named;"
        f" functions has {rows} rows, errors has {lost} gone or failed"
    )
    assert verify() == ([("damage", path, "references_lost", told)], 4)

    (dest / path).write_bytes(replace(commit, scopes=(replace(scope, references=None),)).to_json())
    assert verify() == ([], 0)


def test_wrong_row_count(dest, verify):
    """The manifest's count is compared with the file's."""
    path = rewrite(dest, "tags", lambda rows: rows.slice(0, 7), rows=8)

    assert verify("--data") == ([("damage", path, "wrong_row_count", "7 rows, the manifest says 8")], 4)


def test_duplicates_across_batches(dest, verify):
    """Order and keys are checked across batches."""
    row = pq.ParquetFile(dest / file_of(dest, "tags")).read().slice(0, 1)
    keys = [f"{number:06d}" for number in range(9000)]
    keys[4096] = keys[4095]
    many = pa.concat_tables([row] * len(keys)).combine_chunks()
    place = many.schema.get_field_index("key")
    path = rewrite(dest, "tags", lambda _: many.set_column(place, many.schema.field(place), pa.array(keys)))
    ((*line, detail),), _ = verify("--data")

    assert line == ["damage", path, "duplicate_key"]
    assert detail.startswith("row 4,096 has the key of the row above it: account_id 111122223333")


def test_files_that_no_commit_names(dest, verify):
    """Files of an aborted run or of other programs are notes, and no damage."""
    for path in (
        "functions/snapshot_date=2026-01-01/x.parquet",
        "_runs/.01.json.77.ab",
        "packages/sha256/aa/notes.txt",
    ):
        (dest / path).parent.mkdir(parents=True, exist_ok=True)
        (dest / path).write_bytes(b"x")

    assert verify() == (
        [
            ("note", "packages/sha256/aa/notes.txt", "foreign", "not the name of a package"),
            ("note", "_runs/.01.json.77.ab", "foreign", "not a commit"),
            ("note", "functions/snapshot_date=2026-01-01/x.parquet", "foreign", "no commit names it"),
        ],
        0,
    )


def test_a_package_with_wrong_bytes(dest, verify):
    """A stored package is hashed, whatever its size."""
    (dest / STORED).write_bytes(PACKAGE[:-1] + b"x")
    ((*line, detail),), code = verify()

    assert (line, code) == (["damage", STORED, "wrong_hash"], 4)
    assert "the next run fetches it again" in detail


def test_a_package_that_is_gone(dest, verify):
    """A package that a table says is stored has to be there."""
    (dest / STORED).unlink()

    assert verify() == ([("damage", STORED, "missing", f"packages of {PACKAGES_ID} says it is stored")], 4)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda body: body[:200], "damaged_manifest"),
        (lambda body: b"[" * 100_000, "damaged_manifest"),
        (lambda body: body.replace(b"lexport-manifest/1", b"lexport-manifest/9"), "newer_format"),
        (lambda body: body.replace(b"lexport-manifest/1", b"lexport-manifest/0"), "damaged_manifest"),
        (lambda body: body.replace(b'"table": "tags"', b'"table": ["tags"]'), "damaged_manifest"),
        (lambda body: body.replace(b'"path": "tags/', b'"path": "../tags/'), "damaged_manifest"),
        (lambda body: body.replace(b'"snapshot_id": "0', b'"snapshot_id": "1'), "wrong_manifest"),
    ],
)
def test_a_damaged_manifest(dest, verify, change, kind):
    """A manifest that cannot be used is named; its files are not called leftovers, and the rest is checked."""
    path = next(path for path in dest.glob("_runs/0*.json"))
    path.write_bytes(change(path.read_bytes()))
    (dest / STORED).unlink()
    lines, code = verify("--data")

    assert [line[:3] for line in lines] == [
        ("damage", f"_runs/{path.name}", kind),
        ("damage", STORED, "missing"),
    ]
    assert code == 4


def test_the_row_that_warehouses_see(dest, verify):
    """A commit without its row in snapshots is damage, because warehouses read these files; a wrong row is, too."""
    path = file_of(dest, "snapshots")
    other = layout.data_path("snapshots", PACKAGES_ID, AT)
    shutil.copy(dest / path, dest / other)
    (dest / path).unlink()
    lines, code = verify("--data")

    assert [line[1:3] for line in lines] == [(other, "wrong_snapshot"), (path, "missing")]
    assert code == 4


def test_a_commit_that_is_not_announced_yet(dest, verify):
    """Between a commit and its row in snapshots nothing is damaged; once there is a later commit, it is."""
    last = layout.data_path("snapshots", PACKAGES_ID, AT)
    (dest / last).unlink()
    ((*line, detail),), code = verify("--data")

    assert (line, code) == (["note", last, "missing"], 0)
    assert "the next run writes the row" in detail
    (dest / file_of(dest, "snapshots")).unlink()
    lines, code = verify()
    assert ([line[0] for line in lines], code) == (["note", "damage"], 4)


def test_a_commit_that_is_gone(dest, verify):
    """If snapshots has a row of a commit, its missing manifest is damage; its files are notes."""
    snapshot_id = Path(file_of(dest, "functions")).name[:26]
    (dest / "_runs" / f"{snapshot_id}.json").unlink()
    lines, code = verify()

    assert [line[:3] for line in lines if line[0] == "damage"] == [("damage", f"_runs/{snapshot_id}.json", "missing")]
    assert {line[2] for line in lines if line[0] == "note"} == {"foreign"}
    assert code == 4


def test_a_file_of_a_known_snapshot(dest, verify):
    """A file with a snapshot's id that its manifest does not name is a note, because no query reads it."""
    path = file_of(dest, "tags")
    for other in (path.replace("-0000.", "-0001."), path.replace("-0000.", "-0000 (conflicted copy).")):
        shutil.copy(dest / path, dest / other)
        assert verify("--data") == ([("note", other, "foreign", "no commit names it")], 0)
        (dest / other).unlink()


def test_rows_of_two_snapshots(dest, verify):
    """A single row of another snapshot is reported."""

    def mix(rows):
        ids = rows.column("snapshot_id").to_pylist()
        return rows.set_column(0, "snapshot_id", pa.array([*ids[:-1], "01" + "0" * 24]))

    path = rewrite(dest, "functions", mix)
    assert [line[1:3] for line in verify("--data")[0]] == [(path, "wrong_snapshot")]


def test_the_same_error_twice(dest, verify):
    """The same thing may go wrong twice: equal rows of errors are no damage."""
    row = {"account_id": "111122223333", "region": "us-east-1", "stage": "list", "error_code": "x", "is_gap": False}
    ours = {"snapshot_id": Path(file_of(dest, "errors")).name[:26], "snapshot_at": AT, **row}
    rewrite(dest, "errors", lambda rows: pa.Table.from_pylist([ours, ours], schema=rows.schema))

    assert verify("--data") == ([], 0)


def test_a_package_that_was_there_already(dest, verify):
    """A package that was already stored before the run must exist, too."""
    path = layout.data_path("packages", PACKAGES_ID, AT)
    rows = pq.ParquetFile(dest / path).read().to_pylist()
    pq.write_table(pa.Table.from_pylist([rows[0] | {"status": "present"}], schema=table_schema(PACKAGES)), dest / path)
    fix(dest, path)
    (dest / STORED).unlink()

    assert [line[:3] for line in verify()[0]] == [("damage", STORED, "missing")]


def test_a_package_in_another_place(dest, verify):
    """A package in the folder of another hash does not count, because it is not read there."""
    other = f"packages/sha256/00/{HEX}.zip"
    (dest / other).parent.mkdir()
    (dest / STORED).rename(dest / other)

    assert [line[:3] for line in verify()[0]] == [("note", other, "foreign"), ("damage", STORED, "missing")]


def change_manifest(dest, change):
    path = next(dest.glob("_runs/0*.json"))
    told = json.loads(path.read_bytes())
    change(told)
    path.write_text(json.dumps(told))
    return f"_runs/{path.name}"


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda scope: scope.update(status="denied"), ()),
        (lambda scope: scope.update(coverage="selection"), ()),
        (lambda scope: scope.update(throttles=9), ()),
        (lambda scope: scope.update(region="eu-west-1"), ()),
        (lambda scope: scope.update(functions=7), ("--data",)),
    ],
)
def test_edited_scopes(dest, verify, change, options):
    """The account-regions of a manifest are compared with the table scopes and with the rows."""
    path = change_manifest(dest, lambda told: change(told["scopes"][0]))
    lines, code = verify(*options)

    assert {line[1:3] for line in lines} >= {(path, "wrong_counts")}
    assert code == 4


def test_gaps_that_are_not_there(dest, verify):
    """A snapshot that calls itself partial names its gaps in errors."""
    path = change_manifest(dest, lambda told: told.update(status="partial", gaps=2))

    assert verify("--data") == ([("damage", path, "wrong_counts", "2 gaps, errors has 0")], 4)


def split(dest, table, *, first, second):
    """Write a table's rows into two files, those up to ``first`` and those from ``second`` on."""
    path = file_of(dest, table)
    rows = pq.ParquetFile(dest / path).read()
    other = path.replace("-0000.", "-0001.")
    parts = {path: rows.slice(0, first), other: rows.slice(second)}
    for name, part in parts.items():
        pq.write_table(part, dest / name, compression="zstd", write_page_checksum=True)

    def change(told):
        entry = next(entry for entry in told["files"] if entry["path"] == path)
        told["files"].append(entry | {"path": other})

    change_manifest(dest, change)
    for name, part in parts.items():
        fix(dest, name, len(part))
    return other


def test_several_files_of_a_table(dest, verify):
    """A table may have several files, one after the other; rows that overlap are damage, hashes or not."""
    rows = pq.ParquetFile(dest / file_of(dest, "env_vars")).metadata.num_rows
    other = split(dest, "env_vars", first=rows // 2, second=rows // 2)
    assert verify("--data") == ([], 0)

    shutil.copy(dest / other.replace("-0001.", "-0000."), dest / other)
    fix(dest, other, rows // 2)
    ((*line, detail),), code = verify()
    assert (line, code) == (["damage", other, "overlapping_rows"], 4)
    assert "do not come after those of" in detail


@pytest.mark.parametrize("place", ["file", "folder", "table", "manifest", "package"])
def test_links_that_lead_out(dest, verify, tmp_path, place):
    """The target of a symbolic link outside the dataset is neither read nor hashed."""
    path = {"manifest": f"_runs/{PACKAGES_ID}.json", "package": STORED}.get(place, file_of(dest, "tags"))
    linked = {"folder": dest / path, "table": dest / path}.get(place)
    at = linked.parents[0 if place == "folder" else 1] if linked else dest / path
    at.rename(tmp_path / "elsewhere")
    at.symlink_to(tmp_path / "elsewhere")
    lines, code = verify()

    assert next(line[:3] for line in lines if line[0] == "damage") == ("damage", path, "unreadable")
    assert "is a link that leads out of the dataset" in lines[0][3]
    assert code == 4


def test_links_within(dest, verify, tmp_path):
    """A link that leads elsewhere within the dataset is followed; so is DEST itself."""
    path = dest / file_of(dest, "tags")
    path.rename(dest / "_staging" / "tags")
    path.symlink_to(dest / "_staging" / "tags")
    (tmp_path / "link").symlink_to(dest)

    assert verify() == ([], 0)
    assert run(["verify", str(tmp_path / "link")]) == 0


@pytest.mark.parametrize("place", ["file", "manifest", "package"])
def test_a_pipe(dest, verify, place):
    """A pipe instead of a file does not block verify."""
    path = {"manifest": f"_runs/{PACKAGES_ID}.json", "package": STORED}.get(place, file_of(dest, "tags"))
    (dest / path).unlink()
    os.mkfifo(dest / path)
    lines, code = verify("--data")

    assert ("damage", path, "unreadable", "it is no file") in lines
    assert code == 4


@pytest.mark.asyncio
async def test_as_a_library(dest):
    """``lexport.verify`` returns the same findings."""
    (dest / STORED).unlink()

    assert await lexport.verify(dest) == (
        lexport.Damage(path=STORED, kind="missing", detail=f"packages of {PACKAGES_ID} says it is stored"),
    )


def test_the_command(dest, lexport_path):
    """A table on stdout, the outcome on stderr, exit codes 4, 0 and 2."""
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}

    def lexport_verify(*arguments):
        done = subprocess.run(
            [lexport_path, "verify", *arguments], capture_output=True, text=True, env=environment, check=False
        )
        return done.returncode, done.stdout, done.stderr

    code, out, err = lexport_verify(str(dest))
    assert (code, out.splitlines()[0].split(), len(out.splitlines())) == (0, ["severity", "path", "kind", "detail"], 2)
    assert err.endswith(" MiB checked, nothing is damaged\n")
    (dest / STORED).unlink()
    code, out, err = lexport_verify(str(dest), "--output", "csv")
    assert (code, len(out.splitlines())) == (4, 2)
    assert err.endswith(" MiB checked, 1 thing is damaged\n")
    assert lexport_verify(str(dest.parent / "no"))[0] == 2
