"""Resolves the hosts of URLs that others choose, and refuses addresses to which they may not lead (SSRF)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult


class CheckedResolver(AbstractResolver):
    """Calls ``check`` with a host and each of its addresses, which raises for a forbidden one.

    aiohttp connects to exactly the addresses that were checked. ``unchecked`` are hosts, each with its port, that may
    have any address. A proxy resolves names itself, so nothing can be checked behind one.
    """

    def __init__(self, check: Callable[[str, str], None], *, unchecked: Collection[tuple[str, int]]) -> None:
        self._resolver = aiohttp.ThreadedResolver()
        self._check, self._unchecked = check, unchecked

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host."""
        addresses = await self._resolver.resolve(host, port, family)
        if (host.lower(), port) not in self._unchecked:
            for address in addresses:
                self._check(host, address["host"])
        return addresses

    async def close(self) -> None:
        """Do nothing: the resolver owns no resources."""
