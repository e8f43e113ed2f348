"""The frame of a run, the same for ``snapshot`` and ``packages``: staging, progress report, commit, result.

A run is claimed by its process. One that reads a fleet can be resumed: the rows of each shard go to the destination
while it is read. What is beside the shards stays in a private folder on this machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from anyio import CancelScope, current_time, sleep, to_thread

from lexport.aws.quota.pacer import Pacer
from lexport.dataset import layout
from lexport.dataset.claims import RENEW_EVERY_S, holds_claim, release_claim, renew_claim, taken_over
from lexport.dataset.commit import publish
from lexport.dataset.manifest import Manifest
from lexport.dataset.parquet import TableFolder
from lexport.dataset.scratch import remove_folder
from lexport.dataset.snapshot import StagedCommit
from lexport.dataset.store import Store
from lexport.errors import CredentialsEndedError, CredentialsError, RunError, SettingsError
from lexport.extract.background import in_background
from lexport.extract.failures import FailureKind
from lexport.extract.progress import PackageProgress, Progress
from lexport.extract.rows import Staging, StagingMemory, ValueHasher
from lexport.model import Failure
from lexport.query.html import paragraph, table_html
from lexport.settings import SnapshotSettings
from lexport.tables.run import ERRORS


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The result of a run.

    ``manifest`` is the commit, or what it would have been where nothing was ``published``. ``packages`` counts what
    became of packages and layers, None where they were not read. ``failures`` has the kind, the count and an example
    of lost or odd items; ``notes`` are sentences for the user. ``duration_s`` is the time of the whole run.
    """

    snapshot_id: str
    published: bool
    manifest: Manifest = field(repr=False)
    packages: PackageProgress | None = field(repr=False)
    failures: tuple[tuple[FailureKind, int, Failure], ...] = field(repr=False)
    notes: tuple[str, ...]
    duration_s: float

    def _repr_html_(self) -> str:
        """Show the result in a notebook: the account-regions, what is missing, and the notes."""
        scopes = [
            (scope.account_id, scope.region, scope.status, scope.functions, scope.versions, scope.throttles)
            for scope in self.manifest.scopes
        ]
        lost = [(str(kind.scope), kind.error_code, count, example.message) for kind, count, example in self.failures]
        outcome = f"published, {self.manifest.status}" if self.published else "not published"
        head = ("account", "Region", "status", "functions", "versions", "throttles")
        parts = [paragraph(f"{self.snapshot_id}: {outcome}, in {self.duration_s:,.1f} s")]
        parts += [table_html(head, scopes, total=len(scopes), noun="account-region")] if scopes else []
        if lost:
            head_of_lost = ("where", "error", "times", "example")
            parts.append(
                table_html(head_of_lost, lost, total=len(lost), noun="kind of error", plural_noun="kinds of errors")
            )
        return "".join([*parts, *map(paragraph, self.notes)])


