"""API calls at the pace of their quotas: one token bucket and one priority queue per account-region and quota class.

There is no background task: the first call in a queue sleeps until a token arrives, and the others wait to be first.
"""

from __future__ import annotations

import heapq
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol, Self, TypeVar

import anyio

from lexport.aws.quota.bucket import Bucket
from lexport.aws.quota.retry import retry
from lexport.errors import ItemError, ThrottledError
from lexport.model import (
    GET_FUNCTION_QUOTA,
    LIST_QUOTA,
    CallCounts,
    PaceReading,
    Priority,
    QuotaClass,
    Reply,
    Scope,
)
from lexport.tables.call import Call

T = TypeVar("T")

logger = logging.getLogger(__name__)


class CallApi(Protocol):
    """Makes calls within one account-region, at the pace of their quota classes and with retries."""

    async def __call__(self, call: Call, attempt: Callable[[], Awaitable[Reply]]) -> Reply:
        """Make one call; ``attempt`` makes one attempt. Raises ItemError when all attempts have failed."""


class Pacer:
    """Limits calls to ``share`` of each quota class's rate; by priority, and in FIFO order within a priority.

    The rate starts at the documented one and is lowered by throttles (bucket.py). Account-regions share nothing.
    ``clock`` is asyncio's own: ``anyio.current_time`` works on every event loop, but costs more than all the rest here.
    Cancelling a call removes it from its queue and takes no token.
    """

    def __init__(
        self, rates_per_s: Mapping[QuotaClass, float], share: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not 0.0 < share <= 1.0:
            raise ValueError(f"the share of a quota must be above 0 and at most 1, not {share!r}")
        self._rates_per_s = dict(rates_per_s)
        self._share = share
        self._clock = clock
        self._queues: dict[Scope, dict[str, _Queue]] = {}
        self._counts: dict[Scope, CallCounts] = {}

    async def call(
        self,
        scope: Scope,
        call: Call,
        attempt: Callable[[], Awaitable[T]],
        *,
        priority: Priority | None = None,
        random_unit: Callable[[], float] = random.random,
    ) -> T:
        """Make one call, retried as by ``retry``; each attempt takes a token. ``priority`` replaces the call's own."""
        priority = call.priority if priority is None else priority
        counts, operation = self._counts.get(scope) or self._begin_counts(scope), call.operation
        try:
            result = await self.call_once(scope, call.quota, attempt, priority)  # nearly always succeeds
        except ItemError as error:
            first_failure = error
            counts.throttled[operation] += isinstance(error, ThrottledError)
        else:
            counts.by_operation[operation] += 1
            return result
        counts.by_operation[operation] += 1

        async def repeat() -> T:
            counts.by_operation[operation] += 1
            counts.retries += 1
            try:
                return await self.call_once(scope, call.quota, attempt, priority)
            except ThrottledError:
                counts.throttled[operation] += 1
                raise

        with _Trouble(self._queue(scope, call.quota).failing, scope, operation) as trouble:
            return await retry(repeat, after=first_failure, random_unit=random_unit, on_retry=trouble.note)

    async def call_once(
        self, scope: Scope, quota_class: QuotaClass, attempt: Callable[[], Awaitable[T]], priority: Priority
    ) -> T:
        """Wait for a token, then run ``attempt`` once and return its result; its outcome adjusts the rate."""
        queue = self._queue(scope, quota_class)
        bucket = queue.bucket
        sent_at_s = self._clock()
        if queue.waiting or not bucket.take(sent_at_s):
            sent_at_s = await queue.wait(priority)
        number = bucket.sent
        try:
            result = await attempt()
        except ThrottledError as error:
            queue.throttles += 1
            bucket.throttled(number, sent_at_s, self._clock(), error.retry_after_s)
            raise
        except ItemError as error:
            if error.http_status is not None:  # an error response, but not a throttle: AWS counted the call
                bucket.accepted(number, sent_at_s)
            raise
        bucket.accepted(number, sent_at_s)
        return result

    def reading(self, scope: Scope, quota_class: QuotaClass) -> PaceReading:
        """Return the current rate and the calls so far. Needs no event loop."""
        queue = self._queue(scope, quota_class)
        return _reading(queue.bucket.rate_per_s, [queue])

    def readings(self, scope: Scope) -> tuple[PaceReading, PaceReading]:
        """Return the reading of GetFunction in a scope, and List*'s rate with the counts of all other classes."""
        get_function, listing = self.reading(scope, GET_FUNCTION_QUOTA), self.reading(scope, LIST_QUOTA)
        others = [queue for name, queue in self._queues[scope].items() if name != GET_FUNCTION_QUOTA.name]
        return get_function, _reading(listing.rate_per_s, others)

    def counts(self, scope: Scope) -> CallCounts:
        """Return the calls so far in a scope. Needs no event loop."""
        counts = self._counts.get(scope, CallCounts())
        throttles = sum(queue.throttles for queue in self._queues.get(scope, {}).values())
        return CallCounts(
            by_operation=counts.by_operation, throttled=counts.throttled, retries=counts.retries, throttles=throttles
        )

    def all_counts(self) -> CallCounts:
        """Return the calls so far in all scopes. Needs no event loop."""
        return sum(map(self.counts, self._queues), CallCounts())

    def _begin_counts(self, scope: Scope) -> CallCounts:
        return self._counts.setdefault(scope, CallCounts())

    def _queue(self, scope: Scope, quota_class: QuotaClass) -> _Queue:
        try:
            return self._queues[scope][quota_class.name]
        except KeyError:
            rate_per_s = self._rates_per_s.get(quota_class, quota_class.rate_per_s)
            queue = _Queue(Bucket(rate_per_s, self._share), self._clock)
            self._queues.setdefault(scope, {})[quota_class.name] = queue
            return queue


def _reading(rate_per_s: float, queues: Sequence[_Queue]) -> PaceReading:
    failing: Counter[str] = sum((queue.failing for queue in queues), Counter())
    return PaceReading(
        rate_per_s=rate_per_s,
        calls=sum(queue.bucket.sent for queue in queues),
        throttles=sum(queue.throttles for queue in queues),
        failing=failing.total(),
        failing_why=max(failing, key=lambda why: failing[why], default=""),
    )


_SHORT_REASONS = {
    "connect_failed": "cannot connect",
    "connection_reset": "the connection was closed",
    "dns_failed": "the host name cannot be resolved",
    "network_failed": "the network failed",
    "proxy_refused": "the proxy refused",
    "timeout": "no answer in time",
    "tls_failed": "TLS failed",
}
"""Error code of ours -> the reason in a few words; an error code of AWS is its own reason."""
_MOST_CHARACTERS = 40


class _Trouble:
    """What goes wrong with one call that is tried again: it is counted and logged as long as it goes on."""

    def __init__(self, failing: Counter[str], scope: Scope, operation: str) -> None:
        self._failing, self._scope, self._operation = failing, scope, operation
        self._why: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._count(None)

    def note(self, error: ItemError, delay_s: float) -> None:
        """Take the error of an attempt, and the delay before the next one."""
        is_throttle = isinstance(error, ThrottledError)
        self._count(None if is_throttle else _SHORT_REASONS.get(error.code, error.code[:_MOST_CHARACTERS]))
        level = logging.DEBUG if is_throttle else logging.INFO
        if logger.isEnabledFor(level):
            place = {"account_id": self._scope.account_id, "region": self._scope.region, "operation": self._operation}
            text = "%s: %s; tried again in %.1f s"
            logger.log(level, text, self._scope, error, delay_s, extra={**place, "error_code": error.code})

    def _count(self, why: str | None) -> None:
        if self._why is not None:
            self._failing[self._why] -= 1
        if why is not None:
            self._failing[why] += 1
        self._why = why


@dataclass(slots=True, order=True)
class _Waiter:
    """One waiting call. ``turn`` is set when it may now be first."""

    priority: Priority
    number: int
    turn: anyio.Event = field(default_factory=anyio.Event, compare=False)


class _Queue:
    """One bucket and a heap of the calls that wait for it."""

    def __init__(self, bucket: Bucket, clock: Callable[[], float]) -> None:
        self.bucket = bucket
        self._clock = clock
        self.waiting: list[_Waiter] = []
        self.throttles = 0
        self.failing: Counter[str] = Counter()
        self._numbers = count()

    async def wait(self, priority: Priority) -> float:
        """Wait until first in the queue, sleep until a token arrives, take it, and return the time.

        A more urgent call may become the first while the previous first still sleeps. Both wake when the token
        arrives; the more urgent call takes it and the other waits again.
        """
        waiter = _Waiter(priority, next(self._numbers))
        heapq.heappush(self.waiting, waiter)
        try:
            while True:
                if self.waiting[0] is not waiter:
                    await waiter.turn.wait()
                    waiter.turn = anyio.Event()
                    continue
                now_s = self._clock()
                if self.bucket.take(now_s):
                    return now_s
                await anyio.sleep(self.bucket.ready_in_s(now_s))
        finally:
            if self.waiting[0] is waiter:
                heapq.heappop(self.waiting)
            else:  # cancelled while not first: rare, so a linear search is cheap enough
                self.waiting.remove(waiter)
                heapq.heapify(self.waiting)
            if self.waiting:
                self.waiting[0].turn.set()
