"""Retire account-regions that have ended: an account that was closed or left, a Region that was switched off.

A retirement is a commit of its own kind. It reads nothing and removes nothing: it says of its account-regions that what
was read before is history, and ``changes`` has a row for each thing that is gone. It is no snapshot, but it is the
newest word about its account-regions until one of a greater id reads them whole again.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from anyio import CancelScope, to_thread
from anyio.from_thread import check_cancelled

from lexport.dataset import layout
from lexport.dataset.claims import holds_claim, read_claim, take_claim, taken_over
from lexport.dataset.commit import publish
from lexport.dataset.commits import DamagedCommit, all_commits, fleet_commits, newest_settled, unreadable
from lexport.dataset.compare import SnapshotFiles
from lexport.dataset.manifest import Manifest, ScopeEntry, format_instant
from lexport.dataset.open_store import check_is_dataset, open_store
from lexport.dataset.parquet import TableFolder, end_if_cancelled
from lexport.dataset.runs import Runs, RunWriter
from lexport.dataset.scratch import remove_folder
from lexport.dataset.snapshot import RunFacts, StagedCommit, stage_commit
from lexport.dataset.stage_changes import stage_changes
from lexport.dataset.staging import begin_package_run
from lexport.dataset.store import Store
from lexport.errors import PublishError, ReadError, RunError, SettingsError
from lexport.model import Scope, __version__, new_ulid
from lexport.settings import is_account_id
from lexport.tables.run import CHANGES, RETIRED, SCOPES
from lexport.tables.staged import ANSWER, staged_names
from lexport.tables.text import first_of

_REGION = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredScope:
    """An account-region that is retired, and its last whole reading: when it was, and what it had."""

    account_id: str
    region: str
    functions: int
    versions: int
    last_read_at: datetime
    last_snapshot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireResult:
    """What was retired, or would be: then there is no ``snapshot_id`` of a commit. ``notes`` are for the user."""

    snapshot_id: str | None
    scopes: tuple[RetiredScope, ...]
    notes: tuple[str, ...]


async def retire(
    dest: str | os.PathLike[str],
    account_id: str,
    region: str | None = None,
    *,
    dry_run: bool = False,
    group_readable: bool = False,
) -> RetireResult:
    """Retire an account-region of a dataset, or all of an account that are not retired yet.

    Raises SettingsError where the dataset never read it whole, or where it is retired already; ReadError where the last
    whole reading is damaged, PublishError where another process retires it too or reads it again, WriteError.
    Cancelled: nothing is retired, unless that has just been done.
    """
    check_names(account_id, region)
    store = await to_thread.run_sync(partial(open_store, dest, group_readable=group_readable))
    notes: list[str] = []
    readings = await to_thread.run_sync(_find, store, account_id, region, notes)
    scopes = tuple(retired_scope(scope, commit) for scope, commit in sorted(readings.items(), key=lambda item: item[0]))
    if dry_run:
        return RetireResult(snapshot_id=None, scopes=scopes, notes=tuple(notes))
    done, more = await retire_scopes(store, readings)
    return RetireResult(snapshot_id=done.snapshot_id, scopes=scopes, notes=(*notes, *more))


def check_names(account_id: object, region: object) -> None:
    """Raise SettingsError where an account or a Region cannot be one."""
    if not (isinstance(account_id, str) and is_account_id(account_id)):
        raise SettingsError(f"{account_id!r} is no account: 12 digits", option="ACCOUNT")
    if region is not None and not (isinstance(region, str) and _REGION.fullmatch(region)):
        raise SettingsError(f"{region!r} is no Region, such as eu-west-1", option="REGION")


async def retire_scopes(store: Store, readings: Mapping[Scope, Manifest]) -> tuple[Manifest, list[str]]:
    """Commit a retirement of account-regions, each with its last whole reading; return it and notes for the user."""
    at = datetime.now(UTC)
    run = new_ulid(at)
    newest = max(readings.values(), key=lambda commit: commit.snapshot_id)
    if run <= newest.snapshot_id:
        raise RunError(
            f"the snapshot {newest.snapshot_id} began at {format_instant(newest.snapshot_at)}, which is later than this"
            " machine's clock says; nothing was retired; set the clock"
        )
    await to_thread.run_sync(begin_package_run, store, run)
    folder: Path | None = None
    claimed: dict[str, int] = {}
    try:
        await to_thread.run_sync(_claim, store, readings, claimed)
        folder = await to_thread.run_sync(store.open_scratch, run)
        tables = TableFolder(path=folder, snapshot_id=run, snapshot_at=at, file_mode=store.file_mode)
        staged = await to_thread.run_sync(_stage, store, readings, tables)
        await to_thread.run_sync(_look_again, store, readings, claimed)
        return await publish(store, staged, attempt=1)
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(_clear_up, store, [run, *claimed], folder)


def _claim(store: Store, readings: Mapping[Scope, Manifest], claimed: dict[str, int]) -> None:
    """Claim the readings that a retirement ends, so that of two at once only one commits.

    ``claimed`` gets the attempt of each reading as it is claimed. Blocking; raises PublishError.
    """
    for reading in sorted({commit.snapshot_id for commit in readings.values()}):
        claim = read_claim(store, reading)
        if claim is not None and claim.state(datetime.now(UTC)) != "dead":
            raise PublishError(
                f"another process is at work on {reading}, the last whole reading, so nothing was retired; try again"
                " once it has ended",
                destination=store.url,
            )
        attempt = claim.attempt + 1 if claim else 1
        take_claim(store, reading, attempt)
        claimed[reading] = attempt


def _look_again(store: Store, readings: Mapping[Scope, Manifest], claimed: Mapping[str, int]) -> None:
    """Check that the readings are still the newest word about their account-regions. Blocking; raises PublishError."""
    for reading, attempt in claimed.items():
        if not holds_claim(store, reading, attempt):
            raise taken_over(store, reading)
    settled = newest_settled(fleet_commits(store), readings)
    for scope, commit in sorted(readings.items(), key=lambda item: item[0]):
        now = settled.get(scope)
        if now is None or now.snapshot_id != commit.snapshot_id:
            done = "pruned" if now is None else f"{'retired' if now.is_retirement else 'read'} in {now.snapshot_id}"
            raise PublishError(
                f"{scope} was {done} meanwhile, so nothing was retired; run it again", destination=store.url
            )


def retired_scope(scope: Scope, reading: Manifest) -> RetiredScope:
    """Describe an account-region by its last whole reading."""
    entry = next(entry for entry in reading.scopes if entry.scope == scope)
    return RetiredScope(
        account_id=scope.account_id,
        region=scope.region,
        functions=entry.functions,
        versions=entry.versions,
        last_read_at=reading.snapshot_at,
        last_snapshot_id=reading.snapshot_id,
    )


def _find(store: Store, account_id: str, region: str | None, notes: list[str]) -> dict[Scope, Manifest]:
    """Return the account-regions to retire, each with its last whole reading. Blocking."""
    check_is_dataset(store)
    try:
        commits = [*all_commits(store)]
    except OSError as error:
        raise unreadable(store, error, dest=store.url) from error
    damaged = [commit for commit in commits if isinstance(commit, DamagedCommit)]
    newer = next((commit for commit in damaged if commit.is_newer), None)
    if newer is not None:
        raise RunError(f"{store.url}: {newer}")
    notes += [commit.note for commit in damaged]
    settled = newest_settled(commit for commit in commits if isinstance(commit, Manifest))
    return _choose(settled, account_id, region, url=store.url, unread=len(damaged))


def _choose(
    settled: Mapping[Scope, Manifest], account_id: str, region: str | None, *, url: str, unread: int
) -> dict[Scope, Manifest]:
    """Choose what is named and not retired yet. Pure; raises SettingsError, which says what there is."""
    name = account_id if region is None else f"{account_id} {region}"
    of_account = {scope: commit for scope, commit in sorted(settled.items()) if scope.account_id == account_id}
    named = {scope: commit for scope, commit in of_account.items() if region in (None, scope.region)}
    if not named:
        what = of_account or settled
        there = (
            f"it has readings of {first_of([str(scope) for scope in sorted(what)])}"
            if what
            else "it has no reading at all"
        )
        unknown = f"; {unread} of its commits cannot be read, see lexport verify" if unread else ""
        raise SettingsError(
            f"{url} has no whole reading of {name}, so there is nothing to retire: {there}{unknown}",
            option="REGION" if of_account else "ACCOUNT",
        )
    chosen = {scope: commit for scope, commit in named.items() if not commit.is_retirement}
    if not chosen:
        commit = max(named.values(), key=lambda commit: commit.snapshot_id)
        others = [str(scope) for scope, other in sorted(settled.items()) if not other.is_retirement]
        left = f"not retired are {first_of(others)}" if others else "every account-region is retired"
        raise SettingsError(
            f"{name} is retired already, in {commit.snapshot_id} at {format_instant(commit.snapshot_at)}; {left}",
            option="REGION" if region is not None else "ACCOUNT",
        )
    return chosen


def _stage(store: Store, readings: Mapping[Scope, Manifest], folder: TableFolder) -> StagedCommit:
    """Write the tables of a retirement. Blocking; raises ReadError where the last whole reading is damaged."""
    commits = {commit.snapshot_id: commit for commit in readings.values()}
    scopes_of: dict[str, list[Scope]] = defaultdict(list)
    for scope, commit in sorted(readings.items(), key=lambda item: item[0]):
        scopes_of[commit.snapshot_id].append(scope)
    runs: Runs = defaultdict(list)
    writer = RunWriter(folder.path, file_mode=folder.file_mode, runs=runs)
    now = SnapshotFiles(
        snapshot_id=folder.snapshot_id, files={}, options={}, hash_key_id=None, lexport_version=__version__
    )
    for snapshot_id, scopes in scopes_of.items():
        damage = stage_changes(
            now, commits[snapshot_id], scopes, writer, store=store, watch=lambda _: check_cancelled()
        )
        if damage is not None:
            raise ReadError(
                f"{first_of([str(scope) for scope in scopes])}: the last whole reading, {snapshot_id}, is damaged, so"
                f" nothing was retired: {damage}; see lexport verify {store.url}",
                path=damage.path,
            )
    entries = [_entry(scope) for scope in sorted(readings)]
    writer.add_rows(SCOPES, _rows(entries))
    writer.flush()
    files = {table: folder.write(table, runs[table.name], watch=end_if_cancelled) for table in (CHANGES, SCOPES)}
    return stage_commit(files, folder, RunFacts(hash_key_id=None, options={}), entries, gaps=0)


def _entry(scope: Scope) -> ScopeEntry:
    return ScopeEntry(
        account_id=scope.account_id,
        region=scope.region,
        coverage="fleet",
        status=RETIRED,
        functions=0,
        versions=0,
        aliases=0,
        get_function_calls=0,
        list_calls=0,
        throttles=0,
    )


def _rows(entries: Iterable[ScopeEntry]) -> Iterable[tuple[object, ...]]:
    """Yield the rows of ``scopes``: a retirement makes no calls and reads nothing."""
    for entry in entries:
        values = asdict(entry) | {"carried_rows": 0, ANSWER: ""}
        yield tuple(values.get(name) for name in staged_names(SCOPES))


def _clear_up(store: Store, runs: Iterable[str], folder: Path | None) -> None:
    if folder is not None:
        remove_folder(folder)
    for run in runs:
        store.remove_folder(layout.staging_folder(run))
