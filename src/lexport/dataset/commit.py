"""Publish a snapshot: all of it or nothing.

Data files are linked first; readers ignore them until a commit lists them. The commit is one file that is created only
if absent. The row in ``snapshots`` and the hint ``_latest.json`` are written after it; where that fails,
the next run writes them.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
from anyio import CancelScope, to_thread

from lexport.dataset import layout
from lexport.dataset.commits import DamagedCommit, all_commits, is_committed, read_commit, unreadable
from lexport.dataset.hint import move_hint
from lexport.dataset.linking import NO_HARD_LINKS, link_new
from lexport.dataset.local import FULL, LocalStore, clear, local_folder, write_error
from lexport.dataset.manifest import Manifest
from lexport.dataset.parquet import WrittenFile
from lexport.dataset.snapshot import StagedCommit
from lexport.dataset.store import Store
from lexport.errors import CredentialsError, PublishError, RunError, SettingsError, UnknownCommitError
from lexport.model import new_ulid
from lexport.tables import registry
from lexport.tables.arrow import table_schema
from lexport.tables.registry import BY_NAME
from lexport.tables.run import SNAPSHOTS

logger = logging.getLogger(__name__)

_SENT_AT_ONCE = 4  # a snapshot has a file for every table, most of them small: each waits for one response

_TRANSIENT = FULL | {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT, errno.ESTALE, errno.EINTR}
_OURS = {layout.RUNS, layout.STAGING, layout.LATEST_HINT, layout.PRUNED, layout.STORED_PACKAGES}


def prepare_destination(dest: Path, *, group_readable: bool, with_packages: bool = False) -> LocalStore:
    """Check that a snapshot can be published into a folder, and create the folder if it is absent.

    Raises SettingsError for a file, for a folder that cannot be written, and for one with other content.
    """
    store = LocalStore(local_folder(dest).absolute(), group_readable)
    try:
        if dest.exists() and not dest.is_dir():
            raise SettingsError(f"DEST {dest} is a file, not a folder", option="DEST")
        others = [
            name
            for name in store.names("")
            if name not in _OURS and name not in BY_NAME and not name.startswith((".", "lost+found"))
        ]
        if others and layout.RUNS not in store.names(""):
            raise SettingsError(
                f"DEST {dest} holds something else ({others[0]}); choose an empty folder or a lexport dataset",
                option="DEST",
            )
        store.make_folder(layout.STAGING)
        store.names(layout.RUNS)
        tables = [table.name for table in registry.tables()]
        folders = ("", layout.RUNS, *tables, *([f"{layout.STORED_PACKAGES}/sha256"] if with_packages else ()))
        _probe(store, [folder for folder in folders if os.path.lexists(store.root / folder)])
    except OSError as error:
        raise _cannot_be_written(Path(error.filename or dest), error, dest) from error
    return store


def _cannot_be_written(path: Path, error: OSError, dest: Path) -> RunError:
    """Make the error of a destination: a disk error may be transient, any other error means a wrong DEST."""
    if error.errno in _TRANSIENT:
        return write_error(path, error)
    where = f"{path}: " if path != dest and error.strerror else ""
    return SettingsError(f"DEST {dest} cannot be written: {where}{error.strerror or error}", option="DEST")


def _probe(store: LocalStore, folders: Sequence[str]) -> None:
    """Publish an empty file into each folder and remove it, so that an error is found before anything is read."""
    name = f".probe-{new_ulid(datetime.now(UTC))}-{os.getpid()}"
    source = target = store.root / layout.STAGING / name
    try:
        for folder in folders:
            target = store.root / folder / name
            store.make_folder(folder)  # it exists; this checks that it is a folder within the destination
            source.touch(mode=store.file_mode)  # recreate it if linking renamed it
            link_new(source, target)
            target.unlink()
    except OSError as error:
        if error.errno == errno.EXDEV:
            error.strerror = (
                f"it is on a different file system from {store.root / layout.STAGING}, where files are written; keep a"
                " dataset on one file system"
            )
        elif error.errno in NO_HARD_LINKS:
            error.strerror = (
                f"{error.strerror}: files cannot be created there without risking an overwrite (hard links and"
                " renameat2 are refused); choose a folder on another file system"
            )
        clear(target)
        raise _cannot_be_written(target.parent, error, store.root) from error
    finally:
        clear(source)


async def publish(store: Store, staged: StagedCommit, *, attempt: int) -> tuple[Manifest, list[str]]:
    """Commit in a thread; return the commit and notes for the user.

    A cancellation of the caller has no effect: publishing is short and always runs to its end.
    """
    notes: list[str] = []
    with CancelScope(shield=True):  # anyio would cancel repeatedly; the separate task shields from asyncio
        call = partial(commit, store, staged.manifest, staged.files, note=notes.append, attempt=attempt)
        work = asyncio.ensure_future(to_thread.run_sync(call))
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
    return work.result(), notes


def commit(
    store: Store,
    draft: Manifest,
    files: Mapping[str, WrittenFile],
    *,
    note: Callable[[str], None],
    attempt: int = 1,
) -> Manifest:
    """Publish: place the files, create the commit, then write the row in ``snapshots`` and the hint; return the commit.

    ``files`` maps paths of the manifest to finished, synced files; the other files are in the store already. Each
    ``attempt`` at a snapshot gives its files other names, so that one that was stopped and goes on cannot remove or
    name a file of another. What earlier ones left is removed once the commit exists.
    Blocking. Raises PublishError when the snapshot exists and WriteError when a write fails; all its files are then
    removed. Earlier snapshots are never touched. Once the commit exists, nothing is removed or raised, and
    ``note`` is called with each later failure.
    """
    placed = [entry.path for entry in draft.files if entry.path not in files]
    left_behind = _left_behind(store, draft, placed) if attempt > 1 or placed else []
    if attempt > 1:
        draft, files = _renumbered(draft, files, attempt, left_behind)
    try:
        _place(store, files, placed, snapshot_id=draft.snapshot_id)
        for folder in sorted({str(PurePosixPath(path).parent) for path in placed}):
            store.sync_folder(folder)
        done = replace(draft, committed_at=datetime.now(UTC))
        # Creating this file publishes the snapshot.
        unsure = store.create(layout.run_path(done.snapshot_id), done.to_json())
    except UnknownCommitError as error:
        raise UnknownCommitError(
            f"{error}; the snapshot {draft.snapshot_id} may or may not be published, so its files were kept; see"
            f" lexport status {store.url}, and run lexport verify {store.url}",
            path=error.path,
        ) from error
    except (OSError, RunError, ValueError):
        for path in placed:
            with suppress(OSError):  # an error here must not hide the error before it
                store.remove(path)
        raise
    published = done.snapshot_id, len(done.files), sum(entry.size_bytes for entry in done.files), store.url
    logger.info("published %s: %d files, %d bytes, in %s", *published, extra={"snapshot_id": done.snapshot_id})
    if unsure is not None:
        note(
            f"warning: {done.snapshot_id} is published, but may not survive a power loss:"
            f" {unsure.strerror} at {unsure.filename or f'{store.url}/{layout.RUNS}'}; check the disk, and run"
            f" lexport verify {store.url}"
        )
    with _postponed("the removal of files of an earlier attempt", note):
        for path in left_behind:
            store.remove(path)
    finish_commit(store, done, note=note)
    return done


def _place(store: Store, files: Mapping[str, WrittenFile], placed: list[str], *, snapshot_id: str) -> None:
    """Give files their names in the store, several at once in a bucket; ``placed`` gets each that has its name."""

    def place(path: str, source: WrittenFile) -> None:
        store.place(source.path, path, sha256=source.sha256)
        placed.append(path)
        logger.debug("placed %s", path, extra={"snapshot_id": snapshot_id})

    at_once = 1 if store.moved is None else _SENT_AT_ONCE
    with ThreadPoolExecutor(at_once, thread_name_prefix="lexport-place") as pool:
        jobs = [pool.submit(place, path, source) for path, source in files.items()]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def published_run(store: Store, snapshot_id: str, *, note: Callable[[str], None]) -> Manifest | None:
    """Return a run that is published, and do what its process left to do if it was killed; None where it is not.

    Blocking. Raises CredentialsError, SettingsError and RunError where the commit cannot be read.
    """
    try:
        if f"{snapshot_id}.json" not in store.names(layout.RUNS):
            return None
    except OSError as error:
        raise unreadable(store, error, dest=store.url) from error
    published = read_commit(store, snapshot_id)
    if isinstance(published, DamagedCommit):
        raise CredentialsError(str(published)) if published.is_denied else RunError(published.note)
    if any(store.files(layout.staging_folder(snapshot_id))):
        finish_commit(store, published, note=note)
        store.remove_folder(layout.staging_folder(snapshot_id))
    return published


def finish_commit(store: Store, done: Manifest, *, note: Callable[[str], None]) -> None:
    """Write what follows a commit; ``note`` is called with each failure."""
    with _postponed("the row in snapshots", note):
        write_snapshot_rows(store, done, note=note)
    if done.is_snapshot:
        with _postponed(layout.LATEST_HINT, note):
            move_hint(store)


def _left_behind(store: Store, draft: Manifest, placed: Collection[str]) -> list[str]:
    """Return the data files of this snapshot that an earlier attempt placed, or a try of a task that came late.

    ``placed`` are the files in the store that the manifest names.
    """
    folders = sorted({(entry.table, str(PurePosixPath(entry.path).parent)) for entry in draft.files})
    prefix = layout.data_prefix(draft.snapshot_id, draft.snapshot_at)
    kept = set(placed)
    return [
        path
        for table, folder in folders
        for name in store.names(folder)
        if layout.is_data_path(path := f"{folder}/{name}", table, prefix) and path not in kept
    ]


def _renumbered(
    draft: Manifest, files: Mapping[str, WrittenFile], attempt: int, taken: Sequence[str]
) -> tuple[Manifest, dict[str, WrittenFile]]:
    """Give the files the numbers of an attempt, and above all that are taken."""
    most = max((layout.number_of_data_path(path) for path in files), default=0) + 1
    first = layout.first_number(attempt, map(layout.number_of_data_path, taken), files=most)
    paths = {
        path: layout.data_path(
            path.partition("/")[0], draft.snapshot_id, draft.snapshot_at, first + layout.number_of_data_path(path)
        )
        for path in files
    }
    entries = tuple(replace(entry, path=paths.get(entry.path, entry.path)) for entry in draft.files)
    return replace(draft, files=entries), {paths[path]: file for path, file in files.items()}


@contextmanager
def _postponed(name: str, note: Callable[[str], None]) -> Iterator[None]:
    """Note a failed write after the commit: the snapshot exists, so the run must not fail."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - no error may make the run fail
        note(f"{name} will be written by the next run: {error}")


