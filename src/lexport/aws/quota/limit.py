"""Estimate how many calls per second AWS accepts: throttles lower the estimate, and later it is probed upwards again.

Pure arithmetic on the times of accepted and throttled calls, without a clock. It is kept apart from the bucket, because
other clients may use the same quota: the bucket takes a share of the limit, and this file finds the limit.
"""

from __future__ import annotations

import math
from collections import deque

HOLD_S, LONGEST_HOLD_S = 9.0, 30.0
"""The estimate stays this long after it was lowered. Hold and probe find a limit that rose by two thirds in 20 s."""
HOLD_CALLS = 60.0
"""At a low rate the hold is longer: a probe costs a throttle or two, which should be few among the calls."""
FIRST_PROBE = 0.04
"""The first probe goes this share above the stable rate."""
PROBE_DOUBLES_S = 2.0
LONGEST_PROBE_S = 60.0  # bounds the exponent; every limit is reached long before

JUST_UNDER = 0.99
DEEPEST_FALL = 0.5
"""One throttle lowers the estimate to half at most: if few calls were made, the few accepted ones prove little."""

FLOOR_SHARE = 0.01
FLOOR_PER_S = 0.5

DEPTH_S = 1.0
"""AWS's bucket is assumed to hold at most a second of unused quota. The depth is not published."""
PRIOR_S = 1.0
"""The stable rate counts as this many seconds of evidence, so that two throttles in a row do not set the estimate."""
WINDOW_S, SLOT_S = 10.0, 0.25


class Limit:
    """An estimate between a floor and ``documented_per_s``, where it starts.

    It uses two facts that hold for every token bucket. First, a bucket that throttles is empty, so between two
    throttles it accepted only tokens that arrived meanwhile: accepted / time is the limit, or less if the bucket
    overflowed. Second, a bucket at an unknown level accepts its depth at most in addition: so in every window
    accepted / (time + depth) is the limit or less.
    """

    def __init__(self, documented_per_s: float) -> None:
        self.documented_per_s = documented_per_s
        self.floor_per_s = min(documented_per_s, max(FLOOR_SHARE * documented_per_s, FLOOR_PER_S))
        self._stable_per_s = documented_per_s
        self._probe_from_s = math.inf
        self._lowered_at_s: float | None = None
        self._accepted = 0  # since the estimate was lowered
        # [start, accepted] of each slot of the window, since the estimate was lowered
        self._slots: deque[list[float]] = deque(maxlen=round(WINDOW_S / SLOT_S))

    @property
    def is_documented(self) -> bool:
        """Whether the estimate is the documented limit, so that it does not change with time."""
        return self._probe_from_s == math.inf

    def at(self, now_s: float) -> float:
        """Return the estimate: the stable rate, and after the hold a probe whose excess doubles repeatedly."""
        probing_s = now_s - self._probe_from_s
        if probing_s < 0:
            return self._stable_per_s
        excess = FIRST_PROBE * math.exp2(min(probing_s, LONGEST_PROBE_S) / PROBE_DOUBLES_S)
        probe_per_s = self._stable_per_s * (1.0 + excess)
        if probe_per_s < self.documented_per_s:
            return probe_per_s
        self._stable_per_s, self._probe_from_s = self.documented_per_s, math.inf
        return self.documented_per_s

    def accepted(self, sent_at_s: float) -> None:
        """Count a call that was sent since the estimate was lowered and was not throttled."""
        self._accepted += 1
        slots = self._slots
        if slots and sent_at_s < slots[-1][0] + SLOT_S:
            slots[-1][1] += 1
        else:
            slots.append([sent_at_s, 1])

    def lower(self, sent_at_s: float, now_s: float) -> None:
        """Lower the estimate to just under the accepted rate: a call sent at ``sent_at_s`` was throttled."""
        before_per_s = self.at(now_s)
        lower_per_s = JUST_UNDER * min(before_per_s, max(self._seen_per_s(sent_at_s), DEEPEST_FALL * before_per_s))
        if sent_at_s > self._probe_from_s:  # the probe failed: the rate was stable through the whole hold
            lower_per_s = max(lower_per_s, min(self._stable_per_s, JUST_UNDER * before_per_s))
        self._stable_per_s = max(self.floor_per_s, lower_per_s)
        self._lowered_at_s = now_s
        self._accepted = 0
        self._slots.clear()

    def pause_probing(self, from_s: float) -> None:
        """Do not probe until a hold after ``from_s`` is over."""
        if self._stable_per_s < self.documented_per_s:
            hold_s = min(LONGEST_HOLD_S, max(HOLD_S, HOLD_CALLS / self._stable_per_s))
            self._probe_from_s = from_s + hold_s

    def _seen_per_s(self, until_s: float) -> float:
        """Return the highest lower bound of the limit: since the estimate was lowered, and over each recent window."""
        best_per_s = 0.0
        if self._lowered_at_s is not None:
            since_s = max(0.0, until_s - self._lowered_at_s)
            best_per_s = (self._accepted + self._stable_per_s * PRIOR_S) / (since_s + PRIOR_S)
        accepted = 0.0
        for start_s, count in reversed(self._slots):
            accepted += count
            best_per_s = max(best_per_s, accepted / (max(0.0, until_s - start_s) + DEPTH_S))
        return best_per_s
