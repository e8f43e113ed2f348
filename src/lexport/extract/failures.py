"""Where lost items go: rows of ``errors``, counts for the summary, and whether a scope has a gap. Bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lexport.aws.redact import remove_signed_links
from lexport.errors import ItemError
from lexport.extract.rows import Rows
from lexport.model import Failure, Scope
from lexport.tables.run import ERRORS

KINDS_KEPT = 1000  # distinct (scope, stage, operation, code) with an example each, for people to read


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureKind:
    """What the failures of one kind have in common; one account-region, step, operation and code."""

    scope: Scope
    stage: str
    operation: str | None
    error_code: str
    is_gap: bool


class Failures:
    """The sink of a run. ``examples`` keeps the first failure of each kind."""

    def __init__(self, rows: Rows, now: Callable[[], datetime]) -> None:
        self.counts: Counter[FailureKind] = Counter()
        self.examples: dict[FailureKind, Failure] = {}
        self.gaps: Counter[Scope] = Counter()
        self._rows = rows
        self._now = now
        self._last: datetime | None = None

    def summary(self) -> tuple[tuple[FailureKind, int, Failure], ...]:
        """Return kinds, counts and examples, gaps first, the most frequent before the rest."""
        kinds = sorted(self.counts, key=lambda kind: (not kind.is_gap, -self.counts[kind]))
        return tuple((kind, self.counts[kind], self.examples[kind]) for kind in kinds)

    def lose(
        self,
        scope: Scope,
        error: ItemError,
        *,
        stage: str,
        operation: str | None = None,
        function_name: str | None = None,
        qualifier: str | None = None,
    ) -> None:
        """Note one failure as the error tells it."""
        self.add(
            scope,
            stage=stage,
            operation=operation,
            function_name=function_name,
            qualifier=qualifier,
            error_code=error.code,
            http_status=error.http_status,
            message=str(error),
            is_gap=error.is_gap,
            attempts=error.attempts,
        )

    def add(
        self,
        scope: Scope,
        *,
        stage: str,
        operation: str | None,
        error_code: str,
        message: str,
        is_gap: bool,
        function_name: str | None = None,
        qualifier: str | None = None,
        http_status: int | None = None,
        attempts: int = 1,
    ) -> None:
        """Note one failure."""
        failure = Failure(
            scope=scope,
            stage=stage,
            operation=operation,
            function_name=function_name and remove_signed_links(function_name),
            qualifier=qualifier,
            error_code=error_code,
            http_status=http_status,
            message=remove_signed_links(message),
            is_gap=is_gap,
            attempts=attempts,
            occurred_at=self._moment(),
        )
        kind = FailureKind(scope=scope, stage=stage, operation=operation, error_code=error_code, is_gap=is_gap)
        if kind in self.counts or len(self.counts) < KINDS_KEPT:
            self.counts[kind] += 1
            self.examples.setdefault(kind, failure)
        if is_gap:
            self.gaps[scope] += 1
        self._rows.items += 1
        self._rows.append(
            ERRORS,
            scope.account_id,
            scope.region,
            failure.stage,
            failure.operation,
            failure.function_name,
            failure.qualifier,
            failure.error_code,
            failure.http_status,
            failure.message,
            failure.is_gap,
            failure.attempts,
            failure.occurred_at,
            "",
        )

    def _moment(self) -> datetime:
        """Return the time, a microsecond after the last failure at least: it tells failures of one kind apart."""
        at = self._now()
        if self._last is not None and at <= self._last:
            at = self._last + timedelta(microseconds=1)
        self._last = at
        return at
