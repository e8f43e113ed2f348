"""What came of each account-region, and what all of them together say about one that refused the token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from lexport.dataset.references import LOST, References
from lexport.errors import ItemError
from lexport.extract.failures import Failures
from lexport.model import Scope, ScopeStatus, Target

REGION_OFF = {"UnrecognizedClientException", "InvalidClientTokenId", "OptInRequired", "AuthFailure"}
"""How a Region answers that is not enabled. One that is enabled answers alike where it does not know the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeOutcome:
    """What is known of one account-region when it has been read.

    ``is_answering`` says that it accepted the credentials at least once; ``ended_by`` is why it does so no longer.
    """

    target: Target
    status: ScopeStatus
    function_count_reported: int | None
    carried_rows: int
    is_answering: bool
    ended_by: ItemError | None
    started_at: datetime
    ended_at: datetime
    references: References = field(default_factory=References)

    @property
    def is_shut(self) -> bool:
        """Whether credentials or permissions are why it was not read."""
        return self.status == "denied" or (self.status == "partial" and self.ended_by is not None)


def unread(target: Target, status: ScopeStatus, at: datetime) -> ScopeOutcome:
    """Make the outcome of a target that nothing was asked of."""
    return ScopeOutcome(
        target=target,
        status=status,
        function_count_reported=None,
        carried_rows=0,
        is_answering=False,
        ended_by=None,
        started_at=at,
        ended_at=at,
    )


def settle(outcomes: Iterable[ScopeOutcome], failures: Failures) -> list[ScopeOutcome]:
    """Return the outcomes, sorted; a Region counts as switched off only where another one of its account answers.

    Where none does, it is the credentials that are refused: the Region is then denied, and a gap.
    """
    outcomes = sorted(outcomes, key=lambda done: (done.target.scope.account_id, done.target.scope.region))
    answering = {done.target.scope.account_id for done in outcomes if done.is_answering}
    settled: list[ScopeOutcome] = []
    for done in outcomes:
        error, scope = done.ended_by, done.target.scope
        if done.status == "unavailable" and error is not None and scope.account_id not in answering:
            failures.lose(scope, error, stage="discover")
            done = replace(done, status="denied")  # noqa: PLW2901 - what goes on is the judged one
        settled.append(done)
    return settled


def account_for_rows(
    outcomes: Iterable[ScopeOutcome], written: Mapping[Scope, int], dropped: Mapping[Scope, int], failures: Failures
) -> list[ScopeOutcome]:
    """Compare the versions read with the rows ``written`` and ``dropped``; where some are lost, that is a gap."""
    judged: list[ScopeOutcome] = []
    for done in outcomes:
        scope = done.target.scope
        missing = done.references.missing_rows(written=written[scope], dropped=dropped[scope])
        if missing is not None:
            failures.add(scope, stage="discover", operation=None, error_code=LOST, message=missing, is_gap=True)
        judged.append(done if missing is None else replace(done, status="partial"))
    return judged
