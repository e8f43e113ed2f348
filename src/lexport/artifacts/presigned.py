"""The only place that opens presigned links: link -> the bytes behind it as they come, or one of our errors.

A link is a secret for ten minutes. No message, log line, ``repr`` or chain of exceptions that leaves here holds it:
errors are made in an ``except`` and raised outside of it, so that they carry no context.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from html import unescape
from importlib.metadata import version
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from lexport.artifacts.url_policy import LinkHosts, Origin, check_address, check_link
from lexport.aws.errors import describe, one_line
from lexport.aws.http.proxied import translate_error
from lexport.aws.http.proxies import Proxies, Proxy
from lexport.aws.http.tls import open_trust_store
from lexport.aws.redact import remove_presigned_urls
from lexport.errors import ItemError, LinkExpiredError, PackageDeniedError, PackageError, TransferError

READ_AHEAD_BYTES = 256 * 1024
"""Of each transfer, aiohttp keeps at most twice as much. What asyncio's TLS hands over at once; measured: less costs
CPU, more costs memory and caches."""
ERROR_BYTES = 64 * 1024  # of an error's body; S3's are below 2 KB


class Transfer(Protocol):
    """One package on its way: the server has answered, the bytes come as they are asked for."""

    @property
    def starts_at(self) -> int:
        """The position of the first byte to come: what was asked for, or 0 where the server sends the whole."""

    @property
    def total_bytes(self) -> int | None:
        """The size of the whole package, where the server says it."""

    async def receive(self, most_bytes: int) -> list[bytes]:
        """Wait for the next batch, full or the last; empty at the end. Raises TransferError."""


class OpenLink(Protocol):
    """Opens a presigned link, from a byte on. Raises PackageError and its heirs, which never hold the link."""

    def __call__(self, url: str, *, start: int = 0) -> AbstractAsyncContextManager[Transfer]:
        """Return the transfer as a context, which closes what is not read to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimits:
    """How patient a transfer is. Time counts only while the server is waited for, not while we pace or write."""

    connect_timeout_s: float = 10.0
    """Of one try, DNS and TLS apart; S3 takes milliseconds."""
    idle_timeout_s: float = 30.0
    """Without a single byte. S3 itself hangs up after some 20 s."""
    slow_after_s: float = 60.0
    slow_bytes_per_s: float = 8 * 1024
    """Less than this over ``slow_after_s`` breaks the transfer off: no link that is any use is so slow, be it shared
    by 32 transfers, and it ends the one that brings a byte a second. So a package of ``n`` bytes has
    ``n / slow_bytes_per_s + slow_after_s``: 250 MB have nine hours at most, 1 MB three minutes."""


@asynccontextmanager
async def open_links(
    *, ca_bundle: str | None, hosts: LinkHosts, connections: int, limits: LinkLimits | None = None
) -> AsyncIterator[OpenLink]:
    """Open one pool of ``connections`` and yield the function that opens a link.

    Cancelled: a transfer that is not at its end closes its connection; leaving the context closes all of them.
    """
    limits = limits or LinkLimits()
    proxies = Proxies()
    tls = open_trust_store(ca_bundle)
    connector = aiohttp.TCPConnector(limit=connections, ssl=tls, resolver=_Guard(hosts, proxies))
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # as in proxied.py: it would read ~/.netrc
        auto_decompress=False,
        read_bufsize=READ_AHEAD_BYTES,
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=limits.connect_timeout_s, sock_read=limits.idle_timeout_s
        ),
        headers={"User-Agent": f"lexport/{version('lexport')}", "Accept-Encoding": "identity"},
        skip_auto_headers=("Accept",),
    ) as session:

        @asynccontextmanager
        async def open_link(url: str, *, start: int = 0) -> AsyncIterator[_Transfer]:
            where = _Where(check_link(url, hosts), proxies)
            response = await _get(session, where, url, start)
            try:
                await _check_status(response, where, start)
                yield _Transfer(response, where, start, limits)
            finally:
                response.close()  # nothing to do where the body was read to its end

        yield open_link


