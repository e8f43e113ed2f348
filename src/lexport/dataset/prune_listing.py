"""What is in a dataset, as ``prune`` sees it. Blocking.

The order of the listings is what makes removing safe beside runs and other prunes: first the data files, then the
staging folders, then the commits, then the marks. A run places files, commits, and only then removes its staging
folder; a prune marks a commit before it removes it. So for each file that was seen first, its staging folder, its
commit or its mark is seen later, or its run gave it up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lexport.dataset import layout
from lexport.dataset.claims import STALE_AFTER
from lexport.dataset.commits import DamagedCommit, all_commits, is_committed
from lexport.dataset.manifest import Manifest
from lexport.dataset.store import Store, StoredFile
from lexport.model import ULID_PATTERN, is_ulid, ulid_time
from lexport.tables.run import SNAPSHOTS

LIVING_FOR = STALE_AFTER
"""A run that wrote something in this time may be at work, however short the grace period is."""

_TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DATA = re.compile(
    rf"[a-z][a-z0-9_]{{0,62}}/snapshot_date=\d{{4}}-\d\d-\d\d/({ULID_PATTERN})-\d{{4}}\.parquet", re.ASCII
)
_DRAFT = re.compile(
    rf"\.(?:.+\.[0-9]+\.[0-9a-f]{{8}}|probe-{ULID_PATTERN}(?:-[0-9]+)?|snapshots-{ULID_PATTERN}\.parquet)", re.ASCII
)
"""Temporary names, which the process that made them renames or removes, unless it is killed."""


@dataclass(slots=True)
class StagedFolder:
    """The staging folder of a run: its size, and the time of its newest file; the run's own start where it has none."""

    last_write_at: datetime
    size_bytes: int = 0


@dataclass(slots=True, kw_only=True)
class Listing:
    """Everything that ``prune`` may remove, and the commits that say what is needed."""

    data: dict[str, list[StoredFile]] = field(default_factory=dict)
    """The data files by run."""
    staging: dict[str, StagedFolder] = field(default_factory=dict)
    staged_names: set[str] = field(default_factory=set)
    """The names in the folder of staging; a new one is that of a run that began later."""
    temporary: list[StoredFile] = field(default_factory=list)
    """Partial downloads and files under temporary names."""
    commits: tuple[Manifest | DamagedCommit, ...] = ()
    """Newest first."""
    marks: dict[str, StoredFile] = field(default_factory=dict)
    package_marks: list[StoredFile] = field(default_factory=list)

    @property
    def readable(self) -> list[Manifest]:
        """The commits that can be read, newest first."""
        return [commit for commit in self.commits if isinstance(commit, Manifest)]

    @property
    def unreadable(self) -> list[DamagedCommit]:
        """The other ones, and those whose manifest is lost: ``snapshots`` has a row, and nobody pruned them."""
        known = {commit.snapshot_id for commit in self.commits}
        lost = (run for run in self.data if run not in known and run not in self.marks and self.row_of(run))
        return [
            *(commit for commit in self.commits if isinstance(commit, DamagedCommit)),
            *(
                DamagedCommit(
                    snapshot_id=run, path=layout.run_path(run), kind="missing", reason="snapshots has a row of it"
                )
                for run in sorted(lost, reverse=True)
            ),
        ]

    def row_of(self, run: str) -> StoredFile | None:
        """Return the file of a commit in ``snapshots``, which makes it visible to warehouses."""
        files = self.data.get(run, ())
        return next((file for file in files if file.path.startswith(f"{SNAPSHOTS.name}/")), None)

    def is_intact(self, commit: Manifest) -> bool:
        """Return whether all files of a commit are there in their size."""
        sizes = {file.path: file.size_bytes for file in self.data.get(commit.snapshot_id, ())}
        return all(sizes.get(entry.path) == entry.size_bytes for entry in commit.files)

    def living(self, now: datetime, grace: timedelta) -> set[str]:
        """Return the runs that are at work or can be resumed: they wrote something within the grace period."""
        since = now - max(grace, LIVING_FOR)
        return {run for run, folder in self.staging.items() if folder.last_write_at > since}


def list_dataset(store: Store, watch: Callable[[], object]) -> Listing:
    """List a dataset. Raises OSError where something may not be listed: denied is never empty."""
    listing = Listing()
    for table in filter(_TABLE.fullmatch, store.names("")):
        for file in store.files(table):
            watch()
            if match := _DATA.fullmatch(file.path):
                listing.data.setdefault(match[1], []).append(file)
    _list_staging(store, listing)
    for folder in ("", layout.RUNS):
        listing.temporary += _temporary(store, folder, store.names(folder))
    commits: list[Manifest | DamagedCommit] = []
    for commit in all_commits(store):
        watch()
        if isinstance(commit, Manifest) or is_committed(store, commit.snapshot_id):  # else it was pruned meanwhile
            commits.append(commit)
    listing.commits = tuple(commits)
    for file in store.files(layout.PRUNED):
        _list_mark(listing, file)
    return listing


def _list_staging(store: Store, listing: Listing) -> None:
    listing.staged_names = set(store.names(layout.STAGING))
    if store.moved is None:  # a bucket has no empty folders; what some servers show as such goes by itself
        for run in filter(is_ulid, listing.staged_names):
            listing.staging[run] = StagedFolder(ulid_time(run))
    for file in store.files(layout.STAGING):
        run, _, rest = file.path.removeprefix(f"{layout.STAGING}/").partition("/")
        if is_ulid(run) and rest:
            folder = listing.staging.setdefault(run, StagedFolder(file.modified_at))
            if not folder.size_bytes:
                folder.last_write_at = file.modified_at
            folder.last_write_at = max(folder.last_write_at, file.modified_at)
            folder.size_bytes += file.size_bytes
        elif _DRAFT.fullmatch(run) or rest.endswith(".part"):
            listing.temporary.append(file)


def _list_mark(listing: Listing, file: StoredFile) -> None:
    name = file.path.removeprefix(f"{layout.PRUNED}/")
    stem = name.removesuffix(".json")
    if _DRAFT.fullmatch(name):
        listing.temporary.append(file)
    elif name.endswith(".json") and is_ulid(stem):
        listing.marks[stem] = file
    elif name.endswith(".json") and is_ulid(stem.removeprefix(layout.PACKAGE_MARK)):
        listing.package_marks.append(file)


def _temporary(store: Store, folder: str, names: Iterable[str]) -> list[StoredFile]:
    found = []
    for name in filter(_DRAFT.fullmatch, names):
        try:
            found.append(store.stat(f"{folder}/{name}" if folder else name))
        except OSError:
            continue  # it was renamed meanwhile, or it is no file
    return found
