"""Decide which functions, versions and aliases need no call for one resource, and find their rows. Blocking.

What was last read of a function still holds where its revision is the same, or where the event history names no change
of it; a resource says with ``carried_by`` which of these it can be judged by. So "there is none" is carried over too,
but only for what the last snapshot knew: a function that it did not have was never asked about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lexport.dataset.store import Store
from lexport.extract.carry.changes import Changes
from lexport.extract.carry.last_readings import LastReading, is_due
from lexport.extract.stored_rows import StoredTables
from lexport.model import LATEST, Scope
from lexport.tables.aliases import ALIAS_ROUTES, ALIASES
from lexport.tables.arrow import staged_schema
from lexport.tables.functions import FUNCTIONS
from lexport.tables.resource import Resource
from lexport.tables.run import ERRORS
from lexport.tables.staged import ANSWER, Batch
from lexport.tables.table import Table


class Candidate(NamedTuple):
    """What would be asked for: a function, with the version or alias where that is asked for.

    ``revision_id`` is the one that it has now, None where it is not known.
    """

    function_name: str
    qualifier: str | None
    revision_id: str | None = None


Key = tuple[str, str | None]
"""Which rows are of one candidate: the function, and the qualifier where each qualifier has a response of its own."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What is carried over: the ``numbers`` of the candidates, their rows by table, and when the oldest was read."""

    resource: Resource
    oldest_read_at: datetime
    numbers: frozenset[int] = frozenset()
    rows: Mapping[Table, pa.Table] = field(default_factory=dict)

    def items(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Yield each row of the first table; of an alias also what a list has of its routes, nothing of others."""
        routes = self.rows.get(ALIAS_ROUTES)
        weights: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for route in () if routes is None else routes.to_pylist():
            weights[route["function_name"], route["alias"]][route["version"]] = route["weight"]
        for row in () if self.main is None else self.main.to_pylist():
            of_alias = weights.get((row["function_name"], row.get("alias", "")))
            yield row, {"RoutingConfig": {"AdditionalVersionWeights": of_alias}} if of_alias else {}

    @property
    def main(self) -> pa.Table | None:
        """The rows of the first table."""
        return self.rows.get(self.resource.tables[0])

    def batch(self, answer: str) -> Batch:
        """Return the rows as staged ones of one answer."""
        return {table.name: _staged(table, rows, answer) for table, rows in self.rows.items()}


@dataclass(slots=True)
class _State:
    """The rows of one candidate in the last snapshot: whether all can be carried over, and their revisions."""

    is_lasting: bool = True
    revision_ids: set[str | None] = field(default_factory=set)


class CarryOver:
    """What the last snapshot has of one resource of one account-region."""

    def __init__(
        self,
        tables: StoredTables,
        store: Store,
        scope: Scope,
        resource: Resource,
        last: LastReading,
        *,
        now: datetime,
        refresh_after: timedelta,
    ) -> None:
        self.resource, self.last = resource, last
        self._now, self._refresh_after = now, refresh_after
        rows = partial(tables.rows, store, last.commit, scope=scope)
        self._rows = {table: rows(table) for table in resource.tables}
        table, qualifier = (ALIASES, "alias") if resource.per == "alias" else (FUNCTIONS, "version")
        self._known = rows(table, columns=("function_name", qualifier, "revision_id"))
        self._known_qualifier = qualifier
        self._errors = rows(ERRORS, columns=("function_name", "operation"))
        main, is_own = resource.tables[0], resource.call.page is None
        self._qualifier = next((name for name in ("qualifier", "version") if is_own and name in main.key), None)
        self._may_be_absent = bool(resource.call.absent) or resource.call.page is not None

    def find(self, candidates: Sequence[Candidate], changes: Changes | None) -> Carried | None:
        """Return which candidates need no call, and their rows; None where all need one.

        ``changes`` are None without an event history. Raises the errors of damaged files.
        """
        possible = {number for number, each in enumerate(candidates) if self._is_possible(each, changes)}
        names = sorted({candidates[number].function_name for number in possible})
        main = self._rows[self.resource.tables[0]].of(names) if names else None
        states, known, failed = self._states(main), self._revisions(names), self._failed(names)
        kept = {
            number
            for number in possible
            if (each := candidates[number]).function_name not in failed
            and self._holds(each, known, states.get(self._key(each)), has_history=changes is not None)
        }
        if not kept:
            return None
        keys = {self._key(candidates[number]) for number in kept}
        rows = {table: found for table in self.resource.tables if (found := self._of(table, main, names, keys))}
        oldest = max(self.last.oldest_read_at, self._now - self._refresh_after)
        return Carried(self.resource, oldest, frozenset(kept), rows)

    def _is_possible(self, candidate: Candidate, changes: Changes | None) -> bool:
        name = candidate.function_name
        if changes is not None and changes.may_concern(self.resource, name):
            return False
        return not is_due(name, self.last, now=self._now, refresh_after=self._refresh_after)

    def _holds(
        self, candidate: Candidate, known: Mapping[Key, str | None], state: _State | None, *, has_history: bool
    ) -> bool:
        """Return whether what was last read of a candidate is what would be read now."""
        if (candidate.function_name, candidate.qualifier) not in known:
            return False
        if not (self._may_be_absent if state is None else state.is_lasting):
            return False
        if has_history and "history" in self.resource.carried_by:
            return True
        now = candidate.revision_id
        if now is None or "revision" not in self.resource.carried_by:
            return False
        absent = known.get((candidate.function_name, candidate.qualifier or LATEST))
        return ({absent} if state is None else state.revision_ids) == {now}

    def _states(self, main: pa.Table | None) -> Mapping[Key, _State]:
        """Return what rows of the first table there are, by what they are about."""
        states: dict[Key, _State] = {}
        if main is None:
            return states
        has_revisions = "revision" in self.resource.carried_by
        revision_ids = main.column("revision_id").to_pylist() if has_revisions else repeat(None)
        for key, is_lasting, revision_id in zip(self._keys(main), self._are_lasting(main), revision_ids, strict=False):
            state = states.setdefault(key, _State())
            state.is_lasting &= is_lasting
            state.revision_ids.add(revision_id)
        return states

    def _are_lasting(self, rows: pa.Table) -> list[bool]:
        """Return of each row whether it is new enough, and not in the middle of a change."""
        if "fetched_at" not in rows.schema.names:  # an older release has written them
            return [False] * len(rows)
        oldest = pa.scalar(self._now - self._refresh_after, rows.schema.field("fetched_at").type)
        young: list[bool] = pc.fill_null(pc.greater_equal(rows.column("fetched_at"), oldest), False).to_pylist()
        if (is_settled := self.resource.is_settled) is None:
            return young
        return [is_young and is_settled(row) for is_young, row in zip(young, rows.to_pylist(), strict=True)]

    def _key(self, candidate: Candidate) -> Key:
        return candidate.function_name, None if self._qualifier is None else candidate.qualifier or LATEST

    def _keys(self, rows: pa.Table) -> Iterable[Key]:
        names = rows.column("function_name").to_pylist()
        if self._qualifier is None:
            return ((name, None) for name in names)
        return zip(names, rows.column(self._qualifier).to_pylist(), strict=True)

    def _of(self, table: Table, main: pa.Table | None, names: Sequence[str], keys: set[Key]) -> pa.Table | None:
        """Return the rows of a table that belong to the kept candidates."""
        rows = main if table is self.resource.tables[0] else self._rows[table].of(names)
        if rows is None:
            return None
        kept = rows.filter(pa.array([key in keys for key in self._keys(rows)], pa.bool_()))
        return kept if len(kept) else None

    def _revisions(self, names: Sequence[str]) -> Mapping[Key, str | None]:
        """Return what the last snapshot knew of functions: each itself, and the revision of each version or alias."""
        rows = self._known.of(names) if names else None
        known: dict[Key, str | None] = {}
        if rows is not None:
            columns = ("function_name", self._known_qualifier, "revision_id")
            for name, qualifier, revision_id in zip(*(rows.column(each).to_pylist() for each in columns), strict=True):
                known[name, qualifier] = revision_id
                known[name, None] = None
        return known

    def _failed(self, names: Sequence[str]) -> set[str]:
        """Return the functions of which the last snapshot has an error or a notice of this resource's call."""
        rows = self._errors.of(names) if names else None
        if rows is None:
            return set()
        is_own = pc.equal(rows.column("operation"), self.resource.call.operation)
        return set(rows.filter(is_own).column("function_name").to_pylist())


def _staged(table: Table, rows: pa.Table, answer: str) -> pa.RecordBatch:
    """Return rows of a snapshot as staged ones; columns that its release did not have are NULL."""
    own: dict[str, Any] = {ANSWER: pa.scalar(answer, pa.string()), "carried_forward": pa.scalar(True)}
    arrays = []
    for column in staged_schema(table):
        if column.name in own:
            arrays.append(pa.repeat(own[column.name], len(rows)))
        elif column.name in rows.schema.names:
            arrays.append(rows.column(column.name).combine_chunks().cast(column.type))
        else:
            arrays.append(pa.nulls(len(rows), column.type))
    arrays = [each.chunk(0) if isinstance(each, pa.ChunkedArray) else each for each in arrays]
    return pa.RecordBatch.from_arrays(arrays, schema=staged_schema(table))
