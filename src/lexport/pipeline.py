"""THE MAP: one snapshot, from the first check to the commit. Opens what is shared and wires the flow.

check everything -> visit every account-region and read it, staging beside -> Parquet -> publish
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from anyio import create_memory_object_stream, create_task_group, current_time, to_thread
from anyio.streams.memory import MemoryObjectSendStream

from lexport.artifacts.artifact_rows import ArtifactRows
from lexport.artifacts.downloader import Downloader
from lexport.artifacts.early_downloads import EarlyDownloads
from lexport.artifacts.package_refs import package_filter_of
from lexport.artifacts.plan import TableFile, disk_space_error, plan_downloads
from lexport.artifacts.run import execute_plan, tables_of
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import Transfers, open_transfers
from lexport.aws.client import LambdaClient
from lexport.aws.errors import class_of
from lexport.aws.quota.pacer import Pacer
from lexport.aws.session import Session, open_session
from lexport.dataset.commit import open_destination, open_staging, publish, remove_staging
from lexport.dataset.commits import newest_first
from lexport.dataset.local import LocalStore, local_folder
from lexport.dataset.manifest import Manifest
from lexport.dataset.parquet import TableFolder
from lexport.dataset.runs import RunWriter
from lexport.dataset.snapshot import Early, write_early, write_snapshot
from lexport.errors import (
    AccessDeniedError,
    CredentialsEndedError,
    CredentialsError,
    ExpiredCredentialsError,
    IncompleteError,
    ItemError,
    PackageError,
)
from lexport.extract.access import Account, Selection
from lexport.extract.accounts import read_accounts
from lexport.extract.failures import FailureKind, Failures, Item
from lexport.extract.hash_key import KEY_VARIABLE, HashKey, load_hash_key
from lexport.extract.incremental import PendingBudget
from lexport.extract.outcomes import account_for_rows, settle, unread
from lexport.extract.progress import PackageProgress, Progress, Report, keep_reporting, report_nothing
from lexport.extract.read_shard import read_shard
from lexport.extract.rows import Rows, ValueHasher
from lexport.extract.selection import read_selection
from lexport.extract.shards import one_error, visit
from lexport.extract.staging import Staging
from lexport.model import (
    GLOBAL_REGION,
    Failure,
    FunctionRef,
    Reply,
    RunSpec,
    Scope,
    Shard,
    ShardResult,
    __version__,
    new_ulid,
)
from lexport.settings import PackageSettings, SnapshotSettings
from lexport.tables.functions import FUNCTIONS, LAYERS
from lexport.tables.staged import Batch
from lexport.tables.text import plural

BATCHES_WAITING = 1  # batches of 512 answers that wait while staging writes


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotResult:
    """What a run came to. ``manifest`` is the commit, or what it would have been where nothing was ``published``.

    ``packages`` counts what became of packages, where they were wanted. ``failures`` counts lost or odd items by kind,
    with one example each; ``notes`` are things to know.
    """

    snapshot_id: str
    published: bool
    manifest: Manifest
    packages: PackageProgress | None = field(repr=False)
    failures: tuple[tuple[FailureKind, int, Failure], ...] = field(repr=False)
    notes: tuple[str, ...]
    duration_s: float


async def snapshot(
    dest: str | Path, settings: SnapshotSettings | None = None, *, report: Report = report_nothing
) -> SnapshotResult:
    """Read what the settings name and publish it as one snapshot of the dataset at ``dest``.

    Raises RunError: SettingsError before any call, CredentialsError where nothing may be read, IncompleteError where
    something is missing and ``allow_partial`` is off; then nothing is published and the staging folder is kept.
    Cancelled: nothing is published and nothing is left behind; publishing itself is not interrupted.
    """
    options = settings or SnapshotSettings()
    started_s = current_time()
    snapshot_at = options.snapshot_at or datetime.now(UTC)
    snapshot_id = options.snapshot_id or new_ulid(snapshot_at)

    # All that can be wrong without asking AWS is found here.
    options.check_reads_a_fleet()
    progress = Progress()
    read_given = partial(to_thread.run_sync, abandon_on_cancel=True)  # a pipe may keep us waiting
    chosen = partial(read_selection, options.functions, options.functions_from, note=progress.note)
    selection = await read_given(chosen) if options.is_selection else None
    accounts = await read_given(read_accounts, options.accounts, options.accounts_from)
    key = None if options.env == "none" else await read_given(load_hash_key, options.hash_key_file)
    store = open_destination(
        local_folder(dest), group_readable=options.group_readable, with_packages=options.packages is not None
    )
    folder = open_staging(store, snapshot_id)

    _compare_key(key, store, progress)
    run = _Run(
        options=options,
        selection=selection,
        accounts=accounts,
        snapshot_id=snapshot_id,
        key=key,
        progress=progress,
        store=store,
        folder=folder,
        snapshot_at=snapshot_at,
    )
    try:
        with one_error(folder):
            async with create_task_group() as tasks:
                tasks.start_soon(keep_reporting, report, progress)
                outcomes = await run.read()
                progress.stage = "writing Parquet"
                draft = await to_thread.run_sync(
                    partial(
                        write_snapshot,
                        run.tables,
                        run.stage.runs,
                        outcomes,
                        early=run.early,
                        package_tables=tables_of(options.packages) if options.packages else (),
                        gaps=run.failures.gaps.total(),
                        hash_key_id=key.key_id if key else None,
                        options=options.for_manifest(),
                        store=store,
                        note=progress.note,
                    )
                )
                tasks.cancel_scope.cancel()  # the report has nothing more to tell
        result = SnapshotResult(
            snapshot_id=snapshot_id,
            published=False,
            manifest=draft.manifest,
            packages=progress.packages if options.packages else None,
            failures=run.failures.summary(),
            notes=tuple(progress.notes),
            duration_s=current_time() - started_s,
        )
        _refuse_gaps(result, outcomes, folder, allow_partial=options.allow_partial)
        committed, notes = await publish(store, draft.manifest, draft.files)
    except IncompleteError:
        raise  # what was read stays in staging, `errors.parquet` among it
    except BaseException:  # cancelled too: nobody can use what is there
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


class _Run:
    """What the tasks of one run share."""

    def __init__(
        self,
        *,
        options: SnapshotSettings,
        selection: Selection | None,
        accounts: tuple[str, ...],
        snapshot_id: str,
        key: HashKey | None,
        progress: Progress,
        store: LocalStore,
        folder: Path,
        snapshot_at: datetime,
    ) -> None:
        self.options, self.selection, self.progress = options, selection, progress
        self.accounts, self.snapshot_id = accounts, snapshot_id
        self.session_name = f"lexport-{snapshot_id}"
        self.store, self.folder, self.snapshot_at = store, folder, snapshot_at
        self.hash_key_id = key.key_id if key else None
        self.staging: Staging
        self.on_reply: Callable[[FunctionRef, Reply], None] | None = None
        self.budget = PendingBudget()
        self.early: Early
        self.outcomes: list[ShardResult] = []
        self.rows = Rows(ValueHasher(key) if key else None)
        self.failures = Failures(self.rows, _now)
        self.stage = RunWriter(folder, file_mode=store.file_mode)
        self.tables = TableFolder(
            path=folder, snapshot_id=snapshot_id, snapshot_at=snapshot_at, file_mode=store.file_mode
        )
        self.pacer = Pacer(options.rates_per_s, options.quota_share)
        self.spec = RunSpec(
            snapshot_id=snapshot_id,
            snapshot_at=snapshot_at,
            settings_fingerprint=options.fingerprint,
            hash_key_id=self.hash_key_id,
            lexport_version=__version__,
            shards=(),
        )

    async def read(self) -> list[ShardResult]:
        """Read every shard, all side by side, into sorted runs, and fetch packages; return what came of each."""
        options = self.options
        async with open_session(profile=options.profile, endpoint_url=options.endpoint_url) as session:
            if options.packages is None:
                await self._read_fleet(session, None)
                self.early = await self._write_early()
            else:
                package_store, progress = PackageStore(self.store), self.progress.packages
                async with open_transfers(options.packages, session, package_store, progress) as transfers:
                    await self._read_fleet(session, transfers)
                    self.early = await self._write_early()
                    await self._fetch_packages(session, options.packages, transfers)
        return self.outcomes

    async def _read_fleet(self, session: Session, transfers: Transfers | None) -> None:
        """Read the fleet; the presigned URLs in its responses are used while download slots are free."""
        batches_out, batches = create_memory_object_stream[Batch](BATCHES_WAITING)
        async with create_task_group() as staging:
            staging.start_soon(self.stage.drain, batches)
            async with batches_out:
                async with create_task_group() as downloads:
                    early = None
                    if transfers is not None and self.options.packages is not None:
                        early = EarlyDownloads(
                            self.options.packages,
                            package_filter_of(self.options.packages),
                            transfers,
                            self._artifact_rows(batches_out),
                            downloads,
                        )
                    self.staging = Staging(self.folder, self.rows, self.failures, batches_out)
                    self.on_reply = early.start if early else None
                    await visit(
                        self.options,
                        session,
                        self,
                        self.progress,
                        selection=self.selection,
                        accounts=self.accounts,
                        session_name=self.session_name,
                    )
                self.outcomes = settle(self.outcomes, self.failures)
                await batches_out.send(self.rows.take())

    async def _write_early(self) -> Early:
        early = await to_thread.run_sync(write_early, self.tables, self.stage.runs)
        self.outcomes = account_for_rows(self.outcomes, early.functions.rows, early.functions.dropped, self.failures)
        if self.rows.items:
            batches_out, batches = create_memory_object_stream[Batch](1)
            async with batches_out:
                await batches_out.send(self.rows.take())
            await self.stage.drain(batches)
        return early

    async def _fetch_packages(self, session: Session, settings: PackageSettings, transfers: Transfers) -> None:
        """Fetch the packages of the functions that no early download has stored."""
        self.progress.stage = "looking for packages"
        plan = await to_thread.run_sync(
            partial(
                plan_downloads,
                settings,
                package_filter_of(settings),
                transfers.package_store,
                functions=[TableFile(path=self.early.files[FUNCTIONS].path)],
                layers=[TableFile(path=self.early.files[LAYERS].path)],
                folder=self.folder,
                runs=self.stage.runs,
                progress=self.progress.packages,
            )
        )
        batches_out, batches = create_memory_object_stream[Batch](BATCHES_WAITING)
        async with create_task_group() as staging:
            staging.start_soon(self.stage.drain, batches)
            async with batches_out:
                downloader = Downloader(settings, transfers, self._artifact_rows(batches_out))
                if message := disk_space_error(self.store.root, plan):  # the tables are worth publishing all the same
                    self.progress.note(message)
                    error = PackageError("the disk has no space for all packages", code="no_room")
                    await downloader.record_all_failed(plan, error)
                else:
                    await execute_plan(
                        plan,
                        downloader,
                        self.options,
                        session,
                        self.pacer,
                        progress=self.progress,
                        session_name=self.session_name,
                    )
                await batches_out.send(self.rows.take())

    def _artifact_rows(self, batches_out: MemoryObjectSendStream[Batch]) -> ArtifactRows:
        progress = self.progress.packages
        return ArtifactRows(
            rows=self.rows, failures=self.failures, progress=progress, now=_now, batches_out=batches_out
        )

    # --- as a visitor of account-regions ------------------------------------------------------------------------------

    async def read_shard(self, shard: Shard, api: LambdaClient) -> None:
        """Read one shard."""
        self.outcomes.append(
            await read_shard(
                self.spec,
                shard,
                api,
                settings=self.options,
                store=self.store,
                staging=self.staging,
                pacer=self.pacer,
                budget=self.budget,
                progress=self.progress,
                on_reply=self.on_reply,
            )
        )

    def skip_shards(self, shards: Sequence[Shard]) -> None:
        """Note Regions that are switched off."""
        self.outcomes.extend(unread(shard, "unavailable", _now()) for shard in shards)

    def lose_account(self, account: Account, shards: Sequence[Shard], error: ItemError) -> None:
        """Note an account that could not be entered, one failure for all its shards."""
        scope = Scope(account_id=account.account_id or "", region=GLOBAL_REGION)
        self.failures.record(error, Item(scope=scope, stage="discover", operation="AssumeRole"))
        is_denied = isinstance(error, AccessDeniedError | ExpiredCredentialsError)
        self.outcomes.extend(unread(shard, "denied" if is_denied else "partial", _now()) for shard in shards)


def _now() -> datetime:
    return datetime.now(UTC)


def _refuse_gaps(result: SnapshotResult, outcomes: list[ShardResult], folder: Path, *, allow_partial: bool) -> None:
    """Raise where there is nothing to publish: all refused, or gaps that were not allowed."""
    read = [outcome for outcome in outcomes if outcome.status != "unavailable"]
    gaps = [(count, example) for kind, count, example in result.failures if kind.is_gap]
    if read and all(outcome.status == "denied" for outcome in read):
        raise CredentialsError(f"nothing may be read: {_refusal(gaps[0][1])}")
    if gaps and not allow_partial:
        if read and all(outcome.is_refused for outcome in read):
            raise CredentialsEndedError(
                f"the credentials ended before anything was read whole, so nothing was published: {gaps[0][1].message};"
                f" what is missing is in {folder / 'errors.parquet'}",
                result=result,
            )
        if read and not any(outcome.is_answering for outcome in read):
            raise IncompleteError(
                f"{gaps[0][1].message}; nothing could be read, so nothing was published;"
                f" every failure is in {folder / 'errors.parquet'}",
                result=result,
            )
        raise IncompleteError(
            f"{plural(result.manifest.gaps, 'item')} could not be read, so nothing was published;"
            f" run again, or publish what there is with --allow-partial; every one is in {folder / 'errors.parquet'}",
            result=result,
        )


def _refusal(failure: Failure) -> str:
    """Say who refused what, and with which words: the code stands in the message too, and is named once."""
    said = failure.message.partition(f"{failure.error_code}: ")[2]
    where = f"{failure.operation or 'AWS'} in {failure.scope.account_id} {failure.scope.region}"
    text = f"{where} answered {failure.error_code}: {said}" if said else f"{where}: {failure.message}"
    is_denied = issubclass(class_of(failure.error_code, failure.http_status), AccessDeniedError)
    return text + ("; `lexport iam-policy` prints the permissions needed" if is_denied else "")


def _compare_key(key: HashKey | None, store: LocalStore, progress: Progress) -> None:
    """Say so when hashes of this snapshot cannot be compared with those of the last."""
    last = next(newest_first(store, lambda found: progress.note(found.note)), None)
    if key and last and last.hash_key_id not in (None, key.key_id):
        progress.note(
            f"the hash key {key.key_id} is not the {last.hash_key_id} of the last snapshot, so value_hmac cannot be"
            f" compared with it; carry the key over: set {KEY_VARIABLE} or --hash-key-file to that of the earlier runs"
        )
