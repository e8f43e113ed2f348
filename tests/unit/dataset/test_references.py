"""References of an account-region: each is a row, gone or a gap, and what is not is said with the numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lexport.dataset.references import count_distinct, describe_missing, describe_missing_rows
from lexport.errors import ItemError
from lexport.extract.failures import Failures, Item, failure_of
from lexport.extract.results import finish_results, reconcile_row_counts
from lexport.extract.rows import Rows
from lexport.model import References, Scope, Shard, ShardResult

AT = datetime(2026, 11, 22, tzinfo=UTC)


def result_of(scope, status):
    return ShardResult(shard=Shard(scope=scope), status=status, started_at=AT, ended_at=AT)


@pytest.mark.parametrize(
    ("references", "missing"),
    [
        (References(), None),
        (References(listed=5, rows=3, lost=1, unwanted=1), None),
        (
            References(listed=1500, rows=3, lost=1, unwanted=1),
            "1,500 versions were listed or named; 3 were read, 1 read and not kept, 1 gone or failed: 1,495 are lost",
        ),
        (
            References(listed=2, rows=3),
            "2 versions were listed or named; 3 were read, 0 read and not kept, 0 gone or failed: 1 are too many",
        ),
    ],
)
def test_what_became_of_each(references, missing):
    """Every reference that was listed is read, not kept, gone or failed."""
    assert describe_missing(references) == missing


@pytest.mark.parametrize(
    ("written", "dropped", "missing"),
    [
        (9, 0, None),
        (6, 3, None),
        (6, 1, "9 versions were read; 6 rows were written, 1 came twice: 2 are lost"),
        (9, 1, "9 versions were read; 9 rows were written, 1 came twice: 1 are too many"),
    ],
)
def test_what_became_of_rows(written, dropped, missing):
    """Every staged row is written, or fell out of the merge because it came twice."""
    assert describe_missing_rows(References(listed=9, rows=9), written=written, dropped=dropped) == missing


def test_each_once():
    """What was listed twice, or is not kept, is no reference of its own to account for."""
    assert count_distinct(References(listed=9, rows=7, lost=1, unwanted=1), dropped=2) == 6


def test_rows_that_were_lost_make_a_gap():
    """An account-region whose rows do not add up is partial, and one failure of it tells the numbers."""
    scopes = [Scope(account_id="111122223333", region=region) for region in ("eu-west-1", "us-east-1")]
    failures = Failures(Rows().add_item, lambda: AT)
    outcomes = [replace(result_of(scope, "complete"), references=References(listed=5, rows=5)) for scope in scopes]
    judged = reconcile_row_counts(outcomes, Counter({scopes[0]: 3, scopes[1]: 4}), Counter({scopes[0]: 2}), failures)
    ((kind, count, example),) = failures.summary()

    assert [done.status for done in judged] == ["complete", "partial"]
    assert (kind.scope, kind.error_code, kind.is_gap, count) == (scopes[1], "references_lost", True, 1)
    assert example.message == "5 versions were read; 4 rows were written, 0 came twice: 1 are lost"


def test_the_order_of_outcomes():
    """Whichever was read first, outcomes come by account, then by Region."""
    scopes = [
        Scope(account_id=account, region=region)
        for account in ("111122223333", "222233334444")
        for region in ("eu-west-1", "us-east-1")
    ]
    outcomes = [result_of(scopes[place], "complete") for place in (2, 1, 3, 0)]

    assert [done.shard.scope for done in finish_results(outcomes, Failures(Rows().add_item, lambda: AT))] == scopes


def test_a_region_that_alone_seemed_off():
    """Where no Region of the account took the credentials, one that seemed switched off is denied, and a gap."""
    scope = Scope(account_id="111122223333", region="eu-west-1")
    failures = Failures(Rows().add_item, lambda: AT)
    error = ItemError("the security token is invalid", code="AuthFailure")
    refused = failure_of(error, Item(scope=scope, stage="discover"), AT)
    (judged,) = finish_results([replace(result_of(scope, "unavailable"), ended_by=refused)], failures)
    ((kind, count, _),) = failures.summary()

    assert (judged.status, judged.gaps, kind.error_code, kind.is_gap, count) == ("denied", 1, "AuthFailure", True, 1)
