"""``send`` on aiohttp: always there.

Cancelled: a request in flight closes its connection; leaving the context closes all of them.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version

import aiohttp
from yarl import URL

from lexport.aws.proxies import Proxies, Proxy
from lexport.aws.trust import trust
from lexport.aws.wire import (
    CONNECT_TIMEOUT_S,
    TOTAL_TIMEOUT_S,
    Limits,
    Request,
    Response,
    Send,
    too_large,
    trouble,
    unwanted_encoding,
)
from lexport.errors import FetchError


@asynccontextmanager
async def open_aiohttp(ca_bundle: str | None, limits: Limits) -> AsyncIterator[Send]:
    """Open the pool."""
    proxies = Proxies()
    connector = aiohttp.TCPConnector(limit=limits.connections, ssl=trust(ca_bundle))
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        # aiohttp's trust_env would read ~/.netrc, whose entry for a host becomes an Authorization header,
        # and would ask a thread for the proxy on each request: we look proxies up ourselves, once per host.
        trust_env=False,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(
            total=TOTAL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S, sock_read=limits.idle_timeout_s
        ),
        headers={"User-Agent": f"lexport/{version('lexport')}", "Accept-Encoding": "identity"},
    ) as session:
        # aiohttp would silently send a GET again when the connection broke: a call that no quota has paid for.
        # There is no public switch; its own test client sets the same field. tests/unit/aws/test_transport.py pins it.
        session._retry_connection = False  # noqa: SLF001

        async def send(request: Request) -> Response:
            url = URL(request.url, encoded=True)
            proxy = proxies.find(url.scheme, url.raw_authority)
            headers: Mapping[str, str] = request.headers
            to_proxy = {"Proxy-Authorization": proxy.authorization} if proxy and proxy.authorization else None
            if to_proxy and url.scheme == "http":  # no tunnel: the proxy reads the request itself
                headers = {**headers, **to_proxy}
            try:
                async with session.get(
                    url,
                    headers=headers,
                    allow_redirects=False,
                    proxy=proxy.url if proxy else None,
                    proxy_headers=to_proxy if url.scheme == "https" else None,
                ) as response:
                    body = await _read(response, url, limits.body_limit_bytes)
                    return Response(response.status, response.headers, body)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                # No chain: aiohttp's exceptions hold the request's headers, and those hold a session token.
                raise translate(error, url, proxy) from None

        yield send


async def _read(response: aiohttp.ClientResponse, url: URL, limit_bytes: int) -> bytes:
    """Read the body whole, but never more than the limit."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise unwanted_encoding(f"{url.host}", encoding, response.status)
    length = response.content_length
    if length is not None and length <= limit_bytes:
        return await response.read()
    parts: list[bytes] = []
    size = 0
    if length is None:
        async for part in response.content.iter_any():
            size += len(part)
            if size > limit_bytes:
                break
            parts.append(part)
        else:
            return b"".join(parts)
    response.close()  # the rest is not worth the connection
    raise too_large(f"{url.host}", limit_bytes, response.status)


# The first line that fits counts: aiohttp's classes inherit from each other and from the system's.
_WHAT: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((aiohttp.ClientHttpProxyError,), "proxy_refused"),
    ((ssl.SSLError, aiohttp.ClientConnectorSSLError, aiohttp.ClientConnectorCertificateError), "tls_failed"),
    ((aiohttp.ConnectionTimeoutError,), "connect_timeout"),
    ((TimeoutError,), "timeout"),
    ((aiohttp.ClientProxyConnectionError,), "proxy_down"),
    ((aiohttp.ClientConnectorDNSError,), "dns_failed"),
    ((aiohttp.ClientConnectorError,), "connect_failed"),
    ((aiohttp.ClientPayloadError,), "truncated_body"),
    ((aiohttp.ServerDisconnectedError, ConnectionError, aiohttp.ClientOSError), "connection_reset"),
    ((aiohttp.ClientResponseError,), "invalid_http"),
    ((ValueError,), "invalid_request"),  # UnicodeError for host names that DNS cannot carry
    ((Exception,), "network_failed"),
)


def translate(error: Exception, url: URL, proxy: Proxy | None) -> FetchError:
    """Make our error of one of aiohttp's or of the system's; it holds neither URL nor headers."""
    what = next(what for classes, what in _WHAT if isinstance(error, classes))
    return trouble(what, host=f"{url.host}:{url.port}", proxy=proxy, reason=_reason(error))


def _reason(error: Exception) -> str:
    """Return the cause in the system's own words, without the URL and headers that aiohttp adds to them."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"HTTP {error.status}"
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    return getattr(inner, "verify_message", None) or getattr(inner, "strerror", None) or type(inner).__name__
