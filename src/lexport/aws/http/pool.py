"""Send requests: over a bounded pool of direct ``Connection``s, or through the proxy that the environment names.

Redirects are not followed, cookies are not kept, and nothing is retried: one call is one request.

This pool is used instead of aiohttp's ``ClientSession``, which costs three times the CPU per request (measured: 120 µs
against 28). asyncio resolves names, aiohappyeyeballs races IPv6 against IPv4 (RFC 8305).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohappyeyeballs import AddrInfoType, start_connection
from anyio import CancelScope, CapacityLimiter, WouldBlock

from lexport.aws.http.connection import BrokenResponse, Connection
from lexport.aws.http.growth import FIRST_CONNECTIONS, LOOK_AFTER_S, busy_s, connections_allowed
from lexport.aws.http.message import (
    BODY_LIMIT_BYTES,
    CONNECT_TIMEOUT_S,
    IDLE_TIMEOUT_S,
    PORTS,
    USER_AGENT,
    HttpLimits,
    Request,
    Response,
    Send,
    failure,
    invalid_url,
    reason_of,
    split_url,
)
from lexport.aws.http.proxied import ProxiedSender
from lexport.aws.http.proxies import Proxies
from lexport.aws.http.stream import Outbox, open_stream
from lexport.aws.http.tls import open_trust_store

MIN_SHARE = 2
"""The fewest connections of a share. The pool must have this many for each account-region being read."""

ADDRESSES_KEPT_S = 10.0
"""The addresses of a host are cached for this long. Lambda's DNS records have a TTL of 60 s or less."""

HAPPY_EYEBALLS_DELAY_S = 0.25
"""Connecting to the next address starts this long after the previous one. RFC 8305 recommends this value."""


