"""The data files of a commit, checked before rows are read from them. Blocking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from shlex import quote

import pyarrow as pa
import pyarrow.parquet as pq

from lexport.dataset.commits import all_commits, prune_command
from lexport.dataset.local import hash_file
from lexport.dataset.manifest import FileEntry, Manifest
from lexport.dataset.store import Store, UnavailableError
from lexport.errors import ReadError, RunError
from lexport.tables.registry import BY_NAME
from lexport.tables.table import Table
from lexport.tables.text import plural

_TAIL_BYTES = 64 * 2**10
"""What is read for a Parquet footer first: that of most files, which have a few row groups."""


def find_files(store: Store, commit: Manifest, table: Table, *, footers: bool = True) -> list[Path]:
    """Return local copies of the files of a table in one commit, in the order of their rows; none where it has none.

    It has none where its run did not read the table.

    Path and size of each file are compared with the manifest; with ``footers`` also the snapshot and the number of its
    rows, and that the rows of two files do not overlap. Raises ReadError.
    """
    entries = commit.entries(table.name)
    paths: list[Path] = []
    if len(entries) > 1:
        fetch_files(store, [(commit, table)])
    for entry in entries:
        paths.append(find_file(store, commit, entry))
        if footers and (reason := wrong_footer(paths[-1], entry, commit, table)):
            raise damaged_file(store, commit, entry, reason)
    if footers:
        for (before, first), (after, second) in pairwise(zip(entries, paths, strict=True)):
            if reason := overlap(first, second, before, table):
                raise damaged_file(store, commit, after, reason)
    return paths


def find_file(store: Store, commit: Manifest, entry: FileEntry) -> Path:
    """Return a local copy of one file of a commit. Raises ReadError, and RunError as ``fetch_files``."""
    with _errors_of(store, commit, entry):
        (path,) = store.local_copies([entry], has_values=has_values(commit))
        return path


@contextmanager
def _errors_of(store: Store, commit: Manifest, entry: FileEntry) -> Iterator[None]:
    """Raise the errors of a store as RunError where it does not answer, else as ReadError."""
    try:
        yield
    except UnavailableError as error:
        raise RunError(f"{store.url} cannot be read: {entry.path}: {error.strerror}") from error
    except PermissionError as error:
        message = f"{entry.table} of snapshot {commit.snapshot_id} cannot be read: {entry.path}: {error.strerror}"
        raise ReadError(message, path=f"{store.url}/{entry.path}") from error
    except OSError as error:
        raise damaged_file(store, commit, entry, missing_or(error)) from error


def read_footer(store: Store, commit: Manifest, entry: FileEntry) -> pq.FileMetaData:
    """Read the Parquet footer of a file and nothing else of it. Raises ReadError, and RunError as ``fetch_files``."""
    with _errors_of(store, commit, entry):
        tail = store.read_range(entry.path, max(0, entry.size_bytes - _TAIL_BYTES), _TAIL_BYTES)
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if len(tail) < length <= entry.size_bytes:
            tail = store.read_range(entry.path, entry.size_bytes - length, length)
    try:
        return pq.read_metadata(pa.BufferReader(tail))
    except (OSError, pa.ArrowException) as error:
        raise damaged_file(store, commit, entry, " ".join(str(error).split())) from error


def fetch_files(store: Store, needed: Iterable[tuple[Manifest, Table]]) -> None:
    """Download the files of tables in commits, as ``fetch_entries`` does; damage is left to ``find_files``."""
    fetch_entries(store, ((commit, entry) for commit, table in needed for entry in commit.entries(table.name)))


def fetch_entries(store: Store, needed: Iterable[tuple[Manifest, FileEntry]]) -> None:
    """Download files of commits together where they are in a bucket; damage is left to ``find_file``.

    Raises RunError where the bucket does not answer, or this machine has no room for them.
    """
    if store.moved is None:
        return
    files: dict[bool, list[FileEntry]] = {}
    for commit, entry in needed:
        files.setdefault(has_values(commit), []).append(entry)
    for is_private, entries in files.items():
        try:
            store.local_copies(entries, has_values=is_private)
        except UnavailableError as error:
            raise RunError(f"{store.url} cannot be read: {error.strerror}") from error
        except OSError:
            continue


def has_values(commit: Manifest) -> bool:
    """Return whether a commit has environment values in the clear."""
    return commit.options.get("env") == "values"


def damage_of(store: Store, commit: Manifest, watch: Callable[[], object] = lambda: None) -> str | None:
    """Read all files of a commit and describe the first damage, or return None. ``watch`` is called for each table.

    Raises OSError where the store does not answer, or refuses: that says nothing about the files.
    """
    try:
        for name in dict.fromkeys(entry.table for entry in commit.files):
            watch()
            for entry in (entry for entry in commit.files if entry.table == name):
                (path,) = store.local_copies([entry], has_values=has_values(commit))
                if hash_file(path) != entry.sha256:
                    return f"{entry.path} has another SHA-256 than the manifest says"
            if name in BY_NAME:  # a later release may have written more tables
                find_files(store, commit, BY_NAME[name])
    except (UnavailableError, PermissionError):
        raise
    except (OSError, ReadError) as error:
        return str(error)
    return None


def newest_file(store: Store, table: Table) -> Path | None:
    """Return the file of a table in the newest commit, snapshot or not, whose file is undamaged."""
    for commit in all_commits(store):
        if isinstance(commit, Manifest):
            with suppress(ReadError):
                for path in find_files(store, commit, table):
                    return path
    return None


def damaged_file(store: Store, commit: Manifest, entry: FileEntry, reason: str) -> ReadError:
    """Make the error of a file that is needed and cannot be read."""
    message = damage_text(store, entry.table, commit.snapshot_id, entry.path, reason)
    return ReadError(message, path=f"{store.url}/{entry.path}")


def damage_text(store: Store, table: str, snapshot_id: str, path: str, reason: str) -> str:
    """Describe a damaged file and how to continue."""
    return (
        f"{table} of snapshot {snapshot_id} is damaged: {path}: {reason}; bring the file back, or read the fleet again:"
        f" lexport snapshot {quote(store.url)}; to go on without that night: {prune_command(store, snapshot_id)};"
        f" lexport verify {quote(store.url)} lists all damage"
    )


def missing_or(error: OSError) -> str:
    """Describe why a file of a store cannot be read."""
    return "it is missing" if isinstance(error, FileNotFoundError) else error.strerror or str(error)


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


def overlap(first_path: Path, second_path: Path, before: FileEntry, table: Table) -> str | None:
    """Describe how two consecutive files of a table overlap or are in the wrong order; None where they do not.

    ``before`` is the entry of the first.
    """
    try:
        with pq.ParquetFile(first_path) as first, pq.ParquetFile(second_path) as second:
            if not first.metadata.num_rows or not second.metadata.num_rows:
                return None
            last = _keys(first, first.metadata.num_row_groups - 1, table)[-1].as_py()
            if last < _keys(second, 0, table)[0].as_py():
                return None
    except (OSError, pa.ArrowException) as error:
        return " ".join(str(error).split())
    return f"its rows do not come after those of {before.path}"


def _keys(file: pq.ParquetFile, group: int, table: Table) -> pa.ChunkedArray:
    from lexport.dataset.runs import row_keys  # imports pyarrow.compute, which a table of one file does not need

    return row_keys(file.read_row_group(group, columns=list(table.key), use_threads=False), table.key)
