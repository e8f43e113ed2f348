"""The seam: ``send(request) -> response`` for one GET, on aiohttp.

In: an absolute URL that is already percent-encoded, and its headers. Out: status, headers, body; or one of our errors.
Apart, so that another HTTP client is a change of one file. It follows no redirect, keeps no cookie, repeats nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from lexport.errors import FetchError, NetworkError, ServiceError, SettingsError

CONNECT_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 30.0
TOTAL_TIMEOUT_S = 60.0
"""Lambda answers in well under a second; a list page of 50 functions with full environments may take a few."""

BODY_LIMIT_BYTES = 32 * 1024 * 1024
"""The largest true answer, 50 functions with 4 KB of variables and long lists each, stays below 1 MiB."""


@dataclass(frozen=True, slots=True)
class Request:
    """One GET. ``url`` is sent as it stands; the headers hold a signature, so ``repr`` shows their names only."""

    url: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Request(url={self.url.partition('?')[0]!r}, headers={sorted(self.headers)})"


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. Look headers up in lower case; the body may hold secrets, so ``repr`` hides it."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


Send = Callable[[Request], Awaitable[Response]]


@asynccontextmanager
async def open_transport(
    *,
    ca_bundle: str | None,
    connections: int,
    idle_timeout_s: float = IDLE_TIMEOUT_S,
    body_limit_bytes: int = BODY_LIMIT_BYTES,
) -> AsyncIterator[Send]:
    """Open one pool of ``connections`` and yield the function that sends.

    Cancelled: a request in flight closes its connection; leaving the context closes all of them.
    """
    proxies = _Proxies()
    connector = aiohttp.TCPConnector(limit=connections, ssl=trust(ca_bundle))
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        # aiohttp's trust_env would read ~/.netrc, whose entry for a host becomes an Authorization header,
        # and would ask a thread for the proxy on each request: we look proxies up ourselves, once per host.
        trust_env=False,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=TOTAL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S, sock_read=idle_timeout_s),
        headers={"User-Agent": f"lexport/{version('lexport')}", "Accept-Encoding": "identity"},
    ) as session:
        # aiohttp would silently send a GET again when the connection broke: a call that no quota has paid for.
        # There is no public switch; its own test client sets the same field. tests/unit/aws/test_transport.py pins it.
        session._retry_connection = False  # noqa: SLF001

        async def send(request: Request) -> Response:
            url = URL(request.url, encoded=True)
            proxy = proxies.find(url)
            headers: Mapping[str, str] = request.headers
            if proxy and proxy.headers and url.scheme == "http":  # no tunnel: the proxy reads the request itself
                headers = {**headers, **proxy.headers}
            try:
                async with session.get(
                    url,
                    headers=headers,
                    allow_redirects=False,
                    proxy=proxy.url if proxy else None,
                    proxy_headers=proxy.headers if proxy and url.scheme == "https" else None,
                ) as response:
                    body = await _read(response, url, body_limit_bytes)
                    return Response(response.status, response.headers, body)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                # No chain: aiohttp's exceptions hold the request's headers, and those hold a session token.
                raise _translate(error, url, proxy) from None

        yield send


def trust(ca_bundle: str | None) -> ssl.SSLContext:
    """Make the TLS context: the given CA file or folder, else the system's store, else botocore's file."""
    try:
        if ca_bundle is not None:
            is_folder = Path(ca_bundle).is_dir()
            return ssl.create_default_context(
                cafile=None if is_folder else ca_bundle, capath=ca_bundle if is_folder else None
            )
    except OSError as error:  # ssl.SSLError is one too
        raise SettingsError(
            f"the CA bundle {ca_bundle} cannot be read ({error.strerror or error}); it comes from AWS_CA_BUNDLE or"
            " from ca_bundle in the AWS config file, and must hold certificates in PEM form",
            option="AWS_CA_BUNDLE",
        ) from error
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not _has_hashed_folder():
        import botocore

        context.load_verify_locations(cafile=str(Path(botocore.__file__).with_name("cacert.pem")))
    return context


def _has_hashed_folder() -> bool:
    """Tell whether OpenSSL's folder of single CA files has any: they are read in a handshake, so not yet counted."""
    folder = ssl.get_default_verify_paths().capath or "/nonexistent"
    return any(Path(folder).glob("*.[0-9]"))


@dataclass(frozen=True, slots=True)
class _Proxy:
    url: URL
    name: str
    headers: dict[str, str] | None = field(repr=False)


class _Proxies:
    """The proxies of the environment, looked up once per host; credentials leave the URL and become a header."""

    def __init__(self) -> None:
        self._by_scheme = {
            scheme: _proxy(scheme, value) for scheme, value in getproxies().items() if scheme in ("http", "https")
        }
        self._by_origin: dict[tuple[str, str], _Proxy | None] = {}

    def find(self, url: URL) -> _Proxy | None:
        """Return the proxy for a URL, None where it is reached directly."""
        if not self._by_scheme:
            return None
        key = (url.scheme, url.raw_authority)
        if key not in self._by_origin:
            proxy = self._by_scheme.get(url.scheme)
            self._by_origin[key] = None if proxy is None or proxy_bypass(url.raw_authority) else proxy
        return self._by_origin[key]


