"""A token bucket as pure arithmetic: it gets the times of calls and their outcomes, and has no clock and no await."""

from __future__ import annotations

import math

from lexport.aws.quota.limit import Limit
from lexport.aws.waits import scaled

BURST_S = 0.2
"""Unused quota is kept for this long, to be spent in a burst. AWS does not publish the depth of its own buckets; it is
assumed to be at least a quarter of a second. The difference is for calls that the network bunches together."""
PAUSE_S = scaled(0.25)
"""After a throttle no call is sent for this long, with or without Retry-After, so that AWS's bucket refills."""
LONGEST_RETRY_AFTER_S = scaled(120.0)
"""A longer Retry-After is cut to this, so that a server cannot stop a run for good."""
STEP_S = 0.1  # a changing rate is recomputed this often


class Bucket:
    """``rate_per_s`` tokens arrive per second; tokens of BURST_S are kept, at least one. The bucket starts full.

    The rate is ``share`` of the estimated limit (limit.py), which starts at the documented limit.

    The state is one time instead of a count: ``_full_at_s``, when the bucket will be full. Taking a token moves it
    later by 1/rate, and a token is available while it is less than the burst ahead of the clock. So in any window of
    ``t`` seconds at most ``cap * t + max(1, cap * BURST_S)`` tokens are taken, where cap is share * documented limit.
    """

    def __init__(self, documented_per_s: float, share: float = 1.0) -> None:
        if not (documented_per_s > 0 and math.isfinite(documented_per_s)):
            raise ValueError(f"a rate must be positive and finite, not {documented_per_s!r}")
        if not 0.0 < share <= 1.0:
            raise ValueError(f"the share of a quota must be above 0 and at most 1, not {share!r}")
        self.sent = 0
        self._share = share
        self._limit = Limit(documented_per_s)
        self._full_at_s = self._opens_at_s = -math.inf
        self._step_at_s = math.inf
        self._lowered_after = 0
        self._set_rate(documented_per_s)

    def ready_in_s(self, now_s: float) -> float:
        """Return the time until a token is available; 0.0 if one is."""
        return max(0.0, self._full_at_s - self._slack_s - now_s, self._opens_at_s - now_s)

    def take(self, now_s: float) -> bool:
        """Take a token if one is available; ``sent`` is then the number of the call."""
        if now_s >= self._step_at_s:
            self._step(now_s)
        if self._full_at_s - self._slack_s > now_s or self._opens_at_s > now_s:
            return False
        self._full_at_s = max(self._full_at_s, now_s) + self._interval_s
        self.sent += 1
        return True

    def accepted(self, number: int, sent_at_s: float) -> None:
        """Record a call that AWS did not throttle, whatever it returned."""
        if number > self._lowered_after:
            self._limit.accepted(sent_at_s)

    def throttled(self, number: int, sent_at_s: float, now_s: float, retry_after_s: float | None) -> None:
        """Record a throttle: pause the bucket, then continue at a lower rate.

        Calls that are in flight together are throttled together. Only the first one lowers the rate; those sent before
        that only prolong the pause.
        """
        pause_s = min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S)
        if number > self._lowered_after:
            self._lowered_after = self.sent
            self._limit.lower(sent_at_s, now_s)
            pause_s = max(PAUSE_S, pause_s)
        self._opens_at_s = max(self._opens_at_s, now_s + pause_s)
        self._limit.pause_probing(self._opens_at_s)
        self._step(now_s)
        self._full_at_s = max(
            self._full_at_s, self._opens_at_s + self._slack_s
        )  # then one token is available, not a burst

    def _step(self, now_s: float) -> None:
        self._set_rate(self._limit.at(now_s))
        self._step_at_s = math.inf if self._limit.is_documented else now_s + STEP_S

    def _set_rate(self, limit_per_s: float) -> None:
        self.rate_per_s = self._share * limit_per_s
        self._interval_s = 1.0 / self.rate_per_s
        self._slack_s = max(0.0, BURST_S - self._interval_s)
