"""The frame of a run, the same for ``snapshot`` and ``packages``: staging folder, progress report, commit, result."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from anyio import CancelScope, create_task_group, current_time

from lexport.aws.quota.pacer import Pacer
from lexport.dataset.commit import open_staging, publish, remove_staging
from lexport.dataset.local import LocalStore, write_error
from lexport.dataset.manifest import Manifest
from lexport.dataset.parquet import TableFolder
from lexport.dataset.snapshot import StagedCommit
from lexport.errors import IncompleteError, RunError, first_of
from lexport.extract.failures import FailureKind
from lexport.extract.progress import PackageProgress, Progress, Report, keep_reporting
from lexport.extract.rows import Staging, ValueHasher
from lexport.model import Failure, new_ulid
from lexport.settings import SnapshotSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The result of a run. ``manifest`` is the commit, or what it would have been where nothing was ``published``.

    ``packages`` counts what became of packages and layers, None where they were not read. ``failures`` counts lost or
    odd items by kind, with one example each; ``notes`` are things to know.
    """

    snapshot_id: str
    published: bool
    manifest: Manifest
    packages: PackageProgress | None = field(repr=False)
    failures: tuple[tuple[FailureKind, int, Failure], ...] = field(repr=False)
    notes: tuple[str, ...]
    duration_s: float


R = TypeVar("R", bound=RunResult)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run that has begun: its settings and ids, the dataset that it is for, its quotas, its rows, its progress."""

    settings: SnapshotSettings
    snapshot_id: str
    snapshot_at: datetime
    pacer: Pacer
    store: LocalStore
    staging: Staging
    progress: Progress
    started_s: float
    reporting: CancelScope = field(repr=False)

    @property
    def session_name(self) -> str:
        """The session name of assumed roles, as CloudTrail shows it."""
        return f"lexport-{self.snapshot_id}"

    @property
    def errors_path(self) -> Path:
        """The table of failures that stays where nothing is published."""
        return self.staging.folder / "errors.parquet"

    def table_folder(self) -> TableFolder:
        """Return the folder in which the tables are written before they are published."""
        return TableFolder(
            path=self.staging.folder,
            snapshot_id=self.snapshot_id,
            snapshot_at=self.snapshot_at,
            file_mode=self.store.file_mode,
        )

    def result(self, kind: type[R], staged: StagedCommit, *, has_packages: bool) -> R:
        """Return the result as it is before anything is published."""
        return kind(
            snapshot_id=self.snapshot_id,
            published=False,
            manifest=staged.manifest,
            packages=self.progress.packages if has_packages else None,
            failures=self.staging.failures.summary(),
            notes=tuple(self.progress.notes),
            duration_s=current_time() - self.started_s,
        )

    async def publish(self, staged: StagedCommit, result: R) -> R:
        """Commit the tables; a cancellation does not interrupt it."""
        self.reporting.cancel()
        manifest, notes = await publish(self.store, staged.manifest, staged.files)
        return replace(
            result,
            published=True,
            manifest=manifest,
            notes=tuple(dict.fromkeys((*notes, *result.notes))),
            duration_s=current_time() - self.started_s,
        )


@asynccontextmanager
async def open_run(
    store: LocalStore,
    settings: SnapshotSettings,
    progress: Progress,
    report: Report,
    *,
    hasher: ValueHasher | None = None,
) -> AsyncIterator[Run]:
    """Begin a run: make its staging folder and report its progress until it is published or ends.

    The staging folder stays where an IncompleteError ends the run, because ``errors.parquet`` says what is missing. It
    is removed in every other case, cancellation included.
    """
    started_s, snapshot_at = current_time(), settings.snapshot_at or datetime.now(UTC)
    snapshot_id = settings.snapshot_id or new_ulid(snapshot_at)
    folder = open_staging(store, snapshot_id)
    try:
        async with reported(progress, report, folder) as reporting:
            yield Run(
                settings=settings,
                pacer=Pacer(settings.rates_per_s, settings.quota_share),
                snapshot_id=snapshot_id,
                snapshot_at=snapshot_at,
                store=store,
                staging=Staging(folder, file_mode=store.file_mode, hasher=hasher),
                progress=progress,
                started_s=started_s,
                reporting=reporting,
            )
    except IncompleteError:
        raise
    except BaseException:
        remove_staging(store, snapshot_id)
        raise
    remove_staging(store, snapshot_id)


@asynccontextmanager
async def reported(progress: Progress, report: Report, folder: Path | None = None) -> AsyncIterator[CancelScope]:
    """Report the progress while the block runs; yield the scope that ends the report earlier.

    One error leaves the block, whatever tasks it passed through; an OSError about ``folder`` becomes a WriteError.
    """
    reporting = CancelScope()

    async def keep() -> None:
        with reporting:
            await keep_reporting(report, progress)

    try:
        async with create_task_group() as tasks:  # it raises every error in a group
            tasks.start_soon(keep)
            yield reporting
            reporting.cancel()
    except BaseExceptionGroup as group:
        for kind in (RunError, OSError):
            if (errors := group.subgroup(kind)) is not None:
                error = first_of(errors)
                if isinstance(error, OSError) and folder is not None:
                    raise write_error(Path(error.filename or folder), error) from error.__cause__
                raise error from error.__cause__
        raise
