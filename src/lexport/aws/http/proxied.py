"""Send requests through a proxy with aiohttp's public client, which supports http and https proxies and tunnels."""

from __future__ import annotations

import ssl

import aiohttp
from anyio import CancelScope
from yarl import URL

from lexport.aws.http.message import (
    CONNECT_TIMEOUT_S,
    TOTAL_TIMEOUT_S,
    USER_AGENT,
    HttpLimits,
    Request,
    Response,
    ResponseSource,
    failure,
    invalid_url,
    reason_of,
)
from lexport.aws.http.proxies import Proxy
from lexport.errors import FetchError

_FIRST_FINAL_STATUS = 200


class _NotRetried(Exception):  # noqa: N818 - a wrapper, never raised to a caller
    """Wraps a lost connection, to keep aiohttp from sending the request again: one call is one request."""

    def __init__(self, error: aiohttp.ClientError) -> None:
        super().__init__()
        self.error = error


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _NotRetried(error) from None


class _Session(ResponseSource):
    """One ``ClientSession`` and its connections; ``in_flight`` counts its requests."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        super().__init__()
        self.client = client
        self.in_flight = 0

    def confirm(self) -> None:
        """Keep the doubts: the matching response may have arrived on another connection of the session."""


class ProxiedSender:
    """Sends through one ``ClientSession`` at a time.

    aiohttp does not tell on which connection a response arrived. So if a connection must not be used again, its whole
    session is retired, and closed after its last request.
    """

    def __init__(self, limits: HttpLimits, tls: ssl.SSLContext) -> None:
        self._limits = limits
        self._tls = tls
        self._current: _Session | None = None
        self._open: set[_Session] = set()

    async def close(self) -> None:
        """Close all connections."""
        for session in list(self._open):
            await session.client.close()
        self._open.clear()

    async def send(self, request: Request, target: str, proxy: Proxy) -> Response:
        """Send one request through ``proxy``; ``target`` is the path and query of its URL. Raises FetchError.

        Cancelling a call closes the connection of its request.
        """
        try:
            url = URL(request.url, encoded=True)
            name = f"{url.raw_host}:{url.port}"
        except ValueError:
            raise invalid_url() from None
        if url.raw_path_qs != target:  # the signature would not match what aiohttp sends
            raise invalid_url()
        headers = dict(request.headers)
        if not all(text.isascii() and text.isprintable() for text in headers.values()):
            raise failure("invalid_request", host=name, reason="HTTP cannot carry a header")
        # The CONNECT request of a tunnel carries the credentials; without a tunnel the request itself carries them.
        to_proxy = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
        is_tunnel = url.scheme == "https"
        if self._current is not None and (request.needs_fresh_connection or self._current.is_retired):
            await self._retire(self._current)
        session = self._session()
        session.in_flight += 1
        try:
            async with session.client.request(
                request.method,
                url,
                data=request.body,
                headers=headers if is_tunnel else headers | to_proxy,
                proxy=proxy.url,
                proxy_headers=to_proxy if is_tunnel else None,
                allow_redirects=False,
                timeout=_timeout(request.idle_timeout_s or self._limits.idle_timeout_s),
            ) as response:
                if response.status < _FIRST_FINAL_STATUS:
                    raise failure("invalid_http", host=name, proxy=proxy)
                return await self._read(response, name, session)
        except FetchError:
            raise
        except _NotRetried as broken:
            failed = translate_error(broken.error, name, proxy)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failed = translate_error(error, name, proxy)
        finally:
            session.in_flight -= 1
            if session.is_retired:
                await self._retire(session)
        raise failed  # outside the `except`: aiohttp's exceptions hold the header with the proxy's password

    def _session(self) -> _Session:
        if self._current is None or self._current.is_retired:
            self._current = _Session(_client(self._limits, self._tls))
            self._open.add(self._current)
        return self._current

    async def _retire(self, session: _Session) -> None:
        if not session.is_retired:
            session.retire()
        if not session.in_flight and session in self._open:
            self._open.discard(session)
            with CancelScope(shield=True):
                await session.client.close()

    async def _read(self, response: aiohttp.ClientResponse, host: str, source: ResponseSource) -> Response:
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise failure("unexpected_encoding", host=host, reason=encoding[:20], status=response.status)
        limit_bytes = self._limits.body_limit_bytes
        too_large = failure("body_too_large", host=host, reason=f"{limit_bytes:,}", status=response.status)
        if (response.content_length or 0) > limit_bytes:
            raise too_large
        parts, size_bytes = [], 0
        async for part in response.content.iter_any():
            size_bytes += len(part)
            if size_bytes > limit_bytes:
                raise too_large
            parts.append(part)
        headers: dict[str, str] = {}
        for name, value in response.headers.items():
            headers.setdefault(name.lower(), value)
        return Response(response.status, headers, b"".join(parts), source)


def _timeout(idle_timeout_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=TOTAL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S, sock_read=idle_timeout_s)


def _client(limits: HttpLimits, tls: ssl.SSLContext) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limits.connections, ssl=tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # True would read ~/.netrc; `proxies.py` chooses the proxy
        auto_decompress=False,
        middlewares=(_send_once,),
        headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
    )


# The first class that matches counts: aiohttp's classes inherit from each other and from the system's.
_KINDS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
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


def translate_error(error: Exception, host: str, proxy: Proxy | None) -> FetchError:
    """Make our error for one of aiohttp's or the system's; it holds neither URL nor headers."""
    kind = next(kind for classes, kind in _KINDS if isinstance(error, classes))
    return failure(kind, host=host, proxy=proxy, reason=reason_of(error))
