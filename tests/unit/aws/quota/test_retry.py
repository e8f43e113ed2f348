"""Retries, on trio's virtual clock."""

from __future__ import annotations

import anyio
import pytest
from trio.testing import MockClock

from lexport.aws.quota.pacer import Pacer
from lexport.aws.quota.retry import OTHER_ATTEMPTS, THROTTLE_ATTEMPTS, WRONG_ATTEMPTS, backoff_s
from lexport.errors import (
    AccessDeniedError,
    FunctionGoneError,
    LexportError,
    NetworkError,
    ServiceError,
    ThrottledError,
    WrongAnswerError,
)
from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA, Scope
from lexport.tables.registry import call_of

SCOPE = Scope(account_id="111122223333", region="eu-west-1")

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": MockClock(autojump_threshold=0)}


def throttle(**options):
    return ThrottledError("slow down", code="TooManyRequestsException", **options)


def broken():
    return ServiceError("oops", code="ServiceException", http_status=500)


async def run(*outcomes, operation="GetFunction", unit=1.0):
    """Call once against scripted outcomes; return result or error, attempts, seconds, calls by quota class."""
    pacer = Pacer({GET_FUNCTION_QUOTA: 1000.0, LIST_QUOTA: 1000.0}, 1.0, clock=anyio.current_time)
    left = list(outcomes)
    began = anyio.current_time()

    async def attempt():
        outcome = left.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    try:
        result = await pacer.call(SCOPE, call_of(operation), attempt, random_unit=lambda: unit)
    except (LexportError, ZeroDivisionError, KeyboardInterrupt) as error:
        result = error
    calls = {kind.name: pacer.reading(SCOPE, kind).calls for kind in (GET_FUNCTION_QUOTA, LIST_QUOTA)}
    return result, len(outcomes) - len(left), anyio.current_time() - began, calls


async def test_the_first_answer_is_the_result():
    """A call that succeeds is made once, without a delay."""
    assert await run("answer") == ("answer", 1, 0.0, {"get_function": 1, "list": 0})


async def test_every_attempt_is_paid_for():
    """Each attempt takes a token of the operation's own quota class."""
    result, tries, _, calls = await run(broken(), throttle(), "answer", operation="ListAliases")

    assert (result, tries, calls) == ("answer", 3, {"get_function": 0, "list": 3})


async def test_throttles_are_tried_eight_times():
    """The eighth throttle is raised, with the number of attempts."""
    result, tries, seconds, _ = await run(*[throttle() for _ in range(20)])

    assert isinstance(result, ThrottledError)
    assert (tries, result.attempts) == (THROTTLE_ATTEMPTS, THROTTLE_ATTEMPTS)
    assert seconds == pytest.approx(0.25 + 0.5 + 1 + 2 + 4 + 8 + 16)


@pytest.mark.parametrize("kind", [ServiceError, NetworkError])
async def test_other_errors_are_tried_six_times(kind):
    """The sixth error of the server or the network is raised."""
    result, tries, _, _ = await run(*[kind("down", code="x") for _ in range(20)])

    assert isinstance(result, kind)
    assert (tries, result.attempts) == (OTHER_ATTEMPTS, OTHER_ATTEMPTS)


async def test_throttles_and_failures_are_counted_apart():
    """One failure after seven throttles is retried."""
    result, tries, _, _ = await run(*[throttle() for _ in range(7)], broken(), "answer")

    assert (result, tries) == ("answer", 9)


@pytest.mark.parametrize("kind", [AccessDeniedError, FunctionGoneError])
async def test_final_errors_are_not_retried(kind):
    """Denied and gone are raised at once."""
    result, tries, seconds, _ = await run(kind("no", code="x"), "answer")

    assert isinstance(result, kind)
    assert (tries, seconds, result.attempts) == (1, 0.0, 1)


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()])
async def test_a_bug_is_not_retried(error):
    """Exceptions that are no ItemError pass through unchanged."""
    result, tries, _, _ = await run(error, "answer")

    assert (result, tries) == (error, 1)


@pytest.mark.parametrize(("asked", "waited"), [(3.0, 3.0), (0.0, 0.25), (5000.0, 120.0)])
async def test_retry_after_is_a_floor(asked, waited):
    """Retry-After is waited for, up to two minutes, even if the backoff is zero."""
    _, _, seconds, _ = await run(throttle(retry_after_s=asked), "answer", unit=0.0)

    assert seconds == waited


async def test_backoff_doubles_up_to_a_cap_and_is_fully_jittered():
    """The n-th delay is between 0 and 0.25 s doubled n-1 times, at most 20 s."""
    assert [backoff_s(n, None, 1.0) for n in (1, 2, 3, 8, 60)] == [0.25, 0.5, 1.0, 20.0, 20.0]
    assert backoff_s(5, None, 0.0) == 0.0
    assert backoff_s(1, 2.0, 0.5) == 2.125


async def test_cancelled_in_the_backoff():
    """A call that is cancelled in the backoff ends at once and makes no further attempt."""
    pacer = Pacer({GET_FUNCTION_QUOTA: 1000.0}, 1.0, clock=anyio.current_time)

    async def attempt():
        raise throttle(retry_after_s=60.0)

    with anyio.move_on_after(1) as scope:
        await pacer.call(SCOPE, call_of("GetFunction"), attempt)

    assert scope.cancelled_caught
    assert pacer.reading(SCOPE, GET_FUNCTION_QUOTA).calls == 1


async def test_a_response_for_another_item_is_retried_a_few_times():
    """A response for another item is retried within the same quota, and fewer times than a server error."""
    wrong = WrongAnswerError("another function", code="wrong_answer", http_status=200)
    healed, attempts, _, calls = await run(*[wrong] * (WRONG_ATTEMPTS - 1), "reply")
    error, given_up_after, _, _ = await run(*[wrong] * 10)

    assert (healed, attempts, calls) == ("reply", WRONG_ATTEMPTS, {"get_function": WRONG_ATTEMPTS, "list": 0})
    assert (error, error.attempts, given_up_after) == (wrong, WRONG_ATTEMPTS, WRONG_ATTEMPTS)