class _Where:
    """Where a link leads, fit for messages, and the proxy on the way there."""

    __slots__ = ("name", "origin", "proxy")

    def __init__(self, origin: Origin, proxies: Proxies) -> None:
        self.origin = origin
        self.proxy: Proxy | None = proxies.find(origin.scheme, str(origin))
        self.name = str(origin) + (f" through the proxy {self.proxy.name}" if self.proxy else "")


class _Guard(AbstractResolver):
    """Resolve names, and refuse those of AWS that lead where no S3 is; aiohttp connects to these very addresses.

    What the user named may be anywhere, the proxies of the environment too. Behind a proxy it is the proxy that
    resolves, so nothing can be checked here.
    """

    def __init__(self, hosts: LinkHosts, proxies: Proxies) -> None:
        self._resolver = aiohttp.ThreadedResolver()
        self._free = {(origin.host, origin.port) for origin in hosts.given} | proxies.addresses()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name; raises PackageError where one of them is forbidden."""
        found = await self._resolver.resolve(host, port, family)
        if (host.lower(), port) not in self._free:
            for address in found:
                kind = check_address(address["host"])
                if kind is not None:
                    raise PackageError(
                        f"{host} resolves to {address['host']}, {kind}, so the package link was not opened; check DNS,"
                        f" or give --package-host {host} where that is right",
                        code="link_refused",
                    )
        return found

    async def close(self) -> None:
        """Nothing is held."""


async def _get(session: aiohttp.ClientSession, where: _Where, url: str, start: int) -> aiohttp.ClientResponse:
    """Send one request; raise our error, which carries no context."""
    target = URL(url, encoded=True)
    if (target.scheme, (target.raw_host or "").lower(), target.port) != (
        where.origin.scheme,
        where.origin.host,
        where.origin.port,
    ):
        raise PackageError("the package link can be read in two ways; it was not opened", code="link_refused")
    headers = {"Range": f"bytes={start}-"} if start else {}
    proxy, to_proxy = where.proxy, None
    if proxy and proxy.authorization:
        to_proxy = {"Proxy-Authorization": proxy.authorization}
        if where.origin.scheme == "http":  # no tunnel: the proxy reads the request itself
            headers |= to_proxy
    failure: ItemError
    try:
        return await session.get(
            target,
            headers=headers,
            allow_redirects=False,
            proxy=proxy.url if proxy else None,
            proxy_headers=to_proxy if where.origin.scheme == "https" else None,
        )
    except PackageError as error:
        failure = error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        failure = _trouble(error, target, where)
    raise failure


def _trouble(error: Exception, target: URL, where: _Where) -> PackageError:
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return TransferError(f"{where.name} fell silent in the middle of a package", code="timeout")
    fault = translate_error(error, f"{target.raw_host}:{target.port}", where.proxy)
    kind = TransferError if fault.retryable else PackageError
    return kind(f"the package could not be fetched: {fault}", code=fault.code)


# --- what the server says -------------------------------------------------------------------------------------------

_OK, _PARTIAL, _FORBIDDEN, _TOO_MANY, _OUT_OF_RANGE, _SERVER_ERROR = 200, 206, 403, 429, 416, 500
_AGAIN = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Busy"})
_XML = re.compile(r"<Code>([^<]{1,100})</Code>\s*(?:<Message>([^<]*)</Message>)?")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


async def _check_status(response: aiohttp.ClientResponse, where: _Where, start: int) -> None:
    """Raise what an answer other than the asked bytes means."""
    status = response.status
    if status == _OK or (status == _PARTIAL and start):
        encoding = response.headers.get("Content-Encoding", "")
        if encoding.lower() not in ("", "identity"):
            raise PackageError(
                f"{where.name} sent a package in {encoding[:20]!r} encoding though none was asked for; a proxy may"
                " stand in between",
                code="unexpected_encoding",
                http_status=status,
            )
        return
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        raise PackageError(
            f"{where.name} answered the package link with a redirect (HTTP {status}), which is never followed; a proxy"
            " or a captive portal may stand in between",
            code="redirect",
            http_status=status,
        )
    raise error_of(status, await _error_body(response), where.name)


def error_of(status: int, body: bytes, name: str) -> PackageError:
    """Turn S3's refusal into our error: expired, denied, to be tried again, or lost."""
    matched = _XML.search(body.decode("utf-8", "replace"))
    if matched is None:
        again = status >= _SERVER_ERROR or status in (_TOO_MANY, _OUT_OF_RANGE)
        kind: type[PackageError] = TransferError if again else PackageError
        text = (
            f"{name} answered the package link with {describe(body)} (HTTP {status}), not as S3 does; a proxy may stand"
            " in between"
        )
        return kind(text, code=f"http_{status}", http_status=status)
    code, said = matched[1], one_line(remove_presigned_urls(unescape(matched[2] or "")))
    if (code == "AccessDenied" and said == "Request has expired") or code in ("ExpiredToken", "RequestExpired"):
        kind = LinkExpiredError
    elif status >= _SERVER_ERROR or status in (_TOO_MANY, _OUT_OF_RANGE) or code in _AGAIN:
        kind = TransferError
    else:
        kind = PackageDeniedError if status == _FORBIDDEN or code.startswith("KMS.") else PackageError
    return kind(f"S3 at {name} said {code}: {said} (HTTP {status})", code=code, http_status=status)