@asynccontextmanager
async def open_pool(
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
    pool = Pool(limits, open_trust_store(ca_bundle), Proxies())
    try:
        yield pool.send
    finally:
        with CancelScope(shield=True):
            await pool.close()


class FairShares:
    """Equal shares of the connections of ``send`` for the account-regions that use it.

    Each account-region sends at most its share of requests at once. A slow server can exhaust only its own
    account-region's share. Shares follow the number of account-regions being read, so the last ones get more each.
    """

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
            borrower = object()  # the default, the current task, is looked up twice per call
            try:  # `acquire_on_behalf_of` yields to the event loop even if a slot is free
                limiter.acquire_on_behalf_of_nowait(borrower)
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


@dataclass(slots=True, kw_only=True)
class _Origin:
    """One scheme, host and port with its addresses and idle connections; the one used last is at the end.

    ``fixed_headers`` are the header lines of every request to this origin.
    """

    host: str
    port: int
    is_tls: bool
    fixed_headers: str
    idle: list[Connection] = field(default_factory=list)
    addresses: deque[AddrInfoType] = field(default_factory=deque)
    resolved_at_s: float = -ADDRESSES_KEPT_S
    resolving: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


class Pool:
    """At most ``limits.connections`` connections at once, each to one origin, reused while they are intact.

    A slot is held by a caller (connecting or waiting for a response) or by an idle connection. Callers wait for slots
    in FIFO order. There are few slots first, and more while callers wait; see ``growth.py``.
    """

    def __init__(self, limits: HttpLimits, tls: ssl.SSLContext, proxies: Proxies) -> None:
        self._limits = limits
        self._tls = tls
        self._proxies = proxies
        self._proxied = ProxiedSender(limits, tls)
        self._origins: dict[str, _Origin] = {}
        self._outbox = Outbox()
        self._open: set[Connection] = set()
        self._connecting: set[asyncio.Task[Connection]] = set()
        self._is_closed = False
        self._slots = min(FIRST_CONNECTIONS, limits.connections)
        self._slots_taken = 0
        self._look: asyncio.TimerHandle | None = None  # whether callers still wait a moment later
        self._waiters: deque[tuple[asyncio.Future[Connection | None], _Origin]] = deque()

    async def send(self, request: Request) -> Response:
        """Send one request and return the response; raises FetchError.

        Cancelling a call closes the connection of its request.
        """
        origin_url, target = split_url(request.url)
        proxy = self._proxies.find(*origin_url.split("://", 1))
        if proxy is not None:
            return await self._proxied.send(request, target, proxy)
        origin = self._origins.get(origin_url)
        if origin is None:
            origin = self._origins[origin_url] = _origin(origin_url)
        try:
            message = _encode(origin, target, request)
            needs_fresh = request.needs_fresh_connection
            connection = (None if needs_fresh else self._take_idle(origin)) or await self._connect_or_wait(
                origin, needs_fresh=needs_fresh
            )
            try:
                return await connection.send(message, idle_timeout_s=request.idle_timeout_s)
            finally:
                self._release(connection, origin)
        except BrokenResponse as broken:
            failed = failure(broken.kind, host=origin.name, reason=broken.reason, status=broken.status)
        except (OSError, ValueError) as error:
            failed = failure(_kind_of(error), host=origin.name, reason=reason_of(error))
        raise failed  # outside the `except`, so that `__context__` does not expose the system's error

    async def close(self) -> None:
        """Close every connection, cancel the attempts to connect, and fail all waiters."""
        self._is_closed = True
        if self._look is not None:
            self._look.cancel()
        for connecting in self._connecting:
            connecting.cancel()
        for connection in list(self._open):
            connection.abort()
        while waiter := self._next_waiter():
            waiter[0].set_result(None)
        await asyncio.gather(*self._connecting, return_exceptions=True)
        await asyncio.gather(*(connection.closed for connection in self._open))
        await self._proxied.close()

    # --- slots --------------------------------------------------------------------------------------------------------

    def _take_idle(self, origin: _Origin) -> Connection | None:
        while origin.idle:
            connection = origin.idle.pop()
            if connection.is_fresh():
                return connection
            connection.abort()
            self._free_slot()
        return None

    async def _connect_or_wait(self, origin: _Origin, *, needs_fresh: bool) -> Connection:
        """Connect in a free slot or in that of an idle connection; wait if all connections are busy.

        ``needs_fresh``: do not take over a connection that served a request before.
        """
        if self._slots_taken < self._slots:
            self._slots_taken += 1
        elif idle := next((other.idle for other in self._origins.values() if other.idle), None):
            idle.pop(0).abort()
        elif (connection := await self._wait(origin)) is not None:
            if connection.is_fresh() and not needs_fresh:
                return connection
            connection.abort()  # it was closed since its last response, or this request needs a new one
        return await self._connect(origin)

    async def _wait(self, origin: _Origin) -> Connection | None:
        """Wait for a connection to ``origin`` or a free slot; None means a slot."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append((turn, origin))
        self._look_later()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot was handed over just before the cancellation
                if connection := turn.result():
                    self._release(connection, origin)
                else:
                    self._free_slot()
            raise

    def _look_later(self) -> None:
        """See in a moment whether callers still wait, where more connections are possible at all."""
        if self._look is None and self._slots < self._limits.connections and not self._is_closed:
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(LOOK_AFTER_S, self._grow, loop.time(), busy_s())

    def _grow(self, since_s: float, busy_before_s: float) -> None:
        """Add slots if callers wait for them and the event loop has time for their responses."""
        self._look = None
        if all(turn.done() for turn, _ in self._waiters):
            return
        busy = (busy_s() - busy_before_s) / (asyncio.get_running_loop().time() - since_s)
        self._slots = connections_allowed(self._slots, self._limits.connections, busy=busy)
        while self._slots_taken < self._slots and (waiter := self._next_waiter()):
            self._slots_taken += 1
            waiter[0].set_result(None)
        self._look_later()

    async def _connect(self, origin: _Origin) -> Connection:
        """Connect using the caller's slot, which is freed if that fails.

        The attempt is a task, so that ``close`` can cancel it. It is always awaited: cancelling the caller cancels it.
        """
        attempt = asyncio.ensure_future(self._open_connection(origin))
        self._connecting.add(attempt)
        try:
            return await attempt
        except BaseException as error:
            self._free_slot()
            if attempt.done() and not attempt.cancelled() and attempt.exception() is None:
                attempt.result().abort()  # the caller was cancelled just after the connection was made
            task = asyncio.current_task()
            is_cancelled = task is not None and task.cancelling() > 0
            if isinstance(error, asyncio.CancelledError) and self._is_closed and not is_cancelled:
                raise BrokenResponse("connection_reset") from None
            raise
        finally:
            self._connecting.discard(attempt)

    def _release(self, connection: Connection, origin: _Origin) -> None:
        """Hand a connection to the first waiter, or its slot alone if that caller needs another origin."""
        if not connection.is_idle:
            connection.abort()
            self._free_slot()
        elif (waiter := self._next_waiter()) is None:
            origin.idle.append(connection)
        elif waiter[1] is origin:
            waiter[0].set_result(connection)
        else:
            connection.abort()
            waiter[0].set_result(None)

    def _free_slot(self) -> None:
        if waiter := self._next_waiter():
            waiter[0].set_result(None)
        else:
            self._slots_taken -= 1

    def _next_waiter(self) -> tuple[asyncio.Future[Connection | None], _Origin] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter[0].done():  # a cancelled caller leaves its future behind
                return waiter
        return None

    # --- connecting ---------------------------------------------------------------------------------------------------

    async def _open_connection(self, origin: _Origin) -> Connection:
        if self._is_closed:
            raise BrokenResponse("connection_reset")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                addresses = await self._addresses(origin)
                connected_socket = await start_connection(addresses, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY_S)
                stream = await open_stream(connected_socket, self._tls if origin.is_tls else None, origin.host)
        except TimeoutError:
            raise BrokenResponse("connect_timeout") from None
        connection = Connection(stream, self._outbox, self._limits, lambda closed: self._on_closed(closed, origin))
        self._open.add(connection)
        if not connection.is_idle:
            raise BrokenResponse("invalid_http" if connection.spoke_first else "connection_reset")
        return connection

    async def _addresses(self, origin: _Origin) -> list[AddrInfoType]:
        """Return the addresses of a host, rotated by one each time, so that connections are spread over them."""
        loop = asyncio.get_running_loop()
        async with origin.resolving:
            if origin.resolved_at_s + ADDRESSES_KEPT_S <= loop.time():
                infos = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
                origin.addresses = deque(dict.fromkeys(infos))
                origin.resolved_at_s = loop.time()
        addresses = list(origin.addresses)
        origin.addresses.rotate(-1)
        return addresses

    def _on_closed(self, connection: Connection, origin: _Origin) -> None:
        self._open.discard(connection)
        if connection in origin.idle:
            origin.idle.remove(connection)
            self._free_slot()


_PRINTABLE = bytes(range(0x20, 0x7F))


def _origin(url: str) -> _Origin:
    """Parse an origin such as ``https://host:1``; raises FetchError for an invalid port or IPv6 address."""
    try:
        parts = urlsplit(url)
        port, host = parts.port or PORTS[parts.scheme], parts.hostname or ""
    except ValueError:
        raise invalid_url() from None
    headers = {"Host": parts.netloc, "User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
    return _Origin(host=host, port=port, is_tls=parts.scheme == "https", fixed_headers=_lines(headers))


def _lines(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


def _encode(origin: _Origin, target: str, request: Request) -> bytes:
    """Format a request; raises ValueError for characters that HTTP cannot carry."""
    lines = _lines(request.headers).encode("ascii")
    if lines.translate(None, _PRINTABLE) != b"\r\n" * len(request.headers):
        raise ValueError("a control character in a header")
    if request.body is None:
        return b"%b%b\r\n" % (f"GET {target} HTTP/1.1\r\n{origin.fixed_headers}".encode("ascii"), lines)
    first = f"POST {target} HTTP/1.1\r\n{origin.fixed_headers}Content-Length: {len(request.body)}\r\n"
    return b"%b%b\r\n%b" % (first.encode("ascii"), lines, request.body)


# First match wins: these classes inherit from each other.
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, "tls_failed"),
    (socket.gaierror, "dns_failed"),
    (OSError, "connect_failed"),
    (ValueError, "invalid_request"),  # UnicodeError too: a host name that DNS cannot carry
)


def _kind_of(error: Exception) -> str:
    return next(kind for error_class, kind in _KINDS if isinstance(error, error_class))
