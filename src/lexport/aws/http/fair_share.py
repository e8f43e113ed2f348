"""One pool of connections, shared fairly: each account-region has a lane of its own, as wide as its share.

A lane whose server is slow or hangs fills up alone; the others find their connections free. Shares follow the number of
open lanes, so the last ones to finish have room.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anyio import CapacityLimiter, WouldBlock

from lexport.aws.http.transport import Request, Response, Send

LEAST = 2
"""Connections of a lane at the least; so ``MOST_LANES * LEAST`` is a floor for the pool."""


class Lanes:
    """The lanes of one pool of ``connections``, through which ``send`` goes."""

    def __init__(self, send: Send, connections: int) -> None:
        self._send = send
        self._connections = connections
        self._limiters: set[CapacityLimiter] = set()
        self._width = connections

    @contextmanager
    def lane(self) -> Iterator[Send]:
        """Open a lane and yield the ``send`` of it. Cancelled calls leave their place at once."""
        limiter = CapacityLimiter(self._width)
        self._limiters.add(limiter)
        self._share()

        async def send(request: Request) -> Response:
            place = object()  # and not the task, which is looked up twice for each call
            try:
                limiter.acquire_on_behalf_of_nowait(place)  # the other one yields to the loop even where there is room
            except WouldBlock:
                await limiter.acquire_on_behalf_of(place)
            try:
                return await self._send(request)
            finally:
                limiter.release_on_behalf_of(place)

        try:
            yield send
        finally:
            self._limiters.remove(limiter)
            self._share()

    def _share(self) -> None:
        width = max(LEAST, self._connections // max(1, len(self._limiters)))
        if width != self._width:
            self._width = width
            for limiter in self._limiters:
                limiter.total_tokens = width