async def _error_body(response: aiohttp.ClientResponse) -> bytes:
    """Read what an error says, as far as it comes; the status alone says enough."""
    try:
        return await response.content.read(ERROR_BYTES)
    except (aiohttp.ClientError, OSError):
        return b""


class _Transfer:
    """One answer with bytes. The errors of ``receive`` come after the bytes that came before them."""

    def __init__(self, response: aiohttp.ClientResponse, where: _Where, asked_start: int, limits: LinkLimits) -> None:
        self._response = response
        self._where = where
        self._limits = limits
        self._window_s = self._window_bytes = 0.0
        self._failure: PackageError | None = None
        self.starts_at, self.total_bytes = 0, response.content_length
        if response.status == _PARTIAL:
            matched = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if matched is None or int(matched[1]) != asked_start:
                raise TransferError(
                    f"{where.name} sent another part of the package than was asked for",
                    code="wrong_range",
                    http_status=_PARTIAL,
                )
            self.starts_at = asked_start
            self.total_bytes = None if matched[3] == "*" else int(matched[3])

    async def receive(self, most_bytes: int) -> list[bytes]:
        """Wait for the next batch, full or the last; empty at the end. Raises TransferError."""
        parts: list[bytes] = []
        while most_bytes and self._failure is None:
            part = await self._next(most_bytes)
            if not part:
                break
            parts.append(part)
            most_bytes -= len(part)
        if self._failure is not None and not parts:
            raise self._failure
        return parts

    async def _next(self, most_bytes: int) -> bytes:
        """Wait for some bytes; none at the end, or when it failed."""
        started_s = time.monotonic()
        try:
            part = await self._response.content.read(most_bytes)
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            self._failure = _trouble(error, self._response.url, self._where)
            return b""
        self._window_s += time.monotonic() - started_s
        self._window_bytes += len(part)
        limits = self._limits
        if part and self._window_s >= limits.slow_after_s:
            if self._window_bytes < self._window_s * limits.slow_bytes_per_s:
                self._failure = TransferError(
                    f"{self._where.name} sent {self._window_bytes:,.0f} bytes in {self._window_s:,.0f} s, so the"
                    " transfer was given up",
                    code="too_slow",
                )
            self._window_s = self._window_bytes = 0.0
        return part
