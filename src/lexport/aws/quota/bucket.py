"""A token bucket as pure arithmetic: times and answers go in, permission comes out; no clock, no await."""

from __future__ import annotations

import math

from lexport.aws.quota.limit import Limit

BURST_S = 0.2
"""How much unused quota may be spent at once: below a quarter second, the least depth that AWS's bucket is taken to
have (none is published), by enough that calls which the network bunches together do not empty it."""
PAUSE_S = 0.25
"""After a throttle nobody sends for so long, Retry-After or not: then AWS's bucket is not empty any more."""
LONGEST_RETRY_AFTER_S = 120.0
"""A server may ask for patience, but not for a run that never ends."""
STEP_S = 0.1  # how often a changing rate is computed anew


class Bucket:
    """``rate_per_s`` tokens come in a second, a fifth of a second's worth is kept, at least one; it starts full.

    The rate is ``share`` of the limit, the documented one at first; it changes as the limit found does.

    It holds one instant, not a count: ``_full_at_s``, when the bucket would be full again. A token moves it later by
    1/rate, time catches up with it, and a token is there while it is less than the burst away. So in any window of
    ``t`` seconds at most ``cap * t + max(1, cap * BURST_S)`` tokens are taken, where cap is share * documented.
    """

    __slots__ = (
        "_fell_after",
        "_full_at_s",
        "_interval_s",
        "_limit",
        "_opens_at_s",
        "_share",
        "_slack_s",
        "_step_at_s",
        "rate_per_s",
        "sent",
    )

    def __init__(self, documented_per_s: float, share: float = 1.0) -> None:
        if not (documented_per_s > 0 and math.isfinite(documented_per_s)):
            raise ValueError(f"a rate must be positive and finite, not {documented_per_s!r}")
        if not 0.0 < share <= 1.0:
            raise ValueError(f"the share of a quota is above 0 and at most 1, not {share!r}")
        self.sent = 0
        self._share = share
        self._limit = Limit(documented_per_s)
        self._full_at_s = self._opens_at_s = -math.inf
        self._step_at_s = math.inf
        self._fell_after = 0
        self._go_at(documented_per_s)

    def ready_in_s(self, now_s: float) -> float:
        """Return how long until a token is there; 0.0 when one is."""
        return max(0.0, self._full_at_s - self._slack_s - now_s, self._opens_at_s - now_s)

    def take(self, now_s: float) -> bool:
        """Take a token if one is there; ``sent`` is then the number of the call."""
        if now_s >= self._step_at_s:
            self._step(now_s)
        if self._full_at_s - self._slack_s > now_s or self._opens_at_s > now_s:
            return False
        self._full_at_s = max(self._full_at_s, now_s) + self._interval_s
        self.sent += 1
        return True

    def accepted(self, number: int, sent_at_s: float) -> None:
        """Note that AWS let a call through, whatever it answered."""
        if number > self._fell_after:
            self._limit.accepted(sent_at_s)

    def throttled(self, number: int, sent_at_s: float, now_s: float, retry_after_s: float | None) -> None:
        """Note that AWS let a call not through: nobody sends for a while, and then more slowly.

        Calls in flight together come back throttled together: those sent before the fall only prolong the wait.
        """
        asked_s = min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S)
        if number > self._fell_after:
            self._fell_after = self.sent
            self._limit.fall(sent_at_s, now_s)
            asked_s = max(PAUSE_S, asked_s)
        self._opens_at_s = max(self._opens_at_s, now_s + asked_s)
        self._limit.hold(self._opens_at_s)
        self._step(now_s)
        self._full_at_s = max(self._full_at_s, self._opens_at_s + self._slack_s)  # one token then, not a burst

    def _step(self, now_s: float) -> None:
        self._go_at(self._limit.at(now_s))
        self._step_at_s = math.inf if self._limit.is_found else now_s + STEP_S

    def _go_at(self, limit_per_s: float) -> None:
        self.rate_per_s = self._share * limit_per_s
        self._interval_s = 1.0 / self.rate_per_s
        self._slack_s = max(0.0, BURST_S - self._interval_s)
