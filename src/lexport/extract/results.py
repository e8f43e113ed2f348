"""Judge the results of all shards together: Regions that are off, rows that were lost, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from lexport.aws.errors import class_of
from lexport.dataset.references import LOST, describe_missing_rows
from lexport.errors import (
    AccessDeniedError,
    CredentialsEndedError,
    CredentialsError,
    ExpiredCredentialsError,
    IncompleteError,
    ItemError,
    RunError,
)
from lexport.extract.failures import FailureKind, Failures, Item
from lexport.model import GLOBAL_REGION, Failure, RunSpec, Scope, Shard, ShardResult
from lexport.tables.functions import FUNCTIONS
from lexport.tables.text import first_of, plural

NOT_READ = "not_read"
UNREAD_NAMED = 10  # in an error


def unread_account(shards: Sequence[Shard], error: ItemError, failures: Failures) -> list[ShardResult]:
    """Record that the role of an account cannot be assumed, once for all its shards, and return their results."""
    scope = Scope(account_id=shards[0].scope.account_id, region=GLOBAL_REGION)
    failures.record(error, Item(scope=scope, stage="discover", operation="AssumeRole"))
    is_denied = isinstance(error, AccessDeniedError | ExpiredCredentialsError)
    at = datetime.now(UTC)
    return [
        ShardResult(
            shard=shard, status="denied" if is_denied else "partial", is_final=False, started_at=at, ended_at=at
        )
        for shard in shards
    ]


def unread_shards(unread: Iterable[Shard], failures: Failures) -> list[ShardResult]:
    """Record shards that no process has finished, and return their results."""
    reason = "no process has finished reading this account-region"
    return failed_shards([(shard, reason) for shard in unread], failures)


def check_is_read(spec: RunSpec, found: Sequence[ShardResult], unread: Sequence[Shard], *, allow_partial: bool) -> None:
    """Raise RunError where shards of a run were not read, unless gaps are allowed and anything was read."""
    if not unread or (found and allow_partial):
        return
    run = spec.snapshot_id
    which = first_of([str(shard.scope) for shard in unread], UNREAD_NAMED)
    advice = ", or publish the others with --allow-partial" if found else ""
    raise RunError(
        f"{len(unread):,} of {plural(len(found) + len(unread), 'account-region')} of the run {run} are not read, so"
        f" nothing was published: {which}; read them with lexport shard read{advice}"
    )


def failed_shards(failed: Iterable[tuple[Shard, str]], failures: Failures) -> list[ShardResult]:
    """Record shards that no process could read, each with the reason, and return their results."""
    at, results = datetime.now(UTC), []
    for shard, reason in failed:
        failures.record(ItemError(reason, code=NOT_READ), Item(scope=shard.scope, stage="discover"))
        results.append(ShardResult(shard=shard, status="partial", gaps=1, is_final=False, started_at=at, ended_at=at))
    return results


def finish_results(results: Iterable[ShardResult], failures: Failures) -> list[ShardResult]:
    """Return the results, sorted; a Region counts as switched off only where another Region of its account answers.

    Where none answers, the credentials are what was refused: the Region is then denied, and a gap.
    """
    results = sorted(results, key=lambda result: result.shard.scope)
    answering = {result.shard.scope.account_id for result in results if result.is_answering}
    settled: list[ShardResult] = []
    for result in results:
        failure, account_id = result.ended_by, result.shard.scope.account_id
        if result.status == "unavailable" and failure is not None and account_id not in answering:
            failures.append(failure)
            settled.append(replace(result, status="denied", gaps=result.gaps + 1))
        else:
            settled.append(result)
    return settled


def reconcile_row_counts(
    results: Iterable[ShardResult], written: Mapping[Scope, int], dropped: Mapping[Scope, int], failures: Failures
) -> list[ShardResult]:
    """Compare the versions read with the rows ``written`` and ``dropped``; where rows are lost, that is a gap."""
    judged: list[ShardResult] = []
    for result in results:
        scope = result.shard.scope
        missing = describe_missing_rows(result.references, written=written[scope], dropped=dropped[scope])
        if missing is None:
            judged.append(result)
            continue
        failures.record(ItemError(missing, code=LOST), Item(scope=scope, stage="discover"))
        resources = tuple(
            replace(each, status="partial") if each.resource == FUNCTIONS.name else each for each in result.resources
        )
        judged.append(replace(result, status="partial", gaps=result.gaps + 1, resources=resources))
    return judged


def reason_not_published(
    results: Sequence[ShardResult],
    kinds: Sequence[tuple[FailureKind, int, Failure]],
    *,
    gaps: int,
    allow_partial: bool,
    shown_by: str,
    result: object,
) -> RunError | None:
    """Return the error of a run that is not published: nothing may be read, or gaps are not allowed.

    ``kinds`` are the failures, gaps first; ``result`` is what an IncompleteError carries.
    """
    read = [done for done in results if done.status != "unavailable"]
    examples = [example for kind, _, example in kinds if kind.is_gap]
    if read and all(done.status == "denied" for done in read):
        return CredentialsError(f"nothing may be read: {_describe_refusal(examples[0])}")
    if not examples or allow_partial:
        return None
    if read and all(done.is_refused for done in read):
        return CredentialsEndedError(
            f"the credentials ended before anything was read whole, so nothing was published: {examples[0].message};"
            f" what is missing: {shown_by}",
            result=result,
        )
    if read and not any(done.is_answering for done in read):
        return IncompleteError(
            f"{examples[0].message}; nothing could be read, so nothing was published; every failure by kind:"
            f" {shown_by}",
            result=result,
        )
    return IncompleteError(
        f"{plural(gaps, 'item')} could not be read, so nothing was published; run again, or publish what there is with"
        f" --allow-partial; every one by kind: {shown_by}",
        result=result,
    )


def _describe_refusal(failure: Failure) -> str:
    """Return a text about the call that was refused. The error code is also in the message, and is named once."""
    words = failure.message.partition(f"{failure.error_code}: ")[2]
    where = f"{failure.operation or 'AWS'} in {failure.scope}"
    text = f"{where} answered {failure.error_code}: {words}" if words else f"{where}: {failure.message}"
    is_denied = issubclass(class_of(failure.error_code, failure.http_status), AccessDeniedError)
    return text + ("; `lexport iam-policy` prints the permissions needed" if is_denied else "")
