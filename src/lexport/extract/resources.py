"""Read a declared resource of one shard: for the account-region, or for each function, version, alias or item of it.

Every resource has its own queue on disk and its own workers, at the pace of its quota class; so a resource that is slow
or that fails holds nothing else up.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import methodcaller
from pathlib import Path
from typing import Any

from lexport.aws.client import LambdaClient
from lexport.aws.quota.pacer import CallApi
from lexport.dataset.disk_queue import DiskQueue
from lexport.errors import FetchError, FlattenError, ItemError, ListingError, NotOfferedError, ShardError
from lexport.extract.carry.carry_over import Carried
from lexport.extract.carry.shard_carry import CarriedPages, ShardCarry
from lexport.extract.decode import decode_object
from lexport.extract.empty_lists import EmptyLists
from lexport.extract.failures import Item
from lexport.extract.flatten_resource import expand_document, flatten_item
from lexport.extract.listing import Chain
from lexport.extract.match_response import check_resource, checked, items_of
from lexport.extract.progress import ShardProgress
from lexport.extract.rows import Staging
from lexport.extract.shard_log import Outcome, ShardLog
from lexport.extract.subjects import Subjects
from lexport.extract.workers import Pages, pump, workers_for
from lexport.model import FunctionRef, Reply, Scope
from lexport.tables.resource import Resource, Row, Subject
from lexport.tables.staged import ANSWER

_GONE = re.compile(r"(function|alias|version) not found|cannot find (function|alias|version)", re.IGNORECASE)
"""What a 404 says where the function itself is gone, and not what was asked about it."""
REFUSALS_BELIEVED = 10
"""So many calls are refused, and none is answered, before the Region is taken not to have an operation."""


async def responses(
    api: LambdaClient, call_api: CallApi, resource: Resource, subject: Subject
) -> AsyncIterator[tuple[Reply, list[Any]]]:
    """Call a resource: yield each page with its items, or the one answer as its only item.

    Yields nothing where AWS says that there is none. Raises ItemError.
    """
    call, page = resource.call, resource.call.page
    function = (subject.scope, subject.function_name, subject.qualifier) if subject.function_name is not None else None
    item = subject.item[1] if subject.item is not None else None
    chain = Chain(call.operation)
    marker: str | None = None
    try:
        while True:
            request = methodcaller(
                "call", call, function_name=subject.function_name, qualifier=subject.qualifier, item=item, marker=marker
            )
            attempt = checked(api, request, decode_object, check_resource, resource, subject, marker, function=function)
            reply = await call_api(call, attempt)
            items = items_of(reply.document, call)
            yield reply, items
            if page is None:
                return
            chain.admit([item[1] for item in _keys(resource, items)])
            marker = chain.next_marker(reply.document.get(page.next_marker))
            if marker is None:
                return
    except ListingError as error:  # it is lost for this subject alone
        raise FetchError(str(error), code=error.code) from error
    except ItemError as error:
        if error.code not in call.absent or (function is not None and _GONE.search(str(error))):
            raise


def _keys(resource: Resource, items: Iterable[Any]) -> list[tuple[Any, str]]:
    main = resource.tables[0]
    names = [column.source.rpartition(".")[2] for column in main.columns if column.name in main.key and column.source]
    keyed = [(item, [item.get(name) for name in names]) for item in items if isinstance(item, dict)]
    return [(item, json.dumps(key)) for item, key in keyed if all(isinstance(part, str) for part in key)]


def _line(
    function_name: str | None = None,
    qualifier: str | None = None,
    *,
    item: tuple[str, str] | None = None,
    revision_id: str | None = None,
) -> str:
    """Return a line of a queue: what one call is about, and the revision that this has now, where it is known."""
    return json.dumps((function_name, qualifier, item, revision_id))


@dataclass(slots=True, kw_only=True)
class ResourceReader:
    """Reads one resource of one shard into rows. ``followers`` are read for each row of this one.

    ``fetched_at`` is the time of the snapshot. ``is_gap``: whether the snapshot has a gap where it cannot be read.
    ``lists_versions``: whether the listing names published versions. ``carry`` has what can be carried over.

    A Region that does not have an operation refuses every call of it. So such a refusal is kept back until the end:
    where anything of the resource was answered, those calls have failed, and the calls that were not made are made.
    """

    resource: Resource
    scope: Scope
    api: LambdaClient
    call_api: CallApi
    staging: Staging
    progress: ShardProgress
    log: ShardLog
    fetched_at: datetime
    is_gap: bool = False
    lists_versions: bool = True
    followers: Sequence[ResourceReader] = ()
    on_row: Callable[[Row, Any], None] = lambda _row, _item: None
    carry: ShardCarry | None = None
    queue: DiskQueue = field(init=False)
    empty_lists: EmptyLists = field(init=False)
    _subjects: Subjects = field(init=False)
    _refused: list[tuple[str, ItemError]] = field(default_factory=list)
    _skipped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Prepare what is derived from the declaration."""
        self._subjects = Subjects(self.resource, lists_versions=self.lists_versions)
        self.empty_lists = EmptyLists(self.resource.call.operation, self.lose)

    @property
    def is_carried(self) -> bool:
        """Whether the last snapshot may have what is to be read."""
        return self.carry is not None and self.resource in self.carry.resources

    @property
    def outcome(self) -> Outcome:
        """What reading the resource came to so far."""
        return self.log.outcomes[self.resource.option]

    def open_queue(self, folder: Path) -> DiskQueue:
        """Open the queue of what is to be read, in a file of its own. The caller closes it."""
        name = f"{self.resource.name}-{self.scope.account_id}-{self.scope.region}.txt"
        self.queue = DiskQueue(folder / name)
        return self.queue

    def put(self, refs: Iterable[FunctionRef], revision_id: str | None = None) -> None:
        """Queue what is to be read for functions and versions; ``revision_id`` is their revision, where it is known."""
        self.put_subjects(self._subjects.of(refs), revision_id)

    def put_row(self, leader: Resource, row: Row) -> None:
        """Queue what is to be read for a row of another resource."""
        column = leader.tables[0].key[-1]
        if self.resource.per == "alias":
            self.put_subjects([(row["function_name"], row[column])], row.get("revision_id"))
        else:
            self._put([_line(item=(column, row[column]))])

    def put_subjects(self, subjects: Iterable[tuple[str, str | None]], revision_id: str | None = None) -> None:
        """Queue functions, each with a qualifier where that is read, all of one revision."""
        accepted = (subject for subject in subjects if self._subjects.accepts(subject[0]))
        self._put([_line(*subject, revision_id=revision_id) for subject in accepted])

    def _put(self, lines: Sequence[str]) -> None:
        self.queue.put(lines)
        self.progress.asked[self.resource.name] += len(lines)

    async def read_queue(self, rate_per_s: float) -> None:
        """Read everything that is queued and cannot be carried over, until the queue ends."""
        lines: Pages[str] = self.queue
        if self.carry is not None and self.is_carried:
            lines = CarriedPages(self.queue, self.resource, self.carry, self.keep)
        try:
            await pump(self.read_line, lines, self.lose, workers=workers_for(rate_per_s))
        finally:
            for follower in self.followers:
                follower.queue.end()

    async def keep(self, carried: Carried) -> None:
        """Stage rows that are carried over."""
        assert self.carry is not None
        await self.staging.add(carried.batch(self.staging.answer_id()))
        self.outcome.carry(0 if carried.main is None else len(carried.main), carried.oldest_read_at)
        self.outcome.changes_until = self.carry.changes_until
        self.progress.answered[self.resource.name] += len(carried.numbers)
        for row, item in carried.items():
            self._pass_on(row, item)

    async def read_account_region(self) -> None:
        """Read what is of the account-region as a whole."""
        try:
            await self.read(Subject(self.scope))
        except ShardError:
            raise
        except ItemError as error:
            self.lose(_line(), error)
        finally:
            for follower in self.followers:
                follower.queue.end()

    async def settle_refusals(self) -> None:
        """Decide what refusals mean that look as if the Region did not have the operation."""
        if not self._refused:
            return
        if not self.outcome.answers:
            if not (self.outcome.is_not_offered or self.resource.default):
                self.log.note(f"{self.resource.option} is not offered in this Region")
            self.outcome.is_not_offered = True
            return
        refused, self._refused = self._refused, []
        for line, error in refused:
            self.log.record(error, self.item("discover", self._subject(line)))
        skipped, self._skipped = self._skipped, []
        self.progress.asked[self.resource.name] += len(skipped)
        for line in skipped:
            await self._read_or_lose(line)

    async def read_line(self, line: str) -> None:
        """Read what one line of the queue names; of what the Region does not offer, the first ones alone."""
        try:
            if self.outcome.answers or len(self._refused) < REFUSALS_BELIEVED:
                await self.read(self._subject(line), line)
            else:
                self._skipped.append(line)
        finally:
            self.progress.answered[self.resource.name] += 1

    async def read(self, subject: Subject, line: str = "") -> None:
        """Call, flatten, and append the rows."""
        await self.staging.flush()
        resource = self.resource
        async for reply, items in responses(self.api, self.call_api, resource, subject):
            self.log.replies += self.is_gap  # of what is optional, no response makes a shard that is denied partial
            self.outcome.replies += 1
            if line and not items:
                self.empty_lists.add(line, reply)
            for position, item in enumerate(items):
                try:
                    self.append(subject, reply, position, item)
                except FlattenError as error:
                    self.log.record(error, self.item("flatten", subject))
        self.outcome.answers += 1  # also where there is none

    def append(self, subject: Subject, reply: Reply, position: int, item: Any) -> None:
        """Append the rows of one item. Raises FlattenError."""
        resource, rows = self.resource, self.staging.rows
        answer = self.staging.answer_id()  # its own: of an item that is listed twice, the first row stays
        values = {**subject.columns(), "fetched_at": self.fetched_at, "carried_forward": False, ANSWER: answer}
        if resource.expand is not None:
            appended, notices = expand_document(resource, reply, subject, values, mask=self.mask, rows=rows)
            self.outcome.items += appended
            self.log.notice(resource.call.operation, subject.function_name, subject.qualifier, notices)
            return
        row, notices = flatten_item(resource, reply, position, item, values, rows=rows)
        self.outcome.items += 1
        self.log.notice(resource.call.operation, subject.function_name, subject.qualifier, notices)
        self.log.take_reported_count(resource, row)
        self.progress.functions_counted = self.log.function_count_reported
        self._pass_on(row, item)

    def _pass_on(self, row: Row, item: Any) -> None:
        """Let everything know of a row that reads something for it."""
        self.on_row(row, item)
        for follower in self.followers:
            follower.put_row(self.resource, row)

    def mask(self, value: str) -> str | None:
        """Return the keyed HMAC of a value that may be secret, in hex; None where the run has no key."""
        hasher = self.staging.rows.hasher
        return None if hasher is None else hasher.value_hmacs([value.encode("utf-8", "replace")]).hex()

    async def read_doubtful(self) -> None:
        """Read again what may have been the answer to another request, over connections that nothing else uses."""
        self.api = self.api.on_fresh_connections()
        for line in self.empty_lists.doubtful():
            self.progress.asked[self.resource.name] += 1
            await self._read_or_lose(line)

    async def _read_or_lose(self, line: str) -> None:
        try:
            await self.read_line(line)
        except ShardError:
            raise
        except ItemError as error:
            self.lose(line, error)

    def lose(self, line: str, error: ItemError) -> None:
        """Record that a call failed; a refusal that may mean that the Region does not have it is kept back."""
        if isinstance(error, NotOfferedError) and not self.is_gap and not self.outcome.answers:
            self._refused.append((line, error))
            return
        self.log.record(error, self.item("discover", self._subject(line)))

    def _subject(self, line: str) -> Subject:
        function_name, qualifier, item, _ = json.loads(line)
        return Subject(self.scope, function_name, qualifier, tuple(item) if item else None)

    def item(self, stage: str, subject: Subject) -> Item:
        """Name what a failure is about."""
        operation, name, qualifier = self.resource.call.operation, subject.function_name, subject.qualifier
        return Item(self.scope, stage, operation, name, qualifier, is_optional=not self.is_gap)


