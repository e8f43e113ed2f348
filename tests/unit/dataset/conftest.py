"""A destination and the commits that tests publish into it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from lexport.dataset.commit import commit, prepare_destination
from lexport.dataset.layout import data_path
from lexport.dataset.manifest import OF_EVERY_SNAPSHOT, FileEntry, Manifest, ScopeEntry
from lexport.dataset.parquet import WrittenFile

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
TABLES = tuple(table.name for table in OF_EVERY_SNAPSHOT)
SCOPE = ScopeEntry(
    account_id="111122223333",
    region="us-east-1",
    coverage="fleet",
    status="complete",
    functions=0,
    versions=0,
    aliases=0,
    get_function_calls=0,
    list_calls=0,
    throttles=0,
)


class Commits:
    """Publishes commits whose files hold the names of their tables, and reads what is published."""

    def __init__(self, store):
        self.store = store

    def publish(self, number=0, note=pytest.fail, **fields):
        done = self.draft(number, **fields)
        return commit(self.store, done, self.staged(done), note=note)

    @staticmethod
    def draft(number=0, tables=TABLES, status="complete", scopes=(SCOPE,)):
        at = AT + timedelta(days=number)
        snapshot_id = f"01KB{number:022d}"
        return Manifest(
            snapshot_id=snapshot_id,
            snapshot_at=at,
            committed_at=at,
            status=status,
            gaps=0 if status == "complete" else 1,
            lexport_version="0.1.0",
            schema_version="1",
            hash_key_id=None,
            options={},
            files=tuple(
                FileEntry(
                    table=table,
                    path=data_path(table, snapshot_id, at),
                    size_bytes=1,
                    rows=len(scopes) if table == "scopes" else 0,
                    sha256="0" * 64,
                )
                for table in tables
            ),
            scopes=scopes,
        )

    def staged(self, done):
        """Write the files of a draft into its staging folder."""
        folder = self.store.open_scratch(done.snapshot_id)
        files = {}
        for entry in done.files:
            path = folder / f"{entry.table}.parquet"
            path.write_bytes(entry.table.encode())
            files[entry.path] = WrittenFile(path=path, rows=entry.rows, size_bytes=1, sha256=entry.sha256)
        return files

    def everything(self):
        """Read every file outside of staging."""
        return {
            str(path.relative_to(self.store.root)): path.read_bytes()
            for path in self.store.root.rglob("*")
            if path.is_file() and "_staging" not in path.parts
        }

    def hinted(self):
        return json.loads(self.store.read("_latest.json"))["snapshot_id"]

    def snapshot_rows(self):
        paths = sorted((self.store.root / "snapshots").rglob("*.parquet"))
        return [row for path in paths for row in pq.read_table(path, page_checksum_verification=True).to_pylist()]


@pytest.fixture
def store(tmp_path):
    return prepare_destination(tmp_path / "dest", group_readable=False)


@pytest.fixture
def commits(store):
    return Commits(store)
