"""What is lost is a row, a count and, for people, one example of each kind; never a link."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lexport.errors import AccessDeniedError, FunctionGoneError, ItemError
from lexport.extract.failures import KINDS_KEPT, FailureKind, Failures, Item
from lexport.extract.rows import Rows
from lexport.model import Failure, Scope

SCOPE = Scope(account_id="111122223333", region="eu-west-1")
OTHER = Scope(account_id="111122223333", region="us-east-1")
AT = datetime(2026, 11, 22, tzinfo=UTC)
LINK = "https://b.s3.amazonaws.com/k?X-Amz-Signature=0f3a"


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def failures(rows):
    return Failures(rows.add_item, lambda: AT)


def add(failures, **fields):
    """Add a failure; what is not given is a denied GetFunction."""
    usual = {
        "scope": SCOPE,
        "stage": "fetch",
        "operation": "GetFunction",
        "error_code": "AccessDeniedException",
        "message": "denied",
        "is_gap": True,
        "occurred_at": AT,
    }
    failures.append(Failure(**(usual | fields)))


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


@pytest.mark.parametrize(
    ("operation", "function_name", "is_named", "code", "is_gap"),
    [
        ("GetFunction", "f", False, "gone", False),
        ("ListAliases", "f", False, "gone", False),
        ("GetFunction", "f", True, "ResourceNotFoundException", True),
        ("ListFunctions", None, False, "ResourceNotFoundException", True),
    ],
)
def test_a_function_that_was_deleted(failures, operation, function_name, is_named, code, is_gap):
    """A listed function that was deleted meanwhile is no gap; one that the user named is, and so is a lost listing."""
    item = Item(
        scope=SCOPE, stage="fetch", operation=operation, function_name=function_name, qualifier=None, is_named=is_named
    )
    error = FunctionGoneError("not found", code="ResourceNotFoundException", http_status=404)
    failure = failures.record(error, item)

    assert (failure.error_code, failure.is_gap, failures.gaps[SCOPE]) == (code, is_gap, int(is_gap))
    assert error.code == "ResourceNotFoundException"


@pytest.mark.parametrize("is_optional", [False, True])
def test_denied_is_a_gap(failures, is_optional):
    """What is denied is missing, unless the snapshot is whole without it."""
    error = AccessDeniedError("no", code="AccessDeniedException", http_status=403)

    item = Item(scope=SCOPE, stage="fetch", operation="GetFunction", is_optional=is_optional)
    assert failures.record(error, item).is_gap is not is_optional


def test_what_the_caller_knows(failures):
    """The caller may decide that nothing is missing, and may put a title before the message."""
    failure = failures.record(
        ItemError("denied", code="x"), Item(scope=SCOPE, stage="packages"), is_gap=False, about="arn: "
    )

    assert (failure.is_gap, failure.message) == (False, "arn: denied")


def test_a_notice_is_no_gap(failures):
    """Something odd about an item that was read is a row, and nothing is missing."""
    failure = failures.notice(Item(scope=SCOPE, stage="flatten", operation="GetFunction"), "wrong_type", "Timeout")

    assert (failure.error_code, failure.is_gap, failures.gaps.total()) == ("wrong_type", False, 0)
