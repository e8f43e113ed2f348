"""Bandwidth limit: one byte rate for all downloads together. A download pays after each batch and then waits.

While it waits, its socket buffer fills up and TCP flow control slows the sender down.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import anyio

BATCH_BYTES = 1024 * 1024
"""Bytes read before they are hashed and written, so many that the thread hop costs little in comparison."""
ALL_BATCHES_BYTES = 16 * BATCH_BYTES
"""Memory for the batches of all downloads together; with more downloads each has smaller batches."""
MIN_BATCH_BYTES = 16 * 1024
BURST_S = 0.25
"""How long an unused rate accumulates, and how long one batch of a low rate may take."""


class ByteBucket:
    """Pure arithmetic: bytes read become a debt that time pays off.

    In any window of ``t`` seconds at most ``rate * (t + BURST_S)`` bytes pass, plus one batch of each download.
    """

    __slots__ = ("_paid_at_s", "_rate_per_s")

    def __init__(self, rate_per_s: float) -> None:
        if not (rate_per_s > 0 and math.isfinite(rate_per_s)):
            raise ValueError(f"a rate must be positive and finite, not {rate_per_s!r}")
        self._rate_per_s = rate_per_s
        self._paid_at_s = -math.inf

    def owe(self, count: int, now_s: float) -> float:
        """Add bytes to the debt; return the seconds until it is paid."""
        self._paid_at_s = max(self._paid_at_s, now_s - BURST_S) + count / self._rate_per_s
        return max(0.0, self._paid_at_s - now_s)


class BytePacer:
    """Limits all downloads together to ``rate_per_s`` bytes; None is no limit.

    ``downloads`` is the maximum number of downloads at once. ``moved_bytes`` counts the bytes that all of them read.
    Cancelled: the bytes were read, so they stay counted.
    """

    def __init__(
        self, rate_per_s: float | None, *, downloads: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.moved_bytes = 0
        self._bucket = None if rate_per_s is None else ByteBucket(rate_per_s)
        self._clock = clock
        burst_bytes = BATCH_BYTES if rate_per_s is None else int(rate_per_s * BURST_S)
        self.batch_bytes = min(BATCH_BYTES, max(MIN_BATCH_BYTES, min(burst_bytes, ALL_BATCHES_BYTES // downloads)))

    async def pay(self, count: int) -> None:
        """Count bytes that were read; return when the next batch may be read."""
        self.moved_bytes += count
        if self._bucket is not None:
            wait_s = self._bucket.owe(count, self._clock())
            if wait_s > 0:
                await anyio.sleep(wait_s)
