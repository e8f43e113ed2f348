"""The run of ``lexport packages``: download what the functions of a dataset refer to, and publish tables about it.

A snapshot that downloads packages itself uses ``execute_plan`` too.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from anyio import to_thread

from lexport.artifacts.artifact_rows import ArtifactRows
from lexport.artifacts.downloader import Downloader
from lexport.artifacts.package_refs import package_filter_of
from lexport.artifacts.plan import DownloadPlan, DownloadPlanner, TableFiles, disk_space_error
from lexport.artifacts.run import Run, RunResult, open_run
from lexport.artifacts.scope_calls import open_scope_calls
from lexport.artifacts.split_downloads import download_on_workers
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import open_transfers
from lexport.aws.session import Session, open_session
from lexport.dataset.destination import prepare_store
from lexport.dataset.open_store import with_profile
from lexport.dataset.parquet import end_if_cancelled
from lexport.dataset.snapshot import RunFacts, StagedCommit, stage_commit
from lexport.dataset.staging import begin_package_run
from lexport.errors import CredentialsEndedError, IncompleteError, NoSnapshotError, RunError, SettingsError
from lexport.extract.background import reported
from lexport.extract.cluster.coordinate import WorkerCounts
from lexport.extract.cluster.open_cluster import open_cluster
from lexport.extract.inputs import read_inputs
from lexport.extract.progress import PackageProgress, Progress, Report, Stage
from lexport.extract.show_progress import report_in_notebook
from lexport.model import Scope, new_ulid
from lexport.query.catalog import Catalog, open_catalog
from lexport.settings import ALL_REGIONS, Destination, PackageSettings, SnapshotSettings
from lexport.tables.functions import FUNCTIONS, LAYERS
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGE_DEPENDENCIES, PACKAGE_FILES, PACKAGE_SECRETS, PACKAGES
from lexport.tables.run import ERRORS
from lexport.tables.table import Table
from lexport.tables.text import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesResult(RunResult):
    """The result of ``packages``. ``workers`` says what each worker downloaded, where there are several."""

    packages: PackageProgress = field(repr=False)
    workers: tuple[WorkerCounts, ...] = ()


async def packages(
    dest: str | os.PathLike[str], settings: SnapshotSettings | None = None, *, report: Report = report_in_notebook
) -> PackagesResult:
    """Download the packages that the latest functions of the dataset at ``dest`` refer to, each once and verified.

    Of the settings, ``packages`` says which ones; ``regions`` and ``accounts`` choose among those of the dataset. No
    call is made where every package is stored. Raises RunError, as a snapshot does; what was verified stays stored.
    Cancelled: nothing is published; the next run continues with what is stored.
    """
    settings = settings or SnapshotSettings()
    chosen = settings.packages or PackageSettings()
    settings = replace(settings, packages=chosen)
    _check_fits(settings)
    _check_required(settings.require)
    progress = Progress(stages=[Stage("looking for packages")])
    inputs = await read_inputs(settings, note=progress.note, needs_hash_key=False)
    dest = with_profile(dest, settings.profile)
    dataset = await to_thread.run_sync(open_catalog, dest)
    regions = () if settings.regions == (ALL_REGIONS,) else settings.regions
    _check_is_there(dataset, regions=regions, accounts=inputs.accounts)
    store = await to_thread.run_sync(
        partial(prepare_store, dest, group_readable=settings.group_readable, with_packages=True)
    )
    snapshot_at = settings.snapshot_at or datetime.now(UTC)
    snapshot_id = settings.snapshot_id or new_ulid(snapshot_at)
    await to_thread.run_sync(begin_package_run, store, snapshot_id)
    async with (
        reported(progress, report, folder=Path(store.url)) as reporting,
        open_run(
            store, settings, progress, reporting, snapshot_id=snapshot_id, snapshot_at=snapshot_at, attempt=1
        ) as run,
    ):
        package_store = PackageStore(store, run.folder)
        for line in dataset.damage():
            progress.note(line)
        package_filter = replace(package_filter_of(chosen), regions=regions, accounts=inputs.accounts)
        planner = DownloadPlanner(chosen, package_filter, package_store, run.staging, progress.packages)
        files = _latest_files(dataset, FUNCTIONS), _latest_files(dataset, LAYERS)
        plan = await to_thread.run_sync(planner.plan, *files)
        if message := await to_thread.run_sync(disk_space_error, package_store, plan):
            raise RunError(message)
        is_refused, workers = False, tuple[WorkerCounts, ...]()
        if plan.files:
            is_refused, workers = await _download(plan, chosen, package_store, dest, run)
        if chosen.inspect:
            from lexport.artifacts.inspect_stored import inspect_stored  # imports DuckDB, which other runs do not need

            progress.stage = "looking into packages"
            await inspect_stored(dest, run.staging, package_store, progress.packages, secrets=chosen.secrets)
        progress.stage = "writing Parquet"
        await run.staging.flush_all()
        staged = await to_thread.run_sync(_write, chosen, run, plan)
        result = run.result(PackagesResult, staged, run.staging.failures.summary(), has_packages=True)
        result = replace(result, workers=workers)
        if (is_refused or result.manifest.gaps) and not settings.allow_partial:
            await to_thread.run_sync(run.keep_errors, staged)
            raise _reason_not_published(result, run, is_refused=is_refused)
        return await run.publish(staged, result)


async def _download(
    plan: DownloadPlan, chosen: PackageSettings, package_store: PackageStore, dest: Destination, run: Run
) -> tuple[bool, tuple[WorkerCounts, ...]]:
    settings, progress = run.settings, run.progress.packages
    async with (
        open_session(profile=settings.profile, endpoint_url=settings.endpoint_url) as session,
        open_cluster(
            settings,
            destination=replace(dest, url=run.store.url),
            run=run.snapshot_id,
            attempt=run.attempt,
            session=session,
            hash_key=None,
            progress=run.progress,
        ) as cluster,
    ):
        if cluster is not None:
            is_refused = await download_on_workers(plan, cluster, run)
        else:
            async with open_transfers(chosen, session, package_store, progress) as transfers:
                downloader = Downloader(
                    chosen, transfers, ArtifactRows(run.staging, progress, required=settings.requires_packages)
                )
                is_refused = await execute_plan(plan, downloader, session, run)
    await run.staging.flush_all()
    return is_refused, cluster.workers() if cluster is not None else ()


def _write(chosen: PackageSettings, run: Run, plan: DownloadPlan) -> StagedCommit:
    folder = run.table_folder()
    written = {
        table: folder.write(table, run.staging.runs.get(table.name, []), watch=end_if_cancelled)
        for table in (*tables_of(chosen), ERRORS)
    }
    options = {"packages": chosen.for_manifest(), "allow_partial": run.settings.allow_partial}
    facts = RunFacts(hash_key_id=None, options=options)
    counts = plan.needed.count(file.path for file in written[PACKAGES]) if plan.needed else None
    return stage_commit(written, folder, facts, gaps=run.staging.failures.gaps.total(), packages=counts)


def _reason_not_published(result: PackagesResult, run: Run, *, is_refused: bool) -> IncompleteError:
    shown_by = f"lexport errors {shlex.quote(run.store.url)} --run {run.snapshot_id}"
    if is_refused:
        return CredentialsEndedError(
            f"the credentials ended, so no tables of packages were published: {result.failures[0][2].message}; what was"
            f" fetched is stored and costs nothing next time; what is missing: {shown_by}",
            result=result,
        )
    return IncompleteError(
        f"{plural(result.manifest.gaps, 'package')} could not be fetched, so no tables of packages were published; what"
        " was fetched is stored and costs nothing next time: run again, or publish what there is without --require"
        " packages or with --allow-partial;"
        f" every one by kind: {shown_by}",
        result=result,
    )


def _latest_files(dataset: Catalog, table: Table) -> TableFiles:
    """Return the files of a table that hold the latest whole reading of each account-region."""
    scopes_of: dict[str, list[Scope]] = {}
    latest = dataset.latest()
    for scope, commit in latest.items():
        scopes_of.setdefault(commit.snapshot_id, []).append(scope)
    commits = {commit.snapshot_id: commit for commit in latest.values()}
    return {
        path: scopes
        for snapshot_id, scopes in sorted(scopes_of.items())
        for path in dataset.files(table.name, [commits[snapshot_id]])
    }


def _check_fits(settings: SnapshotSettings) -> None:
    """Refuse what only a run that reads the fleet can do."""
    for is_given, option in (
        (settings.is_selection, "--function"),
        (settings.organization, "--organization"),
        (settings.incremental, "--incremental"),
        (bool(settings.with_resources), "--with"),
    ):
        if is_given:
            raise SettingsError(
                f"{option} is for a snapshot; packages are those of the functions in the dataset", option=option
            )


def _check_required(names: Sequence[str]) -> None:
    other = next((name for name in names if name != "packages"), None)
    if other is not None:
        raise SettingsError(f"--require takes packages, not {other!r}: nothing else is read here", option="--require")


def _check_is_there(dataset: Catalog, *, regions: Sequence[str], accounts: Sequence[str]) -> None:
    """Refuse a dataset without latest functions, and a choice of what it does not have: nothing would be fetched."""
    latest = dataset.latest()
    if not latest:
        raise NoSnapshotError(
            f"no account-region in {dataset.store.url} was ever read whole, so it has no latest functions; the packages"
            " of listed functions come with their snapshot: lexport snapshot DEST --packages",
            destination=dataset.store.url,
        )
    for option, named, present in (
        ("--region", regions, {scope.region for scope in latest}),
        ("--accounts", accounts, {scope.account_id for scope in latest}),
    ):
        if unknown := sorted(set(named) - present):
            raise SettingsError(
                f"{option} {', '.join(unknown)}: the dataset has no latest functions there, only of"
                f" {', '.join(sorted(present))}",
                option=option,
            )


async def execute_plan(plan: DownloadPlan, downloader: Downloader, session: Session, run: Run) -> bool:
    """Download everything in the plan, with links that are requested in the account-regions of its functions.

    Returns whether expired credentials or missing permissions are why none of them can be called any more.
    """
    if not plan.scopes:
        return False
    run.progress.stage = "fetching packages"
    opening = open_scope_calls(
        session, run.settings, run.pacer, run=run.snapshot_id, regions=plan.regions, note=run.progress.note
    )
    async with opening as calls:
        await downloader.fetch_all(plan, calls)
        return calls.are_refused(plan.scopes)


def tables_of(settings: PackageSettings) -> tuple[Table, ...]:
    """Return the tables of packages that a run with these settings fills."""
    layers = (LAYER_VERSIONS,) if settings.layers else ()
    contents = (PACKAGE_FILES, PACKAGE_DEPENDENCIES) if settings.inspect else ()
    secrets = (PACKAGE_SECRETS,) if settings.secrets else ()
    return (PACKAGES, *layers, *contents, *secrets)
