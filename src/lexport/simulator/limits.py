"""The token buckets of each account-region: AWS's request quotas, as strict as AWS's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from lexport.aws.api import QUOTA_CLASSES
from lexport.model import QuotaClass, Scope

RATES_PER_S: Mapping[QuotaClass, float] = {QuotaClass.GET_FUNCTION: 100.0, QuotaClass.LIST: 15.0}
"""Source: Lambda quotas page, 2026. The depth is not published; one second of quota is assumed."""


class TokenBucket:
    """``rate_per_s`` tokens a second, at most one second's worth of them."""

    __slots__ = ("_at_s", "_depth", "_rate_per_s", "_tokens")

    def __init__(self, rate_per_s: float, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._depth = max(1.0, rate_per_s)
        self._tokens = self._depth
        self._at_s = now_s

    def take(self, now_s: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        self._tokens = min(self._depth, self._tokens + (now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / self._rate_per_s
        self._tokens -= 1.0
        return 0.0


class Limits:
    """Two buckets per account-region: GetFunction, and everything else of Lambda."""

    def __init__(self, rates: Mapping[QuotaClass, float] | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = {**RATES_PER_S, **(rates or {})}
        self._clock = clock
        self._buckets: dict[tuple[Scope, QuotaClass], TokenBucket] = {}

    def retry_after_s(self, scope: Scope, operation: str) -> int | None:
        """Spend one call; return the whole seconds to wait where the quota is used up."""
        quota_class = QUOTA_CLASSES.get(operation, QuotaClass.LIST)
        now_s = self._clock()
        bucket = self._buckets.get((scope, quota_class))
        if bucket is None:
            bucket = self._buckets[scope, quota_class] = TokenBucket(self._rates[quota_class], now_s)
        wait_s = bucket.take(now_s)
        return math.ceil(wait_s) if wait_s else None
