"""Lost items: rows of ``errors``, counts for the summary, and whether a scope has a gap. Memory is bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from lexport.aws.redact import remove_presigned_urls
from lexport.errors import FunctionGoneError, ItemError
from lexport.model import Failure, Scope
from lexport.tables.run import ERRORS
from lexport.tables.staged import staged_names
from lexport.tables.table import SCOPE_KEY

KINDS_KEPT = 1000  # distinct (scope, stage, operation, code) with an example each, for people to read
_OWN_COLUMNS = staged_names(ERRORS)[len(SCOPE_KEY) : -1]  # the last is the answer, which a failure has none of
_KIND_COLUMNS = [*SCOPE_KEY, "stage", "operation", "error_code", "is_gap"]
GONE = "gone"
"""The error code of a function that was deleted after it was listed."""


@dataclass(frozen=True, slots=True)
class Item:
    """The item that a failure is about. ``is_named`` says that the user named this function.

    ``is_optional`` says that the snapshot is whole without it.
    """

    scope: Scope
    stage: str
    operation: str | None = None
    function_name: str | None = None
    qualifier: str | None = None
    is_named: bool = False
    is_optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureKind:
    """The account-region, step, operation and code that failures of one kind have in common."""

    scope: Scope
    stage: str
    operation: str | None
    error_code: str
    is_gap: bool


class FailureSummary:
    """Counts failures by kind and keeps an example of each, from single failures or from rows of ``errors``."""

    def __init__(self) -> None:
        self.counts: Counter[FailureKind] = Counter()
        self.examples: dict[FailureKind, Failure] = {}

    def add(self, failure: Failure, count: int = 1) -> None:
        """Count failures of the kind of this one."""
        kind = FailureKind(
            scope=failure.scope,
            stage=failure.stage,
            operation=failure.operation,
            error_code=failure.error_code,
            is_gap=failure.is_gap,
        )
        if kind in self.counts or len(self.counts) < KINDS_KEPT:
            self.counts[kind] += count
            self.examples.setdefault(kind, failure)

    def watch(self, rows: pa.Table) -> None:
        """Count rows of ``errors``; those about the content of packages belong to no account-region."""
        rows = rows.filter(pc.is_valid(rows.column("account_id")))
        numbered = rows.append_column("number", pa.array(range(len(rows)), pa.int64()))
        groups = numbered.group_by(_KIND_COLUMNS, use_threads=False).aggregate([([], "count_all"), ("number", "min")])
        for group in groups.sort_by("number_min").to_pylist():
            self.add(next(failures_of_rows(rows.slice(group["number_min"], 1))), group["count_all"])

    def summary(self) -> tuple[tuple[FailureKind, int, Failure], ...]:
        """Return kinds, counts and examples, gaps first, the most frequent before the rest."""
        kinds = sorted(self.counts, key=lambda kind: (not kind.is_gap, -self.counts[kind]))
        return tuple((kind, self.counts[kind], self.examples[kind]) for kind in kinds)


class Failures(FailureSummary):
    """The failures of a shard or a run; ``add_row`` gets the table and the values of each row."""

    def __init__(self, add_row: Callable[..., None], now: Callable[[], datetime]) -> None:
        super().__init__()
        self.gaps: Counter[Scope] = Counter()
        self._add_row = add_row
        self._now = now
        self._last: datetime | None = None

    def record(self, error: ItemError, item: Item, *, is_gap: bool | None = None, about: str = "") -> Failure:
        """Record an error that lost an item; ``about`` is put before its message.

        ``is_gap_for`` decides whether something is missing where the caller does not.
        """
        return self.append(failure_of(error, item, self._now(), is_gap=is_gap, about=about))

    def notice(self, item: Item, code: str, message: str) -> Failure:
        """Record something odd about an item that was read: nothing is missing."""
        return self.record(ItemError(message, code=code), item, is_gap=False)

    def append(self, failure: Failure) -> Failure:
        """Add one failure: count it, keep it as an example, and make a row of it. Return it as it was added."""
        failure = replace(
            failure,
            function_name=failure.function_name and remove_presigned_urls(failure.function_name),
            message=remove_presigned_urls(failure.message),
            occurred_at=self._next_moment(failure.occurred_at),
        )
        self.add(failure)
        if failure.is_gap:
            self.gaps[failure.scope] += 1
        scope, values = failure.scope, (getattr(failure, name) for name in _OWN_COLUMNS)
        self._add_row(ERRORS, scope.account_id, scope.region, *values, "")
        return failure

    def _next_moment(self, at: datetime) -> datetime:
        """Return the time, at least a microsecond after the last failure: it tells failures of one kind apart."""
        if self._last is not None and at <= self._last:
            at = self._last + timedelta(microseconds=1)
        self._last = at
        return at


def failures_of_rows(rows: pa.Table | pa.RecordBatch) -> Iterator[Failure]:
    """Yield what rows of ``errors`` say; their account and Region are there."""
    for row in rows.to_pylist():
        scope = Scope(account_id=row["account_id"], region=row["region"])
        yield Failure(scope=scope, **{name: row[name] for name in _OWN_COLUMNS})


def failure_of(error: ItemError, item: Item, at: datetime, *, is_gap: bool | None = None, about: str = "") -> Failure:
    """Return what an error says about an item."""
    return Failure(
        scope=item.scope,
        stage=item.stage,
        operation=item.operation,
        function_name=item.function_name,
        qualifier=item.qualifier,
        error_code=GONE if is_gone(error, item) else error.code,
        http_status=error.http_status,
        message=f"{about}{error}",
        is_gap=is_gap_for(error, item) if is_gap is None else is_gap,
        attempts=error.attempts,
        occurred_at=at,
    )


def is_gone(error: ItemError, item: Item) -> bool:
    """Return whether a listed function was deleted meanwhile. A function that the user named has to exist."""
    return isinstance(error, FunctionGoneError) and item.function_name is not None and not item.is_named


def is_gap_for(error: ItemError, item: Item) -> bool:
    """Decide whether a lost item is missing from the snapshot. This is the one policy about gaps.

    A function that was deleted after it was listed is not in the fleet, and what is optional is not of the fleet.
    """
    return not is_gone(error, item) and not item.is_optional
