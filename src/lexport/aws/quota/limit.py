"""How many calls a second AWS lets through, as far as its answers tell: an estimate that falls and is probed upwards.

In: what was accepted and what was throttled, with times. Out: calls per second. Pure arithmetic; no clock, no await.
Apart from the bucket, because the share that may be used is one thing and what there is to share another.
"""

from __future__ import annotations

import math
from collections import deque

HOLD_S, LONGEST_HOLD_S = 9.0, 30.0
"""How long nothing is tried after a fall. Hold and probe together find a limit that rose by two thirds in 20 s."""
HOLD_CALLS = 60.0
"""At a slow rate the hold is longer: a probe costs a throttle or two, and they are to be few among the calls."""
FIRST_PROBE = 0.04
"""The first probe goes this far above what held."""
PROBE_DOUBLES_S = 2.0
LONGEST_PROBE_S = 60.0  # any limit has been reached long before; bounds the exponent

JUST_UNDER = 0.99
DEEPEST_FALL = 0.5
"""One round halves at most: where few calls were made, few were accepted, and that says little of the limit."""

FLOOR_SHARE = 0.01
FLOOR_PER_S = 0.5

DEPTH_S = 1.0
"""AWS's bucket is taken to hold a second of quota at most: what it may have paid out of savings. Not published."""
PRIOR_S = 1.0
"""What held before counts like this many seconds of new evidence, so that two throttles in a row are no estimate."""
WINDOW_S, SLOT_S = 10.0, 0.25


class Limit:
    """An estimate of the true limit: never above ``documented_per_s``, where it starts, and never below a floor.

    Two facts of any token bucket are used. It is empty when it throttles, so between two throttles it let through what
    came in: accepted / time is the limit, or less where it ran over. And from an unknown level it can let through no
    more than its depth besides, so accepted / (time + depth) of any window is the limit or less.
    """

    __slots__ = ("_accepted", "_fell_at_s", "_held_per_s", "_probe_from_s", "_slots", "documented_per_s", "floor_per_s")

    def __init__(self, documented_per_s: float) -> None:
        self.documented_per_s = documented_per_s
        self.floor_per_s = min(documented_per_s, max(FLOOR_SHARE * documented_per_s, FLOOR_PER_S))
        self._held_per_s = documented_per_s
        self._probe_from_s = math.inf
        self._fell_at_s: float | None = None
        self._accepted = 0  # since the fall
        # [start, accepted] of each slot of the window, none from before the fall
        self._slots: deque[list[float]] = deque(maxlen=round(WINDOW_S / SLOT_S))

    @property
    def is_found(self) -> bool:
        """Whether it stands at the documented rate, so that time alone changes nothing."""
        return self._probe_from_s == math.inf

    def at(self, now_s: float) -> float:
        """Return the estimate: what held, and from the end of the hold a probe whose excess doubles again and again."""
        probing_s = now_s - self._probe_from_s
        if probing_s < 0:
            return self._held_per_s
        excess = FIRST_PROBE * math.exp2(min(probing_s, LONGEST_PROBE_S) / PROBE_DOUBLES_S)
        probe_per_s = self._held_per_s * (1.0 + excess)
        if probe_per_s < self.documented_per_s:
            return probe_per_s
        self._held_per_s, self._probe_from_s = self.documented_per_s, math.inf
        return self.documented_per_s

    def accepted(self, sent_at_s: float) -> None:
        """Count a call that was sent since the fall and not throttled."""
        self._accepted += 1
        slots = self._slots
        if slots and sent_at_s < slots[-1][0] + SLOT_S:
            slots[-1][1] += 1
        else:
            slots.append([sent_at_s, 1])

    def fall(self, sent_at_s: float, now_s: float) -> None:
        """Fall to just under what was accepted; a call sent at ``sent_at_s`` found AWS's bucket empty."""
        before_per_s = self.at(now_s)
        wanted_per_s = JUST_UNDER * min(before_per_s, max(self._seen_per_s(sent_at_s), DEEPEST_FALL * before_per_s))
        if sent_at_s > self._probe_from_s:  # the probe failed; what had held through the whole hold is still believed
            wanted_per_s = max(wanted_per_s, min(self._held_per_s, JUST_UNDER * before_per_s))
        self._held_per_s = max(self.floor_per_s, wanted_per_s)
        self._fell_at_s = now_s
        self._accepted = 0
        self._slots.clear()

    def hold(self, from_s: float) -> None:
        """Probe no sooner than a hold after ``from_s``; at the documented rate there is nothing to probe for."""
        if self._held_per_s < self.documented_per_s:
            hold_s = min(LONGEST_HOLD_S, max(HOLD_S, HOLD_CALLS / self._held_per_s))
            self._probe_from_s = from_s + hold_s

    def _seen_per_s(self, until_s: float) -> float:
        """Return the best of the lower bounds: since the fall, and over each recent window."""
        best_per_s = 0.0
        if self._fell_at_s is not None:
            since_s = max(0.0, until_s - self._fell_at_s)
            best_per_s = (self._accepted + self._held_per_s * PRIOR_S) / (since_s + PRIOR_S)
        accepted = 0.0
        for start_s, count in reversed(self._slots):
            accepted += count
            best_per_s = max(best_per_s, accepted / (max(0.0, until_s - start_s) + DEPTH_S))
        return best_per_s
