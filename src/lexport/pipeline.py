"""Overview: how a fleet becomes a snapshot.

1. ``plan_run`` decides what is read: the identity, the accounts, and a shard for each account in each Region.
2. ``read_shard`` reads one shard: list, fetch, flatten. All shards are read concurrently, into sorted files of rows.
3. ``commit_run`` merges the runs into Parquet, compares them with the snapshot before, and publishes all or nothing.

``snapshot`` is these three; package downloads begin during the second step and end before the third. ``plan`` is the
first, and lists each shard instead of reading it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from anyio import CancelScope, move_on_after, to_thread

from lexport.artifacts.packages import tables_of
from lexport.artifacts.run import Run, RunResult, open_run
from lexport.artifacts.snapshot_downloads import SnapshotDownloads, open_downloads
from lexport.aws.client import LambdaClient
from lexport.aws.quota.pacer import Pacer
from lexport.aws.session import open_session
from lexport.dataset import layout
from lexport.dataset.account_regions import results_of, results_of_accounts
from lexport.dataset.commit import published_run
from lexport.dataset.commits import unreadable
from lexport.dataset.destination import prepare_store
from lexport.dataset.file_plan import is_large
from lexport.dataset.fleet_changes import find_fleet_changes
from lexport.dataset.fleet_files import CommitTasks, commit_tasks, write_fleet_by_files
from lexport.dataset.manifest import Manifest
from lexport.dataset.open_store import open_store, with_profile
from lexport.dataset.retire import RetiredScope
from lexport.dataset.runs import RunWriter
from lexport.dataset.snapshot import FleetTables, RunFacts, write_fleet_tables, write_snapshot
from lexport.dataset.staging import check_is_new, finished_shards
from lexport.dataset.store import Store
from lexport.errors import DeadlineError, ItemError, RunError, SettingsError
from lexport.extract.access import Access
from lexport.extract.background import reported
from lexport.extract.cluster.coordinate import Cluster, WorkerCounts
from lexport.extract.cluster.open_cluster import open_cluster
from lexport.extract.cluster.sizes import shard_sizes
from lexport.extract.cluster.table_task import run_on_workers
from lexport.extract.context import RunContext
from lexport.extract.ended_scopes import retire_ended
from lexport.extract.estimate import FleetPlan, ShardEstimate, estimate_shard, fleet_plan
from lexport.extract.failures import FailureSummary
from lexport.extract.inputs import Inputs, note_other_key, read_inputs
from lexport.extract.plan_run import open_planned_access, plan_run
from lexport.extract.progress import Progress, Report, Stage
from lexport.extract.reading import OnReply, Reading
from lexport.extract.results import (
    check_is_read,
    failed_shards,
    finish_results,
    reason_not_published,
    reconcile_row_counts,
    unread_shards,
)
from lexport.extract.resume import claim_run
from lexport.extract.rows import ValueHasher
from lexport.extract.shard_process import read_whole_plan
from lexport.extract.shards import ShardVisits
from lexport.extract.show_progress import report_in_notebook
from lexport.extract.spec_settings import settings_from_plan
from lexport.model import GLOBAL_REGION, RunSpec, Shard, ShardResult
from lexport.settings import Destination, SnapshotSettings
from lexport.tables.choice import choose_resources
from lexport.tables.functions import FUNCTIONS, LAYERS
from lexport.tables.units import format_age


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotResult(RunResult):
    """The result of ``snapshot``: what each of several ``workers`` read, and what was ``retired`` after it."""

    workers: tuple[WorkerCounts, ...] = ()
    retired: tuple[RetiredScope, ...] = ()


async def snapshot(
    dest: str | os.PathLike[str], settings: SnapshotSettings | None = None, *, report: Report = report_in_notebook
) -> SnapshotResult:
    """Read what the settings name and publish it as one snapshot of the dataset at ``dest``.

    Raises RunError: SettingsError for wrong settings, CredentialsError where nothing may be read, IncompleteError where
    something is missing and ``allow_partial`` is off, DeadlineError, PublishError where another process works on the
    run. Then nothing is published; what was read is kept, and a run with ``resume`` goes on with it.
    If cancelled, it publishes nothing and keeps what was read; once publishing has begun, it finishes.
    """
    settings = choose_resources(settings or SnapshotSettings())
    settings.check_reads_a_fleet()
    progress = Progress()
    inputs = await read_inputs(settings, note=progress.note)
    store = await to_thread.run_sync(
        partial(
            prepare_store,
            dest,
            group_readable=settings.group_readable,
            with_packages=settings.packages is not None,
            profile=settings.profile,
        )
    )
    note_other_key(inputs, store, note=progress.note)
    if settings.snapshot_id is not None and settings.resume is None:
        await to_thread.run_sync(check_is_new, store, settings.snapshot_id)
    limit = settings.deadline or timedelta.max
    with move_on_after(limit.total_seconds()):
        async with reported(progress, report, folder=Path(store.url)) as reporting:
            destination = replace(with_profile(dest, settings.profile), url=store.url)
            return await _snapshot(store, destination, settings, inputs, progress=progress, reporting=reporting)
    raise DeadlineError(f"--deadline {format_age(limit)} is over, so nothing was published")


async def _snapshot(
    store: Store,
    destination: Destination,
    settings: SnapshotSettings,
    inputs: Inputs,
    *,
    progress: Progress,
    reporting: CancelScope,
) -> SnapshotResult:
    hasher = ValueHasher(inputs.hash_key) if inputs.hash_key else None
    async with AsyncExitStack() as connected:
        session = await connected.enter_async_context(
            open_session(profile=settings.profile, endpoint_url=settings.endpoint_url)
        )
        reading = await connected.enter_async_context(AsyncExitStack())
        access = await reading.enter_async_context(open_planned_access(session, settings, inputs, progress))
        spec, attempt = await plan_run(settings, access, inputs, store=store, progress=progress)
        async with open_run(
            store,
            settings,
            progress,
            reporting,
            snapshot_id=spec.snapshot_id,
            snapshot_at=spec.snapshot_at,
            attempt=attempt,
            hasher=hasher,
        ) as run:
            downloads = await connected.enter_async_context(open_downloads(settings.packages, session, run))
            cluster = await connected.enter_async_context(
                open_cluster(
                    settings,
                    destination=destination,
                    run=spec.snapshot_id,
                    attempt=attempt,
                    session=session,
                    hash_key=inputs.hash_key,
                    progress=progress,
                )
            )
            async with downloads.while_reading() if downloads else nullcontext() as on_reply:
                results = await read_shards(spec, access, run, cluster or on_reply)
            await reading.aclose()  # its connections take memory that the merge needs
            by_workers = partial(run_on_workers, cluster, progress) if cluster else None
            async with commit_tasks(store, run.snapshot_id, run.attempt, by_workers) as tasks:
                results, fleet = await write_fleet(results, run, downloads, cluster, tasks)
                await connected.aclose()  # once the snapshot is published, nothing may wait any more
                workers = cluster.workers() if cluster else ()
                return await commit_run(spec, results, fleet, run, workers=workers, downloads=downloads)


async def plan(
    dest: str | os.PathLike[str] | None = None,
    settings: SnapshotSettings | None = None,
    *,
    report: Report = report_in_notebook,
) -> FleetPlan:
    """Estimate what a snapshot with these settings would cost; with ``dest``, what an incremental one would.

    Costs the listing itself: one List* call per 50 versions. Raises RunError as a snapshot does.
    """
    settings = choose_resources(settings or SnapshotSettings())
    settings.check_reads_a_fleet()
    if settings.is_selection:
        raise SettingsError("a list of functions needs no plan: each is one GetFunction call", option="--function")
    store = None if dest is None else _open_dataset(dest, settings.profile)
    progress = Progress()
    estimates: list[ShardEstimate] = []
    async with reported(progress, report):
        inputs = await read_inputs(settings, note=progress.note, needs_hash_key=store is not None)
        async with (
            open_session(profile=settings.profile, endpoint_url=settings.endpoint_url) as session,
            open_planned_access(session, settings, inputs, progress) as access,
        ):
            spec, _ = await plan_run(settings, access, inputs, progress=progress, session="lexport-plan")
            pacer = Pacer(settings.rates_per_s, settings.quota_share)
            context = RunContext(spec=spec, settings=settings, store=store, pacer=pacer, progress=progress)

            async def estimate(shard: Shard, api: LambdaClient) -> None:
                estimates.append(await estimate_shard(context, shard, api))

            async def record_unread_account(shards: Sequence[Shard], error: ItemError) -> None:
                title = f"{shards[0].scope.account_id} {GLOBAL_REGION}"
                estimates.append(ShardEstimate(shard=shards[0], errors=((title, error),)))

            progress.stage = "reading"
            await ShardVisits(access, progress).visit_all(spec.shards, estimate, record_unread_account)
    return fleet_plan(estimates, progress.notes)


async def read_shards(spec: RunSpec, access: Access, run: Run, by: Cluster | OnReply | None) -> list[ShardResult]:
    """Read every shard, all concurrently: on the workers of a cluster, or in this process.

    Here, ``by`` may take each response of GetFunction. A shard that an earlier attempt has finished is not read again;
    the results have those shards too. A shard that no worker could read is a gap.
    """
    finished = await to_thread.run_sync(finished_shards, run.store, run.snapshot_id) if run.attempt > 1 else {}
    left = [shard for shard in spec.shards if shard.scope not in finished]
    visits = ShardVisits(access, run.progress)
    run.progress.kept.begin(run.snapshot_id, shards=len(spec.shards), finished=len(finished))
    run.progress.stage = "reading"
    if isinstance(by, Cluster):
        sizes = await shard_sizes(run.store, left, visits, run.pacer, run.progress)
        results, failed = await by.read_shards(left, sizes, run.progress)
        of_accounts, unread = await to_thread.run_sync(results_of_accounts, run.store, run.snapshot_id, left, results)
        lost = [*failed_shards(failed, run.staging.failures), *unread_shards(unread, run.staging.failures)]
        return [*finished.values(), *of_accounts, *lost]
    store = run.store if run.settings.incremental else None
    reading = Reading(
        context=RunContext(spec=spec, settings=run.settings, store=store, pacer=run.pacer, progress=run.progress),
        visits=visits,
        store=run.store,
        folder=run.folder,
        memory=run.memory,
        hasher=run.hasher,
        attempt=run.attempt,
        on_reply=by,
    )
    return [*finished.values(), *await reading.read_all(left, finished)]


async def write_fleet(
    results: Sequence[ShardResult],
    run: Run,
    downloads: SnapshotDownloads | None = None,
    cluster: Cluster | None = None,
    tasks: CommitTasks | None = None,
) -> tuple[list[ShardResult], FleetTables]:
    """Write the tables that the shards fill, and download the packages that they name and that are not stored yet.

    Large tables are written by the ``tasks`` of workers, which place the files at once, one file each; then these find
    the changes, too. Return the results as all of them together show them, too.
    """
    failures = run.staging.failures
    run.progress.stage = "writing Parquet"
    settled = finish_results(results, failures)
    errors = RunWriter(run.folder, file_mode=run.store.file_mode, runs=run.staging.runs)
    options = run.settings.for_manifest()
    folder = run.table_folder()
    tasks = tasks if is_large(settled) else None
    if tasks is not None:
        fleet = await write_fleet_by_files(folder, settled, options=options, tasks=tasks, errors=errors)
    else:
        write = partial(write_fleet_tables, folder, settled, store=run.store, errors=errors)
        fleet = await to_thread.run_sync(partial(write, options=options))
    counter = fleet.counters[FUNCTIONS]
    settled = reconcile_row_counts(settled, counter.rows, counter.dropped, failures)
    if tasks is not None:
        facts = RunFacts(hash_key_id=run.hasher.key_id if run.hasher else None, options=options)
        found = find_fleet_changes(folder, settled, fleet, facts=facts, tasks=tasks, note=run.progress.note)
        fleet = replace(fleet, changes=await found)
    if downloads is not None:
        functions, layers = [await to_thread.run_sync(fleet.paths, table, run.store) for table in (FUNCTIONS, LAYERS)]
        await downloads.fetch_rest(functions, layers, cluster)
    await run.staging.flush_all()
    return settled, fleet


async def commit_run(
    spec: RunSpec,
    results: Sequence[ShardResult],
    fleet: FleetTables,
    run: Run,
    *,
    workers: tuple[WorkerCounts, ...] = (),
    downloads: SnapshotDownloads | None = None,
) -> SnapshotResult:
    """Write the remaining tables, compare them with the snapshot before, and publish; or publish nothing.

    Raises CredentialsError where nothing may be read, IncompleteError for gaps that are not allowed, and the errors of
    publishing.
    """
    settings, summary = run.settings, FailureSummary()
    run.progress.stage = "writing Parquet"
    staged = await to_thread.run_sync(
        partial(
            write_snapshot,
            run.table_folder(),
            run.staging.runs,
            results,
            fleet=fleet,
            package_tables=tables_of(settings.packages) if settings.packages else (),
            count_packages=downloads.count if downloads else None,
            facts=RunFacts(hash_key_id=spec.hash_key_id, options=settings.for_manifest()),
            store=run.store,
            note=run.progress.note,
            watch_errors=summary.watch,
        )
    )
    result = run.result(SnapshotResult, staged, summary.summary(), has_packages=settings.packages is not None)
    result = replace(result, workers=workers)
    error = reason_not_published(
        results,
        result.failures,
        gaps=staged.manifest.gaps,
        allow_partial=settings.allow_partial,
        shown_by=f"lexport errors {shlex.quote(run.store.url)} --run {run.snapshot_id}",
        result=result,
    )
    if error is not None:
        run.progress.kept.is_read_whole = all(done.is_final for done in results)
        await to_thread.run_sync(run.keep_errors, staged)
        raise error
    result = await run.publish(staged, result)
    retired, notes = await retire_ended(run.store, result.manifest, results, settings)
    return replace(result, retired=retired, notes=(*result.notes, *notes))


# --- the same steps in processes of their own; shards are read by extract/shard_process.py --------------------------


async def commit_shards(
    dest: str | os.PathLike[str],
    run_id: str,
    *,
    profile: str | None = None,
    allow_partial: bool = False,
    group_readable: bool = False,
    report: Report = report_in_notebook,
) -> Manifest:
    """Publish what the shards of a planned run have left at ``dest``; return the commit.

    A run that is published by now is returned as it is. A shard without a result is a gap. Raises RunError as a
    snapshot does.
    """
    store = await to_thread.run_sync(partial(open_store, dest, group_readable=group_readable, profile=profile))
    progress = Progress(stages=[Stage("writing Parquet")])
    find = partial(published_run, store, run_id, note=progress.note)
    if (published := await to_thread.run_sync(find)) is not None:
        return published
    try:
        spec = await to_thread.run_sync(read_whole_plan, store, run_id)
        await to_thread.run_sync(partial(prepare_store, dest, group_readable=group_readable, profile=profile))
        settings = settings_from_plan(spec, profile=profile, allow_partial=allow_partial, group_readable=group_readable)
        async with reported(progress, report, folder=Path(store.url)) as reporting:
            return (await _commit_shards(store, spec, settings, progress, reporting)).manifest
    except (OSError, RunError):
        if (published := await to_thread.run_sync(find)) is None:
            raise
        return published  # another process was faster


async def _commit_shards(
    store: Store, spec: RunSpec, settings: SnapshotSettings, progress: Progress, reporting: CancelScope
) -> SnapshotResult:
    run_id = spec.snapshot_id
    found, missing = await to_thread.run_sync(results_of, store, run_id, spec.shards)
    check_is_read(spec, found, missing, allow_partial=settings.allow_partial)
    attempt = await claim_run(store, run_id, progress)
    opened = open_run(
        store, settings, progress, reporting, snapshot_id=run_id, snapshot_at=spec.snapshot_at, attempt=attempt
    )
    async with opened as run:
        progress.kept.begin(run_id, shards=len(found) + len(missing), finished=len(found))
        settled, fleet = await write_fleet([*found, *unread_shards(missing, run.staging.failures)], run)
        return await commit_run(spec, settled, fleet, run)


def _open_dataset(dest: str | os.PathLike[str], profile: str | None) -> Store:
    store = open_store(dest, profile=profile)
    try:
        names = store.names(layout.RUNS)
    except OSError as error:
        raise unreadable(store, error, dest=os.fspath(dest)) from error
    if not names:
        raise SettingsError(f"DEST {dest} holds no snapshot to build on", option="DEST")
    return store
