"""The committed snapshots of a dataset, and their files.

A snapshot exists exactly when ``_runs/<snapshot_id>.json`` does; no other file is evidence. A damaged
snapshot does not hide others: it is skipped, and listed in ``Catalog.damaged`` and ``notices``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

from lexport.dataset import layout
from lexport.dataset.commits import (
    DamagedCommit,
    commit_ids,
    newest_settled,
    newest_whole,
    read_commits,
    unreadable,
)
from lexport.dataset.local import LocalStore
from lexport.dataset.manifest import Manifest, ScopeEntry
from lexport.dataset.open_store import open_store
from lexport.dataset.store import Store
from lexport.errors import CredentialsError, NoSnapshotError, ReadError, RunError, SettingsError
from lexport.model import GLOBAL_REGION, Scope
from lexport.query.as_of import parse_moment
from lexport.query.resources import read_resources, unread_lines
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import BY_NAME, PACKAGE_TABLES, fleet_resources, resource_of, resources_read, tables_read
from lexport.tables.run import RETIRED
from lexport.tables.staged import CHILD_TABLES
from lexport.tables.table import Table
from lexport.tables.text import first_of, plural, words_of
from lexport.tables.units import format_age

DEFAULT_MAX_SKEW = timedelta(hours=36)

T = TypeVar("T")

_MOST_NAMED = 3  # damaged commits that are listed one per line


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """A destination with at least one snapshot or retirement. ``manifests`` are all its commits, newest first.

    ``damaged`` are the commits whose manifest is unreadable; their content is unknown.
    """

    store: Store
    manifests: tuple[Manifest, ...]
    damaged: tuple[DamagedCommit, ...] = ()

    @property
    def snapshots(self) -> tuple[Manifest, ...]:
        """The commits that read the fleet, newest first: neither package-only commits nor retirements."""
        return tuple(commit for commit in self.manifests if commit.is_snapshot)

    @property
    def fleet_commits(self) -> tuple[Manifest, ...]:
        """The snapshots and the retirements, newest first."""
        return tuple(commit for commit in self.manifests if commit.scopes)

    @property
    def newest(self) -> Manifest:
        """The newest snapshot, whichever account-regions it covers; the newest retirement where no snapshot is left."""
        return (self.snapshots or self.fleet_commits)[0]

    def newest_with(self, table: str) -> tuple[Manifest, ...]:
        """Return, for a package table, the newest commit that contains it; otherwise the newest snapshot."""
        if BY_NAME[table] not in PACKAGE_TABLES:
            return self.snapshots[:1]
        return tuple(islice((commit for commit in self.manifests if commit.entries(table)), 1))

    def latest(self) -> dict[Scope, Manifest]:
        """Return, for each account-region that is not retired, the newest snapshot that read all of it."""
        return newest_whole(self.manifests)

    def retired(self) -> dict[Scope, Manifest]:
        """Return, for each account-region that is retired and was not read whole since, the retirement."""
        return {scope: commit for scope, commit in self.settled().items() if commit.is_retirement}

    def settled(self) -> dict[Scope, Manifest]:
        """Return, for each account-region, the newest commit that read all of it or retired it."""
        return newest_settled(self.manifests)

    def settled_before(self) -> dict[Scope, Manifest]:
        """Return, for each account-region, the newest commit before its last attempt that read all of it or retired it.

        A retirement is an attempt too; a second one of the same reading has nothing more to say.
        """
        attempts = self.last_attempts()

        def is_before(scope: Scope, commit: Manifest) -> bool:
            attempt, _ = attempts[scope]
            return commit.snapshot_id < attempt.snapshot_id and not (attempt.is_retirement and commit.is_retirement)

        return newest_settled(self.manifests, is_eligible=is_before)

    def last_attempts(self) -> dict[Scope, tuple[Manifest, ScopeEntry]]:
        """Return, for each account-region, the last attempt to read all of it: the snapshot and its entry.

        Where it was retired since, that is the retirement. An account whose role could not be assumed has an entry of
        the Region ``aws-global``. It counts until the role can be assumed, or something of the account is retired.
        """
        attempts: dict[Scope, tuple[Manifest, ScopeEntry]] = {}
        newest: dict[str, str] = {}
        for snapshot in self.manifests:
            for entry in snapshot.scopes:
                if entry.coverage == "fleet":
                    attempts.setdefault(entry.scope, (snapshot, entry))
                    newest.setdefault(entry.account_id, snapshot.snapshot_id)
        return {
            scope: (snapshot, entry)
            for scope, (snapshot, entry) in attempts.items()
            if scope.region != GLOBAL_REGION or snapshot.snapshot_id == newest[scope.account_id]
        }

    def as_of(self, moment: str, *, option: str) -> Catalog:
        """Return the catalog of the commits that began no later than ``moment``; raises SettingsError."""
        until = parse_moment(moment, self.fleet_commits, option=option)
        return replace(
            self,
            manifests=tuple(commit for commit in self.manifests if until.covers(commit)),
            damaged=tuple(commit for commit in self.damaged if until.covers_id(commit.snapshot_id)),
        )

    def files(self, table: str, snapshots: Iterable[Manifest] | None = None) -> tuple[Path, ...]:
        """Return the committed files of a table, newest first; of all commits, or of some.

        Raises ReadError where a file is missing or differs from the manifest. Blocking.
        """
        from lexport.dataset.data_files import find_files  # imports Arrow, which `status` does not need

        return tuple(
            path
            for snapshot in (self.manifests if snapshots is None else snapshots)
            for path in find_files(self.store, snapshot, BY_NAME[table])
        )

    def without_removed(self) -> Catalog | None:
        """Return the catalog without the commits that were removed since it was opened; None where none was. Blocking.

        A reader that misses a file calls it: ``lexport prune`` removes a commit before its files.
        """
        ids = {*commit_ids(self.store.names(layout.RUNS))}
        left = tuple(commit for commit in self.manifests if commit.snapshot_id in ids)
        if len(left) == len(self.manifests) or not any(commit.scopes for commit in left):
            return None
        return replace(self, manifests=left)

    def damage(self) -> tuple[str, ...]:
        """Return one line for each damaged commit, and where to read on."""
        newest = self.manifests[0].snapshot_id
        lines = [
            f"{commit}; {'an older one is shown' if commit.snapshot_id > newest else 'it is left out'}:"
            " lexport verify says how to go on"
            for commit in self.damaged[:_MOST_NAMED]
        ]
        more = len(self.damaged) - len(lines)
        if more:
            lines.append(f"{plural(more, 'more snapshot is', 'more snapshots are')} damaged and left out")
        return tuple(lines)

    def notices(self, *, max_skew: timedelta = DEFAULT_MAX_SKEW, tables: Collection[str] = ()) -> tuple[str, ...]:
        """Return one line for each caveat about unqualified table names, and for what was left out of ``tables``."""
        latest = self.latest()
        lines = list(self.damage())
        if (absence := self.absence()) is not None:
            where = "history" if self.retired() else "snapshot"
            return (*lines, f"{absence}: plain table names are empty, use {where}.<table>")
        by_age = sorted(latest.items(), key=lambda item: item[1].snapshot_at)
        (oldest_scope, oldest), (_, newest) = by_age[0], by_age[-1]
        if newest.snapshot_at - oldest.snapshot_at > max_skew:
            lines.append(
                f"the latest parts differ in age by more than {format_age(max_skew)}: {oldest_scope} was"
                f" read {oldest.snapshot_at:%Y-%m-%d %H:%M} UTC, the newest {newest.snapshot_at:%Y-%m-%d %H:%M} UTC"
            )
        lines += self._incomplete(latest)
        places: dict[str, list[str]] = {}
        for scope, of_tables, reason in self.left_out():
            if not set(tables).isdisjoint(of_tables):
                places.setdefault(reason, []).append(str(scope))
        lines += (f"{first_of(list(dict.fromkeys(where)))}: {reason}" for reason, where in places.items())
        optional = [table for name in tables if _may_lack_rows(table := BY_NAME[name])]
        if optional:  # only then is a file read
            lines += unread_lines(read_resources(self.store, latest), optional)
        return tuple(lines)

    def absence(self) -> str | None:
        """Return why no account-region is shown; None where one is."""
        if self.latest():
            return None
        if not self.retired():
            return "no account-region was ever read whole"
        unread = self.unread()
        return (
            f"what was read whole is retired, and never read whole was {_some([*_entries(unread)])}"
            if unread
            else "every account-region is retired"
        )

    @property
    def is_ended(self) -> bool:
        """Whether every account-region is retired, so that to show nothing is a whole answer."""
        retired = self.retired()
        first = min((commit.snapshot_id for commit in retired.values()), default="")
        is_known = all(commit.snapshot_id < first for commit in self.damaged)
        return bool(retired) and is_known and not self.latest() and not self.unread()

    def unread(self) -> dict[Scope, tuple[Manifest, ScopeEntry]]:
        """Return the last attempts that did not read all of their account-region; an older reading is shown, or none.

        A Region that was never enabled has no data and is left out, and so is what is retired.
        """
        latest = self.latest()
        return {
            scope: (snapshot, entry)
            for scope, (snapshot, entry) in self.last_attempts().items()
            if entry.status not in ("complete", RETIRED) and (entry.status != "unavailable" or scope in latest)
        }

    def hidden(self) -> dict[Scope, DamagedCommit]:
        """Return the account-regions whose latest reading is older than a damaged commit, with that commit."""
        newest = max(self.damaged, key=lambda commit: commit.snapshot_id, default=None)
        return {
            scope: newest
            for scope, latest in self.latest().items()
            if newest is not None and newest.snapshot_id > latest.snapshot_id
        }

    def left_out(self) -> Iterator[tuple[Scope, tuple[str, ...], str]]:
        """Yield scope, tables and reason where the settings of the latest reading left out rows."""
        for scope, snapshot in sorted(self.latest().items(), key=lambda item: item[0]):
            options = snapshot.options
            if options.get("env") == "none":
                yield scope, ("env_vars",), "variables were left out (--env none)"
            read = {resource.option for resource in resources_read(options)}
            unread: dict[str, dict[str, None]] = {}  # reason -> the tables of all operations of a resource
            for resource in fleet_resources():
                what = words_of(resource.option)
                names = {table.name: None for table in resource.tables}
                asked = [table.name for table in resource.tables if table in tables_read(options)]
                if resource.option not in read:
                    left_out_by = resource.left_out_by or f"--without {resource.option}"
                    why = left_out_by if resource.default else f"no --with {resource.option}"
                    unread.setdefault(f"{what} were left out ({why})", {}).update(names)
                elif not all(map(snapshot.entries, asked)):
                    unread.setdefault(f"{what} were not read by lexport {snapshot.lexport_version}", {}).update(names)
            yield from ((scope, tuple(tables), reason) for reason, tables in unread.items())
            if options.get("policies_for") == "functions":
                yield (
                    scope,
                    ("policy_statements", "policy_conditions"),
                    "policies of aliases were left out (--policies-for functions)",
                )
            if options.get("qualifiers") == "published":
                tables = tuple(table.name for table in (FUNCTIONS, *CHILD_TABLES))
                yield scope, tables, "$LATEST was left out (--qualifiers published)"
            if options.get("qualifiers") == "latest":
                yield scope, ("alias_routes", "env_vars"), "published versions were left out (--qualifiers latest)"

    def _incomplete(self, latest: dict[Scope, Manifest]) -> Iterator[str]:
        """Yield a line for the account-regions that are shown from an older snapshot, and for those not shown."""
        unread = self.unread()
        older = [(scope, entry) for scope, entry in _entries(unread) if scope in latest]
        absent = [(scope, entry) for scope, entry in _entries(unread) if scope not in latest]
        if older:
            since = max(unread[scope][0].snapshot_id for scope, _ in older)
            yield f"a newer snapshot ({since}) is not whole, so an older one is shown for {_some(older)}"
        if absent:
            yield f"never read whole, so not in plain table names: {_some(absent)}; see snapshot.errors"


def _may_lack_rows(table: Table) -> bool:
    """Return whether a complete snapshot may lack rows of a table that it was to read."""
    resource = resource_of(table)
    return resource is not None and not resource.is_gap and resource in fleet_resources()


def open_catalog(dest: str | os.PathLike[str], *, known: Mapping[str, Manifest] = {}) -> Catalog:
    """Read the commits of a destination; those of ``known`` by id were read before and are not read again.

    Raises SettingsError where DEST is no dataset, NoSnapshotError where it has no snapshot, RunError where none can be
    read or where a newer lexport wrote one, because its rows would be silently missing. Blocking.
    """
    text = os.fspath(dest)
    store, ids = find_commits(dest)
    read = read_commits(store, [snapshot_id for snapshot_id in ids if snapshot_id not in known])
    commits = [known[snapshot_id] if snapshot_id in known else next(read) for snapshot_id in ids]
    if any(isinstance(commit, DamagedCommit) for commit in commits):  # or was it removed since it was listed?
        listed = {*commit_ids(store.names(layout.RUNS))}
        commits = [commit for commit in commits if isinstance(commit, Manifest) or commit.snapshot_id in listed]
    dataset = Catalog(
        store=store,
        manifests=tuple(commit for commit in commits if isinstance(commit, Manifest)),
        damaged=tuple(commit for commit in commits if isinstance(commit, DamagedCommit)),
    )
    newer = next((commit for commit in dataset.damaged if commit.is_newer), None)
    if newer is not None:
        raise RunError(f"{text}: {newer}")
    if not dataset.fleet_commits:
        if store.moved is not None and dataset.damaged and all(commit.is_denied for commit in dataset.damaged):
            raise CredentialsError(f"DEST {text} cannot be read: {dataset.damaged[0]}")
        if dataset.damaged:
            raise RunError(
                f"{text} holds no snapshot that can be read: {dataset.damaged[0]}; see: lexport verify {text}"
            )
        raise NoSnapshotError(f"{text} holds packages, but no snapshot; run: lexport snapshot {text}", destination=text)
    return dataset


def location(store: Store) -> str:
    """Return the URL of a store, or the path of its folder, the same whichever links lead to it."""
    return os.path.realpath(store.url) if isinstance(store, LocalStore) else store.url


def read_dataset(dest: str | os.PathLike[str], read: Callable[[Catalog], T]) -> T:
    """Open a dataset and read it; once more where a file is missing because its commit was removed meanwhile.

    ``read`` must open all files before it returns, and must not write anything before. Blocking; raises as
    ``open_catalog``.
    """
    catalog = open_catalog(dest)
    try:
        return read(catalog)
    except ReadError:
        left = catalog.without_removed()
        if left is None:
            raise
        return read(left)


def find_commits(dest: str | os.PathLike[str]) -> tuple[Store, list[str]]:
    """Return the store of a dataset and the ids of its commits, newest first; raises as ``open_catalog``."""
    text, store = os.fspath(dest), open_store(dest)
    try:
        if isinstance(store, LocalStore):
            _check_folder(text, store)
        names = store.names("")
        runs = store.names(layout.RUNS) if layout.RUNS in names else []
    except OSError as error:
        raise unreadable(store, error, dest=text) from error
    ids = commit_ids(runs)
    if not ids:
        expected = {*BY_NAME, layout.RUNS, layout.STAGING, layout.LATEST_HINT, layout.PRUNED, layout.STORED_PACKAGES}
        if layout.RUNS in names or all(name in expected or name.startswith(".") for name in names):
            raise NoSnapshotError(f"{text} holds no snapshot yet; run: lexport snapshot {text}", destination=text)
        raise SettingsError(f"DEST {text} is not a lexport dataset: it has no {layout.RUNS} folder", option="DEST")
    return store, ids


def _check_folder(text: str, store: LocalStore) -> None:
    """Raise SettingsError where DEST, or its folder of commits, is no folder; only absent folders are empty."""
    if not store.root.exists():
        raise SettingsError(f"DEST {text} does not exist", option="DEST")
    for path, name in (store.root, text), (store.root / layout.RUNS, f"{text}/{layout.RUNS}"):
        if path.exists() and not path.is_dir():
            raise SettingsError(f"DEST {name} is a file, not a folder", option="DEST")


def _entries(attempts: Mapping[Scope, tuple[Manifest, ScopeEntry]]) -> Iterator[tuple[Scope, ScopeEntry]]:
    return ((scope, entry) for scope, (_, entry) in attempts.items())


def _some(entries: list[tuple[Scope, ScopeEntry]]) -> str:
    ordered = sorted(entries, key=lambda item: item[0])
    return first_of([f"{scope} ({entry.status})" for scope, entry in ordered])
