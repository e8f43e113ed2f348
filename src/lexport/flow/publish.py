"""Parquet -> snapshot: whole, or not at all.

Data files are moved to their names first; they mean nothing until the commit names them. The commit is one file that is
created only if absent. The row in ``snapshots`` and the hint come after it and are healed by the next run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lexport import columns, manifest
from lexport.arrow import table_schema
from lexport.errors import PublishError, SettingsError, WriteError
from lexport.manifest import Manifest
from lexport.store.commits import newest_first
from lexport.store.local import LocalStore, local_folder, sync_file

_OURS = {*columns.BY_NAME, manifest.RUNS, manifest.STAGING, manifest.LATEST_HINT, manifest.PACKAGES}


def open_destination(dest: Path, *, group_readable: bool) -> LocalStore:
    """Find out that a folder can take a snapshot, and make it if it is not there.

    Raises SettingsError for a file, for a folder that cannot be written, and for one that holds other things.
    """
    store = LocalStore(local_folder(dest).absolute(), group_readable)
    try:
        if dest.exists() and not dest.is_dir():
            raise SettingsError(f"DEST {dest} is a file; a folder is wanted", option="DEST")
        others = [name for name in store.names("") if name not in _OURS and not name.startswith((".", "lost+found"))]
        if others and manifest.RUNS not in store.names(""):
            raise SettingsError(
                f"DEST {dest} holds something else ({others[0]}); a new folder or a dataset of lexport is wanted",
                option="DEST",
            )
        store.make_folder(manifest.STAGING)
        probe = store.root / manifest.STAGING / f".probe-{manifest.new_ulid(datetime.now(UTC))}"
        probe.touch(mode=store.file_mode)
        probe.unlink()
    except OSError as error:
        raise SettingsError(f"DEST {dest} cannot be written: {error.strerror}", option="DEST") from error
    return store


def open_staging(store: LocalStore, snapshot_id: str) -> Path:
    """Make the folder of a run's work; raises PublishError when the snapshot or another run of its id is there."""
    name = f"{manifest.STAGING}/{snapshot_id}"
    if f"{snapshot_id}.json" in store.names(manifest.RUNS) or Path(store.root, name).exists():
        raise PublishError(
            f"{store.root} has a snapshot or a run {snapshot_id} already; nothing was changed",
            destination=str(store.root),
        )
    return store.make_folder(name)


def commit(store: LocalStore, draft: Manifest, files: Mapping[str, Path]) -> Manifest:
    """Publish: place the files, create the commit, then the row in ``snapshots`` and the hint; return the commit.

    ``files`` are finished and synced, by the path that the manifest gives them. Blocking. Raises PublishError when the
    snapshot exists; what was placed is then removed, and earlier snapshots are untouched in every case.
    """
    placed: list[str] = []
    try:
        for path, source in files.items():
            source.chmod(store.file_mode)  # a umask may have taken some of it away
            store.place(source, path)
            placed.append(path)
        done = replace(draft, committed_at=datetime.now(UTC))
        store.create(manifest.run_path(done.snapshot_id), done.to_json())
    except (OSError, PublishError, WriteError):
        for path in placed:
            store.remove(path)
        raise
    # The snapshot exists from here on; what fails now is healed by the next run and must not make this one look failed.
    with suppress(OSError, PublishError, WriteError):
        write_snapshot_rows(store)
    if done.is_snapshot:
        with suppress(OSError, WriteError):
            _move_hint(store)
    return done


def write_snapshot_rows(store: LocalStore) -> None:
    """Write the row of ``snapshots`` for every commit that has none yet, this run's or a crashed one's."""
    for name in store.names(manifest.RUNS):
        snapshot_id = name.removesuffix(".json")
        if not manifest.is_ulid(snapshot_id):
            continue
        with suppress(ValueError, PublishError):  # a damaged commit is `status`'s to tell; another run may heal too
            done = Manifest.from_json(store.read(f"{manifest.RUNS}/{name}"))
            path = manifest.data_path(columns.SNAPSHOTS.name, snapshot_id, done.snapshot_at)
            if not (store.root / path).exists():
                _write_snapshot_row(store, done, path)


def _write_snapshot_row(store: LocalStore, done: Manifest, path: str) -> None:
    row = {
        "snapshot_id": done.snapshot_id,
        "snapshot_at": done.snapshot_at,
        "status": done.status,
        "committed_at": done.committed_at,
        "lexport_version": done.lexport_version,
        "schema_version": done.schema_version,
    }
    draft = store.make_folder(manifest.STAGING) / f".snapshots-{manifest.new_ulid(datetime.now(UTC))}.parquet"
    draft.touch(mode=0o600)
    draft.chmod(store.file_mode)  # a umask may have taken some of it away
    table = pa.Table.from_pylist([row], schema=table_schema(columns.SNAPSHOTS))
    pq.write_table(table, draft, compression="zstd", write_page_checksum=True)
    sync_file(draft)
    try:
        store.place(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _move_hint(store: LocalStore) -> None:
    """Move the hint forward to the newest snapshot, and look again: another run may have moved it meanwhile."""
    while True:
        newest = next((commit.snapshot_id for commit in newest_first(store)), "")
        hinted = ""
        with suppress(OSError, ValueError, KeyError, TypeError):
            hinted = str(json.loads(store.read(manifest.LATEST_HINT))["snapshot_id"])
        if manifest.is_ulid(hinted) and hinted >= newest:
            return
        store.replace(manifest.LATEST_HINT, json.dumps({"snapshot_id": newest}).encode() + b"\n")


def remove_staging(store: LocalStore, snapshot_id: str) -> None:
    """Remove a run's work."""
    shutil.rmtree(store.root / manifest.STAGING / snapshot_id, ignore_errors=True)