def make_readers(
    resources: Sequence[Resource], make: Callable[..., ResourceReader], *, required: Sequence[str]
) -> list[ResourceReader]:
    """Make a reader of each resource; one that follows another is made only where that is read too.

    What cannot be read of a ``required`` resource is a gap.
    """
    readers = [
        make(resource=resource, is_gap=resource.is_gap or resource.option in required)
        for resource in resources
        if not resource.follows or any(map(resource.is_after, resources))
    ]
    for reader in readers:
        reader.followers = [
            other for other in readers if other.resource.follows and other.resource.is_after(reader.resource)
        ]
    return readers


async def finish_readers(
    readers: Sequence[ResourceReader], rate_per_s: Callable[[ResourceReader], float], *, is_doubtful: bool
) -> None:
    """Read again what was not answered for sure, each resource before those that follow it.

    That is what was refused as if the Region did not have it and, where it ``is_doubtful``, what may have been the
    answer to another request.
    """
    for reader in sorted(readers, key=lambda reader: reader.resource.follows):
        await reader.settle_refusals()
        if reader.resource.per != "account_region":
            if is_doubtful:
                await reader.read_doubtful()
            if reader.queue.waiting:  # what a leader has found by now
                await reader.read_queue(rate_per_s(reader))
                await reader.settle_refusals()
