"""The last steps before publishing: changes since the snapshot before, and which snapshot a damage belongs to."""

from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from anyio import to_thread

from lexport.dataset.compare import SnapshotFiles
from lexport.dataset.local import LocalStore
from lexport.dataset.parquet import TableFolder
from lexport.dataset.snapshot import _find_changes
from lexport.errors import ReadError
from lexport.model import Scope
from lexport.query.catalog import open_catalog
from lexport.tables.arrow import table_schema
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import state_tables

SCOPE = Scope(account_id="111122223333", region="eu-west-1")
NOW = "7" + "Z" * 25

pytestmark = pytest.mark.asyncio


def reading(folder):
    """A snapshot that is written and not yet published: one function."""
    folder.mkdir()
    files = {}
    for table in state_tables():
        files[table.name] = [folder / f"{table.name}.parquet"]
        row = {"snapshot_id": NOW, "account_id": SCOPE.account_id, "region": SCOPE.region}
        rows = [row | {"function_name": "f", "version": "$LATEST"}] if table is FUNCTIONS else []
        pq.write_table(pa.Table.from_pylist(rows, schema=table_schema(table)), *files[table.name])
    return SnapshotFiles(snapshot_id=NOW, files=files, options={}, hash_key_id=None, lexport_version="0.1.0")


@pytest.fixture
def fleet(tmp_path, write_dataset):
    """The snapshot before: another function."""
    write_dataset(tmp_path / "fleet", [{"functions": [{"function_name": "old", "version": "$LATEST"}]}])
    return LocalStore(tmp_path / "fleet")


async def compare(now, store, folder):
    notes = []
    tables = TableFolder(path=folder, snapshot_id=NOW, snapshot_at=datetime.now(UTC))
    find = partial(_find_changes, folder=tables, store=store, note=notes.append)
    changes = await to_thread.run_sync(find, now, [SCOPE])
    return changes.files[0].rows, changes.not_compared, notes


async def test_damage_of_the_snapshot_before(tmp_path, fleet):
    """Where the snapshot before is damaged, no changes are staged, and its id is returned."""
    now = reading(tmp_path / "now")
    assert await compare(now, fleet, tmp_path / "now") == (2, {}, [])
    for run in (tmp_path / "now").glob("*.run"):
        run.unlink()

    (before,) = open_catalog(fleet.root).manifests
    (fleet.root / before.entries("tags")[0].path).write_bytes(b"")
    rows, damaged, (note,) = await compare(now, fleet, tmp_path / "now")
    assert (rows, damaged) == (0, {SCOPE: before.snapshot_id})
    assert f"the snapshot before, {before.snapshot_id}, is damaged" in note
    assert list((tmp_path / "now").glob("*.run")) == []


async def test_damage_of_our_own(tmp_path, fleet):
    """Damage in a file of this run is an error of the run, not of the snapshot before."""
    now = reading(tmp_path / "now")
    now.files["functions"][0].write_bytes(b"PAR1")

    with pytest.raises(ReadError) as caught:
        await compare(now, fleet, tmp_path / "now")
    assert caught.value.path == str(now.files["functions"][0])
