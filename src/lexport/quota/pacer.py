"""Who may call now: one bucket per account-region and quota class, and the line before each.

In: an attempt to make. Out: its result, once a token was there for it. No background task: whoever stands first in a
line sleeps until the token comes, and the others wait to be first.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import TypeVar

import anyio

from lexport.errors import ThrottledError
from lexport.model import PaceReading, Priority, QuotaClass, Scope
from lexport.quota.bucket import Bucket

T = TypeVar("T")


class Pacer:
    """Let calls through at ``share`` of each class's rate, the most urgent first, first come first served within.

    Cancelled: a waiter leaves its line at once and takes no token with it.
    """

    def __init__(self, rates_per_s: Mapping[QuotaClass, float], share: float) -> None:
        if not 0.0 < share <= 1.0:
            raise ValueError(f"the share of a quota is above 0 and at most 1, not {share!r}")
        self._rates_per_s = {quota_class: rate * share for quota_class, rate in rates_per_s.items()}
        self._lines: dict[tuple[Scope, QuotaClass], _Line] = {}

    async def call(
        self, scope: Scope, quota_class: QuotaClass, attempt: Callable[[], Awaitable[T]], priority: Priority
    ) -> T:
        """Wait for a token, then run the attempt once and return what it returns."""
        line = self._line(scope, quota_class)
        if line.waiting or not line.bucket.take(anyio.current_time()):
            await line.wait(priority)
        line.calls += 1
        try:
            return await attempt()
        except ThrottledError:
            line.throttles += 1
            raise

    def reading(self, scope: Scope, quota_class: QuotaClass) -> PaceReading:
        """Return what has been called so far."""
        line = self._line(scope, quota_class)
        return PaceReading(rate_per_s=line.bucket.rate_per_s, calls=line.calls, throttles=line.throttles)

    def _line(self, scope: Scope, quota_class: QuotaClass) -> _Line:
        key = (scope, quota_class)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(Bucket(self._rates_per_s[quota_class]))
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

    __slots__ = ("_numbers", "bucket", "calls", "throttles", "waiting")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.waiting: list[_Waiter] = []
        self.calls = 0
        self.throttles = 0
        self._numbers = count()

    async def wait(self, priority: Priority) -> None:
        """Stand in line until first, sleep until the token comes, take it.

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
                now = anyio.current_time()
                if self.bucket.take(now):
                    return
                await anyio.sleep(self.bucket.ready_in_s(now))
        finally:
            if self.waiting[0] is me:
                heapq.heappop(self.waiting)
            else:  # cancelled in the middle of the line: rare, so the linear search is paid there
                self.waiting.remove(me)
                heapq.heapify(self.waiting)
            if self.waiting:
                self.waiting[0].turn.set()
