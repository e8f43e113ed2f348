"""How fast bytes may come: one rate over all downloads together, paid after each batch and before the next.

In: how many bytes a download has just read. Out: when it may read on; until then its socket fills up, and the sender
waits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import anyio

BATCH_BYTES = 1024 * 1024
"""What is read before it is hashed and written: a hop to a thread costs little beside it."""
BATCHES_BYTES = 16 * BATCH_BYTES
"""What the batches of all downloads take together, however many there are: more of them have smaller ones."""
LEAST_BATCH_BYTES = 16 * 1024
BURST_S = 0.25
"""How much unused rate is kept, and how much of a slow rate one batch may be."""


class ByteBucket:
    """Pure arithmetic: what was read becomes a debt, and time pays it off.

    In any window of ``t`` seconds at most ``rate * (t + BURST_S)`` bytes are let through, plus a batch of each reader.
    """

    __slots__ = ("_paid_at_s", "_rate_per_s")

    def __init__(self, rate_per_s: float) -> None:
        if not (rate_per_s > 0 and math.isfinite(rate_per_s)):
            raise ValueError(f"a rate must be positive and finite, not {rate_per_s!r}")
        self._rate_per_s = rate_per_s
        self._paid_at_s = -math.inf

    def owe(self, count: int, now_s: float) -> float:
        """Add bytes to the debt; return how long until it is paid."""
        self._paid_at_s = max(self._paid_at_s, now_s - BURST_S) + count / self._rate_per_s
        return max(0.0, self._paid_at_s - now_s)


class BytePacer:
    """Let downloads read at ``rate_per_s`` bytes together, or as fast as they come where it is None.

    ``downloads`` is how many there are at the most. ``moved_bytes`` counts what was read by all of them.
    Cancelled: the bytes were read, so they stay paid for.
    """

    def __init__(
        self, rate_per_s: float | None, *, downloads: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.moved_bytes = 0
        self._bucket = None if rate_per_s is None else ByteBucket(rate_per_s)
        self._clock = clock
        wanted = BATCH_BYTES if rate_per_s is None else int(rate_per_s * BURST_S)
        self.batch_bytes = min(BATCH_BYTES, max(LEAST_BATCH_BYTES, min(wanted, BATCHES_BYTES // downloads)))

    async def pay(self, count: int) -> None:
        """Pay for bytes that were read; returns when the next may be."""
        self.moved_bytes += count
        if self._bucket is not None:
            wait_s = self._bucket.owe(count, self._clock())
            if wait_s > 0:
                await anyio.sleep(wait_s)
