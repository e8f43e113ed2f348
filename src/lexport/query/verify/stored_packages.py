"""Check the stored packages of a dataset: their bytes have the hash that is their name, and those named exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from lexport.dataset import layout
from lexport.dataset.layout import package_path, package_places
from lexport.dataset.manifest import FileEntry, Manifest
from lexport.dataset.store import UnavailableError
from lexport.query.verify.local_files import LocalFiles
from lexport.query.verify.rows import Damage
from lexport.tables.packages import PACKAGES

FOLDERS = (layout.STORED_PACKAGES, layout.FORMER_STORED_PACKAGES)
_STORED_NAME = re.compile(r"[0-9a-f]{64}\.zip")
_IN_STORE = ("stored", "present")


def check_stored(files: LocalFiles, path: str) -> tuple[int, list[Damage]]:
    """Check the name and the hash of a stored package; return its size too."""
    name = PurePosixPath(path).name
    size_bytes = 0
    if not _STORED_NAME.fullmatch(name) or path not in package_places(name[:64]):
        return 0, [Damage(path=path, kind="foreign", detail="not the name of a package", is_note=True)]
    try:
        size_bytes = files.size_of(path)
        digest = files.hash(path, is_kept=False)
    except UnavailableError:
        raise
    except OSError as error:
        return size_bytes, [Damage(path=path, kind="unreadable", detail=error.strerror or str(error))]
    if digest == name[:64]:
        return size_bytes, []
    return size_bytes, [Damage(path=path, kind="wrong_hash", detail=f"its bytes have the SHA-256 {digest}")]


def missing_packages(files: LocalFiles, commit: Manifest, entry: FileEntry, reported: set[str]) -> Iterator[Damage]:
    """Yield the packages that a table says are stored and are not. ``reported`` are paths that were yielded before."""
    for path, sha256_hex in _stored_paths(files, entry):
        if path in reported:
            continue
        if path not in package_places(sha256_hex):
            reported.add(path)
            detail = f"it says that package {sha256_hex} is stored as {path[:200]!r}, where no package is stored"
            yield Damage(path=entry.path, kind="wrong_path", detail=detail)
        # A package that was fetched again after damage lies where packages are stored by now.
        elif not any(files.exists(place) for place in (path, package_path(sha256_hex))):
            reported.add(path)
            yield Damage(path=path, kind="missing", detail=f"{entry.table} of {commit.snapshot_id} says it is stored")


def _stored_paths(files: LocalFiles, entry: FileEntry) -> Iterator[tuple[str, str]]:
    """Yield path and hash of the stored packages of a table; none if it cannot be read, which is reported elsewhere."""
    if entry.table != PACKAGES.name:
        return
    with suppress(OSError, pa.ArrowException, ValueError), pq.ParquetFile(files.path_of(entry.path)) as file:
        for batch in file.iter_batches(columns=["status", "sha256_hex", "path"], use_threads=False):
            for row in batch.to_pylist():
                if row["status"] in _IN_STORE and _STORED_NAME.fullmatch(f"{row['sha256_hex']}.zip"):
                    yield row["path"] or "", row["sha256_hex"]
