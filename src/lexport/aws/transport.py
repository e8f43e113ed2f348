"""The seam: ``send(request) -> response`` for one GET, on whichever HTTP client is there.

Both clients behind it follow no redirect, keep no cookie and repeat nothing: one call is one request on the wire.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Literal, get_args

from lexport.aws.wire import BODY_LIMIT_BYTES, IDLE_TIMEOUT_S, Limits, Request, Response, Send
from lexport.errors import SettingsError

__all__ = ["Request", "Response", "Send", "TransportKind", "choose_transport", "open_transport"]

logger = logging.getLogger(__name__)

TransportKind = Literal["auto", "aiohttp", "reqwest"]


def choose_transport(kind: TransportKind) -> Literal["aiohttp", "reqwest"]:
    """Settle on a client: ``auto`` takes the one that costs less CPU (benchmarks/README.md). Raises SettingsError."""
    if kind not in get_args(TransportKind):
        raise SettingsError(f"--transport is one of {', '.join(get_args(TransportKind))}", option="--transport")
    if kind != "reqwest":
        return "aiohttp"
    if find_spec("pyreqwest") is None:
        raise SettingsError(
            "--transport reqwest needs pyreqwest, which is not installed: pip install lexport[fast]",
            option="--transport",
        )
    return "reqwest"


@asynccontextmanager
async def open_transport(
    *,
    kind: TransportKind = "auto",
    ca_bundle: str | None,
    connections: int,
    idle_timeout_s: float = IDLE_TIMEOUT_S,
    body_limit_bytes: int = BODY_LIMIT_BYTES,
) -> AsyncIterator[Send]:
    """Open one pool of ``connections`` and yield the function that sends.

    Cancelled: nobody waits for a request in flight any more; leaving the context closes idle connections. What becomes
    of the request's own connection is said in the two files that know.
    """
    limits = Limits(connections=connections, idle_timeout_s=idle_timeout_s, body_limit_bytes=body_limit_bytes)
    chosen = choose_transport(kind)
    logger.info("transport %s, asked for %s", chosen, kind)
    if chosen == "reqwest":
        from lexport.aws.transport_reqwest import open_reqwest

        opening = open_reqwest(ca_bundle, limits)
    else:
        from lexport.aws.transport_aiohttp import open_aiohttp

        opening = open_aiohttp(ca_bundle, limits)
    async with opening as send:
        yield send
