"""The data files of a commit, looked at before anybody reads rows from them. Blocking."""

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
from lexport.errors import ReadError
from lexport.tables.arrow import row_keys
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table
from lexport.tables.text import plural


def find_files(root: Path, commit: Manifest, table: Table, *, footers: bool = True) -> list[Path]:
    """Return the files of a table in one commit, in the order of their rows; none where the commit lacks the table.

    Of each, place and size are compared with the manifest; with ``footers`` also whose rows they are, how many, and
    that no file goes over another's. Raises ReadError, which says what to do.
    """
    entries = commit.entries(table.name)
    found = [root / entry.path for entry in entries]
    for entry, path in zip(entries, found, strict=True):
        reason = wrong_place(root, entry) or (wrong_footer(path, entry, commit, table) if footers else None)
        if reason is not None:
            raise damaged_file(root, commit, entry, reason)
    if footers:
        for before, after in pairwise(entries):
            reason = overlap(root, before, after, table)
            if reason is not None:
                raise damaged_file(root, commit, after, reason)
    return found


def newest_file(store: LocalStore, table: Table) -> Path | None:
    """Return the file of a table in the newest commit that holds it whole, be it a snapshot or not."""
    for commit in all_commits(store):
        if isinstance(commit, Manifest):
            with suppress(ReadError):
                for path in find_files(store.root, commit, table):
                    return path
    return None


def damaged_file(root: Path, commit: Manifest, entry: FileEntry, reason: str) -> ReadError:
    """Make the error of a file that is needed and cannot be read."""
    what = damage_text(entry.table, commit.snapshot_id, entry.path, reason)
    return ReadError(what, path=str(root / entry.path))


def damage_text(table: str, snapshot_id: str, path: str, reason: str) -> str:
    """Say which file of which snapshot is damaged, and what to do."""
    return (
        f"{table} of snapshot {snapshot_id} is damaged: {path}: {reason}; lexport verify lists all damage; bring the"
        " file back, or read the fleet again with lexport snapshot; to go on without that night, move"
        f" {run_path(snapshot_id)} and its file in {SNAPSHOTS.name} away"
    )


def wrong_place(root: Path, entry: FileEntry) -> str | None:
    """Say why an entry's file cannot be what was written, by its place and size alone; None where it can."""
    try:
        found = stat_file(root, entry.path)
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return error.strerror or str(error)
    if found.st_size != entry.size_bytes:
        return f"it has {found.st_size:,} bytes, the manifest says {entry.size_bytes:,}"
    return None


def wrong_footer(path: Path, entry: FileEntry, commit: Manifest, table: Table) -> str | None:
    """Say why a file cannot be what was written, by the statistics at its end; None where it can."""
    try:
        found = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        return " ".join(str(error).split())
    if found.num_rows != entry.rows:
        return f"it has {plural(found.num_rows, 'row')}, the manifest says {entry.rows:,}"
    places = {found.schema.column(index).name: index for index in range(found.num_columns)}
    missing = [name for name in ("snapshot_id", *table.key) if name not in places]
    if missing:
        return f"it has no column {missing[0]}"
    for number in range(found.num_row_groups):
        known = found.row_group(number).column(places["snapshot_id"]).statistics
        if known is not None and (not known.has_min_max or {known.min, known.max} != {commit.snapshot_id}):
            return f"its rows are of snapshot {known.min if known.has_min_max else None}"
    return None


def overlap(root: Path, before: FileEntry, after: FileEntry, table: Table) -> str | None:
    """Say that two files of a table, one after the other, have rows in common or in the wrong order; else None."""
    try:
        if _is_before(root / before.path, root / after.path, table):
            return None
    except (OSError, pa.ArrowException) as error:
        return " ".join(str(error).split())
    return f"its rows do not come after those of {before.path}"


def _is_before(one: Path, other: Path, table: Table) -> bool:
    """Tell whether all rows of one file come before those of another; a file without rows is anywhere."""
    with pq.ParquetFile(one) as first, pq.ParquetFile(other) as second:
        if not first.metadata.num_rows or not second.metadata.num_rows:
            return True
        last = _keys(first, first.metadata.num_row_groups - 1, table)[-1].as_py()
        return bool(last < _keys(second, 0, table)[0].as_py())


def _keys(file: pq.ParquetFile, group: int, table: Table) -> pa.ChunkedArray:
    return row_keys(file.read_row_group(group, columns=list(table.key), use_threads=False), table.key)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
