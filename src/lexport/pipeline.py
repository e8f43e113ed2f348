"""Overview: how a fleet becomes a snapshot.

1. ``plan_run`` decides what is read: the identity, the accounts, and a shard for each account in each Region.
2. ``read_shard`` reads one shard: list, fetch, flatten. All shards are read concurrently, into sorted files of rows.
3. ``commit_run`` merges the runs into Parquet, compares them with the snapshot before, and publishes all or nothing.

``snapshot`` is these three; package downloads begin during the second step and end before the third. ``plan`` is the
first, and lists each shard instead of reading it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from anyio import to_thread

from lexport.artifacts.packages import tables_of
from lexport.artifacts.run import Run, RunResult, open_run, reported
from lexport.artifacts.snapshot_downloads import open_downloads
from lexport.aws.client import LambdaClient
from lexport.aws.quota.pacer import Pacer
from lexport.aws.session import Session, open_session
from lexport.dataset import layout
from lexport.dataset.commit import prepare_destination
from lexport.dataset.local import LocalStore, local_folder
from lexport.dataset.snapshot import FunctionTables, RunFacts, write_function_tables, write_snapshot
from lexport.errors import ItemError, SettingsError
from lexport.extract.access import Access, open_access
from lexport.extract.context import RunContext
from lexport.extract.estimate import FleetPlan, ShardEstimate, estimate_shard, fleet_plan
from lexport.extract.inputs import Inputs, note_other_key, read_inputs
from lexport.extract.progress import Progress, Report, report_nothing
from lexport.extract.read_shard import read_shard
from lexport.extract.results import finish_results, reason_not_published, reconcile_row_counts, unread_account
from lexport.extract.rows import ValueHasher
from lexport.extract.shards import find_shards, limits_of_process, work_on_shards
from lexport.model import GLOBAL_REGION, FunctionRef, Reply, RunSpec, Shard, ShardResult, __version__, new_ulid
from lexport.settings import SnapshotSettings
from lexport.tables.functions import FUNCTIONS, LAYERS
from lexport.tables.registry import check_names


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotResult(RunResult):
    """The result of ``snapshot``."""


async def snapshot(
    dest: str | os.PathLike[str], settings: SnapshotSettings | None = None, *, report: Report = report_nothing
) -> SnapshotResult:
    """Read what the settings name and publish it as one snapshot of the dataset at ``dest``.

    Raises RunError: SettingsError for wrong settings, CredentialsError where nothing may be read, IncompleteError where
    something is missing and ``allow_partial`` is off; then nothing is published and the staging folder is kept.
    If cancelled, it publishes nothing and leaves nothing behind; once publishing has begun, it finishes.
    """
    settings = settings or SnapshotSettings()
    settings.check_reads_a_fleet()
    check_names(settings.with_resources)
    progress, packages = Progress(), settings.packages
    inputs = await read_inputs(settings, note=progress.note)
    store = prepare_destination(
        local_folder(dest), group_readable=settings.group_readable, with_packages=packages is not None
    )
    note_other_key(inputs, store, note=progress.note)
    hasher = ValueHasher(inputs.hash_key) if inputs.hash_key else None
    async with open_run(store, settings, progress, report, hasher=hasher) as run:
        async with (
            open_session(profile=settings.profile, endpoint_url=settings.endpoint_url) as session,
            open_downloads(packages, session, run) as downloads,
        ):
            async with (
                _open_access(session, settings, inputs, run.session_name, progress) as access,
                downloads.while_reading() if downloads else nullcontext() as on_reply,
            ):
                spec = await plan_run(
                    settings,
                    access,
                    inputs,
                    snapshot_id=run.snapshot_id,
                    snapshot_at=run.snapshot_at,
                    note=progress.note,
                )
                results = await read_shards(spec, access, run, on_reply)
            results = finish_results(results, run.staging.failures)
            await run.staging.flush_all()
            functions = await to_thread.run_sync(write_function_tables, run.table_folder(), run.staging.runs)
            counter = functions.counter
            results = reconcile_row_counts(results, counter.rows, counter.dropped, run.staging.failures)
            if downloads is not None:
                await downloads.fetch_rest(functions.files[FUNCTIONS].path, functions.files[LAYERS].path)
        return await commit_run(spec, results, functions, run)


async def plan(
    dest: str | os.PathLike[str] | None = None,
    settings: SnapshotSettings | None = None,
    *,
    report: Report = report_nothing,
) -> FleetPlan:
    """Estimate what a snapshot with these settings would cost; with ``dest``, what an incremental one would.

    Costs the listing itself: one List* call per 50 versions. Raises RunError as a snapshot does.
    """
    settings = settings or SnapshotSettings()
    settings.check_reads_a_fleet()
    check_names(settings.with_resources)
    if settings.is_selection:
        raise SettingsError("a list of functions needs no plan: each is one GetFunction call", option="--function")
    store = None if dest is None else _open_dataset(dest)
    progress = Progress()
    estimates: list[ShardEstimate] = []
    snapshot_at = datetime.now(UTC)
    snapshot_id = new_ulid(snapshot_at)
    async with reported(progress, report):
        inputs = await read_inputs(settings, note=progress.note, needs_hash_key=store is not None)
        async with (
            open_session(profile=settings.profile, endpoint_url=settings.endpoint_url) as session,
            _open_access(session, settings, inputs, f"lexport-plan-{snapshot_id}", progress) as access,
        ):
            spec = await plan_run(
                settings, access, inputs, snapshot_id=snapshot_id, snapshot_at=snapshot_at, note=progress.note
            )

            pacer = Pacer(settings.rates_per_s, settings.quota_share)
            context = RunContext(spec=spec, settings=settings, store=store, pacer=pacer, progress=progress)

            async def estimate(shard: Shard, api: LambdaClient) -> None:
                estimates.append(await estimate_shard(context, shard, api))

            def record_unread_account(account_id: str, shards: Sequence[Shard], error: ItemError) -> None:
                title = f"{account_id} {GLOBAL_REGION}"
                estimates.append(ShardEstimate(shard=shards[0], errors=((title, error),)))

            await work_on_shards(
                spec.shards, access, work=estimate, on_account_error=record_unread_account, progress=progress
            )
    return fleet_plan(estimates, progress.notes)


# --- the three steps; read_shard is in extract/read_shard.py ----------------------------------------------------------


async def plan_run(
    settings: SnapshotSettings,
    access: Access,
    inputs: Inputs,
    *,
    snapshot_id: str,
    snapshot_at: datetime,
    note: Callable[[str], None],
) -> RunSpec:
    """Decide what a run reads. Raises SettingsError, CredentialsError, and RunError where AWS cannot be reached."""
    return RunSpec(
        snapshot_id=snapshot_id,
        snapshot_at=snapshot_at,
        settings_fingerprint=settings.fingerprint,
        hash_key_id=inputs.hash_key_id,
        lexport_version=__version__,
        shards=await find_shards(access, settings, accounts=inputs.accounts, selection=inputs.selection, note=note),
    )


async def read_shards(
    spec: RunSpec, access: Access, run: Run, on_reply: Callable[[FunctionRef, Reply], None] | None
) -> list[ShardResult]:
    """Read every shard in this process, all concurrently; ``on_reply`` gets each response of GetFunction."""
    results: list[ShardResult] = []
    store = run.store if run.settings.incremental else None
    context = RunContext(spec=spec, settings=run.settings, store=store, pacer=run.pacer, progress=run.progress)

    async def read(shard: Shard, api: LambdaClient) -> None:
        results.append(await read_shard(context, shard, api, run.staging, on_reply))

    def record_unread_account(account_id: str, shards: Sequence[Shard], error: ItemError) -> None:
        results.extend(unread_account(account_id, shards, error, run.staging.failures))

    await work_on_shards(spec.shards, access, work=read, on_account_error=record_unread_account, progress=run.progress)
    return results


async def commit_run(
    spec: RunSpec, results: Sequence[ShardResult], functions: FunctionTables, run: Run
) -> SnapshotResult:
    """Write the remaining tables, compare them with the snapshot before, and publish; or publish nothing.

    ``functions`` are the tables of function versions, already written. Raises CredentialsError where nothing
    may be read, IncompleteError for gaps that are not allowed, and the errors of publishing.
    """
    settings = run.settings
    run.progress.stage = "writing Parquet"
    await run.staging.flush_all()
    staged = await to_thread.run_sync(
        partial(
            write_snapshot,
            run.table_folder(),
            run.staging.runs,
            results,
            functions=functions,
            package_tables=tables_of(settings.packages) if settings.packages else (),
            facts=RunFacts(
                gaps=run.staging.failures.gaps.total(), hash_key_id=spec.hash_key_id, options=settings.for_manifest()
            ),
            store=run.store,
            note=run.progress.note,
        )
    )
    result = run.result(SnapshotResult, staged, has_packages=settings.packages is not None)
    error = reason_not_published(
        results,
        result.failures,
        gaps=staged.manifest.gaps,
        allow_partial=settings.allow_partial,
        errors_path=run.errors_path,
        result=result,
    )
    if error is not None:
        raise error
    return await run.publish(staged, result)


# --- opening access and a dataset -------------------------------------------------------------------------------------


def _open_access(
    session: Session, settings: SnapshotSettings, inputs: Inputs, session_name: str, progress: Progress
) -> AbstractAsyncContextManager[Access]:
    return open_access(
        session,
        settings,
        regions=settings.regions,
        more_regions=[function.region for function in inputs.selection or () if function.region],
        connections=limits_of_process().connections,
        session_name=session_name,
        note=progress.note,
    )


def _open_dataset(dest: str | os.PathLike[str]) -> LocalStore:
    store = LocalStore(local_folder(dest).absolute())
    if not store.names(layout.RUNS):
        raise SettingsError(f"DEST {dest} holds no snapshot to build on", option="DEST")
    return store