def write_snapshot_rows(store: Store, own: Manifest, *, note: Callable[[str], None]) -> None:
    """Write the row in ``snapshots`` of this commit and of every commit that has none, because its run crashed.

    ``note`` is called with each damaged commit.
    """
    _write_snapshot_row(store, own)
    for done in all_commits(store):
        if isinstance(done, DamagedCommit):
            note(done.note)
        elif done.snapshot_id != own.snapshot_id:
            with suppress(OSError, RunError):
                _write_snapshot_row(store, done)


def snapshot_row(done: Manifest) -> pa.Table:
    """Return the row in ``snapshots`` of a commit."""
    row = {name: getattr(done, name, None) for name in SNAPSHOTS.names()}
    return pa.Table.from_pylist([row], schema=table_schema(SNAPSHOTS))


def _write_snapshot_row(store: Store, done: Manifest) -> None:
    path = layout.data_path(SNAPSHOTS.name, done.snapshot_id, done.snapshot_at)
    try:
        store.stat(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise write_error(Path(f"{store.url}/{path}"), error) from error
    else:
        return
    body = pa.BufferOutputStream()
    pq.write_table(snapshot_row(done), body, compression="zstd", write_page_checksum=True)
    with suppress(PublishError):  # another run may write the same row
        store.create(path, body.getvalue().to_pybytes())
    store.sync_folder(str(PurePosixPath(path).parent))
    if not is_committed(store, done.snapshot_id):
        store.remove(path)  # prune removes the commit before its row, so it may not have seen this row
