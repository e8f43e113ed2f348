"""``lexport verify`` reports each kind of damage of a real dataset with a line and the exit code."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from damage import PACKAGE, PACKAGES_ID, STORED, file_of, fix, flip, rewrite

from lexport.dataset import layout, manifest
from lexport.tables.functions import ENV_VARS
from lexport.tables.registry import tables_read

pytestmark = pytest.mark.slow


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


def test_resources_that_are_not_there(dest, verify):
    """Each account-region of a commit has a row of every resource in scope_resources; older releases lack the table."""
    path = rewrite(dest, "scope_resources", lambda rows: rows.filter(pc.not_equal(rows["resource"], "functions")))
    ((severity, named, kind, detail),), code = verify()

    assert (severity, named.split("/")[0], kind, code) == ("damage", "_runs", "wrong_counts", 4)
    assert detail.endswith("scope_resources has no row of functions")
    (dest / path).unlink()
    assert [(line[1], line[2]) for line in verify()[0]] == [(path, "missing")]

    commit = manifest.Manifest.from_json((dest / named).read_bytes())
    older = replace(commit, files=tuple(entry for entry in commit.files if entry.table != "scope_resources"))
    (dest / named).write_bytes(older.to_json())
    assert verify("--data") == ([], 0)


@pytest.mark.parametrize(("table", "read"), [("function_usage", True), ("event_source_mappings", False)])
def test_what_was_read_follows_from_the_options(dest, verify, table, read):
    """A manifest that says of a table that it was read, or was not, against the options of its run is damaged."""
    path = next(dest.glob("_runs/0*.json"))
    document = json.loads(path.read_bytes())
    (entry,) = (each for each in document["files"] if each["table"] == table)
    assert entry["read"] != read
    entry["read"], entry["rows"] = read, 0
    path.write_text(json.dumps(document))
    lines, code = verify()

    assert code == 4
    assert ("wrong_counts", f"{table} is said {'to' if read else 'not to'} be read") in [
        (line[2], line[3].split(",")[0]) for line in lines
    ]


def test_env_none_reads_no_variables():
    """With ``--env none`` the table of variables is not read, whatever else the run reads."""
    assert ENV_VARS in tables_read({})
    assert {*tables_read({})} - {*tables_read({"env": "none"})} == {ENV_VARS}


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
        "_packages/sha256/aa/notes.txt",
    ):
        (dest / path).parent.mkdir(parents=True, exist_ok=True)
        (dest / path).write_bytes(b"x")

    assert verify() == (
        [
            ("note", "_packages/sha256/aa/notes.txt", "foreign", "not the name of a package"),
            ("note", "_runs/.01.json.77.ab", "foreign", "not a commit"),
            ("note", "functions/snapshot_date=2026-01-01/x.parquet", "foreign", "no commit names it"),
        ],
        0,
    )


def test_a_package_with_wrong_bytes(dest, verify):
    """A stored package is hashed, whatever its size."""
    (dest / STORED).write_bytes(PACKAGE[:-1] + b"x")
    (line,), code = verify()

    assert (line[:3], code) == (("damage", STORED, "wrong_hash"), 4)


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
