"""Find damage in a dataset: manifests, the files that they name, stored packages, and files that no commit names.

Threads compute the hashes. Memory does not grow with the size of files or packages.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain, groupby, pairwise
from operator import itemgetter
from pathlib import PurePosixPath

import anyio.to_thread
import pyarrow as pa
from anyio.from_thread import check_cancelled

from lexport.dataset import layout
from lexport.dataset.commits import read_commits
from lexport.dataset.data_files import overlap
from lexport.dataset.manifest import FileEntry, Manifest
from lexport.dataset.store import Store, UnavailableError
from lexport.errors import RunError
from lexport.model import ULID_LENGTH, is_ulid
from lexport.query.catalog import find_commits, location
from lexport.query.verify import stored_packages
from lexport.query.verify.counts import check_counts, check_read, check_references, check_resources, check_scopes
from lexport.query.verify.local_files import LocalFiles
from lexport.query.verify.remedies import remedy
from lexport.query.verify.rows import Damage, check_rows
from lexport.tables import registry
from lexport.tables.functions import FUNCTIONS
from lexport.tables.packages import PACKAGES
from lexport.tables.registry import BY_NAME
from lexport.tables.run import ERRORS, SCOPE_RESOURCES, SCOPES, SNAPSHOTS

THREADS = min(4, os.cpu_count() or 1)
_READ_TABLES = frozenset(table.name for table in (FUNCTIONS, SCOPES, SCOPE_RESOURCES, ERRORS, PACKAGES))
"""Tables whose rows are read without ``data`` too."""

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
    url = location(store)
    try:
        for damage in _find(store, ids, data=data, watch=watch):
            yield replace(damage, remedy=remedy(damage, url))
    except UnavailableError as error:
        raise RunError(f"{url} cannot be read: {error.filename}: {error.strerror}") from error


def _find(store: Store, ids: Sequence[str], *, data: bool, watch: Callable[[VerifyProgress], None]) -> Iterator[Damage]:
    commits: list[Manifest] = []
    for commit in read_commits(store, ids):
        if isinstance(commit, Manifest):
            commits.append(commit)
        elif not _is_removed(store, commit.snapshot_id):
            yield Damage(path=commit.path, kind=commit.kind, detail=commit.reason)
    last = max((_order(commit) for commit in commits), default=None)
    tables = [table.name for table in registry.tables()]
    with LocalFiles(store, (layout.RUNS, layout.STORED_PACKAGES, *tables)) as files:
        in_commits = sum(len(commit.files) + 1 for commit in commits)
        progress = VerifyProgress(files_total=in_commits + sum(1 for _ in files.below(*stored_packages.FOLDERS)))
        jobs: Iterator[tuple[Manifest | None, Job]] = chain(
            ((commit, job) for commit in commits for job in _jobs(files, commit, last, data=data)),
            (
                (None, partial(stored_packages.check_stored, files, path))
                for path in files.below(*stored_packages.FOLDERS)
            ),
        )
        reported: set[str] = set()
        for checked, results in groupby(_in_threads(files, jobs), key=itemgetter(0)):
            damages: list[Damage] = []
            for _, (size_bytes, found) in results:
                progress.files += 1
                progress.size_bytes += size_bytes
                watch(progress)
                damages += found
                if checked is None:
                    yield from found
            if checked is not None and not (_is_lacking(damages) and _is_removed(store, checked.snapshot_id)):
                yield from damages
                yield from _check_commit(files, checked, {item.path for item in damages}, reported, data=data)
            if checked is not None:
                files.drop(entry.path for entry in checked.files)
        yield from _leftovers(files, ids, commits)


def _is_lacking(damages: Iterable[Damage]) -> bool:
    return any(item.kind == "missing" for item in damages)


def _is_removed(store: Store, snapshot_id: str) -> bool:
    """Return whether a commit was removed since its name was listed, as ``lexport prune`` does before its files."""
    return f"{snapshot_id}.json" not in store.names(layout.RUNS)


def _jobs(files: LocalFiles, commit: Manifest, last: object, *, data: bool) -> Iterator[Job]:
    for entry in commit.files:
        yield partial(_check_file, files, commit, entry, data=data)
    yield partial(_check_snapshots_row, files, commit, data=data, is_last=_order(commit) == last)


def _in_threads(
    files: LocalFiles, jobs: Iterable[tuple[Manifest | None, Job]]
) -> Iterator[tuple[Manifest | None, tuple[int, list[Damage]]]]:
    """Yield the results in the order of the jobs, of which some are done at once."""
    waiting: deque[tuple[Manifest | None, Future[tuple[int, list[Damage]]]]] = deque()
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="verify")
    try:
        for commit, job in jobs:
            waiting.append((commit, pool.submit(job)))
            if len(waiting) > 2 * THREADS:
                first, result = waiting.popleft()
                yield first, result.result()
        for first, result in waiting:
            yield first, result.result()
    except BaseException:  # also GeneratorExit and KeyboardInterrupt: no request and no hash is waited for
        files.interrupt()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _order(commit: Manifest) -> tuple[datetime, str]:
    return commit.committed_at, commit.snapshot_id


def _check_commit(
    files: LocalFiles, commit: Manifest, damaged: set[str], reported: set[str], *, data: bool
) -> Iterator[Damage]:
    """Check that the sound files of a commit agree with each other, with its manifest and with the stored packages.

    Where a file is damaged, that is all that is reported of the commit. ``reported`` are paths of missing packages.
    """
    for entry in commit.files:
        if entry.path not in damaged:
            yield from stored_packages.missing_packages(files, commit, entry, reported)
    if not damaged.isdisjoint(entry.path for entry in commit.files):
        return
    for table in {entry.table for entry in commit.files} & BY_NAME.keys():
        for before, after in pairwise(commit.entries(table)):
            paths = files.path_of(before.path), files.path_of(after.path)
            reason = overlap(*paths, before, BY_NAME[table])
            if reason is not None:
                yield Damage(path=after.path, kind="overlapping_rows", detail=reason)
    yield from check_read(commit)
    try:
        yield from check_scopes(files, commit)
        yield from check_resources(files, commit)
        yield from check_references(files, commit)
        if data:
            yield from check_counts(files, commit)
    except (pa.ArrowException, OSError, KeyError) as error:  # in a file whose hash is right
        detail = " ".join(str(error).split())
        yield Damage(path=layout.run_path(commit.snapshot_id), kind="unreadable_rows", detail=detail)


def _check_file(files: LocalFiles, commit: Manifest, entry: FileEntry, *, data: bool) -> tuple[int, list[Damage]]:
    """Check path, size and hash of one file of a commit, and with ``data`` its rows."""
    path = entry.path
    is_kept = data or entry.table in _READ_TABLES or len(commit.entries(entry.table)) > 1
    try:
        size_bytes = files.size_of(path)
        if size_bytes != entry.size_bytes:
            detail = f"{size_bytes:,} bytes, the manifest says {entry.size_bytes:,}"
            return entry.size_bytes, [Damage(path=path, kind="wrong_size", detail=detail)]
        digest = files.hash(path, is_kept=is_kept)
    except UnavailableError:
        raise
    except FileNotFoundError:
        return entry.size_bytes, [Damage(path=path, kind="missing", detail=f"named by {commit.snapshot_id}")]
    except OSError as error:
        return entry.size_bytes, [Damage(path=path, kind="unreadable", detail=_reason(error))]
    damage = []
    if digest != entry.sha256:
        detail = f"SHA-256 {digest}, the manifest says {entry.sha256}"
        damage.append(Damage(path=path, kind="wrong_hash", detail=detail))
    if data and entry.table in BY_NAME:  # a later release may have written more tables
        damage += check_rows(files.path_of(path), path, BY_NAME[entry.table], commit, rows=entry.rows)
    return size_bytes, damage


def _check_snapshots_row(files: LocalFiles, commit: Manifest, *, data: bool, is_last: bool) -> tuple[int, list[Damage]]:
    """Check the row of ``snapshots`` that makes a commit visible to warehouses.

    It is written after the manifest. So the last commit may lack it for a moment, or until the next run: no damage.
    """
    path = layout.data_path(SNAPSHOTS.name, commit.snapshot_id, commit.snapshot_at)
    try:
        files.size_of(path)
        if not data:
            return 0, []
        files.hash(path, is_kept=True)
        damage = list(check_rows(files.path_of(path), path, SNAPSHOTS, commit, rows=1))
    except UnavailableError:
        raise
    except FileNotFoundError:
        detail = "warehouses do not see this commit yet; the next run writes the row"
        return 0, [Damage(path=path, kind="missing", detail=detail, is_note=is_last)]
    except OSError as error:
        return 0, [Damage(path=path, kind="unreadable", detail=_reason(error))]
    files.drop([path])
    return 0, damage


def _leftovers(files: LocalFiles, ids: Collection[str], commits: Iterable[Manifest]) -> Iterator[Damage]:
    """Yield the files in the tables' folders that belong to no commit. Only warehouses read them.

    The files of a pruned commit are in order: the next ``prune`` removes them.
    """
    named = {entry.path for commit in commits for entry in commit.files}
    named |= {layout.data_path(SNAPSHOTS.name, item.snapshot_id, item.snapshot_at) for item in commits}
    pruned = {name.removesuffix(".json") for name in files.store.names(layout.PRUNED)}
    unread = set(ids) - {item.snapshot_id for item in commits} | pruned
    for path in files.below(layout.RUNS):
        if not is_ulid(PurePosixPath(path).name.removesuffix(".json")):
            yield Damage(path=path, kind="foreign", detail="not a commit", is_note=True)
    for table in registry.tables():
        for path in files.below(table.name):
            snapshot_id = PurePosixPath(path).name[:ULID_LENGTH]
            if path in named or path.startswith(f"{layout.FORMER_STORED_PACKAGES}/") or snapshot_id in unread:
                continue
            if fnmatchcase(path, f"{SNAPSHOTS.name}/{layout.DATA_FILES}") and snapshot_id not in ids:
                detail = f"{path} says that it was committed; warehouses show it, lexport does not"
                yield Damage(path=layout.run_path(snapshot_id), kind="missing", detail=detail)
            else:
                yield Damage(path=path, kind="foreign", detail="no commit names it", is_note=True)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
