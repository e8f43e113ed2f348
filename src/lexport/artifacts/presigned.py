"""Opens presigned URLs, called links here: link -> its bytes as they arrive, or one of our errors.

A link is a credential for ten minutes. No message, log line, ``repr`` or exception chain that leaves this module holds
one: errors are built inside an ``except`` block and raised after it, so they carry no context.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from html import unescape
from importlib.metadata import version

import aiohttp
from yarl import URL

from lexport.artifacts.checked_resolver import CheckedResolver
from lexport.artifacts.url_policy import Hosts, Origin, check_address, check_link
from lexport.aws.errors import describe, one_line
from lexport.aws.http.proxied import translate_error
from lexport.aws.http.proxies import Proxies, Proxy
from lexport.aws.http.tls import open_trust_store
from lexport.aws.redact import remove_presigned_urls
from lexport.aws.waits import scaled
from lexport.errors import ItemError, LinkExpiredError, PackageDeniedError, PackageError, TransferError

READ_AHEAD_BYTES = 256 * 1024
"""aiohttp buffers at most twice as much of each transfer. It is the size of asyncio's TLS reads; measured, a smaller
buffer costs CPU and a larger one costs memory and cache misses."""
ERROR_BYTES = 64 * 1024  # read of an error response; those of S3 are below 2 KB


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimits:
    """Time limits of a transfer. Only time spent waiting for the server counts, not pacing or writing."""

    connect_timeout_s: float = scaled(10.0)
    """For one TCP connection, without DNS and TLS; S3 takes milliseconds."""
    idle_timeout_s: float = scaled(30.0)
    """Without a single byte. S3 itself closes such a connection after about 20 s."""
    slow_after_s: float = scaled(60.0)
    slow_bytes_per_s: float = 8 * 1024
    """A transfer below this rate over ``slow_after_s`` is ended. A usable network is faster even if 32 transfers share
    it, and a server that sends one byte a second cannot hold a slot. A package of ``n`` bytes takes at most
    ``n / slow_bytes_per_s + slow_after_s``: nine hours for 250 MB, three minutes for 1 MB."""


@asynccontextmanager
async def open_links(
    *, ca_bundle: str | None, hosts: Hosts, connections: int, limits: LinkLimits | None = None
) -> AsyncIterator[OpenLink]:
    """Open one pool of ``connections`` and yield the function that opens a link.

    Cancelled: an unfinished transfer closes its connection. Leaving the context closes all connections.
    """
    limits = limits or LinkLimits()
    proxies = Proxies()
    tls = open_trust_store(ca_bundle)
    named = {(origin.host, origin.port) for origin in hosts}  # the user answers for their addresses
    resolver = CheckedResolver(_check_address, unchecked=named | proxies.addresses())
    connector = aiohttp.TCPConnector(limit=connections, ssl=tls, resolver=resolver)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # as in proxied.py: True would read ~/.netrc
        auto_decompress=False,
        read_bufsize=READ_AHEAD_BYTES,
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=limits.connect_timeout_s, sock_read=limits.idle_timeout_s
        ),
        headers={"User-Agent": f"lexport/{version('lexport')}", "Accept-Encoding": "identity"},
        skip_auto_headers=("Accept",),
    ) as session:

        @asynccontextmanager
        async def open_link(url: str, *, start: int = 0) -> AsyncIterator[Transfer]:
            route = _Route(check_link(url, hosts), proxies)
            response = await _get(session, route, url, start)
            try:
                await _check_status(response, route, start)
                yield Transfer(response, route, start, limits)
            finally:
                response.close()  # does nothing if the body was read to the end

        yield open_link


class _Route:
    """The origin of a link and the proxy used to reach it. ``name`` describes both in messages."""

    __slots__ = ("name", "origin", "proxy")

    def __init__(self, origin: Origin, proxies: Proxies) -> None:
        self.origin = origin
        self.proxy: Proxy | None = proxies.find(origin.scheme, str(origin))
        self.name = str(origin) + (f" through the proxy {self.proxy.name}" if self.proxy else "")


def _check_address(host: str, address: str) -> None:
    """Raise PackageError for an address that S3 cannot have."""
    kind = check_address(address)
    if kind is not None:
        raise PackageError(
            f"{host} resolves to {address}, {kind}, so the package link was not opened; check DNS, or give"
            f" --package-host {host} where that is right",
            code="link_refused",
        )


async def _get(session: aiohttp.ClientSession, route: _Route, url: str, start: int) -> aiohttp.ClientResponse:
    target = URL(url, encoded=True)
    if (target.scheme, (target.raw_host or "").lower(), target.port) != (
        route.origin.scheme,
        route.origin.host,
        route.origin.port,
    ):
        raise PackageError("the package link can be read in two ways; it was not opened", code="link_refused")
    headers = {"Range": f"bytes={start}-"} if start else {}
    proxy, proxy_headers = route.proxy, None
    if proxy and proxy.authorization:
        proxy_headers = {"Proxy-Authorization": proxy.authorization}
        if route.origin.scheme == "http":  # no tunnel: the proxy reads the request itself
            headers |= proxy_headers
    failure: ItemError
    try:
        return await session.get(
            target,
            headers=headers,
            allow_redirects=False,
            proxy=proxy.url if proxy else None,
            proxy_headers=proxy_headers if route.origin.scheme == "https" else None,
        )
    except PackageError as error:
        failure = error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        failure = _transfer_error(error, target, route)
    raise failure


def _transfer_error(error: Exception, target: URL, route: _Route) -> PackageError:
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return TransferError(f"{route.name} fell silent in the middle of a package", code="timeout")
    fault = translate_error(error, f"{target.raw_host}:{target.port}", route.proxy)
    kind = TransferError if fault.retryable else PackageError
    return kind(f"the package could not be fetched: {fault}", code=fault.code)


_OK, _PARTIAL, _FORBIDDEN, _TOO_MANY, _OUT_OF_RANGE, _SERVER_ERROR = 200, 206, 403, 429, 416, 500
_RETRYABLE = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Busy"})
_XML = re.compile(r"<Code>([^<]{1,100})</Code>\s*(?:<Message>([^<]*)</Message>)?")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


async def _check_status(response: aiohttp.ClientResponse, route: _Route, start: int) -> None:
    """Raise an error for a response that does not carry the requested bytes."""
    status = response.status
    if status == _OK or (status == _PARTIAL and start):
        encoding = response.headers.get("Content-Encoding", "")
        if encoding.lower() not in ("", "identity"):
            raise PackageError(
                f"{route.name} sent a package in {encoding[:20]!r} encoding though none was requested; a proxy may"
                " stand in between",
                code="unexpected_encoding",
                http_status=status,
            )
        return
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        raise PackageError(
            f"{route.name} answered the package link with a redirect (HTTP {status}), which is never followed; a proxy"
            " or a captive portal may stand in between",
            code="redirect",
            http_status=status,
        )
    body = b""
    with suppress(aiohttp.ClientError, OSError):  # without a body, the status decides
        body = await response.content.read(ERROR_BYTES)
    raise error_of(status, body, route.name)


def error_of(status: int, body: bytes, name: str) -> PackageError:
    """Return our error for an error response of S3: expired, denied, retryable, or final."""
    is_retryable = status >= _SERVER_ERROR or status in (_TOO_MANY, _OUT_OF_RANGE)
    matched = _XML.search(body.decode("utf-8", "replace"))
    if matched is None:
        kind: type[PackageError] = TransferError if is_retryable else PackageError
        text = (
            f"{name} answered the package link with {describe(body)} (HTTP {status}), not as S3 does; a proxy may stand"
            " in between"
        )
        return kind(text, code=f"http_{status}", http_status=status)
    code, message = matched[1], one_line(remove_presigned_urls(unescape(matched[2] or "")))
    if (code == "AccessDenied" and message == "Request has expired") or code in ("ExpiredToken", "RequestExpired"):
        kind = LinkExpiredError
    elif is_retryable or code in _RETRYABLE:
        kind = TransferError
    else:
        kind = PackageDeniedError if status == _FORBIDDEN or code.startswith("KMS.") else PackageError
    return kind(f"S3 at {name} answered {code}: {message} (HTTP {status})", code=code, http_status=status)


class Transfer:
    """The successful response to one GET request of a link, and its body.

    ``starts_at`` is the position of its first byte in the package: as requested, or 0 where the server ignored the
    range. ``total_bytes`` is the size of the whole package, None where the server does not send it.
    """

    def __init__(self, response: aiohttp.ClientResponse, route: _Route, start: int, limits: LinkLimits) -> None:
        self._response, self._route, self._limits = response, route, limits
        self._window_s = self._window_bytes = 0.0
        self._failure: PackageError | None = None
        self.starts_at, self.total_bytes = 0, response.content_length
        if response.status == _PARTIAL:
            matched = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if matched is None or int(matched[1]) != start:
                raise TransferError(
                    f"{route.name} sent another part of the package than was requested",
                    code="wrong_range",
                    http_status=_PARTIAL,
                )
            self.starts_at = start
            self.total_bytes = None if matched[3] == "*" else int(matched[3])

    async def receive(self, max_bytes: int) -> list[bytes]:
        """Return the next batch of bytes, empty at the end; raises TransferError after the bytes before the error."""
        parts: list[bytes] = []
        while max_bytes and self._failure is None:
            part = await self._next(max_bytes)
            if not part:
                break
            parts.append(part)
            max_bytes -= len(part)
        if self._failure is not None and not parts:
            raise self._failure
        return parts

    async def _next(self, max_bytes: int) -> bytes:
        """Return the next bytes; none at the end, or after an error."""
        started_s = time.monotonic()
        try:
            part = await self._response.content.read(max_bytes)
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            self._failure = _transfer_error(error, self._response.url, self._route)
            return b""
        self._window_s += time.monotonic() - started_s
        self._window_bytes += len(part)
        limits = self._limits
        if part and self._window_s >= limits.slow_after_s:
            if self._window_bytes < self._window_s * limits.slow_bytes_per_s:
                self._failure = TransferError(
                    f"{self._route.name} sent {self._window_bytes:,.0f} bytes in {self._window_s:,.0f} s, so the"
                    " transfer was given up",
                    code="too_slow",
                )
            self._window_s = self._window_bytes = 0.0
        return part


OpenLink = Callable[..., AbstractAsyncContextManager[Transfer]]
"""Opens a link at a position: ``(url, *, start=0)``. Raises PackageError, which never holds the link. The end of the
context closes the connection of an unfinished transfer."""
