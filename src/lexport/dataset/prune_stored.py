"""Remove stored packages that no commit names: a mark lists them first, and they go after the grace period. Blocking.

A run that finds a package stored does not fetch it again, and names it when it commits. So nothing is removed while a
run is at work or can be resumed, and a listed package that is named again stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from lexport.dataset import layout
from lexport.dataset.manifest import NO_JSON, Manifest, format_instant
from lexport.dataset.prune_listing import Listing
from lexport.dataset.prune_order import Action, PruneItem
from lexport.dataset.pruned import PrunedFile, read_mark
from lexport.dataset.store import Store, StoredFile
from lexport.errors import ReadError
from lexport.model import is_ulid, new_ulid
from lexport.tables.packages import PACKAGES
from lexport.tables.text import first_of, plural
from lexport.tables.units import format_age

FORMAT = "lexport-pruned-packages/1"

_STORED = re.compile(
    rf"(?:{layout.STORED_PACKAGES}/sha256|{layout.FORMER_STORED_PACKAGES})/([0-9a-f]{{2}})/\1[0-9a-f]{{62}}\.zip"
)


class _Mark(msgspec.Struct, frozen=True):
    format: str
    files: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class StoredPackages:
    """What became of stored packages, and why nothing did."""

    items: list[PruneItem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def prune_stored_packages(
    store: Store,
    listing: Listing,
    commits: Sequence[Manifest],
    *,
    waiting: Sequence[str],
    now: datetime,
    grace: timedelta,
    is_dry_run: bool,
    watch: Callable[[], object],
) -> StoredPackages:
    """Remove what was listed long enough ago, and list what is not named now.

    ``commits`` are all readable ones, ``waiting`` the pruned ones whose files are still there; both name packages.
    """
    result = StoredPackages()
    if blocked := _reason_to_wait(listing, now, grace):
        result.notes.append(f"stored packages stay: {blocked}")
        return result
    unnamed = {file.path: file for file in _stored(store, watch)}
    try:
        for path in _named_paths(store, commits, waiting, watch):
            unnamed.pop(path, None)
    except (OSError, pa.ArrowException, KeyError, ReadError) as error:
        result.notes.append(f"stored packages stay: the table packages cannot be read: {' '.join(str(error).split())}")
        return result
    old, young = _listed(store, listing, now, grace)
    going = sorted(unnamed.keys() & old)
    if not is_dry_run and (started := _remove(store, going, listing, watch)):
        result.notes.append(f"stored packages stay: the run {started} has begun, and may use them")
        return result
    staying = sorted(unnamed.keys() - old)
    result.items += [_item(unnamed[path], "remove", f"no snapshot named it for {format_age(grace)}") for path in going]
    result.items += [_item(unnamed[path], "wait", "no snapshot names it") for path in staying]
    if not is_dry_run:
        if fresh := [path for path in staying if path not in young]:
            _write_mark(store, fresh, now)
        for mark in listing.package_marks:
            if now - mark.modified_at >= grace:
                store.remove(mark.path)
    return result


def _remove(store: Store, paths: Iterable[str], listing: Listing, watch: Callable[[], object]) -> str | None:
    """Remove packages until a run begins, which may have found one of them stored; return that run."""
    for path in paths:
        watch()
        for name in store.names(layout.STAGING):
            if is_ulid(name) and name not in listing.staged_names:
                return name
        store.remove(path)
    return None


def _reason_to_wait(listing: Listing, now: datetime, grace: timedelta) -> str | None:
    if living := listing.living(now, grace):
        return f"the run {first_of(sorted(living))} is at work or can be resumed, and may use them"
    if listing.unreadable:
        ids = first_of([commit.snapshot_id for commit in listing.unreadable])
        return f"{plural(len(listing.unreadable), 'snapshot')} cannot be read, so what it names is unknown: {ids}"
    return None


def _stored(store: Store, watch: Callable[[], object]) -> Iterator[StoredFile]:
    for folder in (layout.STORED_PACKAGES, layout.FORMER_STORED_PACKAGES):
        for file in store.files(folder):
            watch()
            if _STORED.fullmatch(file.path):
                yield file


def _named_paths(
    store: Store, commits: Iterable[Manifest], waiting: Iterable[str], watch: Callable[[], object]
) -> Iterator[str]:
    """Yield the paths in the tables ``packages`` of all commits, also of pruned ones whose files are still there."""
    for commit in commits:
        for entry in commit.entries(PACKAGES.name):
            watch()
            yield from _paths(store, entry.path, entry.size_bytes, entry.sha256)
    for run in waiting:
        known = read_mark(store, run)
        for file in known.files if known else ():
            if file.path.startswith(f"{PACKAGES.name}/"):
                watch()
                yield from _paths(store, file.path, file.size_bytes, _hash_of(file, store))


def _hash_of(file: PrunedFile, store: Store) -> str:
    if file.sha256 is None:
        raise ReadError(f"the hash of {file.path} is unknown, and it is still there", path=f"{store.url}/{file.path}")
    return file.sha256


def _paths(store: Store, path: str, size_bytes: int, sha256: str) -> Iterator[str]:
    local = store.local_copy(path, size_bytes=size_bytes, sha256=sha256)
    with pq.ParquetFile(local) as file:
        for batch in file.iter_batches(columns=["path"], use_threads=False):
            yield from (value for value in batch.column("path").to_pylist() if value is not None)


def _listed(store: Store, listing: Listing, now: datetime, grace: timedelta) -> tuple[set[str], set[str]]:
    """Return the packages that older marks list, longer ago than the grace period and since."""
    old: set[str] = set()
    young: set[str] = set()
    for mark in listing.package_marks:
        try:
            known = msgspec.json.decode(store.read(mark.path), type=_Mark)
        except (FileNotFoundError, *NO_JSON):
            continue  # what it lists is listed again
        (old if now - mark.modified_at >= grace else young).update(known.files)
    return old, young


def _write_mark(store: Store, paths: Sequence[str], now: datetime) -> None:
    document = {
        "format": FORMAT,
        "pruned_at": format_instant(now),
        "reason": "no snapshot names these packages",
        "files": paths,
    }
    body = json.dumps(document, indent=1).encode() + b"\n"
    store.create(f"{layout.PRUNED}/{layout.PACKAGE_MARK}{new_ulid(now)}.json", body)


def _item(file: StoredFile, action: Action, reason: str) -> PruneItem:
    return PruneItem(
        kind="package", name=file.path, at=file.modified_at, action=action, reason=reason, size_bytes=file.size_bytes
    )
