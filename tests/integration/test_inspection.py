"""The inspection of a store: each package and layer once, except those that other commits have inspected."""

import hashlib

import anyio
import pytest

from lexport.artifacts.inspect_stored import inspect_stored
from lexport.artifacts.store import PackageStore
from lexport.dataset.layout import package_path
from lexport.dataset.local import LocalStore
from lexport.dataset.runs import RunWriter
from lexport.extract.progress import PackageProgress
from lexport.extract.rows import Staging
from lexport.tables.packages import PACKAGE_FILES, PACKAGES
from lexport.tables.run import ERRORS
from lexport.tables.staged import staged_names


class StoredPackages:
    """A dataset with stored packages, and the rows that a run has staged for them."""

    def __init__(self, root, folder):
        self.package_store, self.staging = PackageStore(LocalStore(root), folder), Staging(folder, file_mode=0o600)

    def store(self, body):
        name = hashlib.sha256(body).hexdigest()
        path = self.package_store.destination.root / package_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return name

    def stage(self, table, *rows):
        writer = RunWriter(self.staging.folder, runs=self.staging.runs)
        writer.add_rows(table, ((*map(row.get, staged_names(table)[:-1]), "") for row in rows))
        writer.flush()

    async def inspect(self):
        progress = PackageProgress()
        await inspect_stored(self.package_store.destination.root, self.staging, self.package_store, progress)
        await self.staging.flush_all()
        files, errors = (
            [
                row
                for run in self.staging.runs.get(table.name, ())
                for batch in run.blocks()
                for row in batch.select(staged_names(table)).to_pylist()
            ]
            for table in (PACKAGE_FILES, ERRORS)
        )
        counted = sorted((kind.what, kind.status, progress.examples[kind]) for kind in progress.kinds.elements())
        return sorted((row["sha256_hex"], row["path"]) for row in files), counted, errors


@pytest.fixture
def stored_packages(tmp_path, write_dataset):
    """Return a function: hashes -> a dataset whose second commit has inspected those packages."""
    (tmp_path / "folder").mkdir()
    dataset = StoredPackages(tmp_path / "fleet", tmp_path / "folder")

    def prepare(*inspected):
        rows = [{"code_sha256": "z", "sha256_hex": name, "dependencies_status": "unknown"} for name in inspected]
        write_dataset(dataset.package_store.destination.root, [{}, {"scopes": [], "packages": rows}])
        return dataset

    return prepare


def package(code, sha256_hex, status="stored"):
    path = package_path(sha256_hex) if sha256_hex else None
    return {"code_sha256": code, "sha256_hex": sha256_hex, "path": path, "status": status}


@pytest.mark.asyncio
async def test_each_content_once(stored_packages, zips):
    """Stored packages that were never inspected are inspected, each content once; all others are skipped."""
    dataset = stored_packages(old := "00" * 32)
    one = dataset.store(zips.zip_bytes(zips.Member(name="one", data=b"1")))
    two = dataset.store(zips.zip_bytes(zips.Member(name="two", data=b"2")))
    dataset.stage(PACKAGES, package("a", one), package("b", old, "present"), package("c", "11" * 32, "failed"))
    dataset.stage(PACKAGES, package("d", two), package("e", None, "stored"))
    dataset.stage(PACKAGES, package("f", two, "present"))

    assert await dataset.inspect() == (
        sorted([(one, "one"), (two, "two")]),
        [("package", "inspected", "")] * 2,
        [],
    )


@pytest.mark.asyncio
async def test_problems_are_rows(stored_packages, zips):
    """A problem of a package is a row of errors without an account, and no gap."""
    dataset = stored_packages()
    name = dataset.store(b"no zip")
    dataset.stage(PACKAGES, package("a", name))
    message = f"package {name}: the package: not a zip"
    files, counted, errors = await dataset.inspect()

    assert (files, counted) == ([], [("finding", "not_a_zip", message), ("package", "inspected", "")])
    assert errors[0] == {
        **dict.fromkeys(staged_names(ERRORS)),
        "stage": "inspect",
        "error_code": "not_a_zip",
        "message": message,
        "is_gap": False,
        "attempts": 1,
        "occurred_at": errors[0]["occurred_at"],
        "_answer": "",
    }


@pytest.mark.asyncio
async def test_nothing_to_inspect(stored_packages):
    """Without packages nothing is inspected."""
    assert await stored_packages().inspect() == ([], [], [])


@pytest.mark.asyncio
@pytest.mark.slow
async def test_cancelled(stored_packages, zips):
    """A cancelled inspection ends within a member, not after the package."""
    dataset = stored_packages()
    many = zips.zip_bytes(*(zips.Member(name=f"{n}/requirements.txt", data=b"x==1") for n in range(60_000)))
    dataset.stage(PACKAGES, package("a", dataset.store(many)))
    with anyio.move_on_after(0.7) as scope:
        await dataset.inspect()

    assert scope.cancelled_caught
