"""The one retry layer: every attempt is paid for, and each kind of trouble has its own patience."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

import anyio

from lexport.aws.quota.bucket import LONGEST_RETRY_AFTER_S
from lexport.aws.quota.pacer import Pacer
from lexport.errors import ItemError, ThrottledError, TokenRefusedError, WrongAnswerError
from lexport.model import Priority, Reply, Scope
from lexport.tables.call import Call

T = TypeVar("T")

THROTTLE_ATTEMPTS = 8
"""The bucket slows everybody down after a throttle; this backoff, half a minute in all, is for what is left of it."""
OTHER_ATTEMPTS = 6
"""A server or network that failed six times over some eight seconds is down; other items say so too."""
WRONG_ATTEMPTS = 4
"""After the first wrong answer each attempt has a connection of its own: what is still wrong then will stay wrong."""
REFUSED_FOR_S = 10.0
"""Keys that were just made take some seconds to be known in every Region; a token refused for longer stays refused."""
FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 20.0


class Ask(Protocol):
    """Paces, retries and makes one call of an operation, within one account-region."""

    async def __call__(self, call: Call, attempt: Callable[[], Awaitable[Reply]]) -> Reply:
        """Return the reply; raises ItemError when the attempts are spent."""


async def ask(
    pacer: Pacer,
    scope: Scope,
    call: Call,
    attempt: Callable[[], Awaitable[T]],
    *,
    priority: Priority | None = None,
    random_unit: Callable[[], float] = random.random,
) -> T:
    """Make one paced call of an operation, again and again as ``retry`` does. ``priority`` replaces the call's own."""
    priority = call.priority if priority is None else priority
    try:
        return await pacer.call(scope, call.quota, attempt, priority)  # nearly always
    except ItemError as error:
        failure = error
    paced = partial(pacer.call, scope, call.quota, attempt, priority)
    return await retry(paced, after=failure, random_unit=random_unit)


async def retry(
    attempt: Callable[[], Awaitable[T]],
    *,
    after: ItemError | None = None,
    only: type[ItemError] = ItemError,
    longest_s: float = math.inf,
    random_unit: Callable[[], float] = random.random,
) -> T:
    """Repeat ``attempt`` while its error is retryable; raise the last error with its number of ``attempts``.

    ``after`` is the error of an attempt that was made already. Errors that are not of the class ``only`` are raised at
    once. No attempt begins later than ``longest_s`` after the first failure. ``random_unit`` returns a number from 0
    to 1.
    """
    patience, failure = Patience(longest_s), after
    while True:
        if failure is not None:
            wait_s = patience.wait_s(failure, anyio.current_time(), random_unit())
            if wait_s is None:
                failure.attempts = patience.attempts
                raise failure
            await anyio.sleep(wait_s)
        try:
            return await attempt()
        except only as error:
            failure = error


class Patience:
    """The failures of one call so far. Pure: times and errors go in, a delay comes out."""

    def __init__(self, longest_s: float = math.inf) -> None:
        self._longest_s = longest_s
        self._throttled = self._failed = self._refused = 0
        self._failed_at_s = self._refused_at_s = math.inf  # for the first time

    @property
    def attempts(self) -> int:
        """How many attempts have failed."""
        return self._throttled + self._failed + self._refused

    def wait_s(self, error: ItemError, now_s: float, unit: float) -> float | None:
        """Count a failure; return how long to wait before the next attempt, None where there is to be none."""
        self._failed_at_s = min(self._failed_at_s, now_s)
        ends_at_s = self._failed_at_s + self._longest_s
        if isinstance(error, ThrottledError):
            self._throttled += 1
            is_last, failures = self._throttled >= THROTTLE_ATTEMPTS, self._throttled
        elif isinstance(error, TokenRefusedError):
            self._refused_at_s = min(self._refused_at_s, now_s)
            self._refused += 1
            ends_at_s = min(ends_at_s, self._refused_at_s + REFUSED_FOR_S)
            is_last, failures = False, self._refused
        else:
            self._failed += 1
            attempts = WRONG_ATTEMPTS if isinstance(error, WrongAnswerError) else OTHER_ATTEMPTS
            is_last, failures = self._failed >= attempts, self._failed
        if is_last or not error.retryable or now_s >= ends_at_s:
            return None
        return min(backoff_s(failures, error.retry_after_s, unit), ends_at_s - now_s)


def backoff_s(failures: int, retry_after_s: float | None, unit: float) -> float:
    """Return how long to wait after the n-th failure: what the server asked for, and full jitter on top.

    The jitter comes on top of Retry-After, because everybody was told the same second.
    """
    floor_s = min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S)
    return floor_s + unit * min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** (failures - 1))
