"""Send GET requests: ``send(request) -> response``, directly or through the proxy that the environment names.

Redirects are not followed, cookies are not kept, and nothing is retried: one call is one request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CancelScope

from lexport.aws.http.message import BODY_LIMIT_BYTES, IDLE_TIMEOUT_S, HttpLimits, Request, Response, Send, split_url
from lexport.aws.http.pool import Pool
from lexport.aws.http.proxied import ProxiedSender
from lexport.aws.http.proxies import Proxies
from lexport.aws.http.tls import open_trust_store

__all__ = ["Request", "Response", "Send", "open_transport"]


@asynccontextmanager
async def open_transport(
    *,
    ca_bundle: str | None,
    connections: int,
    idle_timeout_s: float = IDLE_TIMEOUT_S,
    body_limit_bytes: int = BODY_LIMIT_BYTES,
) -> AsyncIterator[Send]:
    """Yield ``send``, which uses at most ``connections`` direct connections and as many through proxies.

    Cancelling a call closes the connection of its request. Leaving the context closes all connections.
    """
    limits = HttpLimits(connections=connections, idle_timeout_s=idle_timeout_s, body_limit_bytes=body_limit_bytes)
    tls, proxies = open_trust_store(ca_bundle), Proxies()
    pool, proxied = Pool(limits, tls), ProxiedSender(limits, tls)

    async def send(request: Request) -> Response:
        origin, target = split_url(request.url)
        proxy = proxies.find(*origin.split("://", 1))
        if proxy is None:
            return await pool.send(request, origin, target)
        return await proxied.send(request, target, proxy)

    try:
        yield send
    finally:
        with CancelScope(shield=True):
            await pool.close()
            await proxied.close()
