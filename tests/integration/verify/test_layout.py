"""``lexport verify`` looks at what surrounds the rows: other files, announced commits, links, counts, the command."""

import os
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import AT, HEX, PACKAGES_ID, STORED, change_manifest, file_of, fix, rewrite, split

import lexport
from lexport.cli.main import run
from lexport.dataset import layout
from lexport.tables.arrow import table_schema
from lexport.tables.packages import PACKAGES

pytestmark = pytest.mark.slow


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


def test_a_pruned_commit(dest, verify):
    """What is left of a commit that was pruned is neither damaged nor foreign, with and without its row."""
    row = dest / file_of(dest, "snapshots")
    manifest = dest / "_runs" / f"{row.name[:26]}.json"
    manifest.unlink()
    mark = dest / "_pruned" / manifest.name
    mark.parent.mkdir()
    mark.write_text("{}")

    assert verify("--data") == ([], 0)
    row.unlink()
    assert verify("--data") == ([], 0)


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
    other = f"_packages/sha256/00/{HEX}.zip"
    (dest / other).parent.mkdir()
    (dest / STORED).rename(dest / other)

    assert [line[:3] for line in verify()[0]] == [("damage", STORED, "missing"), ("note", other, "foreign")]


@pytest.mark.parametrize("path", ["../elsewhere.zip", "functions/x.parquet", None])
def test_a_path_of_a_package_that_is_none(dest, verify, path):
    """A table that says that a package is stored where none is stored is damaged."""
    table = layout.data_path("packages", PACKAGES_ID, AT)
    rows = pq.ParquetFile(dest / table).read().to_pylist()
    pq.write_table(pa.Table.from_pylist([rows[0] | {"path": path}], schema=table_schema(PACKAGES)), dest / table)
    fix(dest, table)

    assert [line[:3] for line in verify()[0]] == [("damage", table, "wrong_path")]


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
        lexport.Damage(
            path=STORED,
            kind="missing",
            detail=f"packages of {PACKAGES_ID} says it is stored",
            remedy=f"lexport packages {dest} fetches it again",
        ),
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
    assert (code, out.splitlines()[0].split(), len(out.splitlines())) == (
        0,
        ["severity", "path", "kind", "detail", "remedy"],
        2,
    )
    assert err.endswith(" MiB checked, nothing is damaged\n")
    (dest / STORED).unlink()
    code, out, err = lexport_verify(str(dest), "--output", "csv")
    assert (code, len(out.splitlines())) == (4, 2)
    assert err.endswith(" MiB checked, 1 thing is damaged\n")
    assert lexport_verify(str(dest.parent / "no"))[0] == 2
