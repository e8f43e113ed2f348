"""``send`` on aiohttp: always there. It resolves, connects, shakes hands and tunnels; we speak HTTP on what it opens.

Apart from that, because a request by ``aiohttp.ClientSession`` costs three times the CPU (measured: 120 µs against 38).
Cancelled: a request in flight closes its connection; leaving the context closes all of them.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
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
    no_url,
    reason_of,
    split_url,
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
    """At most ``limits.connections``, each to one origin, used again while they are whole.

    Each has a place, and each place one owner: who connects or waits for an answer, or the idle connection in it.
    Places are handed over, first come, first served: who waits is overtaken by nobody.
    """

    def __init__(self, connector: aiohttp.TCPConnector, limits: Limits) -> None:
        self._connector = connector
        self._limits = limits
        self._proxies = Proxies()
        self._agent = f"lexport/{version('lexport')}"
        self._routes: dict[str, _Route] = {}
        self._places_taken = 0
        self._waiting: deque[tuple[asyncio.Future[Connection | None], _Route]] = deque()

    async def send(self, request: Request) -> Response:
        """Send one request and read its answer."""
        origin, target = split_url(request.url)
        route = self._routes.get(origin) or self._find_route(origin)
        try:
            head = _head(route, target, request.headers)
            is_fresh = request.needs_fresh_connection
            connection = (None if is_fresh else self._idle_one(route)) or await self._open_or_wait(route, is_fresh)
            try:
                return await connection.ask(head)
            finally:
                self._give_back(connection, route)
        except BrokenAnswer as broken:
            failure = self._error(broken, route)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = translate(error, route.url, route.proxy)
        # Out here it has neither cause nor context: aiohttp's exceptions hold the header with a proxy's password.
        raise failure

    def _find_route(self, origin: str) -> _Route:
        try:
            route = self._routes[origin] = self._make_route(origin)
        except ValueError:  # no port, or no IPv6 address; it is aiohttp's InvalidURL too
            raise no_url() from None
        return route

    def _make_route(self, origin: str) -> _Route:
        url = URL(f"{origin}/", encoded=True)
        scheme, _, authority = origin.partition("://")
        proxy = self._proxies.find(scheme, authority)
        to_proxy = {"Proxy-Authorization": proxy.authorization} if proxy and proxy.authorization else _NO_PROXY_HEADERS
        fixed = {"Host": authority, "User-Agent": self._agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        is_read_by_proxy = proxy is not None and scheme == "http"  # no tunnel
        if is_read_by_proxy:
            fixed |= to_proxy
        return _Route(
            url=url,
            proxy=proxy,
            opening=aiohttp.ClientRequest(
                "GET",
                url,
                loop=asyncio.get_running_loop(),
                proxy=URL(proxy.url) if proxy else None,
                proxy_headers=CIMultiDict(to_proxy) if scheme == "https" else None,
            ),
            prefix=origin if is_read_by_proxy else "",
            fixed=_lines(fixed),
        )

    # --- who has which connection -------------------------------------------------------------------------------------

    def _idle_one(self, route: _Route) -> Connection | None:
        """Take the connection that was used last; close those that waited for too long."""
        while route.idle:
            connection = route.idle.pop()
            if connection.is_fresh():
                return connection
            connection.abort()
            self._give_place()
        return None

    async def _open_or_wait(self, route: _Route, is_fresh: bool) -> Connection:  # noqa: FBT001 - of the request
        """Open a connection, in the place of an idle one if need be; wait where all are busy."""
        if self._places_taken < self._limits.connections:
            self._places_taken += 1
        elif idle := next((other.idle for other in self._routes.values() if other.idle), None):
            idle.pop(0).abort()
        elif (connection := await self._wait(route)) is not None:
            if connection.is_fresh() and not is_fresh:
                return connection
            connection.abort()  # it was lost on its way here, or is not wanted
        return await self._open(route)

    async def _wait(self, route: _Route) -> Connection | None:
        """Wait for a connection, or for a place to open one."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, route))
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it had just come
                if connection := turn.result():
                    self._give_back(connection, route)
                else:
                    self._give_place()
            raise

    async def _open(self, route: _Route) -> Connection:
        """Open a connection in the place that the caller has."""
        try:
            opened = await self._connector.connect(route.opening, traces=[], timeout=_CONNECTING)
        except BaseException as error:
            self._give_place()
            if isinstance(error, TimeoutError):
                raise BrokenAnswer("connect_timeout") from None
            raise
        transport, former = opened.transport, opened.protocol
        if transport is None or transport.is_closing():
            what = "connection_reset"
        elif former is None or former.should_close:  # it has read what came before any question
            what = "invalid_http"
        else:
            return Connection(transport, self._limits, partial(self._ended, opened, route))
        opened.close()
        self._give_place()
        raise BrokenAnswer(what)

    def _give_back(self, connection: Connection, route: _Route) -> None:
        """Hand a connection to who waits first, or only its place if that one wants to go elsewhere."""
        if not connection.is_idle:
            connection.abort()
            self._give_place()
        elif (waiting := self._next()) is None:
            route.idle.append(connection)
        elif waiting[1] is route:
            waiting[0].set_result(connection)
        else:
            connection.abort()
            waiting[0].set_result(None)

    def _give_place(self) -> None:
        if waiting := self._next():
            waiting[0].set_result(None)
        else:
            self._places_taken -= 1

    def _next(self) -> tuple[asyncio.Future[Connection | None], _Route] | None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting[0].done():  # or else cancelled
                return waiting
        return None

    def _ended(self, opened: aiohttp.connector.Connection, route: _Route, connection: Connection) -> None:
        opened.close()
        if connection in route.idle:
            route.idle.remove(connection)
            self._give_place()

    # --- what went wrong ----------------------------------------------------------------------------------------------

    def _error(self, broken: BrokenAnswer, route: _Route) -> FetchError:
        host = route.url.raw_host or ""
        match broken.what:
            case "too_large":
                return too_large(host, self._limits.body_limit_bytes, broken.status)
            case "unwanted_encoding":
                return unwanted_encoding(host, broken.encoding, broken.status)
        return trouble(broken.what, host=f"{host}:{route.url.port}", proxy=route.proxy)


_PRINTABLE = bytes(range(0x20, 0x7F))


def _lines(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


def _head(route: _Route, target: str, headers: Mapping[str, str]) -> bytes:
    """Write a request; raises ValueError for what HTTP cannot carry."""
    lines = _lines(headers).encode("ascii")
    if lines.translate(None, _PRINTABLE) != b"\r\n" * len(headers):
        raise ValueError("a control character in a header")
    return b"%b%b\r\n" % (f"GET {route.prefix}{target} HTTP/1.1\r\n{route.fixed}".encode("ascii"), lines)


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
    return trouble(what, host=f"{url.raw_host}:{url.port}", proxy=proxy, reason=reason_of(error))
