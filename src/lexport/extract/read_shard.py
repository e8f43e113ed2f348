"""Read one account-region: wires listing, fetching and flattening, and determines the shard's status.

The reader that completes a batch hands it to staging and waits for the write.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from anyio import create_memory_object_stream, create_task_group, to_thread
from anyio.streams.memory import MemoryObjectSendStream

from lexport.aws.client import LambdaClient
from lexport.aws.quota.pacer import CallApi
from lexport.errors import AccessDeniedError, ExpiredCredentialsError, FunctionGoneError, ItemError, first_of
from lexport.extract.carry.shard_carry import open_shard_carry
from lexport.extract.context import RunContext
from lexport.extract.failures import GONE
from lexport.extract.flatten import Rules, flatten_carried, flatten_function
from lexport.extract.flatten_resource import append_row
from lexport.extract.incremental import LastSnapshot, Pending, PendingVersions, revision_of
from lexport.extract.listing import discover_functions
from lexport.extract.match_response import fetch_function
from lexport.extract.progress import ShardProgress
from lexport.extract.resources import ResourceReader, finish_readers, make_readers
from lexport.extract.rows import Staging
from lexport.extract.shard_log import ShardLog, log_result
from lexport.extract.staged_versions import StagedPart, StagedVersions
from lexport.extract.usage.read import UsageReader, open_usage
from lexport.extract.workers import Pages, pump, workers_for
from lexport.model import LATEST, FunctionRef, Reply, Shard, ShardResult
from lexport.tables.call import Call
from lexport.tables.functions import GET_FUNCTION
from lexport.tables.functions import RESOURCE as VERSIONS
from lexport.tables.registry import fleet_resources, resources_read
from lexport.tables.resource import Subject
from lexport.tables.resources.usage import USAGE
from lexport.tables.staged import ANSWER

logger = logging.getLogger(__name__)

CARRIED_AT_ONCE = 256  # versions carried over before other tasks run again: some 15 ms
PAGES_AHEAD = (
    3  # pages of references listed ahead of the one being fetched: enough for a second or two if listing stalls
)


async def read_shard(
    run: RunContext,
    shard: Shard,
    api: LambdaClient,
    staging: Staging,
    on_reply: Callable[[FunctionRef, Reply], None] | None = None,
    *,
    staged: StagedVersions | None = None,
) -> ShardResult:
    """Read every function, version and alias of one shard into ``staging``.

    ``on_reply`` gets every response of GetFunction, with its presigned URL. ``staged`` are the versions that earlier
    attempts at this run have staged. Never raises an ItemError: losses are recorded in ``staging.failures``, and the
    status of the result says so.
    """
    started_at, scope = datetime.now(UTC), shard.scope
    if shard.region_status == "disabled":
        return ShardResult(shard=shard, status="unavailable", started_at=started_at, ended_at=started_at)
    progress, settings, snapshot_at = run.begin(scope), run.settings, run.spec.snapshot_at
    place = {"account_id": scope.account_id, "region": scope.region}
    logger.info("%s: reading", scope, extra=place)
    options = settings.for_manifest()
    log = ShardLog(
        shard=shard, failures=staging.failures, note_run=run.progress.note, started_at=started_at, options=options
    )
    try:
        with run.budget.reader():
            reader = _Reader(
                run=run,
                shard=shard,
                api=api,
                call_api=partial(run.pacer.call, scope),
                staging=staging,
                log=log,
                progress=progress,
                rules=Rules(env=settings.env, fetched_at=snapshot_at, keep_latest=settings.qualifiers != "published"),
                last=await run.open_last(scope, otherwise="every version is fetched"),
                staged=staged,
                on_reply=on_reply,
            )
            await reader.read()
    except* ExpiredCredentialsError as group:
        log.give_up(first_of(group))
    else:
        log.account_for_references()
    progress.finish()
    result = log.result(run.pacer)
    log_result(logger, result)
    return result


@dataclass(slots=True, kw_only=True)
class _Reader:
    """The work of one shard: each method turns one kind of item into rows."""

    run: RunContext
    shard: Shard
    api: LambdaClient
    call_api: CallApi
    staging: Staging
    log: ShardLog
    progress: ShardProgress
    rules: Rules
    last: LastSnapshot | None
    staged: StagedVersions | None
    on_reply: Callable[[FunctionRef, Reply], None] | None
    usage: UsageReader | None = None
    after_rows: Sequence[ResourceReader] = ()

    async def read(self) -> None:
        """List, fetch and flatten concurrently until nothing is left."""
        get_function, _ = self.progress.pace()
        folder, refs_listed = self.staging.folder, self.shard.refs
        refs_out, refs = create_memory_object_stream[Sequence[FunctionRef]](PAGES_AHEAD)
        resources = [] if refs_listed is not None else self.resource_readers()
        carry = await open_shard_carry(self.run, self.shard.scope, [reader.resource for reader in resources])
        queued = [reader for reader in resources if reader.resource.per != "account_region"]
        self.after_rows = [reader for reader in queued if reader.resource.after_rows and not reader.resource.follows]
        with ExitStack() as opened:
            if refs_listed is None and USAGE in resources_read(self.log.options):
                self.usage = opened.enter_context(open_usage(self, resources))
            for reader in queued:
                reader.carry = carry
                opened.enter_context(reader.open_queue(folder))
            pending = opened.enter_context(PendingVersions(folder))
            async with create_task_group() as tasks:
                tasks.start_soon(carry.read_history, self.api, self.call_api)
                if refs_listed is None:
                    tasks.start_soon(self.discover, refs_out, pending, resources)
                else:
                    self.count_listed(len(refs_listed))
                    refs_out.send_nowait(await self.choose_named(refs_listed))
                    refs_out.close()
                    self.progress.is_listed = True
                tasks.start_soon(self.read_functions, refs, workers_for(get_function.rate_per_s))
                for reader in resources:
                    if reader.resource.per == "account_region":
                        tasks.start_soon(reader.read_account_region)
                    else:
                        tasks.start_soon(reader.read_queue, self.rate_per_s(reader))
            await finish_readers(resources, self.rate_per_s, is_doubtful=self.api.has_met_wrong_answers)
            if self.usage is not None:
                await self.usage.read()
        for reader in queued:
            reader.queue.path.unlink()

    def rate_per_s(self, reader: ResourceReader) -> float:
        """Return the rate of the quota class of a resource."""
        return self.run.pacer.reading(self.shard.scope, reader.resource.call.quota).rate_per_s

    def resource_readers(self) -> list[ResourceReader]:
        """Return a reader for every resource that this run reads besides functions."""
        make = partial(
            ResourceReader,
            scope=self.shard.scope,
            api=self.api,
            call_api=self.ask,
            staging=self.staging,
            progress=self.progress,
            log=self.log,
            fetched_at=self.run.spec.snapshot_at,
            lists_versions=self.run.settings.qualifiers != "latest",
        )
        read = resources_read(self.log.options)
        chosen = [each for each in read if each.call is not GET_FUNCTION and each.per != "fleet"]
        return make_readers(chosen, make, required=self.run.settings.require)

    async def ask(self, call: Call, attempt: Callable[[], Awaitable[Reply]]) -> Reply:
        """Make one call of a listing, and note that its response shows a Region that accepts the credentials."""
        try:
            reply = await self.call_api(call, attempt)
        except (AccessDeniedError, FunctionGoneError):
            self.log.is_answering = True
            raise
        self.log.is_answering = True
        return reply

    async def discover(
        self,
        refs_out: MemoryObjectSendStream[Sequence[FunctionRef]],
        pending: PendingVersions,
        resources: Sequence[ResourceReader],
    ) -> None:
        """List the fleet; what is listed goes to the queues of the other resources too."""
        listeners = [
            reader
            for reader in resources
            if not (reader.resource.follows or reader.resource.after_rows or reader.resource.per == "account_region")
        ]

        async def choose(page: Sequence[FunctionRef] | None) -> Sequence[FunctionRef]:
            self.count_listed(len(page or ()))
            self.progress.functions_listed += sum(ref.qualifier is None for ref in page or ())
            for reader in (*listeners, *((self.usage,) if self.usage else ())):
                reader.put(page or ())
            if self.last is None and self.staged is None:
                return page or ()
            return await self.carry(page, pending)

        try:
            await discover_functions(
                self.api,
                self.ask,
                self.shard.scope,
                qualifiers=self.run.settings.qualifiers,
                refs_out=refs_out,
                choose=choose,
                keeps_items=self.last is not None or self.staged is not None,
                lose=self.log.record_listing_error,
                note=self.log.note,
            )
        except ExpiredCredentialsError:
            self.log.has_lost_listings = True
            raise
        except ItemError as error:
            self.log.record_listing_error("ListFunctions", None, error)
        finally:
            if self.staged is not None:
                await self.settle_unlisted(self.staged)
            for reader in listeners:
                reader.queue.end()
            self.progress.is_listed = True

    async def carry(self, page: Sequence[FunctionRef] | None, pending: PendingVersions) -> list[FunctionRef]:
        """Set aside versions whose rows may be there already; return the others. ``page`` is None at the end."""
        to_fetch: list[FunctionRef] = []
        to_keep: list[FunctionRef] = []
        for ref in page or ():
            may_be_known = self.staged is not None or (ref.listed is not None and ref.qualifier is not None)
            (to_keep if may_be_known else to_fetch).append(ref)
        pending.put(to_keep)
        if page is None or self.run.budget.is_used_up_by(pending):
            versions = pending.take()
            if self.staged is not None:
                await self.keep_staged(versions, self.staged, pending)
            to_fetch += [version.ref for version in versions if version.ref.qualifier is None or self.last is None]
            if self.last is not None:
                published = [version for version in versions if version.ref.qualifier is not None]
                to_fetch += await self.carry_pending(published, self.last, pending)
            pending.clear()
        return [ref.without_listing() for ref in to_fetch]

    def put_after_row(self, ref: FunctionRef, reply: Reply | None = None) -> None:
        """Queue what is asked for after the row of a function or version was read, which the reply names."""
        for reader in self.after_rows:
            reader.put((ref,), None if reply is None else revision_of(reply))

    async def keep_staged(self, versions: list[Pending], staged: StagedVersions, pending: PendingVersions) -> None:
        """Stage again the rows of versions that have not changed since, and remove those versions from the list."""
        before = [version.ref for version in versions] if self.after_rows else []
        await self.keep_found(staged.find(versions, pending.listing, datetime.now(UTC)))
        for failure in staged.denials(versions):
            self.log.keep_denial(failure)
            self.progress.fetched += 1
        left = {version.ref for version in versions} if before else set()
        for ref in before:
            if ref not in left:
                self.put_after_row(ref)

    async def choose_named(self, refs: Sequence[FunctionRef]) -> Sequence[FunctionRef]:
        """Stage again the rows of named functions that an earlier attempt has staged; return the others."""
        if self.staged is None:
            return refs
        versions = sorted(map(Pending, refs, range(len(refs))), key=lambda version: version.ref.function_name)
        await self.keep_found(self.staged.find(versions, None, datetime.now(UTC)))
        return [version.ref for version in sorted(versions, key=lambda version: version.number)]

    async def keep_found(self, parts: Iterator[StagedPart]) -> None:
        """Stage again what was found."""
        while (part := await to_thread.run_sync(next, parts, None)) is not None:
            await self.stage_again(part)

    async def stage_again(self, part: StagedPart) -> None:
        """Stage rows of an earlier attempt."""
        await self.staging.add(part.batch)
        self.log.rows += part.versions
        self.log.replies += part.versions
        self.progress.fetched += part.versions

    async def settle_unlisted(self, staged: StagedVersions) -> None:
        """Drop staged versions that the listing does not name any more; keep them where a part of it is lost."""
        if not self.log.has_lost_listings:
            for ref in await to_thread.run_sync(list, staged.unlisted_refs()):
                self.count_listed(1)
                self.log.record_function_error(
                    ref, FunctionGoneError("it was read, and the next listing does not name it", code=GONE)
                )
                self.progress.fetched += 1
            return
        for part in await to_thread.run_sync(list, staged.unlisted()):
            self.count_listed(part.versions)
            await self.stage_again(part)

    async def carry_pending(
        self, versions: list[Pending], last: LastSnapshot, pending: PendingVersions
    ) -> list[FunctionRef]:
        """Make the rows of pending versions that the last snapshot has; return the others."""
        is_new_damage, refresh_after = last.damage is None, self.run.settings.refresh_after
        not_before = self.run.spec.snapshot_at - refresh_after if refresh_after else None
        unknown: list[FunctionRef] = []
        matches = last.find(versions, pending, not_before)
        while part := await to_thread.run_sync(list, islice(matches, CARRIED_AT_ONCE)):
            await self.staging.flush()
            unknown += [ref for ref, listed, older in part if not self.carry_over(ref, listed, older)]
        if last.damage is not None and is_new_damage:
            self.log.note(f"the last snapshot is damaged: {last.damage}; what it cannot provide is fetched")
        return unknown

    def carry_over(self, ref: FunctionRef, listed: Reply | None, older: dict[str, Any] | None) -> bool:
        """Make the row of one version without a call, where that can be done exactly; return whether it was done."""
        if listed is None or older is None:
            return False
        notices = flatten_carried(
            ref,
            listed,
            older,
            scope=self.shard.scope,
            rules=self.rules,
            answer=self.staging.answer_id(ref),
            rows=self.staging.rows,
        )
        if notices is None:
            return False
        self.log.carried_rows += 1
        self.log.rows += 1
        self.progress.fetched += 1
        self.log.notice("ListFunctions", ref.function_name, ref.qualifier, notices)
        self.log.outcomes[VERSIONS.option].oldest(older["fetched_at"])
        self.put_after_row(ref, listed)
        return True

    async def read_functions(self, refs: Pages[FunctionRef], workers: int) -> None:
        """Fetch functions and versions, until the last of them; then nothing more is asked for after their rows."""
        try:
            await pump(self.read_function, refs, self.log.record_function_error, workers=workers)
        finally:
            for reader in self.after_rows:
                reader.queue.end()

    async def read_function(self, ref: FunctionRef) -> None:
        """Fetch and flatten one function, version or alias."""
        await self.staging.flush()
        try:
            reply = await fetch_function(self.api, self.call_api, ref, self.shard.scope)
        except FunctionGoneError:
            raise
        except ItemError:
            self.put_after_row(ref)
            raise
        finally:
            self.progress.fetched += 1
        self.log.replies += 1
        self.log.is_answering = True
        if self.after_rows:
            self.put_after_row(ref, reply)
        scope, rows = self.shard.scope, self.staging.rows
        if self.on_reply is not None:
            self.on_reply(ref, reply)  # the presigned URL in it is not kept
        answer = self.staging.answer_id(ref)
        version, notices = flatten_function(reply, ref, scope=scope, rules=self.rules, answer=answer, rows=rows)
        is_kept = version != LATEST or self.rules.keep_latest
        self.log.rows += is_kept
        self.log.unwanted += not is_kept
        self.log.notice("GetFunction", ref.function_name, ref.qualifier, notices)
        if ref.is_alias:
            assert ref.qualifier is not None
            for resource in fleet_resources():
                if resource.from_version is not None:
                    values = resource.from_version(ref.qualifier, version)
                    values = {**Subject(scope, ref.function_name).columns(), **values, ANSWER: answer}
                    values |= {"fetched_at": self.rules.fetched_at, "carried_forward": False}
                    append_row(resource.tables[0], values, rows=rows)
            if version == LATEST:
                self.count_listed(1)
                # Only the unqualified call returns tags and concurrency, which the row of $LATEST needs.
                await self.read_function(
                    FunctionRef(function_name=ref.function_name, called_as=ref.called_as, is_named=True)
                )

    def count_listed(self, count: int) -> None:
        """Count references to read."""
        self.log.listed += count
        self.progress.listed += count
