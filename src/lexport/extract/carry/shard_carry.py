"""What one shard carries over of the resources around functions: prepared before it is read, used while it is."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from anyio import EndOfStream, Event, to_thread

from lexport.aws.client import LambdaClient
from lexport.aws.quota.pacer import CallApi
from lexport.dataset.disk_queue import DiskQueue
from lexport.dataset.store import Store
from lexport.errors import ItemError
from lexport.extract.carry.carry_over import Candidate, Carried, CarryOver
from lexport.extract.carry.changes import Changes
from lexport.extract.carry.history import LONGEST_WINDOW, OVERLAP, read_changes
from lexport.extract.carry.last_readings import DAMAGE, find_last_readings
from lexport.extract.context import RunContext
from lexport.model import Scope
from lexport.settings import REFRESH_RESOURCES_AFTER
from lexport.tables.resource import Resource

BATCH_LINES = 2_048
"""Candidates that are looked up in the last snapshot at once: some 200 KB, and a pass over few row groups."""


@dataclass(slots=True)
class ShardCarry:
    """The resources of one shard that can be carried over, and what the event history says of them.

    Where the history was to be looked up and could not be, nothing is carried over.
    """

    overs: dict[Resource, CarryOver]
    uses_history: bool
    note: Callable[[str], object]
    resources: frozenset[Resource] = field(init=False)
    changes: Changes | None = None
    changes_until: datetime | None = None
    _is_off: bool = False
    _is_ready: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        """Keep which resources these are: of one whose rows turn out to be damaged, no more are carried over."""
        self.resources = frozenset(self.overs)

    async def read_history(self, api: LambdaClient, call_api: CallApi) -> None:
        """Look up what has changed since the last readings, where that decides anything."""
        try:
            if self.uses_history and self.overs:
                await self._look_up(api, call_api)
        except ItemError as error:
            self._is_off = True
            self.note(f"what has changed cannot be looked up ({error}); so every resource is read")
        finally:
            self._is_ready.set()

    async def _look_up(self, api: LambdaClient, call_api: CallApi) -> None:
        now = datetime.now(UTC)
        since = min(over.last.began_at for over in self.overs.values()) - OVERLAP
        if now - since > LONGEST_WINDOW:
            raise ItemError(f"the event history does not reach back to {since:%Y-%m-%d}", code="window_too_long")
        self.changes = await read_changes(api, call_api, tuple(self.overs), since=since)
        self.changes_until = now - OVERLAP

    async def find(self, resource: Resource, candidates: Sequence[Candidate]) -> Carried | None:
        """Return which candidates of a resource need no call, and their rows, or None; waits for the event history."""
        await self._is_ready.wait()
        over = self.overs.get(resource)
        if over is None or self._is_off:
            return None
        try:
            return await to_thread.run_sync(over.find, candidates, self.changes)
        except DAMAGE as error:
            del self.overs[resource]
            self.note(f"the last snapshot is damaged: {error}; what it cannot provide of {resource.option} is read")
            return None


async def open_shard_carry(run: RunContext, scope: Scope, resources: Sequence[Resource]) -> ShardCarry:
    """Find what the last snapshot has of the resources of a shard."""
    uses_history = run.settings.changes_from is not None
    ways = {"revision", "history"} if uses_history else {"revision"}
    chosen = [resource for resource in resources if not ways.isdisjoint(resource.carried_by)]

    def note(text: str) -> None:
        run.progress.note(f"{scope}: {text}")

    if run.store is None or not chosen:
        return ShardCarry({}, uses_history, note)
    overs = await to_thread.run_sync(partial(_open, run.store, run, scope, chosen, note))
    return ShardCarry(overs, uses_history, note)


def _open(
    store: Store, run: RunContext, scope: Scope, resources: Sequence[Resource], note: Callable[[str], object]
) -> dict[Resource, CarryOver]:
    now = run.spec.snapshot_at
    refresh_after = run.settings.refresh_after or REFRESH_RESOURCES_AFTER
    readings = find_last_readings(
        run.tables, store, scope, resources, hash_key_id=run.spec.hash_key_id, not_before=now - refresh_after, note=note
    )
    try:
        return {
            resource: CarryOver(run.tables, store, scope, resource, last, now=now, refresh_after=refresh_after)
            for resource, last in readings.items()
        }
    except DAMAGE as error:
        note(f"the last snapshot is damaged: {error}; so every resource is read")
        return {}


class CarriedPages:
    """The lines of a queue that are left to read: what can be carried over is taken out, some thousand lines at a time.

    A line is a list as JSON: function, qualifier, item and the revision of now. ``keep`` stages what is carried over.
    """

    def __init__(
        self, queue: DiskQueue, resource: Resource, carry: ShardCarry, keep: Callable[[Carried], Awaitable[None]]
    ) -> None:
        self._queue, self._resource, self._carry, self._keep = queue, resource, carry, keep

    async def receive(self) -> list[str]:
        """Wait for lines to read; raises EndOfStream after the last."""
        while True:
            lines = await self._next_lines()
            carried = await self._carry.find(self._resource, [_candidate(line) for line in lines])
            if carried is None:
                return lines
            await self._keep(carried)
            if left := [line for number, line in enumerate(lines) if number not in carried.numbers]:
                return left

    async def _next_lines(self) -> list[str]:
        lines = await self._queue.receive()
        while len(lines) < BATCH_LINES:
            try:
                lines += await self._queue.receive()
            except EndOfStream:
                break
        return lines

    async def aclose(self) -> None:
        """Take no more lines."""
        await self._queue.aclose()


def _candidate(line: str) -> Candidate:
    function_name, qualifier, _, revision_id = json.loads(line)
    return Candidate(function_name, qualifier, revision_id)
