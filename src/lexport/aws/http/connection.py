"""One HTTP/1.1 connection: it sends requests and parses the responses, one at a time.

A connection knows nothing about hosts, DNS or TLS: ``pool.py`` opens it. It parses with httptools, and refuses every
response whose end is ambiguous, because a wrong end would make the next response answer the wrong request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lexport.aws.http.message import TOTAL_TIMEOUT_S, HttpLimits, Response, ResponseSource
from lexport.aws.http.stream import Outbox, Stream

KEEP_ALIVE_S = 15.0  # as in aiohttp: a server may close a connection that was idle for longer at any moment
OVERHEAD_BYTES = 256 * 1024
"""Limit of the bytes of a response beside its body: headers and chunk sizes. 32 MiB in chunks of 1 KiB stay below."""

_FIRST_FINAL_STATUS = 200


class BrokenResponse(Exception):  # noqa: N818 - the pool turns it into a FetchError that names the host
    """No response. ``kind`` is a key of ``message.FAILURES``; ``status`` is that of a response that is refused."""

    def __init__(self, kind: str, *, status: int | None = None, reason: str = "") -> None:
        super().__init__(kind)
        self.kind, self.status, self.reason = kind, status, reason


class Headers(Mapping[str, str]):
    """The headers of a response by lower-case name. Decoded on access: few headers are ever read."""

    __slots__ = ("_raw",)

    def __init__(self, raw: dict[bytes, bytes]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        return self._raw[name.encode("latin-1")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)


class Connection(ResponseSource):
    """Requests and responses over a stream. ``on_closed`` is called once, when either side has closed it.

    ``is_idle``: the last response is complete and another request may be sent. ``spoke_first``: the server sent bytes
    before the first request. If you stop waiting for a response, call ``abort()`` unless ``is_idle``.
    """

    def __init__(
        self, stream: Stream, outbox: Outbox, limits: HttpLimits, on_closed: Callable[[Connection], None]
    ) -> None:
        super().__init__()
        self.is_idle = True
        self.spoke_first = False
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._stream = stream
        self._outbox = outbox
        self._limits = limits
        self._on_closed = on_closed
        self._parser = HttpResponseParser(self)
        self._response: asyncio.Future[Response] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sent_at_s = self._received_at_s = self._loop.time()
        self._idle_timeout_s = limits.idle_timeout_s
        self._headers: dict[bytes, bytes] = {}
        self._has_headers = False  # all headers of the response that is being parsed
        self._body: list[bytes] = []
        self._body_left_bytes = self._overhead_bytes = 0
        stream.start(self)

    def send(self, request: bytes, *, idle_timeout_s: float | None = None) -> asyncio.Future[Response]:
        """Send a request and return the future of its response. Call this only if ``is_fresh()``.

        ``idle_timeout_s`` is how long nothing may come of this response, where that is longer than usual.
        """
        self._idle_timeout_s = idle_timeout_s or self._limits.idle_timeout_s
        self._response = response = self._loop.create_future()
        self.is_idle = False
        self._sent_at_s = self._received_at_s = now_s = self._loop.time()
        self._overhead_bytes = 0
        if self._timer is None:  # one timer serves many responses: setting one costs more than all the rest here
            self._timer = self._loop.call_at(now_s + self._limits.idle_timeout_s, self._check_timeouts)
        self._outbox.put(self._stream, request)
        return response

    def is_fresh(self) -> bool:
        """Return whether the connection is idle and was used so lately that the server will not have closed it."""
        return (
            self.is_idle
            and self._received_at_s + KEEP_ALIVE_S > self._loop.time()
            and not self._stream.is_closing  # closed, but ``connection_lost`` was not called yet
        )

    def retire(self) -> None:
        """Send no further request: its response might be the response to an earlier request."""
        super().retire()
        if self._response is None:
            self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        self.is_idle = False
        self._stream.abort()

    # --- timeouts -----------------------------------------------------------------------------------------------------

    def _check_timeouts(self) -> None:
        """Fail a response that takes too long, and close a connection that was idle for too long.

        The timer is never set later than the idle timeout from now, so it is in time for a request sent meanwhile.
        """
        self._timer = None
        now_s = self._loop.time()
        if self._response is None:
            due_s = self._received_at_s + KEEP_ALIVE_S
        else:
            due_s = min(self._received_at_s + self._idle_timeout_s, self._sent_at_s + TOTAL_TIMEOUT_S)
        if now_s < due_s:
            self._timer = self._loop.call_at(min(due_s, now_s + self._limits.idle_timeout_s), self._check_timeouts)
        elif self._response is None:
            self.abort()
        else:
            self._fail("timeout")

    # --- the end of a response ----------------------------------------------------------------------------------------

    def _fail(self, kind: str, *, status: int | None = None, reason: str = "") -> None:
        response, self._response = self._response, None
        if response is not None and not response.done():
            response.set_exception(BrokenResponse(kind, status=status, reason=reason))

    def _refuse(self, kind: str, reason: str) -> None:
        self._fail(kind, status=self._parser.get_status_code(), reason=reason)

    def _succeed(self) -> None:
        response, self._response = self._response, None
        if response is not None and not response.done():
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            response.set_result(Response(self._parser.get_status_code(), Headers(self._headers), body, self))

    # --- callbacks of the stream --------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Feed the parser. Bytes that arrive while no request is pending close the connection."""
        if self._response is None:
            self.spoke_first = self._timer is None
            self.abort()
            return
        self._received_at_s = self._loop.time()
        self._overhead_bytes += len(data)  # ``on_body`` subtracts the body
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.is_idle = False
            self._fail("invalid_http")
        if self._overhead_bytes > OVERHEAD_BYTES:
            self._fail("invalid_http")

    def connection_lost(self, error: Exception | None) -> None:
        """Complete a response that ends with the connection, and fail every other one."""
        if self._timer is not None:
            self._timer.cancel()
        self.is_idle = False
        if not self._has_headers:
            self._fail("connection_reset")
        elif error is None and self._ends_with_connection():
            self._succeed()
        else:
            self._fail("truncated_body")
        self._on_closed(self)
        self.closed.set_result(None)

    def _ends_with_connection(self) -> bool:
        """Return whether the end of the connection is the only mark of the body's end."""
        is_chunked = self._headers.get(b"transfer-encoding", b"").lower().endswith(b"chunked")
        return not is_chunked and b"content-length" not in self._headers

    # --- callbacks of httptools ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Reset the parts of the response; close the connection if no request is pending."""
        self._headers = {}
        self._body = []
        self._body_left_bytes = self._limits.body_limit_bytes
        if self._response is None:
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the first header of each name, and no trailers."""
        if not self._has_headers:
            self._headers.setdefault(name.lower(), value)

    def on_headers_complete(self) -> None:
        """Refuse a compressed body, and one that is too large, before it is read."""
        if self._parser.get_status_code() < _FIRST_FINAL_STATUS:
            return
        self._has_headers = True
        encoding = self._headers.get(b"content-encoding", b"identity")
        if encoding.lower() != b"identity":
            self._refuse("unexpected_encoding", encoding.decode("latin-1")[:20])
        elif int(self._headers.get(b"content-length", b"0")) > self._limits.body_limit_bytes:
            self._refuse("body_too_large", f"{self._limits.body_limit_bytes:,}")

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body, up to the limit."""
        self._body.append(part)
        self._overhead_bytes -= len(part)
        self._body_left_bytes -= len(part)
        if self._body_left_bytes < 0:
            self._refuse("body_too_large", f"{self._limits.body_limit_bytes:,}")

    def on_message_complete(self) -> None:
        """Complete the response. An interim response such as 100 Continue only precedes it."""
        if self._has_headers:
            self._has_headers = False
            self.is_idle = self._response is not None and self._parser.should_keep_alive() and not self.is_retired
            self._succeed()
