"""One account-region, read: wires discover, fetch and flatten, and judges what came of it.

Works on shared ``Rows``: whoever fills them up hands the full batch on, and waits while staging is busy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from anyio import create_memory_object_stream, create_task_group, to_thread
from anyio.streams.memory import MemoryObjectSendStream

from lexport.dataset.disk_queue import NameSpool
from lexport.dataset.references import LOST, References
from lexport.errors import (
    AccessDeniedError,
    ExpiredCredentialsError,
    FlattenError,
    FunctionGoneError,
    ItemError,
    TargetError,
    first_of,
)
from lexport.extract.doubts import Doubts
from lexport.extract.fetch import fetch_function
from lexport.extract.flatten import (
    alias_from_call,
    flatten_account_settings,
    flatten_alias,
    flatten_carried,
    flatten_function,
)
from lexport.extract.incremental import Held, LastSnapshot
from lexport.extract.listing import discover_aliases, discover_functions
from lexport.extract.lossless import Finding
from lexport.extract.match_response import check_account_settings, checked
from lexport.extract.outcomes import REGION_OFF, ScopeOutcome
from lexport.extract.progress import TargetProgress
from lexport.extract.shared import Shared
from lexport.extract.workers import pump, workers_for
from lexport.model import LATEST, FunctionRef, Priority, Reply, ScopeStatus, Target
from lexport.tables.api import Ask, LambdaApi

CARRIED_AT_ONCE = 256  # versions taken over between two looks at everybody else's calls: some 15 ms
BATCH_ITEMS = 512  # items flattened into lists before they go into Arrow: some 4 MB
PAGES_AHEAD = 3  # pages of references listed ahead of the one being fetched: a second or two when listing must pause


async def read_target(
    target: Target, api: LambdaApi, ask: Ask, shared: Shared, progress: TargetProgress
) -> ScopeOutcome:
    """Read every function, version and alias of one target into ``shared.rows``.

    Never raises an ItemError: what is lost is in ``shared.failures``, and the outcome's status says so.
    """
    started_at = shared.now()
    reader = _Reader(target=target, api=api, calls=ask, shared=shared, progress=progress)
    try:
        with shared.room.place():
            await reader.read()
    except* ExpiredCredentialsError as group:
        reader.give_up(first_of(group))
    else:
        reader.account_for_references()
        reader.compare_with_reported_count()
    progress.is_listed = progress.is_done = True
    return ScopeOutcome(
        target=target,
        status=reader.status(),
        function_count_reported=reader.function_count_reported,
        carried_rows=reader.carried_rows,
        is_answering=reader.is_answering,
        ended_by=reader.ended_by,
        started_at=started_at,
        ended_at=shared.now(),
        references=reader.references,
    )


@dataclass(slots=True, kw_only=True)
class _Reader:
    """The work of one target; each method is the way of one item."""

    target: Target
    api: LambdaApi
    calls: Ask
    shared: Shared
    progress: TargetProgress
    replies: int = 0
    denials: int = 0
    is_off: bool = False
    is_answering: bool = False
    ended_by: ItemError | None = None
    function_count_reported: int | None = None
    carried_rows: int = 0
    references: References = field(default_factory=References)
    doubts: Doubts = field(init=False)
    last: LastSnapshot | None = None
    held: Held = field(init=False)

    async def read(self) -> None:
        """Run the target's pumps side by side until all are dry."""
        get_function, listing = self.progress.pace()
        scope = self.target.scope
        if self.target.refs is None:
            self.last = await to_thread.run_sync(self.shared.open_last, scope)
        self.doubts = Doubts(self.lose_aliases)
        waiting = self.shared.staging / f"names-{scope.account_id}-{scope.region}.txt"
        refs_out, refs = create_memory_object_stream[Sequence[FunctionRef]](PAGES_AHEAD)
        with NameSpool(waiting) as names, Held(self.shared.staging) as self.held:
            async with create_task_group() as tasks:
                if self.target.refs is None:
                    tasks.start_soon(self.discover, refs_out, names)
                    tasks.start_soon(self.read_account_settings)
                else:
                    self.count_listed(len(self.target.refs))
                    names.end()
                    tasks.start_soon(self.give_out, self.target.refs, refs_out)
                tasks.start_soon(
                    partial(pump, workers=workers_for(get_function.rate_per_s)),
                    self.read_function,
                    refs,
                    self.lose_function,
                )
                tasks.start_soon(
                    partial(pump, workers=workers_for(listing.rate_per_s)), self.read_aliases, names, self.lose_aliases
                )
            await self.read_doubtful_aliases()
        waiting.unlink()

    def compare_with_reported_count(self) -> None:
        """Say where a listing came back empty though AWS counts functions: it is complete only if both are right."""
        if self.target.refs is None and not self.references.listed and self.function_count_reported:
            self.note(
                f"ListFunctions named no function, GetAccountSettings counts {self.function_count_reported:,}; if it"
                " stays so, something between here and AWS may cut lists"
            )

    async def ask(self, operation: str, attempt: Callable[[], Awaitable[Reply]], priority: Priority) -> Reply:
        """Make one call of those that are few: its answer shows that the Region is on and takes these credentials."""
        try:
            reply = await self.calls(operation, attempt, priority)
        except (AccessDeniedError, FunctionGoneError):
            self.is_answering = True
            raise
        self.is_answering = True
        return reply

    async def discover(self, refs_out: MemoryObjectSendStream[Sequence[FunctionRef]], names: NameSpool) -> None:
        """List the fleet; the names go to those who list aliases."""

        async def choose(page: Sequence[FunctionRef] | None) -> Sequence[FunctionRef]:
            self.count_listed(len(page or ()))
            if page and self.shared.aliases:  # an edge replica's name has a dot, which ListAliases does not take
                functions = [
                    ref.function_name for ref in page if ref.qualifier is None and "." not in ref.function_name
                ]
                names.put(functions)
                self.progress.aliases_due += len(functions)
            return page or () if self.last is None else await self.carry(page, self.last)

        try:
            await discover_functions(
                self.api,
                self.ask,
                self.target.scope,
                qualifiers=self.shared.qualifiers,
                refs_out=refs_out,
                choose=choose,
                keeps_items=self.last is not None,
                lose=self.lose_listing,
                note=self.note,
            )
        except ExpiredCredentialsError:
            raise
        except ItemError as error:
            self.lose_listing("ListFunctions", None, error)
        finally:
            names.end()
            self.progress.is_listed = True

    async def carry(self, page: Sequence[FunctionRef] | None, last: LastSnapshot) -> list[FunctionRef]:
        """Hold back what the last snapshot may know; return what must be fetched. None at the end of the listing."""
        to_fetch: list[FunctionRef] = []
        to_hold: list[FunctionRef] = []
        for ref in page or ():
            (to_fetch if ref.listed is None or ref.qualifier is None else to_hold).append(ref)
        self.held.put(to_hold)
        if page is None or self.shared.room.is_full(self.held):
            to_fetch += await self.take_over(last)
        return [ref.without_listing() for ref in to_fetch]

    async def take_over(self, last: LastSnapshot) -> list[FunctionRef]:
        """Make the rows of held versions that the last snapshot has; return the others."""
        is_new_damage = last.damage is None
        unknown: list[FunctionRef] = []
        found = last.find(self.held, self.shared.not_before)
        while some := await to_thread.run_sync(list, islice(found, CARRIED_AT_ONCE)):
            await self.hand_on()
            unknown += [ref for ref, listed, older in some if not self.is_taken_over(ref, listed, older)]
        if last.damage is not None and is_new_damage:
            self.note(f"the last snapshot is damaged: {last.damage}; what it cannot tell is fetched")
        return unknown

    def is_taken_over(self, ref: FunctionRef, listed: Reply | None, older: dict[str, Any] | None) -> bool:
        """Make the rows of one version without a call, where that can be done exactly."""
        if listed is None or older is None:
            return False
        shared, answer = self.shared, self.shared.answer_id(ref)
        findings = flatten_carried(
            ref, listed, older, scope=self.target.scope, rules=shared.rules, answer=answer, rows=shared.rows
        )
        if findings is None:
            return False
        self.carried_rows += 1
        self.references.rows += 1
        self.progress.fetched += 1
        self.report("ListFunctions", ref.function_name, ref.qualifier, findings)
        return True

    async def give_out(
        self, refs: Sequence[FunctionRef], refs_out: MemoryObjectSendStream[Sequence[FunctionRef]]
    ) -> None:
        """Hand on what the user listed."""
        async with refs_out:
            await refs_out.send(refs)
        self.progress.is_listed = True

    async def read_function(self, ref: FunctionRef) -> None:
        """Fetch and flatten one function, version or alias."""
        await self.hand_on()
        try:
            reply = await fetch_function(self.api, self.calls, ref, self.target.scope)
        finally:
            self.progress.fetched += 1
        self.replies += 1
        self.is_answering = True
        shared, scope = self.shared, self.target.scope
        if shared.offer is not None:
            shared.offer(ref, reply)  # now or never: the link in it is not kept
        answer = shared.answer_id(ref)
        version, findings = flatten_function(
            reply, ref, scope=scope, rules=shared.rules, answer=answer, rows=shared.rows
        )
        is_kept = version != LATEST or shared.rules.keep_latest
        self.references.rows += is_kept
        self.references.unwanted += not is_kept
        self.report("GetFunction", ref.function_name, ref.qualifier, findings)
        if ref.is_alias:
            alias_from_call(ref, version, scope=scope, answer=answer, rows=shared.rows)
            if version == LATEST:
                self.count_listed(1)
                # Tags and concurrency come with the unqualified call only; without them the row would be half true.
                await self.read_function(
                    FunctionRef(function_name=ref.function_name, called_as=ref.called_as, is_named=True)
                )

    async def read_aliases(self, function_name: str) -> None:
        """List and flatten the aliases of one function."""
        await self.hand_on()
        shared, scope = self.shared, self.target.scope
        try:
            async for reply, items in discover_aliases(self.api, self.ask, scope, function_name):
                self.replies += 1
                if not items:
                    self.doubts.note_empty(function_name, reply)
                for item in items:
                    answer = shared.answer_id()  # of its own: an alias that is listed twice comes from the first
                    try:
                        findings = flatten_alias(
                            item, function_name, scope=scope, answer=answer, rows=shared.rows, body=reply.body
                        )
                        self.report("ListAliases", function_name, None, findings)
                    except FlattenError as error:
                        self.lose("flatten", "ListAliases", function_name, None, error)
        finally:
            self.progress.aliases_due -= 1

    async def read_doubtful_aliases(self) -> None:
        """List again what may have been the answer to another question."""
        if not self.api.has_met_wrong_answers:
            return
        self.api = self.api.on_fresh_connections()
        for function_name in self.doubts.settle():
            self.progress.aliases_due += 1
            try:
                await self.read_aliases(function_name)
            except TargetError:
                raise
            except ItemError as error:
                self.lose_aliases(function_name, error)

    async def read_account_settings(self) -> None:
        """Read limits and use of the account-region; not being allowed to is no gap."""
        try:
            attempt = checked(
                self.api,
                lambda asked: asked.get_account_settings(),
                check_account_settings,
                self.target.scope,
            )
            reply = await self.ask("GetAccountSettings", attempt, Priority.LISTING)
        except ExpiredCredentialsError:
            raise
        except ItemError as error:
            error.is_gap = False
            self.lose("discover", "GetAccountSettings", None, None, error)
            return
        self.function_count_reported, findings = flatten_account_settings(
            reply, scope=self.target.scope, rows=self.shared.rows
        )
        self.report("GetAccountSettings", None, None, findings)

    def count_listed(self, count: int) -> None:
        """Count references to read."""
        self.references.listed += count
        self.progress.listed += count

    async def hand_on(self) -> None:
        """Pass the rows to staging when they are a batch; waits while staging is busy."""
        if self.shared.rows.items >= BATCH_ITEMS:
            await self.shared.batches_out.send(self.shared.rows.take())

    # --- what is lost ------------------------------------------------------------------------------------------------

    def lose_function(self, ref: FunctionRef, error: ItemError) -> None:
        """Note that one function, version or alias could not be read."""
        self.is_answering |= isinstance(error, AccessDeniedError | FunctionGoneError)
        self.references.lost += 1
        stage = "flatten" if isinstance(error, FlattenError) else "fetch"
        self.lose(stage, "GetFunction", ref.function_name, ref.qualifier, error)

    def lose_aliases(self, function_name: str, error: ItemError) -> None:
        """Note that the aliases of one function could not be listed."""
        self.lose("discover", "ListAliases", function_name, None, error)

    def lose_listing(self, operation: str, function_name: str | None, error: ItemError) -> None:
        """Note that a page or an item of a listing is lost."""
        self.lose("discover", operation, function_name, None, error)

    def account_for_references(self) -> None:
        """Note it where something that was listed is neither a row, nor gone, nor a gap."""
        if missing := self.references.missing():
            self.lose("discover", None, None, None, ItemError(missing, code=LOST))

    def give_up(self, error: ItemError) -> None:
        """Note that the credentials do not let us read on: switched off where that may be, else a gap."""
        self.ended_by = error
        self.is_off = self.target.may_be_off and error.code in REGION_OFF and not self.is_answering
        if not self.is_off:
            self.lose("discover", None, None, None, error)

    def lose(
        self, stage: str, operation: str | None, function_name: str | None, qualifier: str | None, error: ItemError
    ) -> None:
        """Turn an error into a row of ``errors``."""
        self.denials += isinstance(error, AccessDeniedError | ExpiredCredentialsError) and error.is_gap
        self.shared.failures.lose(
            self.target.scope,
            error,
            stage=stage,
            operation=operation,
            function_name=function_name,
            qualifier=qualifier,
        )

    def report(
        self, operation: str, function_name: str | None, qualifier: str | None, findings: Sequence[Finding]
    ) -> None:
        """Turn findings, which lose nothing, into rows of ``errors``."""
        for finding in findings:
            self.shared.failures.add(
                self.target.scope,
                stage="flatten",
                operation=operation,
                function_name=function_name,
                qualifier=qualifier,
                error_code=finding.code,
                message=finding.message,
                is_gap=False,
            )

    def note(self, text: str) -> None:
        """Say something about this target."""
        self.shared.note(f"{self.target.scope.account_id} {self.target.scope.region}: {text}")

    def status(self) -> ScopeStatus:
        """Judge the target: nothing but denials is ``denied``, any other gap is ``partial``."""
        gaps = self.shared.failures.gaps[self.target.scope]
        if self.is_off:
            return "unavailable"
        if not gaps:
            return "complete"
        return "denied" if not self.replies and self.denials == gaps else "partial"
