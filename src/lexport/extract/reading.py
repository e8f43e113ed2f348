"""Read shards in this process: each one's rows are staged at the destination, and its result is written last.

The process may be the one that planned the run, or any other that has the plan: see ``attempts.py`` for how two of
them that read the same shard are kept apart.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

import pyarrow as pa
from anyio import CancelScope, move_on_after, sleep, to_thread

from lexport.aws.client import LambdaClient
from lexport.aws.waits import scaled
from lexport.dataset import layout
from lexport.dataset.account_regions import record_regions
from lexport.dataset.attempts import begin_attempt, has_later_attempt, next_attempt
from lexport.dataset.commits import last_sizes
from lexport.dataset.local import clear
from lexport.dataset.run_file import hash_run_file
from lexport.dataset.staging import open_staged, staged_runs, write_result
from lexport.dataset.store import Store
from lexport.errors import ItemError, RunError
from lexport.extract.background import in_background
from lexport.extract.context import RunContext
from lexport.extract.read_shard import read_shard
from lexport.extract.results import unread_account
from lexport.extract.rows import Staging, StagingMemory, ValueHasher
from lexport.extract.shards import ShardVisits
from lexport.extract.staged_versions import StagedVersions
from lexport.model import FunctionRef, Reply, Scope, Shard, ShardResult, StagedRun

FLUSH_WITHIN_S = 10.0
"""How long an interrupted run may take to write the rows that are in memory."""

logger = logging.getLogger(__name__)

OnReply = Callable[[FunctionRef, Reply], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTry:
    """One of at most ``most_tries`` attempts at a shard by processes of their own; ``worker`` names this one.

    With ``gives_way`` it ends when a later attempt has begun, which goes on from what this one has staged: somebody
    believed this process dead.
    """

    worker: str
    most_tries: int
    gives_way: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Reads the shards of one run in this process, within the limits of ``visits``.

    ``store`` is the destination, ``folder`` a private folder on this machine, ``attempt`` that of the run. ``own_try``
    is given where this process does not hold the claim of the run. ``on_reply`` gets each response of GetFunction.
    """

    context: RunContext
    visits: ShardVisits
    store: Store
    folder: Path
    memory: StagingMemory
    hasher: ValueHasher | None
    attempt: int
    own_try: OwnTry | None = None
    on_reply: OnReply | None = None

    @property
    def snapshot_id(self) -> str:
        """The id of the run."""
        return self.context.spec.snapshot_id

    async def read_all(self, shards: Sequence[Shard], finished: Mapping[Scope, ShardResult]) -> list[ShardResult]:
        """Read shards, all concurrently, but those that are ``finished``; return the results of those that were read.

        The account of a shard of ``aws-global`` may have several; which ones is written before they are read.
        """
        results: list[ShardResult] = []
        context = replace(self.context, dataset=self.store)

        async def read(shard: Shard, api: LambdaClient) -> None:
            if shard.scope in finished:  # of an account whose Regions were not known
                return
            async with self.stage(shard.scope) as staging, self._earlier(shard.scope, staging.attempt) as staged:
                result = await read_shard(context, shard, api, staging, self.on_reply, staged=staged)
                results.append(await self._finish(staging, result))
            self.context.progress.kept.finish_shard()

        async def record_unread_account(unread: Sequence[Shard], error: ItemError) -> None:
            async with self.stage(unread[0].scope) as staging:
                first, *others = unread_account(unread, error, staging.failures)
                results.append(await self._finish(staging, first))
            results.extend([await self._write(result) for result in others])

        async def keep_regions(shard: Shard, found: Sequence[Shard]) -> Sequence[Shard]:
            return await to_thread.run_sync(record_regions, self.store, self.snapshot_id, shard, found)

        left = [shard for shard in shards if shard.scope not in finished]
        scopes = [shard.scope for shard in left]
        self.context.progress.versions_before = await to_thread.run_sync(last_sizes, self.store, scopes)
        await self.visits.visit_all(left, read, record_unread_account, keep_regions)
        return results

    async def _finish(self, staging: Staging, result: ShardResult) -> ShardResult:
        runs = await staging.finish()
        return await self._write(replace(result, attempt=staging.attempt, runs=runs, rows={**staging.row_counts}))

    async def _write(self, result: ShardResult) -> ShardResult:
        return await to_thread.run_sync(write_result, self.store, self.snapshot_id, result)

    @asynccontextmanager
    async def stage(self, scope: Scope) -> AsyncIterator[Staging]:
        """Open the staging of one shard; an error or a cancellation still writes the rows that are in memory.

        Raises RunError where this attempt gives way to a later one.
        """
        attempt = await to_thread.run_sync(self._begin, scope)
        numbers = count()
        place = {"account_id": scope.account_id, "region": scope.region}

        def keep(path: Path) -> StagedRun:
            sha256, size_bytes = hash_run_file(path), path.stat().st_size
            target = layout.run_file_path(self.snapshot_id, scope, attempt, next(numbers), sha256)
            self.store.place(path, target, sha256=sha256)
            self.store.sync_folder(target.rpartition("/")[0])
            clear(path)
            logger.debug("%s: staged %s, %d bytes", scope, target, size_bytes, extra=place)
            return StagedRun(path=target, size_bytes=size_bytes, sha256=sha256)

        staging = Staging(
            self.folder,
            file_mode=self.store.file_mode,
            hasher=self.hasher,
            memory=self.memory,
            keep=keep,
            attempt=attempt,
        )
        gives_way = self.own_try is not None and self.own_try.gives_way
        watch = partial(self._watch, scope, attempt)
        try:
            async with in_background(watch, until=CancelScope()) if gives_way else nullcontext():
                yield staging
        except BaseException:
            with move_on_after(FLUSH_WITHIN_S, shield=True):
                await staging.finish()
            raise
        finally:
            staging.close()

    def _begin(self, scope: Scope) -> int:
        if self.own_try is None:
            return next_attempt(self.store, self.snapshot_id, scope, self.attempt)
        return begin_attempt(
            self.store,
            self.snapshot_id,
            scope,
            run_attempt=self.attempt,
            worker=self.own_try.worker,
            most_tries=self.own_try.most_tries,
        )

    async def _watch(self, scope: Scope, attempt: int) -> None:
        """Raise RunError when a later attempt at a shard has begun. It looks as often as rows are written."""
        while True:
            await sleep(scaled(self.context.settings.flush_after_s))
            with suppress(OSError):  # a store that does not answer says nothing
                if await to_thread.run_sync(has_later_attempt, self.store, self.snapshot_id, scope, attempt):
                    raise RunError(f"{scope} is read elsewhere by now, in a later attempt")

    @asynccontextmanager
    async def _earlier(self, scope: Scope, attempt: int) -> AsyncIterator[StagedVersions | None]:
        """Open the rows that earlier attempts have staged of a shard; None where there are none."""
        if attempt == 1:
            yield None
            return
        runs = await to_thread.run_sync(self._staged_before, scope, attempt)
        if not runs:
            yield None
            return
        folder = self.folder / f".earlier-{scope.account_id}-{scope.region}"
        staged = await to_thread.run_sync(self._open_earlier, runs, folder, scope)
        try:
            yield staged
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(staged.close)

    def _staged_before(self, scope: Scope, attempt: int) -> list[StagedRun]:
        return staged_runs(self.store, self.snapshot_id, scope, before=attempt)

    def _open_earlier(self, runs: Sequence[StagedRun], folder: Path, scope: Scope) -> StagedVersions:
        """Open what earlier attempts have staged of a shard; what is damaged is read again."""
        folder.mkdir(mode=0o700)
        note, sections = self.context.progress.note, []
        for run in runs:
            try:
                sections += open_staged(self.store, [run], folder)
            except RunError as error:
                note(f"{scope}: {error}; it is read again")
        try:
            return StagedVersions(sections, folder, scope)
        except (KeyError, pa.ArrowException) as error:  # bytes that no run of lexport wrote, under their own hash
            reason = " ".join(str(error).split())[:200]
            note(f"{scope}: what is staged of it cannot be used: {reason}; it is read again")
            return StagedVersions((), folder, scope)
