"""Remove old snapshots, and what runs left behind. Every step can be repeated after a kill.

A commit is removed in this order: its mark in ``_pruned``, its manifest, then its row in ``snapshots``. From then on
neither lexport nor a warehouse shows it. Its data files stay for the grace period, so a reader that began before is
served; a later prune removes them. A prune that finds the manifest or the row still there, because another one was
interrupted, does these steps again and dates the mark anew.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import PurePosixPath
from shlex import quote

import anyio.to_thread
from anyio.from_thread import check_cancelled

from lexport.dataset import layout
from lexport.dataset.claims import read_claim, take_claim
from lexport.dataset.commits import DamagedCommit
from lexport.dataset.data_files import damage_of
from lexport.dataset.hint import move_hint
from lexport.dataset.local import LocalStore
from lexport.dataset.manifest import Manifest
from lexport.dataset.newest_content import find_newest_content
from lexport.dataset.open_store import check_is_dataset, open_store
from lexport.dataset.prune_listing import LIVING_FOR, Listing, list_dataset
from lexport.dataset.prune_order import GRACE, Action, Kind, PruneItem, PruneOrder, PruneResult
from lexport.dataset.prune_stored import prune_stored_packages
from lexport.dataset.pruned import describe, mark, read_mark
from lexport.dataset.retention import KeepRules, Reasons, kept_by_rules, never_removed
from lexport.dataset.store import Store, StoredFile
from lexport.errors import CredentialsError, PublishError, RunError, SettingsError, WriteError
from lexport.model import new_ulid, ulid_time
from lexport.tables.run import SNAPSHOTS
from lexport.tables.units import format_age

Watch = Callable[[], object]

_NO_RULE = "no rule keeps it"
_ONLY_BY_NAME = "--snapshot removes it"


async def prune(
    dest: str | os.PathLike[str],
    *,
    keep_within: timedelta | None = None,
    keep_last: int = 0,
    keep_daily: int = 0,
    keep_weekly: int = 0,
    keep_monthly: int = 0,
    snapshot: str | None = None,
    packages: bool = False,
    grace: timedelta = GRACE,
    dry_run: bool = False,
) -> PruneResult:
    """Remove the snapshots that no rule keeps, or one ``snapshot``, and what dead runs left.

    The rules count as those of ``restic forget``, for each group of snapshots of the same account-regions. ``packages``
    removes stored packages that no snapshot names too. Raises SettingsError without any rule and for a snapshot that
    must stay, PublishError where a living run needs it, WriteError. Cancelled: the next call goes on.
    """
    order = PruneOrder(
        rules=KeepRules(within=keep_within, last=keep_last, daily=keep_daily, weekly=keep_weekly, monthly=keep_monthly),
        snapshot=snapshot,
        packages=packages,
        grace=grace,
        is_dry_run=dry_run,
    )
    return await anyio.to_thread.run_sync(partial(run_prune, dest, order, watch=check_cancelled))


def run_prune(dest: str | os.PathLike[str], order: PruneOrder, *, watch: Watch = lambda: None) -> PruneResult:
    """Prune as ``prune`` does. ``watch`` is called before each step. Blocking."""
    return prune_store(open_store(dest), order, watch=watch)


def prune_store(store: Store, order: PruneOrder, *, watch: Watch = lambda: None) -> PruneResult:
    """Prune the dataset of a store."""
    with _one_error(store):
        check_is_dataset(store)
        now = datetime.now(UTC) if order.is_dry_run else _time_of_store(store)
        listing = list_dataset(store, watch)
        work = _Prune(store, order, listing, now, watch)
        if not order.is_dry_run:
            move_hint(store)  # an interrupted run or prune may have left it behind
        if order.snapshot is not None:
            work.remove_one(order.snapshot)
        else:
            work.apply_rules()
        if not order.is_dry_run:
            work.sync()
            move_hint(store)  # another run may have moved it to a snapshot that was about to be removed
    return PruneResult(is_dry_run=order.is_dry_run, items=tuple(work.items), notes=tuple(work.notes))


def _time_of_store(store: Store) -> datetime:
    """Return the time by the clock of the store, which dates its files; a wrong clock here must remove nothing.

    It takes an empty file, which is removed again. So a destination that cannot be written is known before anything
    is removed.
    """
    path = f"{layout.PRUNED}/.probe-{new_ulid(datetime.now(UTC))}"
    try:
        if (unsure := store.create(path, b"")) is not None:
            raise unsure
        # Listings date all that is compared with it; a header of the same server may be cut to whole seconds.
        at = next((file.modified_at for file in store.files(layout.PRUNED) if file.path == path), None)
        at = at or store.stat(path).modified_at
        store.remove(path)
    except (OSError, WriteError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and (isinstance(cause, PermissionError) or cause.errno == errno.EROFS):
            text = (
                f"DEST {store.url} cannot be pruned: files cannot be created and removed in {layout.PRUNED}:"
                f" {cause.strerror or cause}; nothing was removed"
            )
            raise _refusal(store, text) from error
        raise
    return at


@contextmanager
def _one_error(store: Store) -> Iterator[None]:
    """Raise one line for an error of the store. What was done is done; the next prune goes on from there."""
    try:
        yield
    except OSError as error:
        path = str(error.filename or store.url)
        text = f"cannot prune {store.url}: {path}: {error.strerror or ' '.join(str(error).split())}"
        if isinstance(error, PermissionError):
            raise _refusal(store, text) from error
        raise WriteError(f"{text}; run lexport prune again to go on", path=path) from error


def _refusal(store: Store, text: str) -> RunError:
    """Make the error of a missing permission: of the credentials for a bucket, or of a folder."""
    return SettingsError(text, option="DEST") if isinstance(store, LocalStore) else CredentialsError(text)


@dataclass(slots=True)
class _Prune:
    store: Store
    order: PruneOrder
    listing: Listing
    now: datetime
    watch: Watch
    items: list[PruneItem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _changed: set[str] = field(default_factory=set)

    # --- by rules -----------------------------------------------------------------------------------------------------

    def apply_rules(self) -> None:
        listing, commits = self.listing, self.listing.readable
        kept = self._kept(commits)
        for damaged in listing.unreadable:
            why = "written by a newer lexport" if damaged.is_newer else f"damaged ({damaged.reason}): {_ONLY_BY_NAME}"
            self._note_run("keep", "damaged", damaged.snapshot_id, why)
        for commit in commits:
            if reasons := kept.get(commit.snapshot_id):
                self._note_commit("keep", commit, ", ".join(reasons))
            else:
                self._note_commit("remove", commit, _NO_RULE)
                self._withdraw(commit, _NO_RULE)
        known = {commit.snapshot_id for commit in (*listing.commits, *listing.unreadable)}
        removed = {run for run in sorted(listing.data.keys() - known) if self._finish(run)}
        self._remove_dead_staging()
        self._remove_temporary()
        if self.order.packages:
            left = [commit for commit in commits if kept.get(commit.snapshot_id)]
            gone = [commit for commit in commits if not kept.get(commit.snapshot_id)]
            waiting = sorted((listing.marks.keys() & listing.data.keys()) - known - removed)
            stored = prune_stored_packages(
                self.store,
                listing,
                [*left, *gone],
                waiting=waiting,
                now=self.now,
                grace=self.order.grace,
                is_dry_run=self.order.is_dry_run,
                watch=self.watch,
            )
            self.items += stored.items
            self.notes += stored.notes

    def _kept(self, commits: Sequence[Manifest]) -> Reasons:
        kept = kept_by_rules(commits, self.order.rules, now=self.now)
        for snapshot_id, reasons in self._never_removed(commits).items():
            kept.setdefault(snapshot_id, []).extend(reasons)
        content = find_newest_content(
            self.store,
            commits,
            {snapshot_id for snapshot_id, reasons in kept.items() if reasons},
            all_is_named=bool(self.listing.unreadable),
            watch=self.watch,
        )
        for snapshot_id, reason in content.items():
            kept.setdefault(snapshot_id, []).append(reason)
        return kept

    def _never_removed(self, commits: Sequence[Manifest]) -> Reasons:
        return never_removed(
            commits,
            living=self.listing.living(self.now, self.order.grace),
            damaged=[damaged.snapshot_id for damaged in self.listing.unreadable],
            is_intact=self.listing.is_intact,
        )

    # --- one snapshot -------------------------------------------------------------------------------------------------

    def remove_one(self, run: str) -> None:
        listing = self.listing
        found = [commit for commit in (*listing.commits, *listing.unreadable) if commit.snapshot_id == run]
        if found:
            commit, why = found[0], "named by --snapshot"
            if isinstance(commit, DamagedCommit):
                if commit.is_newer:
                    raise SettingsError(f"--snapshot {run}: {commit.reason}", option="--snapshot")
                self._note_run("remove", "damaged", run, why)
            else:
                self._check_may_go(commit)
                self._note_commit("remove", commit, why)
            self._withdraw(commit, why)
        elif run in listing.staging:
            self._remove_unfinished(run)
        elif run in listing.data:
            self._finish(run)
        elif run in listing.marks:
            self.notes.append(f"{run} was pruned before, and none of its files is left")
        else:
            raise SettingsError(
                f"--snapshot {run} is no snapshot and no unfinished run of {self.store.url}; lexport status lists them",
                option="--snapshot",
            )

    def _check_may_go(self, commit: Manifest) -> None:
        """Raise the error of a commit that is never removed; a damaged one may go."""
        run, commits = commit.snapshot_id, self.listing.readable
        never = self._never_removed(commits)
        others = {other.snapshot_id for other in commits} - {run}
        others_named = bool(self.listing.unreadable)
        content = find_newest_content(self.store, commits, others, all_is_named=others_named, watch=self.watch)
        reasons = [*never.get(run, ()), *filter(None, [content.get(run)])]
        if not reasons or damage_of(self.store, commit, self.watch) is not None:
            return
        message = f"--snapshot {run} stays, because it is never removed: {', '.join(reasons)}"
        if any(reason.startswith("the run ") for reason in reasons):
            raise PublishError(f"{message}; {self._how_runs_end(reasons)}", destination=self.store.url)
        raise SettingsError(f"{message}; once a newer one replaces it, it can be removed", option="--snapshot")

    def _how_runs_end(self, reasons: Iterable[str]) -> str:
        """Say how the runs that need a commit come to their end: a dead one has to be finished or removed."""
        needed = [run for run in sorted(self.listing.staging) if any(run in reason for reason in reasons)]
        dead = [run for run in needed if not self._is_at_work(run)]
        if not dead:
            return "wait until that run has ended"
        where = quote(self.store.url)
        return f"{dead[0]} stopped: go on with it as lexport status {where} says, or prune --snapshot {dead[0]} first"

    def _is_at_work(self, run: str) -> bool:
        claim = read_claim(self.store, run)
        if claim is None:
            return self.now - self.listing.staging[run].last_write_at < LIVING_FOR
        return claim.state(self.now) != "dead"

    def _remove_unfinished(self, run: str) -> None:
        folder = self.listing.staging[run]
        age = self.now - folder.last_write_at
        if self._is_at_work(run):
            raise PublishError(
                f"the run {run} wrote something {format_age(age)} ago, so it may be at work; stop it, or wait until it"
                f" has been silent for {format_age(LIVING_FOR)}",
                destination=self.store.url,
            )
        self._note("remove", "run", run, "named by --snapshot", size_bytes=folder.size_bytes, at=folder.last_write_at)
        self._remove_staging(run)

    def _newest(self) -> Manifest | None:
        return next((commit for commit in self.listing.readable if commit.is_snapshot), None)

    # --- steps --------------------------------------------------------------------------------------------------------

    def _withdraw(self, commit: Manifest | DamagedCommit, reason: str) -> None:
        """Mark a commit, then remove its manifest and its row: from then on nobody sees it."""
        if self.order.is_dry_run:
            return
        store, run = self.store, commit.snapshot_id
        self.watch()
        mark(store, describe(commit, self.listing.data.get(run, ()), reason=reason, now=self.now))
        if isinstance(commit, DamagedCommit) or commit is self._newest():
            move_hint(store, leaving_out=run)
        store.remove(layout.run_path(run))
        self._changed.add(layout.RUNS)
        rows = {file.path for file in self.listing.data.get(run, ()) if file.path.startswith(f"{SNAPSHOTS.name}/")}
        if isinstance(commit, Manifest):
            rows.add(layout.data_path(SNAPSHOTS.name, run, commit.snapshot_at))
        for path in sorted(rows):
            store.remove(path)
            self._changed.add(str(PurePosixPath(path).parent))

    def _finish(self, run: str) -> bool:
        """Remove the data files of a run that has no commit, once nobody can need them; return whether they went."""
        files, marked = self.listing.data[run], self.listing.marks.get(run)
        if marked is None and run in self.listing.staging:
            return False  # its run is unfinished, or its staging folder goes first
        if marked is not None and self.listing.row_of(run) is not None:
            self._note_run("wait", "files", run, "of a pruned snapshot, which warehouses saw until now")
            gone = DamagedCommit(snapshot_id=run, path=layout.run_path(run), kind="missing", reason="it was pruned")
            self._withdraw_again(run, gone)
            return False
        since = max(file.modified_at for file in files) if marked is None else marked.modified_at
        what = "no commit names them" if marked is None else "of a pruned snapshot"
        age = self.now - since
        if age < self.order.grace:
            self._note_run("wait", "files", run, f"{what}; {format_age(age)} of {format_age(self.order.grace)}")
            return False
        self._note_run("remove", "files", run, what)
        if not self.order.is_dry_run:
            self._remove_files(files)
        return True

    def _withdraw_again(self, run: str, gone: DamagedCommit) -> None:
        """Remove the row that an interrupted prune left, without losing what its mark says."""
        if self.order.is_dry_run:
            return
        known = read_mark(self.store, run)
        mark(self.store, replace(known, pruned_at=self.now) if known else describe(gone, (), reason="", now=self.now))
        row = self.listing.row_of(run)
        if row is not None:
            self.store.remove(row.path)
            self._changed.add(str(PurePosixPath(row.path).parent))

    def _remove_files(self, files: Iterable[StoredFile]) -> None:
        for file in files:
            self.watch()
            self.store.remove(file.path)

    def _remove_dead_staging(self) -> None:
        living = self.listing.living(self.now, self.order.grace)
        for run, folder in sorted(self.listing.staging.items()):
            age = format_age(self.now - folder.last_write_at)
            if run in living:
                why = f"it wrote something {age} ago"
                self._note("keep", "run", run, why, size_bytes=folder.size_bytes, at=folder.last_write_at)
                continue
            why = f"it wrote nothing for {age}"
            self._note("remove", "run", run, why, size_bytes=folder.size_bytes, at=folder.last_write_at)
            self._remove_staging(run)

    def _remove_staging(self, run: str) -> None:
        if self.order.is_dry_run:
            return
        self.watch()
        name, claim = layout.staging_folder(run), read_claim(self.store, run)
        try:
            take_claim(self.store, run, claim.attempt + 1 if claim else 1)  # nobody can resume it from now on
        except PublishError:
            self.notes.append(f"the run {run} goes on at this moment, so it stays")
            return
        self.store.remove_folder(name)
        if left := next(self.store.files(name), None):
            raise WriteError(f"cannot remove {self.store.url}/{left.path}", path=left.path)

    def _remove_temporary(self) -> None:
        for file in self.listing.temporary:
            age = self.now - file.modified_at
            if age > max(self.order.grace, LIVING_FOR):
                why = f"left by a process {format_age(age)} ago"
                self._note("remove", "files", file.path, why, size_bytes=file.size_bytes, at=file.modified_at)
                if not self.order.is_dry_run:
                    self._remove_files([file])

    def sync(self) -> None:
        """Sync the folders from which commits were removed; what a loss of power brings back goes again later."""
        for folder in sorted(self._changed):
            with suppress(WriteError):
                self.store.sync_folder(folder)

    def _note_commit(self, action: Action, commit: Manifest, reason: str) -> None:
        kind: Kind = "snapshot" if commit.is_snapshot else "retirement" if commit.is_retirement else "packages"
        size_bytes = sum(entry.size_bytes for entry in commit.files)
        self._note(action, kind, commit.snapshot_id, reason, size_bytes=size_bytes, at=commit.snapshot_at)

    def _note_run(self, action: Action, kind: Kind, run: str, reason: str) -> None:
        """Note what becomes of the data files of a run; its start is in its id."""
        size_bytes = sum(file.size_bytes for file in self.listing.data.get(run, ()))
        self._note(action, kind, run, reason, size_bytes=size_bytes, at=ulid_time(run))

    def _note(self, action: Action, kind: Kind, name: str, reason: str, *, size_bytes: int, at: datetime) -> None:
        item = PruneItem(kind=kind, name=name, at=at, action=action, reason=reason, size_bytes=size_bytes)
        self.items.append(item)