R = TypeVar("R", bound=RunResult)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run that has begun: its settings and ids, the dataset that it is for, its quotas, its rows, its progress.

    ``attempt`` counts the processes that have worked on it. ``staging`` has the rows beside those of its shards, in
    ``folder``.
    """

    settings: SnapshotSettings
    snapshot_id: str
    snapshot_at: datetime
    attempt: int
    pacer: Pacer
    store: Store
    folder: Path
    memory: StagingMemory
    hasher: ValueHasher | None
    staging: Staging
    progress: Progress
    started_s: float
    reporting: CancelScope = field(repr=False)
    background: CancelScope = field(repr=False)

    def table_folder(self) -> TableFolder:
        """Return the folder in which the tables are written before they are published."""
        return TableFolder(
            path=self.folder,
            snapshot_id=self.snapshot_id,
            snapshot_at=self.snapshot_at,
            file_mode=self.store.file_mode,
        )

    def result(
        self,
        kind: type[R],
        staged: StagedCommit,
        failures: tuple[tuple[FailureKind, int, Failure], ...],
        *,
        has_packages: bool,
    ) -> R:
        """Return the result as it is before anything is published."""
        self.progress.outcome = result = kind(
            snapshot_id=self.snapshot_id,
            published=False,
            manifest=staged.manifest,
            packages=self.progress.packages if has_packages else None,
            failures=failures,
            notes=tuple(self.progress.notes),
            duration_s=current_time() - self.started_s,
        )
        return result

    def keep_errors(self, staged: StagedCommit) -> None:
        """Keep the table of what could not be read, where nothing is published. Blocking."""
        entries = staged.manifest.entries(ERRORS.name)
        for number, entry in enumerate(entries):
            path = layout.errors_path(self.snapshot_id, self.attempt, number)
            self.store.place(staged.files[entry.path].path, path, sha256=entry.sha256)

    async def publish(self, staged: StagedCommit, result: R) -> R:
        """Commit the tables; a cancellation does not interrupt it.

        Raises PublishError where another process has taken the run over: warehouses would see the files of both.
        """
        if not await to_thread.run_sync(_is_own, self):
            raise taken_over(self.store, self.snapshot_id)
        self.background.cancel()
        self.progress.stage = "uploading" if "://" in self.store.url else "publishing"
        try:
            manifest, notes = await publish(self.store, staged, attempt=self.attempt)
        finally:
            self.reporting.cancel()
        self.progress.kept.is_published = True
        return replace(
            result,
            published=True,
            manifest=manifest,
            notes=tuple(dict.fromkeys((*notes, *result.notes))),
            duration_s=current_time() - self.started_s,
        )


@asynccontextmanager
async def open_run(
    store: Store,
    settings: SnapshotSettings,
    progress: Progress,
    reporting: CancelScope,
    *,
    snapshot_id: str,
    snapshot_at: datetime,
    attempt: int,
    hasher: ValueHasher | None = None,
) -> AsyncIterator[Run]:
    """Begin a run, or an ``attempt`` at one that is claimed, and work on it until it is published or ends.

    The staging folder is removed where the run is published, and where nothing was read that a later attempt could use;
    so it is kept where an IncompleteError ends the run, because it says what is missing.
    """
    try:
        folder = await to_thread.run_sync(store.open_scratch, snapshot_id)
    except (OSError, RunError) as error:
        if not await to_thread.run_sync(holds_claim, store, snapshot_id, attempt):
            raise taken_over(store, snapshot_id) from error
        raise
    memory = StagingMemory(flush_after_s=settings.flush_after_s)
    run = Run(
        settings=settings,
        pacer=Pacer(settings.rates_per_s, settings.quota_share),
        snapshot_id=snapshot_id,
        snapshot_at=snapshot_at,
        attempt=attempt,
        store=store,
        folder=folder,
        memory=memory,
        hasher=hasher,
        staging=Staging(folder, file_mode=store.file_mode, hasher=hasher, memory=memory),
        progress=progress,
        started_s=current_time(),
        reporting=reporting,
        background=CancelScope(),
    )
    progress.snapshot_id, progress.calls = snapshot_id, run.pacer.all_counts
    is_kept, is_own = False, True
    try:
        keep_claim = partial(_keep_claim, store, snapshot_id, attempt)
        async with in_background(memory.keep_flushing, keep_claim, until=run.background):
            yield run
    except BaseException as error:
        with CancelScope(shield=True):
            is_own = await to_thread.run_sync(_is_own, run)
        if not is_own and isinstance(error, Exception) and not progress.kept.is_published:
            raise taken_over(store, snapshot_id) from error
        is_kept = is_own and _is_worth_keeping(run, error)
        raise
    finally:
        if not is_kept:
            progress.kept.snapshot_id = ""
        with CancelScope(shield=True):
            await to_thread.run_sync(_clear_up, run, is_kept, is_own)


def _is_worth_keeping(run: Run, error: BaseException) -> bool:
    """Return whether a later attempt could use what is staged, or a person read what went wrong."""
    if run.progress.kept.is_published:
        return False
    if isinstance(error, SettingsError) or (
        isinstance(error, CredentialsError) and not isinstance(error, CredentialsEndedError)
    ):
        return bool(run.progress.kept.shards_before)
    names = run.store.names(layout.staging_folder(run.snapshot_id))
    return any(name.startswith("errors-") or layout.is_shard_folder(name) for name in names)


def _is_own(run: Run) -> bool:
    """Return whether this process still has the claim, as far as that can be known."""
    try:
        return holds_claim(run.store, run.snapshot_id, run.attempt)
    except OSError:
        return True


def _clear_up(run: Run, is_kept: bool, is_own: bool) -> None:  # noqa: FBT001 - for run_sync
    folder = layout.staging_folder(run.snapshot_id)
    with suppress(OSError, RunError):
        remove_folder(run.folder)
        if not is_own:  # what is staged is another process's
            return
        if not is_kept:
            run.store.remove_folder(folder)
        else:
            release_claim(run.store, run.snapshot_id, run.attempt)


async def _keep_claim(store: Store, run: str, attempt: int) -> None:
    """Renew the claim of this process until it is cancelled. Raises PublishError where another has taken over."""
    while True:
        await sleep(RENEW_EVERY_S)
        with suppress(OSError):  # the next renewal comes long before the claim is given up
            await to_thread.run_sync(renew_claim, store, run, attempt)
