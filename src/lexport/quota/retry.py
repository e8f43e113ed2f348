"""The one retry layer: every attempt is paid for, and each kind of trouble has its own patience."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from lexport.aws.api import QUOTA_CLASSES
from lexport.errors import ItemError, ThrottledError, WrongAnswerError
from lexport.model import Priority, Scope
from lexport.quota.bucket import LONGEST_RETRY_AFTER_S
from lexport.quota.pacer import Pacer

T = TypeVar("T")

THROTTLE_ATTEMPTS = 8
"""The bucket slows everybody down after a throttle; this backoff, half a minute in all, is for what is left of it."""
OTHER_ATTEMPTS = 6
"""A server or network that failed six times over some eight seconds is down; other items say so too."""
WRONG_ATTEMPTS = 4
"""After the first wrong answer each attempt has a connection of its own: what is still wrong then will stay wrong."""
FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 20.0


async def ask(
    pacer: Pacer,
    scope: Scope,
    operation: str,
    attempt: Callable[[], Awaitable[T]],
    priority: Priority,
    *,
    random_unit: Callable[[], float] = random.random,
) -> T:
    """Make one call, again and again while its error is retryable; the last error is raised with its ``attempts``.

    ``random_unit`` returns a number from 0 to 1. Everything that is no ItemError passes through at once.
    """
    quota_class = QUOTA_CLASSES[operation]
    throttled = failed = 0
    while True:
        try:
            return await pacer.call(scope, quota_class, attempt, priority)
        except ItemError as error:
            if isinstance(error, ThrottledError):
                throttled += 1
                is_last, again = throttled >= THROTTLE_ATTEMPTS, throttled
            else:
                failed += 1
                attempts = WRONG_ATTEMPTS if isinstance(error, WrongAnswerError) else OTHER_ATTEMPTS
                is_last, again = failed >= attempts, failed
            if is_last or not error.retryable:
                error.attempts = throttled + failed
                raise
            delay_s = backoff_s(again, error.retry_after_s, random_unit())
        await anyio.sleep(delay_s)


def backoff_s(failures: int, retry_after_s: float | None, unit: float) -> float:
    """Return how long to wait after the n-th failure: what the server asked for, and full jitter on top.

    The jitter comes on top of Retry-After, because everybody was told the same second.
    """
    floor_s = min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S)
    return floor_s + unit * min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** (failures - 1))
