"""The data files of a commit, checked before rows are read from them. Blocking."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lexport.dataset.commits import all_commits, stat_file
from lexport.dataset.layout import run_path
from lexport.dataset.local import LocalStore
from lexport.dataset.manifest import FileEntry, Manifest
from lexport.dataset.runs import row_keys
from lexport.errors import ReadError
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table
from lexport.tables.text import plural


def find_files(root: Path, commit: Manifest, table: Table, *, footers: bool = True) -> list[Path]:
    """Return the files of a table in one commit, in the order of their rows; empty where the commit lacks the table.

    Path and size of each file are compared with the manifest; with ``footers`` also the snapshot and the number of its
    rows, and that the rows of two files do not overlap. Raises ReadError.
    """
    entries = commit.entries(table.name)
    paths = [root / entry.path for entry in entries]
    for entry, path in zip(entries, paths, strict=True):
        reason = wrong_size(root, entry) or (wrong_footer(path, entry, commit, table) if footers else None)
        if reason is not None:
            raise damaged_file(root, commit, entry, reason)
    if footers:
        for before, after in pairwise(entries):
            reason = overlap(root, before, after, table)
            if reason is not None:
                raise damaged_file(root, commit, after, reason)
    return paths


def newest_file(store: LocalStore, table: Table) -> Path | None:
    """Return the file of a table in the newest commit, snapshot or not, whose file is undamaged."""
    for commit in all_commits(store):
        if isinstance(commit, Manifest):
            with suppress(ReadError):
                for path in find_files(store.root, commit, table):
                    return path
    return None


def damaged_file(root: Path, commit: Manifest, entry: FileEntry, reason: str) -> ReadError:
    """Make the error of a file that is needed and cannot be read."""
    message = damage_text(entry.table, commit.snapshot_id, entry.path, reason)
    return ReadError(message, path=str(root / entry.path))


def damage_text(table: str, snapshot_id: str, path: str, reason: str) -> str:
    """Describe a damaged file and how to continue."""
    return (
        f"{table} of snapshot {snapshot_id} is damaged: {path}: {reason}; lexport verify lists all damage; bring the"
        " file back, or read the fleet again with lexport snapshot; to go on without that night, move"
        f" {run_path(snapshot_id)} and its file in {SNAPSHOTS.name} away"
    )


def wrong_size(root: Path, entry: FileEntry) -> str | None:
    """Describe how an entry's file differs from the manifest in path or size; None where it does not."""
    try:
        size_bytes = stat_file(root, entry.path).st_size
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return error.strerror or str(error)
    if size_bytes != entry.size_bytes:
        return f"it has {size_bytes:,} bytes, the manifest says {entry.size_bytes:,}"
    return None


def wrong_footer(path: Path, entry: FileEntry, commit: Manifest, table: Table) -> str | None:
    """Describe how a file differs from the manifest by its Parquet footer; None where it does not."""
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        return " ".join(str(error).split())
    if metadata.num_rows != entry.rows:
        return f"it has {plural(metadata.num_rows, 'row')}, the manifest says {entry.rows:,}"
    indices = {metadata.schema.column(index).name: index for index in range(metadata.num_columns)}
    missing = [name for name in ("snapshot_id", *table.key) if name not in indices]
    if missing:
        return f"it has no column {missing[0]}"
    for number in range(metadata.num_row_groups):
        statistics = metadata.row_group(number).column(indices["snapshot_id"]).statistics
        bounds = (statistics.min, statistics.max) if statistics is not None and statistics.has_min_max else (None, None)
        if statistics is not None and set(bounds) != {commit.snapshot_id}:
            return f"its rows are of snapshot {bounds[0]}"
    return None


def overlap(root: Path, before: FileEntry, after: FileEntry, table: Table) -> str | None:
    """Describe how two consecutive files of a table overlap or are in the wrong order; None where they do not."""
    try:
        with pq.ParquetFile(root / before.path) as first, pq.ParquetFile(root / after.path) as second:
            if not first.metadata.num_rows or not second.metadata.num_rows:
                return None
            last = _keys(first, first.metadata.num_row_groups - 1, table)[-1].as_py()
            if last < _keys(second, 0, table)[0].as_py():
                return None
    except (OSError, pa.ArrowException) as error:
        return " ".join(str(error).split())
    return f"its rows do not come after those of {before.path}"


def _keys(file: pq.ParquetFile, group: int, table: Table) -> pa.ChunkedArray:
    return row_keys(file.read_row_group(group, columns=list(table.key), use_threads=False), table.key)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
