"""Requests, responses, limits and failures of HTTP, for direct connections and those through a proxy."""

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
from lexport.aws.waits import scaled
from lexport.errors import FetchError, NetworkError, ServiceError

USER_AGENT = f"lexport/{version('lexport')}"
PORTS = {"http": 80, "https": 443}

CONNECT_TIMEOUT_S = scaled(10.0)
IDLE_TIMEOUT_S = scaled(30.0)
TOTAL_TIMEOUT_S = scaled(60.0)
"""Lambda responds in well under a second; a list page of 50 functions with full environments may take a few."""

MAX_DOUBTS = 8  # enough to detect a connection whose responses lag behind its requests by up to eight
BODY_LIMIT_BYTES = 32 * 1024 * 1024
"""The largest genuine response, 50 functions with 4 KB of variables and long lists each, stays below 1 MiB."""


@dataclass(slots=True)  # frozen ones take four times as long to make
class Request:
    """One GET request, or a POST where it has a ``body``. ``url`` is absolute and percent-encoded, and sent unchanged.

    ``needs_fresh_connection``: send this as the first request of a new connection. The headers hold a signature, so
    ``repr`` shows their names only.
    """

    url: str
    headers: Mapping[str, str]
    needs_fresh_connection: bool = False
    body: bytes | None = None

    @property
    def method(self) -> str:
        """The method of HTTP."""
        return "GET" if self.body is None else "POST"

    @property
    def idle_timeout_s(self) -> float | None:
        """How long nothing may come of the response, None for the usual time.

        Services that look something up take longer: CloudTrail's have been seen to send nothing for 35 s.
        """
        return None if self.body is None else TOTAL_TIMEOUT_S

    def __repr__(self) -> str:
        return f"Request(url={self.url.partition('?')[0]!r}, headers={sorted(self.headers)})"


class ResponseSource:
    """The connection that responses arrive on. See ``model.Source``.

    A response that does not match its request shows that earlier responses of the connection may not have matched
    theirs. So each response that cannot be checked by itself registers a doubt, until a later response proves that the
    connection delivers responses in order.
    """

    def __init__(self) -> None:
        self.is_retired = self.is_unconfirmed = False
        self._doubts: deque[Callable[[], None]] = deque(maxlen=MAX_DOUBTS)

    def retire(self) -> None:
        """Send no further request on the connection, and call the callbacks of all doubts."""
        self.is_retired, self.is_unconfirmed = True, False
        callbacks = list(self._doubts)
        self._doubts.clear()
        for on_retired in callbacks:
            on_retired()

    def on_mixup(self, on_retired: Callable[[], None]) -> None:
        """Call ``on_retired`` when the connection is retired, unless ``confirm`` comes first; keep the last few."""
        if self.is_retired:
            on_retired()
        else:
            self._doubts.append(on_retired)
            self.is_unconfirmed = True

    def confirm(self) -> None:
        """Drop all doubts: the last response matches its request, so the ones before it matched theirs."""
        self._doubts.clear()
        self.is_unconfirmed = False


@dataclass(slots=True)
class Response:
    """One response. Header names are lower case. The body may hold secrets, so ``repr`` hides it."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    source: ResponseSource | None = field(default=None, repr=False, compare=False)


Send = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """The most connections at once, the longest pause in a response, and the largest body."""

    connections: int
    idle_timeout_s: float
    body_limit_bytes: int


_URL = re.compile(r"(https?://(?:[\w.-]+|\[[\w.:]+\])(?::\d{1,5})?)([/?][!\"$-~]*)?", re.ASCII)


def split_url(url: str) -> tuple[str, str]:
    """Split a URL into origin and target: ``https://host:1`` and ``/path?query``.

    Raises FetchError for a URL with a user name, a fragment, or a character that HTTP cannot carry.
    """
    matched = _URL.fullmatch(url)
    if matched is None:
        raise invalid_url()
    target = matched[2] or "/"
    return matched[1], target if target[0] == "/" else f"/{target}"


def invalid_url() -> FetchError:
    """Make the error for an invalid URL. The URL may hold a secret anywhere, so the message repeats none of it."""
    return failure("invalid_request", host="a URL", reason="HTTP cannot carry it")


# --- failures ------------------------------------------------------------------------------------------------------

ADVICE = "check the network, DNS and HTTPS_PROXY / NO_PROXY"

FAILURES = {
    "proxy_refused": "the proxy {proxy} refused a tunnel to {host}: {reason}; check HTTPS_PROXY and its credentials",
    "tls_failed": "TLS with {host}{via} failed: {reason}; where a proxy re-signs TLS, set AWS_CA_BUNDLE to its CA file",
    "connect_timeout": f"connecting to {{host}}{{via}} took longer than {CONNECT_TIMEOUT_S:g} s; {ADVICE}",
    "timeout": "{host}{via} did not answer in time"
    f" ({IDLE_TIMEOUT_S:g} s idle, {TOTAL_TIMEOUT_S:g} s in all); {ADVICE}",
    "proxy_down": "cannot reach the proxy {proxy}: {reason}; check HTTPS_PROXY",
    "dns_failed": f"cannot resolve {{host}}: {{reason}}; {ADVICE}",
    "connect_failed": f"cannot reach {{host}}{{via}}: {{reason}}; {ADVICE}",
    "truncated_body": "the response of {host}{via} was cut off",
    "connection_reset": "{host}{via} closed the connection without a response",
    "invalid_http": "{host}{via} answered with something that is not HTTP",
    "invalid_request": "no request can be made to {host}: {reason}",  # a URL or header that HTTP cannot carry
    "network_failed": f"the call to {{host}}{{via}} failed: {{reason}}; {ADVICE}",
    "unexpected_encoding": "{host} sent a {reason!r} body though none was asked for; a proxy may stand in between",
    "body_too_large": "{host} sent more than {reason} bytes, which no response of AWS has",
}
"""Kind of failure -> message."""
_CODES = {"connect_timeout": "timeout", "proxy_down": "connect_failed"}  # the others are codes themselves
_CLASSES: dict[str, type[FetchError]] = {
    **dict.fromkeys(("truncated_body", "invalid_http", "unexpected_encoding", "body_too_large"), ServiceError),
    "invalid_request": FetchError,
}  # the others are NetworkErrors


def reason_of(error: BaseException) -> str:
    """Return the cause as the system words it, without the URL and headers that aiohttp adds."""
    if isinstance(status := getattr(error, "status", None), int):
        return f"HTTP {status}"
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if message := getattr(inner, "verify_message", None):
        return str(message)
    if isinstance(inner, OSError) and not isinstance(inner, socket.gaierror | ssl.SSLError) and inner.errno:
        return os.strerror(inner.errno).lower()  # asyncio's own text repeats the address
    return getattr(inner, "strerror", None) or type(inner).__name__


def failure(
    kind: str, *, host: str, proxy: Proxy | None = None, reason: str = "", status: int | None = None
) -> FetchError:
    """Make the error of a kind of failure. It names hosts, and never a query, a header or a proxy's password.

    The caller keeps these out of ``reason`` too.
    """
    name = proxy.name if proxy else ""
    via = f" through the proxy {name}" if proxy else ""
    text = FAILURES[kind].format(host=host, via=via, proxy=name, reason=reason)
    return _CLASSES.get(kind, NetworkError)(text, code=_CODES.get(kind, kind), http_status=status)
