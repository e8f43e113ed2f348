"""Write the files that loaders need to take in one run. Blocking."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lexport.dataset.local import sync_file
from lexport.dataset.manifest import Manifest
from lexport.errors import SettingsError
from lexport.query.catalog import Catalog, open_catalog
from lexport.query.feed.target import errors_of_writing, find_target, open_draft
from lexport.query.publish.load_files import DESCRIPTION, load_files
from lexport.query.warehouse.dialects import DIALECTS
from lexport.query.warehouse.location import check_location
from lexport.settings import Destination


@dataclass(frozen=True, slots=True)
class LoadFiles:
    """What was written: the names of the files, and the run that they load."""

    names: tuple[str, ...]
    commit: Manifest


def write_load_files(
    dest: str | os.PathLike[str] | Destination,
    path: str | os.PathLike[str],
    *,
    snapshot_id: str | None = None,
    location: str | None = None,
) -> LoadFiles:
    """Write the files for one run of ``dest``, by default its newest snapshot, into the new folder ``path``.

    ``location`` is the URL by which warehouses read ``dest``, which a dataset in a bucket has itself. Raises
    SettingsError for a run that is not there, and as ``feed`` does for ``path``.
    """
    url = dest.url if isinstance(dest, Destination) else os.fspath(dest)
    root = _location(url, location)
    target = find_target(path, is_file=False, dest=dest)
    commit = _commit(open_catalog(dest), snapshot_id)
    shown = path.url if isinstance(path, Destination) else os.fspath(path)
    manifests = shown.rstrip("/") if "://" in shown else f"s3://BUCKET/{Path(shown).name}"
    texts = load_files(commit, location=root, manifests=manifests)
    with errors_of_writing(shown), open_draft(target, f"{commit.snapshot_id}-load-files") as draft:
        for name, text in texts.items():
            (draft / name).write_text(text, encoding="utf-8")
            sync_file(draft / name)
        target.publish([*(draft / name for name in texts if name != DESCRIPTION), draft / DESCRIPTION])
    return LoadFiles(tuple(texts), commit)


def _location(url: str, location: str | None) -> str:
    if location is None and "://" not in url:
        raise SettingsError(
            f"{url} is a folder of this machine: give --location, the URL by which the warehouse reads it",
            option="--location",
        )
    return check_location(location or url, DIALECTS["trino"])


def _commit(catalog: Catalog, snapshot_id: str | None) -> Manifest:
    if snapshot_id is None:
        return catalog.newest
    for commit in catalog.manifests:
        if commit.snapshot_id == snapshot_id:
            return commit
    raise SettingsError(
        f"--snapshot {snapshot_id}: there is no such run; the newest snapshot is {catalog.newest.snapshot_id}",
        option="--snapshot",
    )
