"""Share the connections of one pool between the account-regions that use it.

Each account-region sends at most its share of the connections at once. If one server is slow or does not respond, its
account-region uses up its own share and no more. Shares follow the number of account-regions that are open, so the last
ones to finish get more connections each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anyio import CapacityLimiter, WouldBlock

from lexport.aws.http.transport import Request, Response, Send

MIN_SHARE = 2
"""The fewest connections of a share. The pool must have this many for each account-region that is open at once."""


class FairShares:
    """Equal shares of a pool of ``connections``; ``send`` is the pool's."""

    def __init__(self, send: Send, connections: int) -> None:
        self._send = send
        self._connections = connections
        self._limiters: set[CapacityLimiter] = set()
        self._share = connections

    @contextmanager
    def open_share(self) -> Iterator[Send]:
        """Yield the ``send`` of one account-region. Cancelled calls give their connection slot back at once."""
        limiter = CapacityLimiter(self._share)
        self._limiters.add(limiter)
        self._resize()

        async def send(request: Request) -> Response:
            borrower = object()  # by default the borrower is the current task, which anyio looks up twice per call
            try:
                limiter.acquire_on_behalf_of_nowait(
                    borrower
                )  # the other form yields to the loop even if a slot is free
            except WouldBlock:
                await limiter.acquire_on_behalf_of(borrower)
            try:
                return await self._send(request)
            finally:
                limiter.release_on_behalf_of(borrower)

        try:
            yield send
        finally:
            self._limiters.remove(limiter)
            self._resize()

    def _resize(self) -> None:
        share = max(MIN_SHARE, self._connections // max(1, len(self._limiters)))
        if share != self._share:
            self._share = share
            for limiter in self._limiters:
                limiter.total_tokens = share
