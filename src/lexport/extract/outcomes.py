"""What all results of a run together say about each shard: a Region that refused the token, and rows that were lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from lexport.dataset.references import LOST, describe_missing_rows
from lexport.errors import ItemError
from lexport.extract.failures import Failures, Item
from lexport.model import Scope, ScopeStatus, Shard, ShardResult


def unread(shard: Shard, status: ScopeStatus, at: datetime) -> ShardResult:
    """Make the result of a shard for which no request was made."""
    return ShardResult(shard=shard, status=status, started_at=at, ended_at=at)


def settle(results: Iterable[ShardResult], failures: Failures) -> list[ShardResult]:
    """Return the results, sorted; a Region counts as switched off only where another Region of its account answers.

    Where none answers, the credentials are what was refused: the Region is then denied, and a gap.
    """
    results = sorted(results, key=lambda result: (result.shard.scope.account_id, result.shard.scope.region))
    answering = {result.shard.scope.account_id for result in results if result.is_answering}
    settled: list[ShardResult] = []
    for result in results:
        failure = result.ended_by
        is_refused = failure is not None and result.shard.scope.account_id not in answering
        if result.status == "unavailable" and failure is not None and is_refused:
            failures.add(failure)
            settled.append(replace(result, status="denied", gaps=result.gaps + 1))
        else:
            settled.append(result)
    return settled


def account_for_rows(
    results: Iterable[ShardResult], written: Mapping[Scope, int], dropped: Mapping[Scope, int], failures: Failures
) -> list[ShardResult]:
    """Compare the versions read with the rows ``written`` and ``dropped``; where rows are lost, that is a gap."""
    judged: list[ShardResult] = []
    for result in results:
        scope = result.shard.scope
        missing = describe_missing_rows(result.references, written=written[scope], dropped=dropped[scope])
        if missing is not None:
            failures.record(ItemError(missing, code=LOST), Item(scope=scope, stage="discover"))
        judged.append(result if missing is None else replace(result, status="partial", gaps=result.gaps + 1))
    return judged
