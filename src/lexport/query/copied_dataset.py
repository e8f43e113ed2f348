"""A copy of a bucket's dataset in a folder, for programs that read files alone: the commits and the files they name."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lexport.dataset.data_files import fetch_entries, find_file, has_values
from lexport.dataset.layout import RUNS, run_path
from lexport.dataset.local import LocalStore, write_error
from lexport.dataset.manifest import FileEntry
from lexport.errors import ReadError, SettingsError
from lexport.query.catalog import Catalog
from lexport.tables.registry import BY_NAME

MARK = ".lexport-copy"
"""The file in a copy that names the dataset it is of. A folder without it is not changed."""


@dataclass(frozen=True, slots=True)
class CopiedStore(LocalStore):
    """A folder with a copy of the dataset at ``origin``, by which messages call it."""

    origin: str = ""

    @property
    def url(self) -> str:
        """The URL of the dataset."""
        return self.origin


def copy_dataset(catalog: Catalog, folder: Path) -> Catalog:
    """Bring a folder up to date with a dataset in a bucket, and return the catalog of the copy. Blocking.

    What is there is not downloaded again, and what no commit names any more is removed. A damaged or lost file of the
    bucket is left out. A commit gets its place in the folder after its files. Raises SettingsError for a folder that is
    no copy of this dataset, WriteError, RunError.
    """
    origin = catalog.store.url
    store = CopiedStore(folder.resolve(), origin=origin)
    try:
        _check(store.root, origin)
        if any(map(has_values, catalog.manifests)) and not catalog.store.caches_values:
            raise SettingsError(
                f"the dataset {origin} has environment values, and views need copies of its files on this machine:"
                " allow them with --cache-values",
                option="--cache-values",
            )
        store.make_folder(RUNS)
        (store.root / MARK).write_text(f"{origin}\n", encoding="utf-8")
        _remove_others(store.root, catalog)
        missing = [
            (commit, entry)
            for commit in catalog.manifests
            for entry in commit.files
            if entry.table in BY_NAME and not _is_there(store.root, entry)
        ]
        fetch_entries(catalog.store, missing)
        for commit, entry in missing:
            with suppress(ReadError):
                _copy(find_file(catalog.store, commit, entry), store, entry)
        for commit in catalog.manifests:
            if not (store.root / run_path(commit.snapshot_id)).exists():
                store.create(run_path(commit.snapshot_id), commit.to_json())
    except OSError as error:
        raise write_error(Path(error.filename or folder), error) from error
    return replace(catalog, store=store)


def _check(folder: Path, origin: str) -> None:
    """Raise SettingsError for a folder with anything else than a copy of the dataset."""
    try:
        mark = (folder / MARK).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        mark = ""
    if mark.strip() == origin or (
        not mark and not (folder.exists() and (not folder.is_dir() or any(folder.iterdir())))
    ):
        return
    what = f"a copy of {mark.strip()}" if mark else "something else"
    raise SettingsError(f"--copy-to {folder} holds {what}; choose another folder", option="--copy-to")


def _remove_others(folder: Path, catalog: Catalog) -> None:
    """Remove the commits that are not in the catalog, and then the files that no commit names."""
    kept = {run_path(commit.snapshot_id) for commit in catalog.manifests}
    kept |= {entry.path for commit in catalog.manifests for entry in commit.files}
    for below in (RUNS, *BY_NAME):
        for path in sorted((folder / below).rglob("*")):
            if path.is_file() and path.relative_to(folder).as_posix() not in kept:
                path.unlink()


def _is_there(folder: Path, entry: FileEntry) -> bool:
    path = folder / entry.path
    return path.is_file() and path.stat().st_size == entry.size_bytes


def _copy(source: Path, store: CopiedStore, entry: FileEntry) -> None:
    """Give a file of the cache its place in the copy; it is linked where both are in one file system."""
    target = store.root / entry.path
    store.make_folder(os.path.dirname(entry.path))  # noqa: PTH120 - a path of the dataset
    draft = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        try:
            draft.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, draft)
            draft.chmod(store.file_mode)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
