"""Retries with backoff. Each kind of error has its own limits."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from lexport.aws.quota.bucket import LONGEST_RETRY_AFTER_S
from lexport.aws.waits import scaled
from lexport.errors import ItemError, ThrottledError, TokenRefusedError, WrongAnswerError

T = TypeVar("T")

THROTTLE_ATTEMPTS = 8
"""With half a minute of backoff in all. Retry-After pauses the bucket, and is also the least delay of its own call."""
OTHER_ATTEMPTS = 6
"""A server or network that failed six times over some eight seconds is down."""
WRONG_ATTEMPTS = 4
"""After the first response to a wrong item every attempt uses a new connection, so more attempts would not help."""
REFUSED_FOR_S = scaled(10.0)
"""New keys take some seconds to become valid in every Region; a token that is refused for longer stays refused."""
FIRST_BACKOFF_S = scaled(0.25)
LONGEST_BACKOFF_S = scaled(20.0)


async def retry(
    attempt: Callable[[], Awaitable[T]],
    *,
    after: ItemError | None = None,
    only: type[ItemError] = ItemError,
    longest_s: float = math.inf,
    random_unit: Callable[[], float] = random.random,
    on_retry: Callable[[ItemError, float], None] = lambda _error, _delay_s: None,
) -> T:
    """Repeat ``attempt`` while its error is retryable; raise the last error with its number of ``attempts``.

    ``after`` is the error of an attempt that was made already. Errors that are not of the class ``only`` are raised at
    once. No attempt begins later than ``longest_s`` after the first failure. ``random_unit`` returns a number from 0
    to 1. ``on_retry`` gets each error after which there is another attempt, and the delay before it.
    """
    state, failure = RetryState(longest_s), after
    while True:
        if failure is not None:
            delay_s = state.delay_s(failure, anyio.current_time(), random_unit())
            if delay_s is None:
                failure.attempts = state.attempts
                raise failure
            on_retry(failure, delay_s)
            await anyio.sleep(delay_s)
        try:
            return await attempt()
        except only as error:
            failure = error


class RetryState:
    """The failures of one call so far. Pure: it gets errors and times, and returns delays."""

    def __init__(self, longest_s: float = math.inf) -> None:
        self._longest_s = longest_s
        self._throttled = self._failed = self._refused = 0
        self._failed_at_s = self._refused_at_s = math.inf  # of the first failure of each kind

    @property
    def attempts(self) -> int:
        """The number of failed attempts."""
        return self._throttled + self._failed + self._refused

    def delay_s(self, error: ItemError, now_s: float, unit: float) -> float | None:
        """Count a failure; return the delay before the next attempt, or None if there is to be none."""
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
    """Return the delay after the n-th failure: Retry-After, which many calls share, plus backoff with full jitter."""
    floor_s = min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S)
    return floor_s + unit * min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** (failures - 1))