def _proxy(scheme: str, value: str) -> _Proxy:
    """Read one proxy variable; `proxy:3128` without a scheme is as good as `http://proxy:3128`."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https"):
        name = f"{scheme.upper()}_PROXY"
        raise SettingsError(
            f"{name} is not the URL of an HTTP proxy; it looks like http://proxy.example.com:3128", option=name
        )
    headers = None
    if parts.username is not None:
        headers = {
            "Proxy-Authorization": aiohttp.encode_basic_auth(unquote(parts.username), unquote(parts.password or ""))
        }
    url = URL.build(scheme=parts.scheme, host=host, port=port)
    return _Proxy(url, f"{host}:{url.port}", headers)


async def _read(response: aiohttp.ClientResponse, url: URL, limit_bytes: int) -> bytes:
    """Read the body whole, but never more than the limit."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise ServiceError(
            f"{url.host} sent a {encoding[:20]!r} body though none was asked for; a proxy may stand in between",
            code="unexpected_encoding",
            http_status=response.status,
        )
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
    raise ServiceError(
        f"{url.host} sent more than {limit_bytes:,} bytes, which no answer of AWS has",
        code="body_too_large",
        http_status=response.status,
    )


_ADVICE = "check the network, DNS and HTTPS_PROXY / NO_PROXY"

# The first line that fits counts: aiohttp's classes inherit from each other and from the system's.
_TROUBLE: tuple[tuple[tuple[type[BaseException], ...], type[FetchError], str, str], ...] = (
    (
        (aiohttp.ClientHttpProxyError,),
        NetworkError,
        "proxy_refused",
        "the proxy {proxy} refused a tunnel to {host}: HTTP {reason}; check HTTPS_PROXY and its credentials",
    ),
    (
        (ssl.SSLError, aiohttp.ClientConnectorSSLError, aiohttp.ClientConnectorCertificateError),
        NetworkError,
        "tls_failed",
        "TLS with {host}{via} failed: {reason}; where a proxy re-signs TLS, set AWS_CA_BUNDLE to its CA file",
    ),
    (
        (aiohttp.ConnectionTimeoutError,),
        NetworkError,
        "timeout",
        f"connecting to {{host}}{{via}} took longer than {CONNECT_TIMEOUT_S:g} s; {_ADVICE}",
    ),
    (
        (TimeoutError,),
        NetworkError,
        "timeout",
        f"{{host}}{{via}} did not answer in time ({IDLE_TIMEOUT_S:g} s idle, {TOTAL_TIMEOUT_S:g} s in all); {_ADVICE}",
    ),
    (
        (aiohttp.ClientProxyConnectionError,),
        NetworkError,
        "connect_failed",
        "cannot connect to the proxy {proxy}: {reason}; check HTTPS_PROXY",
    ),
    (
        (aiohttp.ClientConnectorDNSError,),
        NetworkError,
        "dns_failed",
        f"cannot resolve {{host}}: {{reason}}; {_ADVICE}",
    ),
    (
        (aiohttp.ClientConnectorError,),
        NetworkError,
        "connect_failed",
        f"cannot connect to {{host}}{{via}}: {{reason}}; {_ADVICE}",
    ),
    ((aiohttp.ClientPayloadError,), ServiceError, "truncated_body", "the answer of {host}{via} was cut off"),
    (
        (aiohttp.ServerDisconnectedError, ConnectionError, aiohttp.ClientOSError),
        NetworkError,
        "connection_reset",
        "{host}{via} closed the connection without an answer",
    ),
    (
        (aiohttp.ClientResponseError,),
        ServiceError,
        "invalid_http",
        "{host}{via} answered with something that is not HTTP",
    ),
    # A URL or header that HTTP cannot carry; UnicodeError for host names that DNS cannot.
    ((ValueError,), FetchError, "invalid_request", "no request can be made to {host}: {reason}"),
    ((Exception,), NetworkError, "network_failed", f"the call to {{host}}{{via}} failed: {{reason}}; {_ADVICE}"),
)


def _translate(error: Exception, url: URL, proxy: _Proxy | None) -> FetchError:
    """Turn aiohttp's exception into ours. The message names hosts, never a query, a header or a proxy's password."""
    ours, code, text = next(row[1:] for row in _TROUBLE if isinstance(error, row[0]))
    name = proxy.name if proxy else ""
    via = f" through the proxy {name}" if proxy else ""
    return ours(text.format(host=f"{url.host}:{url.port}", via=via, proxy=name, reason=_reason(error)), code=code)


def _reason(error: Exception) -> str:
    """Return the cause in the system's own words, without the URL and headers that aiohttp adds to them."""
    if isinstance(error, aiohttp.ClientResponseError):
        return str(error.status)
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    return getattr(inner, "verify_message", None) or getattr(inner, "strerror", None) or type(inner).__name__
