"""Find damage in a dataset: manifests, the files that they name, stored packages, and files that no commit names.

Threads compute the hashes. Memory does not grow with the size of files or packages.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain, pairwise
from pathlib import Path, PurePosixPath

import anyio.to_thread
import pyarrow as pa
import pyarrow.parquet as pq
from anyio.from_thread import check_cancelled

from lexport.dataset import layout
from lexport.dataset.commits import read_commit
from lexport.dataset.data_files import hash_file, overlap
from lexport.dataset.layout import package_path, package_places
from lexport.dataset.local import stat_file
from lexport.dataset.manifest import FileEntry, Manifest
from lexport.model import ULID_LENGTH, is_ulid
from lexport.query.catalog import find_commits
from lexport.query.verify.counts import check_counts, check_references, check_scopes
from lexport.query.verify.rows import Damage, check_rows
from lexport.tables import registry
from lexport.tables.packages import PACKAGES
from lexport.tables.registry import BY_NAME
from lexport.tables.run import SNAPSHOTS

THREADS = min(4, os.cpu_count() or 1)
_STORED_NAME = re.compile(r"[0-9a-f]{64}\.zip")
_STORES = (layout.STORED_PACKAGES, layout.FORMER_STORED_PACKAGES)
_IN_STORE = ("stored", "present")

Job = Callable[[], tuple[int, list[Damage]]]
"""Checks one file; returns the number of bytes it read and the damage it found."""


@dataclass(slots=True)
class VerifyProgress:
    """Counters: files checked, their bytes, and the number of all files."""

    files: int = 0
    size_bytes: int = 0
    files_total: int = 0


async def verify(dest: str | os.PathLike[str], *, data: bool = False) -> tuple[Damage, ...]:
    """Check a dataset: its manifests, and size and SHA-256 of all their files and of every stored package.

    With ``data`` every row is read too: page checksums, counts, columns, order, unique keys, the rows of ``snapshots``.
    Raises SettingsError if ``dest`` is not a dataset. Nothing is ever written.
    """
    damage = find_damage(dest, data=data, watch=lambda _: check_cancelled())
    return await anyio.to_thread.run_sync(tuple, damage)


def find_damage(
    dest: str | os.PathLike[str], *, data: bool = False, watch: Callable[[VerifyProgress], None] = lambda _: None
) -> Iterator[Damage]:
    """Yield damage as it is found; parameters as for ``verify``. ``watch`` is called after each file. Blocking."""
    store, ids = find_commits(dest)
    root = Path(store.url)
    commits: list[Manifest] = []
    for snapshot_id in ids:
        commit = read_commit(store, snapshot_id)
        if isinstance(commit, Manifest):
            commits.append(commit)
        else:
            yield Damage(path=commit.path, kind=commit.kind, detail=commit.reason)
    entries = [(commit, entry) for commit in commits for entry in commit.files]
    last = max((_order(commit) for commit in commits), default=None)
    progress = VerifyProgress(files_total=len(entries) + len(commits) + sum(1 for _ in _files_below(root, *_STORES)))
    jobs = chain(
        (partial(_check_file, root, commit, entry, data=data) for commit, entry in entries),
        (partial(_check_snapshots_row, root, commit, data=data, is_last=_order(commit) == last) for commit in commits),
        (partial(_check_stored, root, path) for path in _files_below(root, *_STORES)),
    )
    damaged: set[str] = set()
    for size_bytes, damages in _in_threads(jobs):
        progress.files += 1
        progress.size_bytes += size_bytes
        watch(progress)
        damaged |= {item.path for item in damages}
        yield from damages
    for commit in commits:
        if damaged.isdisjoint(entry.path for entry in commit.files):  # otherwise the damage is reported already
            yield from _check_commit(root, commit, data=data)
    yield from _missing_packages(root, [(commit, entry) for commit, entry in entries if entry.path not in damaged])
    yield from _leftovers(root, ids, entries, commits)


def _in_threads(jobs: Iterable[Job]) -> Iterator[tuple[int, list[Damage]]]:
    waiting: deque[Future[tuple[int, list[Damage]]]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="verify") as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(job))
                if len(waiting) > 2 * THREADS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _order(commit: Manifest) -> tuple[datetime, str]:
    return commit.committed_at, commit.snapshot_id


def _check_commit(root: Path, commit: Manifest, *, data: bool) -> Iterator[Damage]:
    """Check that the files of a commit agree with each other and with its manifest. Each file alone is sound."""
    for table in {entry.table for entry in commit.files} & BY_NAME.keys():
        for before, after in pairwise(commit.entries(table)):
            reason = overlap(root / before.path, root / after.path, before, BY_NAME[table])
            if reason is not None:
                yield Damage(path=after.path, kind="overlapping_rows", detail=reason)
    try:
        yield from check_scopes(root, commit)
        yield from check_references(root, commit)
        if data:
            yield from check_counts(root, commit)
    except (pa.ArrowException, OSError, KeyError) as error:  # in a file whose hash is right
        detail = " ".join(str(error).split())
        yield Damage(path=layout.run_path(commit.snapshot_id), kind="unreadable_rows", detail=detail)


def _check_file(root: Path, commit: Manifest, entry: FileEntry, *, data: bool) -> tuple[int, list[Damage]]:
    """Check path, size and hash of one file of a commit, and with ``data`` its rows."""
    path = entry.path
    try:
        size_bytes = stat_file(root, path).st_size
        if size_bytes != entry.size_bytes:
            detail = f"{size_bytes:,} bytes, the manifest says {entry.size_bytes:,}"
            return entry.size_bytes, [Damage(path=path, kind="wrong_size", detail=detail)]
        digest = hash_file(root / path)
    except FileNotFoundError:
        return entry.size_bytes, [Damage(path=path, kind="missing", detail=f"named by {commit.snapshot_id}")]
    except OSError as error:
        return entry.size_bytes, [Damage(path=path, kind="unreadable", detail=_reason(error))]
    damage = []
    if digest != entry.sha256:
        detail = f"SHA-256 {digest}, the manifest says {entry.sha256}"
        damage.append(Damage(path=path, kind="wrong_hash", detail=detail))
    if data and entry.table in BY_NAME:  # a later release may have written more tables
        damage += check_rows(root, path, BY_NAME[entry.table], commit, rows=entry.rows)
    return size_bytes, damage


def _check_snapshots_row(root: Path, commit: Manifest, *, data: bool, is_last: bool) -> tuple[int, list[Damage]]:
    """Check the row of ``snapshots`` that makes a commit visible to warehouses.

    It is written after the manifest. So the last commit may lack it for a moment, or until the next run: no damage.
    """
    path = layout.data_path(SNAPSHOTS.name, commit.snapshot_id, commit.snapshot_at)
    try:
        stat_file(root, path)
    except FileNotFoundError:
        detail = "warehouses do not see this commit yet; the next run writes the row"
        return 0, [Damage(path=path, kind="missing", detail=detail, is_note=is_last)]
    except OSError as error:
        return 0, [Damage(path=path, kind="unreadable", detail=_reason(error))]
    return 0, list(check_rows(root, path, SNAPSHOTS, commit, rows=1)) if data else []


def _check_stored(root: Path, path: str) -> tuple[int, list[Damage]]:
    name = PurePosixPath(path).name
    size_bytes = 0
    with suppress(OSError):
        size_bytes = (root / path).lstat().st_size
    if not _STORED_NAME.fullmatch(name) or path not in package_places(name[:64]):
        return size_bytes, [Damage(path=path, kind="foreign", detail="not the name of a package", is_note=True)]
    try:
        stat_file(root, path)
        digest = hash_file(root / path)
    except OSError as error:
        return size_bytes, [Damage(path=path, kind="unreadable", detail=_reason(error))]
    if digest == name[:64]:
        return size_bytes, []
    detail = f"its bytes have the SHA-256 {digest}; remove it, and the next run fetches it again"
    return size_bytes, [Damage(path=path, kind="wrong_hash", detail=detail)]


def _missing_packages(root: Path, entries: Iterable[tuple[Manifest, FileEntry]]) -> Iterator[Damage]:
    reported: set[str] = set()
    for commit, entry in entries:
        for path, sha256_hex in _stored_paths(root, entry):
            if path in reported:
                continue
            if path not in package_places(sha256_hex):
                reported.add(path)
                detail = f"it says that package {sha256_hex} is stored as {path[:200]!r}, where no package is stored"
                yield Damage(path=entry.path, kind="wrong_path", detail=detail)
            # A package that was fetched again after damage lies where packages are stored by now.
            elif not any((root / place).exists() for place in (path, package_path(sha256_hex))):
                reported.add(path)
                detail = f"{entry.table} of {commit.snapshot_id} says it is stored"
                yield Damage(path=path, kind="missing", detail=detail)


def _stored_paths(root: Path, entry: FileEntry) -> Iterator[tuple[str, str]]:
    """Yield path and hash of the stored packages of a table; none if it cannot be read, which is reported elsewhere."""
    if entry.table != PACKAGES.name:
        return
    with suppress(OSError, pa.ArrowException, ValueError), pq.ParquetFile(root / entry.path) as file:
        for batch in file.iter_batches(columns=["status", "sha256_hex", "path"], use_threads=False):
            for row in batch.to_pylist():
                if row["status"] in _IN_STORE and _STORED_NAME.fullmatch(f"{row['sha256_hex']}.zip"):
                    yield row["path"] or "", row["sha256_hex"]


def _leftovers(
    root: Path, ids: Collection[str], entries: Iterable[tuple[Manifest, FileEntry]], commits: Iterable[Manifest]
) -> Iterator[Damage]:
    """Yield the files in the tables' folders that belong to no commit. Only warehouses read them.

    The files of a pruned commit are in order: the next ``prune`` removes them.
    """
    named = {entry.path for _, entry in entries}
    named |= {layout.data_path(SNAPSHOTS.name, item.snapshot_id, item.snapshot_at) for item in commits}
    unread = set(ids) - {item.snapshot_id for item in commits}
    pruned = {path.name.removesuffix(".json") for path in (root / layout.PRUNED).glob("*.json")}
    for path in _files_below(root, layout.RUNS):
        if not is_ulid(PurePosixPath(path).name.removesuffix(".json")):
            yield Damage(path=path, kind="foreign", detail="not a commit", is_note=True)
    for table in registry.tables():
        for path in _files_below(root, table.name):
            snapshot_id = PurePosixPath(path).name[:ULID_LENGTH]
            if path in named or path.startswith(f"{layout.FORMER_STORED_PACKAGES}/") or snapshot_id in unread | pruned:
                continue
            if fnmatchcase(path, f"{SNAPSHOTS.name}/{layout.DATA_FILES}") and snapshot_id not in ids:
                detail = f"{path} says that it was committed; warehouses show it, lexport does not"
                yield Damage(path=layout.run_path(snapshot_id), kind="missing", detail=detail)
            else:
                yield Damage(path=path, kind="foreign", detail="no commit names it", is_note=True)


def _files_below(root: Path, *places: str) -> Iterator[str]:
    for where, folders, names in chain.from_iterable(os.walk(root / place) for place in places):
        folders.sort()
        below = Path(where).relative_to(root).as_posix()
        yield from (f"{below}/{name}" for name in sorted(names))


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
