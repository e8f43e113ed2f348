"""The packages of a fleet: which ones are wanted, what of it is there, the downloads, the commit.

For a snapshot that exists by ``packages``; a snapshot that fetches packages itself uses ``execute_plan`` too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from anyio import create_memory_object_stream, create_task_group, current_time, to_thread
from anyio.from_thread import check_cancelled

from lexport.artifacts.artifact_rows import ArtifactRows
from lexport.artifacts.downloader import Downloader
from lexport.artifacts.package_refs import package_filter_of
from lexport.artifacts.plan import DownloadPlan, TableFile, disk_space_error, plan_downloads
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import open_transfers
from lexport.aws.http.transport import open_transport
from lexport.aws.quota.pacer import Pacer
from lexport.aws.session import Session, open_session
from lexport.dataset.commit import open_destination, open_staging, publish, remove_staging
from lexport.dataset.local import local_folder
from lexport.dataset.manifest import Manifest
from lexport.dataset.parquet import TableFolder
from lexport.dataset.runs import RunWriter
from lexport.dataset.snapshot import Draft, draft_of
from lexport.errors import CredentialsEndedError, IncompleteError, NoSnapshotError, RunError, SettingsError
from lexport.extract.accounts import read_accounts
from lexport.extract.doors import Doors
from lexport.extract.failures import FailureKind, Failures
from lexport.extract.progress import PackageProgress, Progress, Report, keep_reporting, report_nothing
from lexport.extract.rows import Rows
from lexport.extract.shards import one_error
from lexport.model import Failure, new_ulid
from lexport.query.catalog import Catalog, open_catalog
from lexport.settings import ALL_REGIONS, PackageSettings, SnapshotSettings
from lexport.tables.functions import FUNCTIONS, LAYERS
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGE_DEPENDENCIES, PACKAGE_FILES, PACKAGES
from lexport.tables.run import ERRORS
from lexport.tables.staged import Batch
from lexport.tables.table import Table
from lexport.tables.text import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesResult:
    """What a run over packages came to. ``manifest`` is the commit, or what it would have been.

    ``packages`` counts what became of packages and layers. ``failures`` counts lost or odd ones by kind, with an
    example each; ``notes`` are things to know.
    """

    snapshot_id: str
    published: bool
    manifest: Manifest
    packages: PackageProgress = field(repr=False)
    failures: tuple[tuple[FailureKind, int, Failure], ...] = field(repr=False)
    notes: tuple[str, ...]
    duration_s: float


async def packages(
    dest: str | os.PathLike[str], settings: SnapshotSettings | None = None, *, report: Report = report_nothing
) -> PackagesResult:
    """Fetch the packages that the latest functions of the dataset at ``dest`` refer to, each once and verified.

    Of the settings, ``packages`` says which ones; ``regions`` and ``accounts`` choose among those of the dataset.
    Nothing is asked of AWS where all is there. Raises RunError, as a snapshot does; what was verified stays stored.
    Cancelled: nothing is published; the next run takes up where this one was.
    """
    options = settings or SnapshotSettings()
    options = replace(options, packages=options.packages or PackageSettings())
    _check_fits(options)
    started_s, snapshot_at = current_time(), options.snapshot_at or datetime.now(UTC)
    snapshot_id = options.snapshot_id or new_ulid(snapshot_at)
    accounts = await to_thread.run_sync(read_accounts, options.accounts, options.accounts_from, abandon_on_cancel=True)
    dataset = await to_thread.run_sync(open_catalog, dest)
    _check_is_there(dataset, regions=_named(options.regions), accounts=accounts)
    store = open_destination(local_folder(dest), group_readable=options.group_readable, with_packages=True)
    folder = open_staging(store, snapshot_id)
    run = _Run(options, dataset, PackageStore(store), folder, accounts=accounts, snapshot_id=snapshot_id)
    for line in dataset.damage():
        run.progress.note(line)
    try:
        with one_error(folder):
            async with create_task_group() as tasks:
                tasks.start_soon(keep_reporting, report, run.progress)
                await run.read()
                run.progress.stage = "writing Parquet"
                draft = await to_thread.run_sync(partial(run.write, snapshot_at=snapshot_at))
                tasks.cancel_scope.cancel()  # the report has nothing more to tell
        result = PackagesResult(
            snapshot_id=snapshot_id,
            published=False,
            manifest=draft.manifest,
            packages=run.progress.packages,
            failures=run.failures.summary(),
            notes=tuple(run.progress.notes),
            duration_s=current_time() - started_s,
        )
        _refuse_gaps(result, folder, is_shut=run.is_shut, allow_partial=options.allow_partial)
        committed, notes = await publish(store, draft.manifest, draft.files)
    except IncompleteError:
        raise  # the rows stay in staging, `errors.parquet` among them
    except BaseException:  # cancelled too: the rows are of no use, the files in the store are
        remove_staging(store, snapshot_id)
        raise
    remove_staging(store, snapshot_id)
    return replace(
        result,
        published=True,
        manifest=committed,
        notes=tuple(dict.fromkeys((*notes, *result.notes))),
        duration_s=current_time() - started_s,
    )


def _refuse_gaps(result: PackagesResult, folder: Path, *, is_shut: bool, allow_partial: bool) -> None:
    gaps = result.manifest.gaps
    if gaps and not allow_partial and is_shut:
        raise CredentialsEndedError(
            f"the credentials ended, so no tables of packages were published: {result.failures[0][2].message}; what was"
            f" fetched is stored and costs nothing next time; what is missing is in {folder / 'errors.parquet'}",
            result=result,
        )
    if gaps and not allow_partial:
        raise IncompleteError(
            f"{plural(gaps, 'package')} could not be fetched, so no tables of packages were published; what was fetched"
            " is stored and costs nothing next time: run again, or publish what there is with --allow-partial; every"
            f" one is in {folder / 'errors.parquet'}",
            result=result,
        )


def _check_fits(options: SnapshotSettings) -> None:
    """Refuse what only a run that reads the fleet can do."""
    for is_given, option in (
        (options.is_selection, "--function"),
        (options.organization, "--organization"),
        (options.incremental, "--incremental"),
    ):
        if is_given:
            raise SettingsError(
                f"{option} is for a snapshot; packages are those of the functions in the dataset", option=option
            )


def _check_is_there(dataset: Catalog, *, regions: Sequence[str], accounts: Sequence[str]) -> None:
    """Refuse a dataset without latest functions, and a choice of what it does not have: nothing would be fetched."""
    latest = dataset.latest()
    if not latest:
        raise NoSnapshotError(
            f"no account-region in {dataset.root} was ever read whole, so it has no latest functions; the packages of"
            " listed functions come with their snapshot: lexport snapshot DEST --packages",
            destination=str(dataset.root),
        )
    for option, named, known in (
        ("--region", regions, {scope.region for scope in latest}),
        ("--accounts", accounts, {scope.account_id for scope in latest}),
    ):
        if unknown := sorted(set(named) - known):
            raise SettingsError(
                f"{option} {', '.join(unknown)}: the dataset has no latest functions there, only of"
                f" {', '.join(sorted(known))}",
                option=option,
            )


# --- shared with a snapshot -------------------------------------------------------------------------------------------


async def execute_plan(
    plan: DownloadPlan,
    downloader: Downloader,
    options: SnapshotSettings,
    session: Session,
    pacer: Pacer,
    *,
    progress: Progress,
    session_name: str,
) -> bool:
    """Download everything in the plan, with links that are requested in the account-regions of its functions.

    Returns whether expired credentials or missing permissions are why none of them can be called any more.
    """
    if not plan.scopes or options.packages is None:
        return False
    progress.stage = "fetching packages"
    connections = 2 * options.packages.concurrency  # an account-region that hangs may hold half of them
    async with open_transport(ca_bundle=session.ca_bundle, connections=connections) as send:
        doors = Doors(
            session,
            send,
            options,
            pacer,
            scopes=sorted(plan.scopes, key=str),
            session_name=session_name,
            note=progress.note,
        )
        await doors.find_accounts()
        await downloader.fetch_packages(plan.packages, doors)
        if plan.layers is not None:
            await downloader.fetch_layers(plan.layers, doors)
        return doors.are_all_shut


# --- of a snapshot that exists ----------------------------------------------------------------------------------------


class _Run:
    """What the steps of one run over packages share."""

    def __init__(
        self,
        options: SnapshotSettings,
        dataset: Catalog,
        package_store: PackageStore,
        folder: Path,
        *,
        accounts: tuple[str, ...],
        snapshot_id: str,
    ) -> None:
        assert options.packages is not None
        self.is_shut = False
        self.options, self.settings, self.dataset = options, options.packages, dataset
        self.package_store, self.folder, self.snapshot_id = package_store, folder, snapshot_id
        self.progress = Progress(stage="looking for packages")
        self.rows = Rows()
        self.failures = Failures(self.rows, _now)
        self.stage = RunWriter(folder, file_mode=package_store.destination.file_mode)
        self.filter = replace(package_filter_of(self.settings), regions=_named(options.regions), accounts=accounts)

    async def read(self) -> None:
        """Fetch what is missing, and stage a row for everything."""
        plan = await to_thread.run_sync(
            partial(
                plan_downloads,
                self.settings,
                self.filter,
                self.package_store,
                functions=self._files(FUNCTIONS),
                layers=self._files(LAYERS),
                folder=self.folder,
                runs=self.stage.runs,
                progress=self.progress.packages,
            )
        )
        if message := disk_space_error(self.package_store.destination.root, plan):
            raise RunError(message)
        if plan.files:
            await self._fetch(plan)
        if self.settings.inspect:
            await self._inspect()

    async def _fetch(self, plan: DownloadPlan) -> None:
        options = self.options
        batches_out, batches = create_memory_object_stream[Batch](1)
        async with create_task_group() as staging:
            staging.start_soon(self.stage.drain, batches)
            async with (
                batches_out,
                open_session(profile=options.profile, endpoint_url=options.endpoint_url) as session,
                open_transfers(self.settings, session, self.package_store, self.progress.packages) as transfers,
            ):
                rows = ArtifactRows(
                    rows=self.rows,
                    failures=self.failures,
                    progress=self.progress.packages,
                    now=_now,
                    batches_out=batches_out,
                )
                self.is_shut = await execute_plan(
                    plan,
                    Downloader(self.settings, transfers, rows),
                    options,
                    session,
                    Pacer(options.rates_per_s, options.quota_share),
                    progress=self.progress,
                    session_name=f"lexport-{self.snapshot_id}",
                )
                await batches_out.send(self.rows.take())

    async def _inspect(self) -> None:
        """Look into what is stored and nobody has looked into."""
        from lexport.artifacts.inspect_stored import (
            inspect_stored,  # it brings DuckDB, which no other run over packages needs
        )

        self.progress.stage = "looking into packages"
        batches_out, batches = create_memory_object_stream[Batch](1)
        async with create_task_group() as staging:
            staging.start_soon(self.stage.drain, batches)
            async with batches_out:
                await inspect_stored(
                    self.stage.runs,
                    self.package_store,
                    folder=self.folder,
                    rows=self.rows,
                    batches_out=batches_out,
                    now=_now,
                    count=lambda what, how, example: self.progress.packages.count(what, how, example=example),
                )
                await batches_out.send(self.rows.take())

    def write(self, *, snapshot_at: datetime) -> Draft:
        """Write the tables of packages and ``errors``. Blocking."""
        folder = TableFolder(
            path=self.folder,
            snapshot_id=self.snapshot_id,
            snapshot_at=snapshot_at,
            file_mode=self.package_store.destination.file_mode,
        )
        written = {
            table: folder.write(table, self.stage.runs.get(table.name, []), watch=lambda _: check_cancelled())
            for table in (*tables_of(self.settings), ERRORS)
        }
        return draft_of(
            written,
            folder,
            gaps=self.failures.gaps.total(),
            hash_key_id=None,
            options={"packages": self.settings.for_manifest(), "allow_partial": self.options.allow_partial},
            scopes=(),
        )

    def _files(self, table: Table) -> list[TableFile]:
        """Return the files of the latest reading of each account-region."""
        scopes_of: dict[str, list[Any]] = {}
        latest = self.dataset.latest()
        for scope, commit_ in latest.items():
            scopes_of.setdefault(commit_.snapshot_id, []).append(scope)
        commits = {commit_.snapshot_id: commit_ for commit_ in latest.values()}
        return [
            TableFile(path=path, scopes=scopes)
            for snapshot_id, scopes in sorted(scopes_of.items())
            for path in self.dataset.files(table.name, [commits[snapshot_id]])
        ]


def tables_of(settings: PackageSettings) -> tuple[Table, ...]:
    """Return the tables of packages that a run with these settings fills."""
    layers = (LAYER_VERSIONS,) if settings.layers else ()
    contents = (PACKAGE_FILES, PACKAGE_DEPENDENCIES) if settings.inspect else ()
    return (PACKAGES, *layers, *contents)


def _named(regions: tuple[str, ...]) -> tuple[str, ...]:
    return () if regions == (ALL_REGIONS,) else regions


def _now() -> datetime:
    return datetime.now(UTC)
