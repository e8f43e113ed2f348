"""Looking into a store: each package and layer once, whatever other commits have looked into already."""

import hashlib

import anyio
import pytest

from lexport.artifacts.inspect_stored import inspect_stored
from lexport.artifacts.store import PackageStore
from lexport.dataset.layout import package_path
from lexport.dataset.local import LocalStore
from lexport.dataset.runs import RunWriter, read_run
from lexport.extract.staging import Staging
from lexport.tables.packages import PACKAGE_FILES, PACKAGES
from lexport.tables.run import ERRORS
from lexport.tables.staged import staged_names


class Bench:
    """A dataset with stored packages, and the rows that a run has staged about them."""

    def __init__(self, root, folder):
        self.package_store, self.staging = PackageStore(LocalStore(root)), Staging(folder, file_mode=0o600)

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

    async def look(self):
        counted = []
        await inspect_stored(self.staging, self.package_store, count=lambda *what: counted.append(what))
        await self.staging.flush_all()
        files, errors = (
            [
                row
                for path in self.staging.runs.get(table.name, ())
                for batch in read_run(path)
                for row in batch.select(staged_names(table)).to_pylist()
            ]
            for table in (PACKAGE_FILES, ERRORS)
        )
        return sorted((row["sha256_hex"], row["path"]) for row in files), sorted(counted), errors


@pytest.fixture
def bench(tmp_path, write_dataset):
    """A dataset whose second commit has looked into one package."""
    (tmp_path / "folder").mkdir()
    made = Bench(tmp_path / "fleet", tmp_path / "folder")

    def prepare(*known):
        rows = [{"code_sha256": "z", "sha256_hex": name, "dependencies_status": "unknown"} for name in known]
        write_dataset(made.package_store.destination.root, [{}, {"scopes": [], "packages": rows}])
        return made

    return prepare


def package(code, sha256_hex, status="stored"):
    return {"code_sha256": code, "sha256_hex": sha256_hex, "status": status}


@pytest.mark.asyncio
async def test_each_content_once(bench, zips):
    """What is stored and unknown is looked into, once where two packages are the same; the rest is left."""
    made = bench(old := "00" * 32)
    one = made.store(zips.zip_bytes(zips.Member(name="one", data=b"1")))
    two = made.store(zips.zip_bytes(zips.Member(name="two", data=b"2")))
    made.stage(PACKAGES, package("a", one), package("b", old, "present"), package("c", "11" * 32, "failed"))
    made.stage(PACKAGES, package("d", two), package("e", None, "stored"))
    made.stage(PACKAGES, package("f", two, "present"))

    assert await made.look() == (
        sorted([(one, "one"), (two, "two")]),
        [("package", "looked into", "")] * 2,
        [],
    )


@pytest.mark.asyncio
async def test_findings_are_rows(bench, zips):
    """What is wrong with a package is a row of errors of no account, and no gap."""
    made = bench()
    name = made.store(b"no zip")
    made.stage(PACKAGES, package("a", name))
    message = f"package {name}: the package: not a zip"
    files, counted, errors = await made.look()

    assert (files, counted) == ([], [("finding", "not_a_zip", message), ("package", "looked into", "")])
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
async def test_nothing_to_look_into(bench):
    """Without packages nothing happens."""
    assert await bench().look() == ([], [], [])


@pytest.mark.asyncio
@pytest.mark.slow
async def test_cancelled(bench, zips):
    """A cancelled run ends within a member, not after the package."""
    made = bench()
    many = zips.zip_bytes(*(zips.Member(name=f"{n}/requirements.txt", data=b"x==1") for n in range(60_000)))
    made.stage(PACKAGES, package("a", made.store(many)))
    with anyio.move_on_after(0.7) as scope:
        await made.look()

    assert scope.cancelled_caught
