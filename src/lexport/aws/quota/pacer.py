"""Who may call now: one bucket per account-region and quota class, and the line before each.

In: an attempt to make. Out: its result, once a token was there for it; what became of it is told to the bucket. No
background task: whoever stands first in a line sleeps until the token comes, and the others wait to be first.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import TypeVar

import anyio

from lexport.aws.quota.bucket import Bucket
from lexport.errors import ItemError, ThrottledError
from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA, PaceReading, Priority, QuotaClass, Scope

T = TypeVar("T")


class Pacer:
    """Let calls through at ``share`` of each class's rate, the most urgent first, first come first served within.

    The rate is the documented one, or less where throttles tell so (bucket.py). Account-regions share nothing.
    ``clock`` is asyncio's own; ``anyio.current_time`` knows every loop's, and takes longer than all the rest here.
    Cancelled: a waiter leaves its line at once and takes no token with it.
    """

    def __init__(
        self, rates_per_s: Mapping[QuotaClass, float], share: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not 0.0 < share <= 1.0:
            raise ValueError(f"the share of a quota is above 0 and at most 1, not {share!r}")
        self._rates_per_s = dict(rates_per_s)
        self._share = share
        self._clock = clock
        self._lines: dict[Scope, dict[str, _Line]] = {}

    async def call(
        self, scope: Scope, quota_class: QuotaClass, attempt: Callable[[], Awaitable[T]], priority: Priority
    ) -> T:
        """Wait for a token, then run the attempt once and return what it returns."""
        line = self._line(scope, quota_class)
        bucket = line.bucket
        sent_at_s = self._clock()
        if line.waiting or not bucket.take(sent_at_s):
            sent_at_s = await line.wait(priority)
        number = bucket.sent
        try:
            result = await attempt()
        except ThrottledError as error:
            line.throttles += 1
            bucket.throttled(number, sent_at_s, self._clock(), error.retry_after_s)
            raise
        except ItemError as error:
            if error.http_status is not None:  # refused, but let through: AWS counted it
                bucket.accepted(number, sent_at_s)
            raise
        bucket.accepted(number, sent_at_s)
        return result

    def reading(self, scope: Scope, quota_class: QuotaClass) -> PaceReading:
        """Return the rate allowed by now and what has been called so far. Needs no event loop."""
        line = self._line(scope, quota_class)
        return PaceReading(rate_per_s=line.bucket.rate_per_s, calls=line.bucket.sent, throttles=line.throttles)

    def readings(self, scope: Scope) -> tuple[PaceReading, PaceReading]:
        """Return what GetFunction has spent in a scope, and what all other classes have; the rate is that of List*."""
        get_function, listing = self.reading(scope, GET_FUNCTION_QUOTA), self.reading(scope, LIST_QUOTA)
        others = [line for name, line in self._lines[scope].items() if name != GET_FUNCTION_QUOTA.name]
        return get_function, PaceReading(
            rate_per_s=listing.rate_per_s,
            calls=sum(line.bucket.sent for line in others),
            throttles=sum(line.throttles for line in others),
        )

    def _line(self, scope: Scope, quota_class: QuotaClass) -> _Line:
        try:
            return self._lines[scope][quota_class.name]
        except KeyError:
            rate_per_s = self._rates_per_s.get(quota_class, quota_class.rate_per_s)
            line = _Line(Bucket(rate_per_s, self._share), self._clock)
            self._lines.setdefault(scope, {})[quota_class.name] = line
            return line


class _Waiter:
    """One call in line. ``turn`` is set when it may have become the first."""

    __slots__ = ("order", "turn")

    def __init__(self, order: tuple[int, int]) -> None:
        self.order = order
        self.turn = anyio.Event()

    def __lt__(self, other: _Waiter) -> bool:
        return self.order < other.order


class _Line:
    """One bucket and the calls that wait for it, the next one on top of the heap."""

    __slots__ = ("_clock", "_numbers", "bucket", "throttles", "waiting")

    def __init__(self, bucket: Bucket, clock: Callable[[], float]) -> None:
        self.bucket = bucket
        self._clock = clock
        self.waiting: list[_Waiter] = []
        self.throttles = 0
        self._numbers = count()

    async def wait(self, priority: Priority) -> float:
        """Stand in line until first, sleep until the token comes, take it; return when that was.

        A more urgent newcomer becomes first while the former first still sleeps. Both wake for the same token; only
        the first takes it, the other waits for its turn again.
        """
        me = _Waiter((priority, next(self._numbers)))
        heapq.heappush(self.waiting, me)
        try:
            while True:
                if self.waiting[0] is not me:
                    await me.turn.wait()
                    me.turn = anyio.Event()
                    continue
                now_s = self._clock()
                if self.bucket.take(now_s):
                    return now_s
                await anyio.sleep(self.bucket.ready_in_s(now_s))
        finally:
            if self.waiting[0] is me:
                heapq.heappop(self.waiting)
            else:  # cancelled in the middle of the line: rare, so the linear search is paid there
                self.waiting.remove(me)
                heapq.heapify(self.waiting)
            if self.waiting:
                self.waiting[0].turn.set()
