"""``send`` on pyreqwest, a client compiled from Rust: the extra ``[fast]``.

Cancelled: nobody waits for the answer any more, but pyreqwest 0.15 does not take the request back: its connection and
its place in the pool are free when the answer comes, or after the idle timeout (aiohttp closes it at once).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from urllib.parse import urlsplit

from anyio import CancelScope, sleep
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    BodyDecodeError,
    BuilderError,
    DecodeError,
    DetailedPyreqwestError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.http import Url
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.response import Response as Answer

from lexport.aws.proxies import Proxies, Proxy
from lexport.aws.trust import trusted_places
from lexport.aws.wire import (
    CONNECT_TIMEOUT_S,
    TOTAL_TIMEOUT_S,
    Limits,
    Request,
    Response,
    Send,
    split_url,
    too_large,
    trouble,
    unwanted_encoding,
)
from lexport.errors import FetchError, SettingsError

KEPT_IDLE_S = 15.0  # as aiohttp does: a connection that waited longer may be closed by the server just now
DRAIN_S = 0.05
"""pyreqwest's thread lets go of Python objects a moment after the last answer. When the interpreter ends just then,
the process aborts (seen with 0.15.1: every second exit without a pause, none of fifty with 20 ms)."""


@asynccontextmanager
async def open_reqwest(ca_bundle: str | None, limits: Limits) -> AsyncIterator[Send]:
    """Open the pools: one client for what is reached directly, one for each proxy."""
    pools = _Pools(trusted_places(ca_bundle), limits)
    try:
        yield pools.send
    finally:
        with CancelScope(shield=True):
            await pools.close()
            await sleep(DRAIN_S)


@dataclass(slots=True, eq=False)
class _Pool:
    """One client with its connections; ``in_flight`` counts its requests. Put away, it closes after the last."""

    client: Client
    in_flight: int = 0
    is_put_away: bool = False

    async def close_unused(self) -> None:
        if self.is_put_away and not self.in_flight:
            with CancelScope(shield=True):
                await self.client.close()


class _Pools:
    """The pools by proxy.

    pyreqwest does not say which connection an answer came over. So a fresh connection is that of a new client, which
    takes the place of the one before it.
    """

    def __init__(self, places: dict[str, str], limits: Limits) -> None:
        self._places = places
        self._limits = limits
        self._proxies = Proxies()
        self._routes: dict[str, Proxy | None] = {}
        self._pools: dict[Proxy | None, _Pool] = {}
        self._open(None)  # trouble with CAs comes out here

    async def close(self) -> None:
        """Close what is open."""
        for pool in self._pools.values():
            await pool.client.close()
        self._pools.clear()
        self._routes.clear()

    async def send(self, request: Request) -> Response:
        """Send one request and read its answer."""
        url = request.url
        origin, _ = split_url(url)
        proxy = self._routes[origin] if origin in self._routes else self._find_route(origin)
        if request.needs_fresh_connection:
            await self._renew(proxy)
        pool = self._pools.get(proxy) or self._open(proxy)
        pool.in_flight += 1
        try:
            target = Url(url)
            if str(target).removesuffix("/") != url.removesuffix("/"):
                raise ValueError("HTTP would send another URL than the signed one")  # noqa: TRY301 - one road for all
            async with pool.client.get(target).headers(request.headers).build_streamed() as answer:
                body = await _read(answer, origin, self._limits.body_limit_bytes)
                return Response(answer.status, answer.headers, body)
        except (PyreqwestError, ValueError) as error:
            failure = _translate(error, origin, proxy)
        finally:
            pool.in_flight -= 1
            await pool.close_unused()
        # Out here it has neither cause nor context: pyreqwest's exceptions hold the URL with its query, and headers.
        raise failure

    def _find_route(self, origin: str) -> Proxy | None:
        scheme, _, authority = origin.partition("://")
        self._routes[origin] = proxy = self._proxies.find(scheme, authority)
        return proxy

    def _open(self, proxy: Proxy | None) -> _Pool:
        pool = self._pools[proxy] = _Pool(_client(proxy, self._places, self._limits))
        return pool

    async def _renew(self, proxy: Proxy | None) -> None:
        former = self._pools.pop(proxy, None)
        if former is not None:
            former.is_put_away = True
            await former.close_unused()


def _client(proxy: Proxy | None, places: dict[str, str], limits: Limits) -> Client:
    builder = (
        ClientBuilder()
        .no_proxy()  # of the environment: we look those up ourselves
        .follow_redirects(enable=False)
        .referer(enable=False)
        .gzip(enable=False)
        .brotli(enable=False)
        .zstd(enable=False)
        .deflate(enable=False)
        .http1_only()
        .max_connections(limits.connections)
        .pool_max_idle_per_host(limits.connections)
        .pool_idle_timeout(timedelta(seconds=KEPT_IDLE_S))
        .connect_timeout(timedelta(seconds=CONNECT_TIMEOUT_S))
        .read_timeout(timedelta(seconds=limits.idle_timeout_s))
        .timeout(timedelta(seconds=TOTAL_TIMEOUT_S))
        .user_agent(f"lexport/{version('lexport')}")
        .default_headers({"Accept-Encoding": "identity"})
    )
    if proxy is not None:
        through = ProxyBuilder.all(proxy.url)
        builder = builder.proxy(through.custom_http_auth(proxy.authorization) if proxy.authorization else through)
    try:
        with _environment(places):
            return builder.build()
    except BuilderError as error:
        what = next(iter(places.values()), "of the system")
        raise SettingsError(
            f"the CA bundle {what} holds no certificate that TLS could trust; it comes from AWS_CA_BUNDLE, from"
            " ca_bundle in the AWS config file, or from SSL_CERT_FILE and SSL_CERT_DIR",
            option="AWS_CA_BUNDLE",
        ) from error


@contextmanager
def _environment(places: dict[str, str]) -> Iterator[None]:
    """Set SSL_CERT_FILE or SSL_CERT_DIR for a moment.

    pyreqwest can add a CA to those of the system but not put it in their place, as AWS_CA_BUNDLE asks for. What it
    takes for the system's are these variables, read once, when the client is built.
    """
    before = {name: os.environ.pop(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if places and name in os.environ}
    os.environ.update(places)
    try:
        yield
    finally:
        for name in places:
            del os.environ[name]
        os.environ.update(before)


async def _read(answer: Answer, origin: str, limit_bytes: int) -> bytes:
    """Read the body whole, but never more than the limit."""
    encoding = answer.get_header("content-encoding")
    if encoding is not None and encoding.lower() != "identity":
        raise unwanted_encoding(_host(origin), encoding, answer.status)
    length = answer.get_header("content-length")
    if length is not None and length.isdecimal():
        if int(length) > limit_bytes:
            raise too_large(_host(origin), limit_bytes, answer.status)
        return (await answer.body_reader.bytes()).to_bytes()
    parts: list[bytes] = []
    size = 0
    while (part := await answer.body_reader.read_chunk()) is not None:
        size += len(part)
        if size > limit_bytes:
            raise too_large(_host(origin), limit_bytes, answer.status)
        parts.append(part.to_bytes())
    return b"".join(parts)


def _translate(error: Exception, origin: str, proxy: Proxy | None) -> FetchError:
    scheme, _, authority = origin.partition("://")
    has_port = authority.rpartition(":")[2].isdecimal()
    host = authority if has_port else f"{authority}:{443 if scheme == 'https' else 80}"
    causes = _causes(error)
    return trouble(_what(error, causes, proxy), host=host, proxy=proxy, reason=causes[-1])


def _causes(error: Exception) -> list[str]:
    """Return what pyreqwest says of the causes. The first one quotes the URL, so it is left out."""
    causes = (error.details["causes"] or ()) if isinstance(error, DetailedPyreqwestError) else ()
    return [cause["message"] for cause in causes][1:] or [type(error).__name__]


def _what(error: Exception, causes: list[str], proxy: Proxy | None) -> str:
    """Name the trouble: by class where pyreqwest has one for it, else by the words of reqwest and hyper below it."""
    words = " | ".join(causes)
    is_connecting = "(Connect)" in words
    match error:
        case ValueError():
            return "invalid_request"
        case RequestTimeoutError():
            return "connect_timeout" if is_connecting else "timeout"
        case BodyDecodeError():
            return "truncated_body"
        case DecodeError():
            return "invalid_http"
    if not is_connecting:
        return "connection_reset" if "(SendRequest)" in words else "network_failed"
    return _what_of_connecting(words, proxy)


def _what_of_connecting(words: str, proxy: Proxy | None) -> str:
    if "certificate" in words or "handshake" in words or "InvalidContentType" in words:
        return "tls_failed"
    if "tunnel error" in words and "underlying connection" not in words:
        return "proxy_refused"
    if proxy is not None and "tcp connect error" in words:
        return "proxy_down"
    return "dns_failed" if "dns error" in words else "connect_failed"


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or origin
