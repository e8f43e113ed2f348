"""One GET as it passes the seam, whoever sends it: request, response, limits, and what can go wrong.

In: an absolute URL that is already percent-encoded, and its headers. Out: status, headers, body; or one of our errors.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

from lexport.aws.http.proxies import Proxy
from lexport.errors import FetchError, NetworkError, ServiceError

AGENT = f"lexport/{version('lexport')}"
PORTS = {"http": 80, "https": 443}

CONNECT_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 30.0
TOTAL_TIMEOUT_S = 60.0
"""Lambda answers in well under a second; a list page of 50 functions with full environments may take a few."""

DOUBTS_KEPT = 8  # a connection that is so many responses late at the most is found out by them
BODY_LIMIT_BYTES = 32 * 1024 * 1024
"""The largest true answer, 50 functions with 4 KB of variables and long lists each, stays below 1 MiB."""


@dataclass(frozen=True, slots=True)
class Request:
    """One GET. ``url`` is sent as it stands; the headers hold a signature, so ``repr`` shows their names only.

    ``needs_fresh_connection``: it is the first request on its connection.
    """

    url: str
    headers: Mapping[str, str]
    needs_fresh_connection: bool = False

    def __repr__(self) -> str:
        return f"Request(url={self.url.partition('?')[0]!r}, headers={sorted(self.headers)})"


class Source:
    """What responses come over: one connection. See ``model.Source``."""

    def __init__(self) -> None:
        self.is_retired = self.has_doubts = False
        self._doubts: deque[Callable[[], None]] = deque(maxlen=DOUBTS_KEPT)

    def retire(self) -> None:
        """Send no further request; call back whoever doubts."""
        self.is_retired, self.has_doubts = True, False
        doubts = list(self._doubts)
        self._doubts.clear()
        for again in doubts:
            again()

    def doubt(self, again: Callable[[], None]) -> None:
        """Call ``again`` when this is retired, unless ``trust`` comes before. The last few doubts are kept."""
        if self.is_retired:
            again()
        else:
            self._doubts.append(again)
            self.has_doubts = True

    def trust(self) -> None:
        """Forget the doubts: what came last answers its request, so what came before it did too."""
        self._doubts.clear()
        self.has_doubts = False


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. Look headers up in lower case; the body may hold secrets, so ``repr`` hides it.

    ``source`` is the connection that it came over, where the transport knows it.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    source: Source | None = field(default=None, repr=False, compare=False)


Send = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many connections are held at once, how long a silent server is waited for, how much of it is read."""

    connections: int
    idle_timeout_s: float
    body_limit_bytes: int


_URL = re.compile(r"(https?://(?:[\w.-]+|\[[\w.:]+\])(?::\d{1,5})?)([/?][!\"$-~]*)?", re.ASCII)


def split_url(url: str) -> tuple[str, str]:
    """Split a URL into origin and target, ``https://host:1`` and ``/path?query``; raises FetchError where it is none.

    It has no user, no fragment, and no character that HTTP cannot carry.
    """
    matched = _URL.fullmatch(url)
    if matched is None:
        raise no_url()
    target = matched[2] or "/"
    return matched[1], target if target[0] == "/" else f"/{target}"


def no_url() -> FetchError:
    """Make the error for a URL that is none; it may hold anything, so nothing of it is repeated."""
    return trouble("invalid_request", host="a URL", proxy=None, reason="HTTP cannot carry it")


# --- what can go wrong, in the same words whoever sends --------------------------------------------------------------

ADVICE = "check the network, DNS and HTTPS_PROXY / NO_PROXY"

TROUBLE: dict[str, tuple[type[FetchError], str, str]] = {
    "proxy_refused": (
        NetworkError,
        "proxy_refused",
        "the proxy {proxy} refused a tunnel to {host}: {reason}; check HTTPS_PROXY and its credentials",
    ),
    "tls_failed": (
        NetworkError,
        "tls_failed",
        "TLS with {host}{via} failed: {reason}; where a proxy re-signs TLS, set AWS_CA_BUNDLE to its CA file",
    ),
    "connect_timeout": (
        NetworkError,
        "timeout",
        f"connecting to {{host}}{{via}} took longer than {CONNECT_TIMEOUT_S:g} s; {ADVICE}",
    ),
    "timeout": (
        NetworkError,
        "timeout",
        f"{{host}}{{via}} did not answer in time ({IDLE_TIMEOUT_S:g} s idle, {TOTAL_TIMEOUT_S:g} s in all); {ADVICE}",
    ),
    "proxy_down": (
        NetworkError,
        "connect_failed",
        "cannot reach the proxy {proxy}: {reason}; check HTTPS_PROXY",
    ),
    "dns_failed": (NetworkError, "dns_failed", f"cannot resolve {{host}}: {{reason}}; {ADVICE}"),
    "connect_failed": (NetworkError, "connect_failed", f"cannot reach {{host}}{{via}}: {{reason}}; {ADVICE}"),
    "truncated_body": (ServiceError, "truncated_body", "the answer of {host}{via} was cut off"),
    "connection_reset": (NetworkError, "connection_reset", "{host}{via} closed the connection without an answer"),
    "invalid_http": (ServiceError, "invalid_http", "{host}{via} answered with something that is not HTTP"),
    # A URL or header that HTTP cannot carry.
    "invalid_request": (FetchError, "invalid_request", "no request can be made to {host}: {reason}"),
    "network_failed": (NetworkError, "network_failed", f"the call to {{host}}{{via}} failed: {{reason}}; {ADVICE}"),
}
"""What happened -> our class, its code, and the message."""


def reason_of(error: BaseException) -> str:
    """Return the cause in the system's own words, without the URL and headers that aiohttp adds to them."""
    if isinstance(status := getattr(error, "status", None), int):
        return f"HTTP {status}"
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if message := getattr(inner, "verify_message", None):
        return str(message)
    if isinstance(inner, OSError) and not isinstance(inner, socket.gaierror | ssl.SSLError) and inner.errno:
        return os.strerror(inner.errno).lower()  # asyncio's own text repeats the address
    return getattr(inner, "strerror", None) or type(inner).__name__


def trouble(what: str, *, host: str, proxy: Proxy | None, reason: str = "") -> FetchError:
    """Make our error. It names hosts, never a query, a header or a proxy's password; neither may ``reason``."""
    kind, code, text = TROUBLE[what]
    name = proxy.name if proxy else ""
    via = f" through the proxy {name}" if proxy else ""
    return kind(text.format(host=host, via=via, proxy=name, reason=reason), code=code)


def unwanted_encoding(host: str, encoding: str, status: int) -> ServiceError:
    """Make the error for a compressed body: none was asked for."""
    return ServiceError(
        f"{host} sent a {encoding[:20]!r} body though none was asked for; a proxy may stand in between",
        code="unexpected_encoding",
        http_status=status,
    )


def too_large(host: str, limit_bytes: int, status: int) -> ServiceError:
    """Make the error for a body beyond the limit."""
    return ServiceError(
        f"{host} sent more than {limit_bytes:,} bytes, which no answer of AWS has",
        code="body_too_large",
        http_status=status,
    )
