"""A token bucket as pure arithmetic: time goes in, permission comes out; no clock, no await."""

from __future__ import annotations

import math

BURST_S = 0.25
"""How much unused quota may be spent at once. AWS publishes no bucket depth; a quarter second stays below any guess."""


class Bucket:
    """``rate_per_s`` tokens come in a second, at most ``burst`` are kept; it starts full.

    It holds one instant, not a count: ``_full_at``, when the bucket would be full again. A token moves it later by
    1/rate, time catches up with it, and a token is there while it is less than ``burst`` tokens away.
    In any window of ``t`` seconds at most ``rate_per_s * t + burst`` tokens are taken.
    """

    __slots__ = ("_full_at", "_slack_s", "burst", "rate_per_s")

    def __init__(self, rate_per_s: float, *, burst: float | None = None) -> None:
        if not (rate_per_s > 0 and math.isfinite(rate_per_s)):
            raise ValueError(f"a rate must be positive and finite, not {rate_per_s!r}")
        self.rate_per_s = rate_per_s
        self.burst = max(1.0, rate_per_s * BURST_S if burst is None else burst)
        self._slack_s = (self.burst - 1.0) / rate_per_s
        self._full_at = -math.inf

    def ready_in_s(self, now: float) -> float:
        """Return how long until a token is there; 0.0 when one is."""
        return max(0.0, self._full_at - self._slack_s - now)

    def take(self, now: float) -> bool:
        """Take a token if one is there."""
        if self._full_at - self._slack_s - now > 0.0:
            return False
        self._full_at = max(self._full_at, now) + 1.0 / self.rate_per_s
        return True
