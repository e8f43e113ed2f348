"""Send requests over direct connections: a bounded pool of ``Connection``s, kept alive and reused.

This exists beside aiohttp's ``ClientSession`` because a request through that costs three times the CPU (measured:
120 µs against 38). Connecting is left to asyncio and aiohappyeyeballs: names, IPv6 (RFC 8305) and TLS.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohappyeyeballs import AddrInfoType, start_connection

from lexport.aws.http.connection import BrokenAnswer, Connection
from lexport.aws.http.message import (
    AGENT,
    CONNECT_TIMEOUT_S,
    PORTS,
    Limits,
    Request,
    Response,
    no_url,
    reason_of,
    too_large,
    trouble,
    unwanted_encoding,
)
from lexport.errors import FetchError

ADDRESSES_KEPT_S = 10.0
"""How long the addresses of a host are used again. Lambda's DNS records live for 60 s and less."""

HAPPY_EYEBALLS_DELAY_S = 0.25
"""How long one address may take before the next one is tried beside it; RFC 8305 recommends this value."""


@dataclass(slots=True, kw_only=True)
class _Origin:
    """One scheme, host and port, its addresses, and its idle connections, the last used at the end.

    ``fixed`` are the header lines that every request to it has.
    """

    host: str
    port: int
    is_tls: bool
    fixed: str
    idle: list[Connection] = field(default_factory=list)
    addresses: deque[AddrInfoType] = field(default_factory=deque)
    resolved_at_s: float = -ADDRESSES_KEPT_S
    resolving: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"


