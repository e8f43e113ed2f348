"""``send`` on aiohttp: always there. It resolves, connects, shakes hands and tunnels; we speak HTTP on what it opens.

Apart from that, because a request by ``aiohttp.ClientSession`` costs three times the CPU (measured: 120 µs against 38).
Cancelled: a request in flight closes its connection; leaving the context closes all of them.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from lexport.aws.connection import BrokenAnswer, Connection
from lexport.aws.proxies import Proxies, Proxy
from lexport.aws.trust import trust
from lexport.aws.wire import (
    CONNECT_TIMEOUT_S,
    Limits,
    Request,
    Response,
    Send,
    too_large,
    trouble,
    unwanted_encoding,
)
from lexport.errors import FetchError

_CONNECTING = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
_NO_PROXY_HEADERS: dict[str, str] = {}


@asynccontextmanager
async def open_aiohttp(ca_bundle: str | None, limits: Limits) -> AsyncIterator[Send]:
    """Open the pool."""
    # Its own limit is off: it counts what it has opened, we count what is on its way too and what may be closed for it.
    connector = aiohttp.TCPConnector(limit=0, force_close=True, ssl=trust(ca_bundle))
    async with connector:
        yield _Pool(connector, limits).send


@dataclass(slots=True, kw_only=True)
class _Route:
    """How one origin is reached. ``opening`` is what aiohttp needs to connect, ``fixed`` the same headers each time.

    ``prefix`` stands before the path where a proxy reads the request itself; ``idle`` has the last used one at its end.
    """

    url: URL
    proxy: Proxy | None
    opening: aiohttp.ClientRequest
    prefix: str
    fixed: str
    idle: list[Connection] = field(default_factory=list)


class _Pool:
    """At most ``limits.connections``, each to one origin, used again while they are whole."""

    def __init__(self, connector: aiohttp.TCPConnector, limits: Limits) -> None:
        self._connector = connector
        self._limits = limits
        self._proxies = Proxies()
        self._agent = f"lexport/{version('lexport')}"
        self._routes: dict[str, _Route] = {}
        self._open = 0  # those on their way included
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def send(self, request: Request) -> Response:
        """Send one request and read its answer."""
        scheme, _, rest = request.url.partition("://")
        authority, slash, path = rest.partition("/")
        if not slash:
            authority, mark, query = authority.partition("?")
            path = mark + query
        route = self._routes.get(f"{scheme}://{authority}") or self._route(scheme, authority)
        try:
            head = _head(route, path, request)
            connection = _freshest(route) or await self._open_or_wait(route)
            try:
                return await connection.ask(head)
            finally:
                self._give_back(connection, route)
        except BrokenAnswer as broken:
            raise self._error(broken, route) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # No chain: aiohttp's exceptions hold the request's headers, and those hold a proxy's password.
            raise translate(error, route.url, route.proxy) from None

    def _route(self, scheme: str, authority: str) -> _Route:
        url = URL(f"{scheme}://{authority}/", encoded=True)
        proxy = self._proxies.find(scheme, authority)
        to_proxy = {"Proxy-Authorization": proxy.authorization} if proxy and proxy.authorization else _NO_PROXY_HEADERS
        fixed = {"Host": authority, "User-Agent": self._agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        is_read_by_proxy = proxy is not None and scheme == "http"  # no tunnel
        if is_read_by_proxy:
            fixed |= to_proxy
        route = _Route(
            url=url,
            proxy=proxy,
            opening=aiohttp.ClientRequest(
                "GET",
                url,
                loop=asyncio.get_running_loop(),
                proxy=URL(proxy.url) if proxy else None,
                proxy_headers=CIMultiDict(to_proxy) if scheme == "https" else None,
            ),
            prefix=f"{scheme}://{authority}" if is_read_by_proxy else "",
            fixed="".join(f"{name}: {value}\r\n" for name, value in fixed.items()),
        )
        self._routes[f"{scheme}://{authority}"] = route
        return route

    # --- who has which connection -------------------------------------------------------------------------------------

    async def _open_or_wait(self, route: _Route) -> Connection:
        """Open a connection, in the place of an idle one to elsewhere if need be; wait where all are busy."""
        queue = self._waiting.append
        while self._open >= self._limits.connections:
            elsewhere = next((other.idle for other in self._routes.values() if other.idle), None)
            if elsewhere is not None:
                elsewhere.pop(0).abort()
            turn = asyncio.get_running_loop().create_future()
            queue(turn)
            queue = self._waiting.appendleft  # whoever was in turn, but too late, stays the first
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake_next()
                raise
            if connection := _freshest(route):
                return connection
        self._open += 1
        try:
            opened = await self._connector.connect(route.opening, traces=[], timeout=_CONNECTING)
            if opened.transport is None:
                opened.close()
                raise aiohttp.ServerDisconnectedError  # noqa: TRY301 - one road for all
        except BaseException as error:
            self._open -= 1
            self._wake_next()
            if isinstance(error, TimeoutError):
                raise aiohttp.ConnectionTimeoutError from None
            raise
        return Connection(opened.transport, self._limits, partial(self._ended, opened, route))

    def _give_back(self, connection: Connection, route: _Route) -> None:
        if connection.is_idle:
            route.idle.append(connection)
            self._wake_next()
        else:
            connection.abort()

    def _ended(self, opened: aiohttp.connector.Connection, route: _Route, connection: Connection) -> None:
        opened.close()
        if connection in route.idle:
            route.idle.remove(connection)
        self._open -= 1
        self._wake_next()

    def _wake_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    # --- what went wrong ----------------------------------------------------------------------------------------------

    def _error(self, broken: BrokenAnswer, route: _Route) -> FetchError:
        host = route.url.host or ""
        match broken.what:
            case "too_large":
                return too_large(host, self._limits.body_limit_bytes, broken.status)
            case "unwanted_encoding":
                return unwanted_encoding(host, broken.encoding, broken.status)
        return trouble(broken.what, host=f"{host}:{route.url.port}", proxy=route.proxy)


def _freshest(route: _Route) -> Connection | None:
    """Take the connection that was used last; close those that waited for too long."""
    while route.idle:
        connection = route.idle.pop()
        if connection.is_fresh():
            return connection
        connection.abort()
    return None


def _head(route: _Route, path: str, request: Request) -> bytes:
    """Write a request; raises ValueError for what HTTP cannot carry."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
    count = len(request.headers)
    if " " in path or "\n" in path or "\r" in path or lines.count("\n") != count or lines.count("\r") != count:
        raise ValueError("a space or a line break where HTTP has none")
    return f"GET {route.prefix}/{path} HTTP/1.1\r\n{route.fixed}{lines}\r\n".encode("ascii")


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
