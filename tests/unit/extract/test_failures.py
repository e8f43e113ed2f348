"""What is lost is a row, a count and, for people, one example of each kind; never a link."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lexport.extract.failures import KINDS_KEPT, FailureKind, Failures
from lexport.extract.rows import Rows
from lexport.model import Scope

SCOPE = Scope(account_id="111122223333", region="eu-west-1")
OTHER = Scope(account_id="111122223333", region="us-east-1")
AT = datetime(2026, 11, 22, tzinfo=UTC)
LINK = "https://b.s3.amazonaws.com/k?X-Amz-Signature=0f3a"


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def failures(rows):
    return Failures(rows, lambda: AT)


def add(failures, scope=SCOPE, **fields):
    failures.add(
        scope,
        **{
            "stage": "fetch",
            "operation": "GetFunction",
            "error_code": "AccessDeniedException",
            "message": "denied",
            "is_gap": True,
            **fields,
        },
    )


def test_a_failure_is_a_row(failures, rows):
    """A failure is a row of ``errors`` with everything known of it."""
    add(failures, function_name="f", qualifier="7", http_status=403, attempts=2)

    assert rows.items == 1
    assert list(rows.take()["errors"].to_pylist()[0].values()) == [
        "111122223333",
        "eu-west-1",
        "fetch",
        "GetFunction",
        "f",
        "7",
        "AccessDeniedException",
        403,
        "denied",
        True,
        2,
        AT,
        "",
    ]


def test_links_do_not_get_in(failures, rows):
    """A signed link in a message or a name is in neither row nor example."""
    add(failures, function_name=LINK, message=f"cannot get {LINK} twice")
    shown = repr((rows.take()["errors"].to_pylist(), failures.summary()))

    assert "X-Amz-Signature=" not in shown
    assert "cannot get [signed link removed] twice" in shown


def test_gaps_are_counted_by_scope(failures):
    """Only gaps count as gaps, each in its own account-region."""
    add(failures)
    add(failures, scope=OTHER)
    add(failures, scope=OTHER, error_code="x")
    add(failures, is_gap=False, error_code="wrong_type")

    assert (failures.gaps[SCOPE], failures.gaps[OTHER], failures.gaps.total()) == (1, 2, 3)


def test_the_summary(failures):
    """Kinds come gaps first, then the most frequent, each with its count and first example."""
    for message in ("one", "two", "three"):
        add(failures, is_gap=False, error_code="wrong_type", message=message)
    add(failures, error_code="rare", message="rare")
    add(failures, error_code="often", message="first")
    add(failures, error_code="often", message="second")

    assert [(kind.error_code, count, example.message) for kind, count, example in failures.summary()] == [
        ("often", 2, "first"),
        ("rare", 1, "rare"),
        ("wrong_type", 3, "one"),
    ]


def test_memory_is_bounded(failures, rows):
    """Kinds beyond what people read are rows and gaps, but not held; known kinds are counted on."""
    for number in range(KINDS_KEPT + 10):
        add(failures, error_code=str(number))
    add(failures, error_code="0")
    first = FailureKind(scope=SCOPE, stage="fetch", operation="GetFunction", error_code="0", is_gap=True)

    assert len(failures.summary()) == len(failures.examples) == KINDS_KEPT
    assert failures.counts[first] == 2
    assert failures.gaps[SCOPE] == len(rows.take()["errors"]) == KINDS_KEPT + 11


def test_no_two_failures_have_one_moment(failures, rows):
    """The same failure in the same instant, again and again, is several rows that their time tells apart."""
    for _ in range(3):
        add(failures)
    moments = rows.take()["errors"].column("occurred_at").to_pylist()

    assert failures.summary()[0][1] == 3
    assert moments == [AT, AT + timedelta(microseconds=1), AT + timedelta(microseconds=2)]