class Pool:
    """At most ``limits.connections`` connections at once, each to one origin, reused while they are intact.

    Every connection occupies one slot. A slot belongs to a caller that connects or waits for a response, or to the
    idle connection in it. Waiters get slots in FIFO order.
    """

    def __init__(self, limits: Limits, tls: ssl.SSLContext) -> None:
        self._limits = limits
        self._tls = tls
        self._origins: dict[str, _Origin] = {}
        self._open: set[Connection] = set()
        self._connecting: set[asyncio.Task[Connection]] = set()
        self._is_closed = False
        self._slots_taken = 0
        self._waiting: deque[tuple[asyncio.Future[Connection | None], _Origin]] = deque()

    async def send(self, request: Request, origin: str, target: str) -> Response:
        """Send one request to ``target`` of ``origin`` and return the response; raises FetchError.

        Cancelled: the connection of a request in flight is closed.
        """
        there = self._origins.get(origin)
        if there is None:
            there = self._origins[origin] = _origin(origin)
        try:
            head = _head(there, target, request.headers)
            is_fresh = request.needs_fresh_connection
            connection = (None if is_fresh else self._take_idle(there)) or await self._connect_or_wait(
                there, is_fresh=is_fresh
            )
            try:
                return await connection.ask(head)
            finally:
                self._release(connection, there)
        except BrokenAnswer as broken:
            failure = self._error(broken, there)
        except (OSError, ValueError) as error:
            failure = trouble(_what(error), host=there.name, proxy=None, reason=reason_of(error))
        raise failure  # outside the `except`, so that no `__context__` leads back to the system's error

    async def close(self) -> None:
        """Close every connection, end the attempts to connect, and wake up who waits for a slot."""
        self._is_closed = True
        for connecting in self._connecting:
            connecting.cancel()
        for connection in list(self._open):
            connection.abort()
        while waiter := self._next():
            waiter[0].set_result(None)
        await asyncio.gather(*self._connecting, return_exceptions=True)
        await asyncio.gather(*(connection.closed for connection in self._open))

    # --- slots --------------------------------------------------------------------------------------------------------

    def _take_idle(self, origin: _Origin) -> Connection | None:
        """Take the connection that was used last; close those that waited for too long."""
        while origin.idle:
            connection = origin.idle.pop()
            if connection.is_fresh():
                return connection
            connection.abort()
            self._free_slot()
        return None

    async def _connect_or_wait(self, origin: _Origin, *, is_fresh: bool) -> Connection:
        """Connect, in the slot of an idle connection if need be; wait where all are busy.

        ``is_fresh``: a connection that served a request before is not taken.
        """
        if self._slots_taken < self._limits.connections:
            self._slots_taken += 1
        elif idle := next((other.idle for other in self._origins.values() if other.idle), None):
            idle.pop(0).abort()
        elif (connection := await self._wait(origin)) is not None:
            if connection.is_fresh() and not is_fresh:
                return connection
            connection.abort()  # it was lost between its last response and this request, or must not be used
        return await self._connect(origin)

    async def _wait(self, origin: _Origin) -> Connection | None:
        """Wait for a connection to ``origin``, or for a free slot: then return None."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, origin))
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot was handed over in the same moment
                if connection := turn.result():
                    self._release(connection, origin)
                else:
                    self._free_slot()
            raise

    async def _connect(self, origin: _Origin) -> Connection:
        """Connect in a slot that the caller holds; the slot is free again where that fails.

        The attempt is a task, so that ``close`` can end it. It is always awaited: cancelling the caller cancels it.
        """
        attempt = asyncio.ensure_future(self._open_connection(origin))
        self._connecting.add(attempt)
        try:
            return await attempt
        except BaseException as error:
            self._free_slot()
            if attempt.done() and not attempt.cancelled() and attempt.exception() is None:
                attempt.result().abort()  # the caller was cancelled in the moment in which it was connected
            if isinstance(error, asyncio.CancelledError) and self._is_closed and not _is_cancelling():
                raise BrokenAnswer("connection_reset") from None
            raise
        finally:
            self._connecting.discard(attempt)

    def _release(self, connection: Connection, origin: _Origin) -> None:
        """Hand a connection to the first waiter, or its slot alone where that one wants another origin."""
        if not connection.is_idle:
            connection.abort()
            self._free_slot()
        elif (waiter := self._next()) is None:
            origin.idle.append(connection)
        elif waiter[1] is origin:
            waiter[0].set_result(connection)
        else:
            connection.abort()
            waiter[0].set_result(None)

    def _free_slot(self) -> None:
        if waiter := self._next():
            waiter[0].set_result(None)
        else:
            self._slots_taken -= 1

    def _next(self) -> tuple[asyncio.Future[Connection | None], _Origin] | None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter[0].done():  # else its caller was cancelled
                return waiter
        return None

    # --- connecting ---------------------------------------------------------------------------------------------------

    async def _open_connection(self, origin: _Origin) -> Connection:
        """Resolve, connect and shake hands within CONNECT_TIMEOUT_S."""
        loop = asyncio.get_running_loop()
        if self._is_closed:
            raise BrokenAnswer("connection_reset")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                addresses = await self._addresses(origin)
                connected = await start_connection(addresses, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY_S)
                # The event loop owns the socket from here on, and closes it where the handshake fails.
                _, connection = await loop.create_connection(
                    lambda: Connection(self._limits, lambda ended: self._closed(ended, origin)),
                    sock=connected,
                    ssl=self._tls if origin.is_tls else None,
                    server_hostname=origin.host if origin.is_tls else None,
                )
        except TimeoutError:
            raise BrokenAnswer("connect_timeout") from None
        self._open.add(connection)
        if not connection.is_idle:
            raise BrokenAnswer("invalid_http" if connection.spoke_first else "connection_reset")
        return connection

    async def _addresses(self, origin: _Origin) -> list[AddrInfoType]:
        """Return the addresses of a host, another one first each time, so that connections are spread over them."""
        loop = asyncio.get_running_loop()
        async with origin.resolving:
            if origin.resolved_at_s + ADDRESSES_KEPT_S <= loop.time():
                found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
                origin.addresses = deque(dict.fromkeys(found))
                origin.resolved_at_s = loop.time()
        addresses = list(origin.addresses)
        origin.addresses.rotate(-1)
        return addresses

    def _closed(self, connection: Connection, origin: _Origin) -> None:
        self._open.discard(connection)
        if connection in origin.idle:
            origin.idle.remove(connection)
            self._free_slot()

    def _error(self, broken: BrokenAnswer, origin: _Origin) -> FetchError:
        match broken.what:
            case "too_large":
                return too_large(origin.host, self._limits.body_limit_bytes, broken.status)
            case "unwanted_encoding":
                return unwanted_encoding(origin.host, broken.encoding, broken.status)
        return trouble(broken.what, host=origin.name, proxy=None)


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


_PRINTABLE = bytes(range(0x20, 0x7F))


def _origin(origin: str) -> _Origin:
    """Read an origin such as ``https://host:1``; raises FetchError for a port or an IPv6 address that is none."""
    try:
        parts = urlsplit(origin)
        port, host = parts.port or PORTS[parts.scheme], parts.hostname or ""
    except ValueError:
        raise no_url() from None
    headers = {"Host": parts.netloc, "User-Agent": AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
    return _Origin(host=host, port=port, is_tls=parts.scheme == "https", fixed=_lines(headers))


def _lines(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


def _head(origin: _Origin, target: str, headers: Mapping[str, str]) -> bytes:
    """Write a request; raises ValueError for what HTTP cannot carry."""
    lines = _lines(headers).encode("ascii")
    if lines.translate(None, _PRINTABLE) != b"\r\n" * len(headers):
        raise ValueError("a control character in a header")
    return b"%b%b\r\n" % (f"GET {target} HTTP/1.1\r\n{origin.fixed}".encode("ascii"), lines)


# The first line that matches counts: these classes inherit from each other.
_WHAT: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, "tls_failed"),
    (socket.gaierror, "dns_failed"),
    (OSError, "connect_failed"),
    (ValueError, "invalid_request"),  # UnicodeError too: a host name that DNS cannot carry
)


def _what(error: Exception) -> str:
    return next(what for kind, what in _WHAT if isinstance(error, kind))
