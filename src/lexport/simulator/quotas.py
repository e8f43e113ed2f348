"""AWS's request quotas: token buckets per account-region, and other clients that use them too."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA, QuotaClass, Scope
from lexport.tables.registry import call_of

RATES_PER_S: Mapping[QuotaClass, float] = {GET_FUNCTION_QUOTA: 100.0, LIST_QUOTA: 15.0}
"""Source: Lambda quotas page, 2026. The depth is not published; one second of quota is assumed."""
DEPTH_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another client that takes ``share`` of every bucket; times are seconds since the bucket's first call."""

    share: float
    from_s: float = 0.0
    to_s: float = math.inf

    def __post_init__(self) -> None:
        """Refuse a share above 1."""
        if not (0.0 <= self.share <= 1.0 and self.from_s <= self.to_s):
            raise ValueError("a neighbour takes a share between 0 and 1, from a moment to a later one")

    def taken_s(self, begin_s: float, end_s: float) -> float:
        """Return the seconds of quota that this client takes between two times."""
        return self.share * max(0.0, min(end_s, self.to_s) - max(begin_s, self.from_s))


class TokenBucket:
    """``rate_per_s`` tokens per second, less those of neighbours; at most ``depth_s`` seconds of tokens are kept."""

    def __init__(
        self, rate_per_s: float, now_s: float, neighbours: Iterable[Neighbour] = (), *, depth_s: float = DEPTH_S
    ) -> None:
        self._rate_per_s = rate_per_s
        self._depth = max(1.0, rate_per_s * depth_s)
        self._tokens = self._depth
        self._began_s = self._at_s = now_s
        self._neighbours = tuple(neighbours)

    def take(self, now_s: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        quota_s = now_s - self._at_s
        for neighbour in self._neighbours:
            quota_s -= neighbour.taken_s(self._at_s - self._began_s, now_s - self._began_s)
        self._tokens = min(self._depth, self._tokens + max(0.0, quota_s) * self._rate_per_s)
        self._at_s = now_s
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / self._rate_per_s
        self._tokens -= 1.0
        return 0.0


class Quotas:
    """Two buckets per account-region: GetFunction, and everything else of Lambda."""

    def __init__(
        self,
        rates: Mapping[QuotaClass, float] | None,
        clock: Callable[[], float] = time.monotonic,
        neighbours: Iterable[Neighbour] = (),
    ) -> None:
        self._rates = {**RATES_PER_S, **(rates or {})}
        self._clock = clock
        self._neighbours = tuple(neighbours)
        self._buckets: dict[tuple[Scope, QuotaClass], TokenBucket] = {}

    def retry_after_s(self, scope: Scope, operation: str) -> int | None:
        """Take a token for one call; return the whole seconds to wait if there is none."""
        call = call_of(operation)
        quota_class = LIST_QUOTA if call is None else call.quota
        now_s = self._clock()
        bucket = self._buckets.get((scope, quota_class))
        if bucket is None:
            bucket = TokenBucket(self._rates.get(quota_class, quota_class.rate_per_s), now_s, self._neighbours)
            self._buckets[scope, quota_class] = bucket
        wait_s = bucket.take(now_s)
        return math.ceil(wait_s) if wait_s else None
