"""Count the calls that an incremental run makes for resources: those of a full run, less what it can carry over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from lexport.extract.carry.carry_over import Candidate
from lexport.extract.carry.shard_carry import BATCH_LINES, ShardCarry
from lexport.extract.decode import decode_listed
from lexport.extract.incremental import revision_of
from lexport.extract.resource_calls import CallRange
from lexport.model import FunctionRef
from lexport.tables.resource import Resource


class IncrementalCalls:
    """Asks the last snapshot what of a listing can be carried over, some thousand functions at a time.

    Of aliases that are to be listed again it is not known how many there are: all of the last snapshot at most.
    """

    def __init__(self, carry: ShardCarry, resources: Iterable[Resource]) -> None:
        self._carry = carry
        self._of_aliases = [resource for resource in resources if resource.per == "alias"]
        self._waiting: dict[Resource, list[Candidate]] = defaultdict(list)
        self._saved: Counter[Resource] = Counter()
        self._aliases: Counter[Resource] = Counter()
        self._unlisted = 0

    async def put(
        self, refs: Sequence[FunctionRef], found: Mapping[Resource, Sequence[tuple[str, str | None]]]
    ) -> None:
        """Take a page of the listing, and what of it each resource is read for."""
        revisions = {(ref.function_name, ref.qualifier): _revision(ref) for ref in refs}
        for resource, subjects in found.items():
            if resource in self._carry.resources:
                self._waiting[resource] += [Candidate(*subject, revisions.get(subject)) for subject in subjects]
                if len(self._waiting[resource]) >= BATCH_LINES:
                    await self._look_up(resource)
            elif resource.gives == "alias":
                self._unlisted += len(subjects)

    async def finish(self) -> None:
        """Look up what is left."""
        for resource in sorted(self._carry.resources, key=lambda each: each.follows):
            await self._look_up(resource)

    async def _look_up(self, resource: Resource) -> None:
        candidates = self._waiting.pop(resource, [])
        carried = await self._carry.find(resource, candidates) if candidates else None
        count = 0 if carried is None else len(carried.numbers)
        self._saved[resource] += count
        if resource.gives != "alias":
            return
        self._unlisted += len(candidates) - count
        for follower in self._of_aliases:
            rows = [] if carried is None else [row for row, _ in carried.items()]
            self._aliases[follower] += len(rows)
            self._waiting[follower] += [
                Candidate(row["function_name"], row[resource.tables[0].key[-1]], row["revision_id"]) for row in rows
            ]

    def of(self, resource: Resource, full: CallRange) -> CallRange:
        """Return the calls for a resource; ``full`` are those of a full run."""
        if resource.per == "alias":
            least = self._aliases[resource] - self._saved[resource]
            return CallRange(least, full.most if self._unlisted else least)
        saved = self._saved[resource]
        return CallRange(full.least - saved, None if full.most is None else full.most - saved)


def _revision(ref: FunctionRef) -> str | None:
    listed = None if ref.listed is None else decode_listed(ref.listed)
    return None if listed is None else revision_of(listed)
