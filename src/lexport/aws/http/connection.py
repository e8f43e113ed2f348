"""One connection that speaks HTTP/1.1: the bytes of a GET go out, status, headers and body come back.

In: a connected transport of the event loop. Out: one response at a time, or ``BrokenAnswer``. It knows no hosts: the
pool does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lexport.aws.http.message import TOTAL_TIMEOUT_S, Limits, Response, Source

KEPT_IDLE_S = 15.0  # as aiohttp does: a connection that waited longer may be closed by the server just now
OVERHEAD_BYTES = 256 * 1024
"""What an answer may have beside its body: headers, and what chunks cost. 32 MiB in chunks of 1 KiB stay below."""

_FIRST_FINAL_STATUS = 200


class BrokenAnswer(Exception):  # noqa: N818 - no error of ours yet: who waits knows the names for it
    """There is no answer. ``what`` is a key of ``wire.TROUBLE``, or "too_large" or "unwanted_encoding"."""

    def __init__(self, what: str, *, status: int = 0, encoding: str = "") -> None:
        super().__init__(what)
        self.what, self.status, self.encoding = what, status, encoding


class Headers(Mapping[str, str]):
    """The headers as they came, under names in lower case. Decoded when looked up: of most answers nobody reads any."""

    __slots__ = ("_raw",)

    def __init__(self, raw: dict[bytes, bytes]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        return self._raw[name.encode("latin-1")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)


class Connection(asyncio.Protocol, Source):
    """``on_closed`` is called once, when the connection is closed from either side; ``closed`` is done then.

    ``is_idle``: the last response was complete and another request may follow. ``spoke_first``: the server sent
    something before the first request. If you stop waiting for a response, call ``abort()`` unless ``is_idle``.
    """

    def __init__(self, limits: Limits, on_closed: Callable[[Connection], None]) -> None:
        super().__init__()
        self.is_idle = False
        self.spoke_first = False
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport
        self._limits = limits
        self._on_closed = on_closed
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[Response] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._began_at_s = self._heard_at_s = self._loop.time()
        self._headers: dict[bytes, bytes] = {}
        self._has_headers = False  # all those of the answer that is being read
        self._body: list[bytes] = []
        self._room_bytes = self._overhead_bytes = 0

    def ask(self, request: bytes) -> asyncio.Future[Response]:
        """Send a request; return where its answer will be. Only for a connection that is fresh."""
        self._answer = answer = self._loop.create_future()
        self.is_idle = False
        self._began_at_s = self._heard_at_s = now_s = self._loop.time()
        self._overhead_bytes = 0
        if self._timer is None:  # one serves many answers, because setting one costs more than all the rest
            self._timer = self._loop.call_at(now_s + self._limits.idle_timeout_s, self._look)
        self._transport.write(request)
        return answer

    def is_fresh(self) -> bool:
        """Tell whether it can be used, and was so lately that the server will still have it."""
        return (
            self.is_idle
            and self._heard_at_s + KEPT_IDLE_S > self._loop.time()
            and not self._transport.is_closing()  # lost, and not yet told
        )

    def retire(self) -> None:
        """Never send another request over this connection: its next answer may be the answer to another one."""
        super().retire()
        if self._answer is None:
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        self.is_idle = False
        self._transport.abort()

    # --- time ---------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Give up what takes too long. Never set later than the idle timeout from now: so it is in time for any."""
        self._timer = None
        now_s = self._loop.time()
        if self._answer is None:
            due_s = self._heard_at_s + KEPT_IDLE_S
        else:
            due_s = min(self._heard_at_s + self._limits.idle_timeout_s, self._began_at_s + TOTAL_TIMEOUT_S)
        if now_s < due_s:
            self._timer = self._loop.call_at(min(due_s, now_s + self._limits.idle_timeout_s), self._look)
        elif self._answer is None:
            self.abort()
        else:
            self._fail("timeout")

    # --- what becomes of the answer -----------------------------------------------------------------------------------

    def _fail(self, what: str, *, encoding: str = "") -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            status = self._parser.get_status_code() if self._has_headers else 0
            answer.set_exception(BrokenAnswer(what, status=status, encoding=encoding))

    def _succeed(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            answer.set_result(Response(self._parser.get_status_code(), Headers(self._headers), body, self))

    # --- as the event loop's protocol ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connected transport, which has finished its TLS handshake."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without saying so
        self.is_idle = True

    def data_received(self, data: bytes) -> None:
        """Read on; data that no request asked for ends the connection."""
        if self._answer is None:
            self.spoke_first = self._timer is None
            self.abort()
            return
        self._heard_at_s = self._loop.time()
        self._overhead_bytes += len(data)  # on_body takes off what is none
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.is_idle = False
            self._fail("invalid_http")
        if self._overhead_bytes > OVERHEAD_BYTES:
            self._fail("invalid_http")

    def eof_received(self) -> None:
        """Never ask again who will say no more; the event loop closes the connection."""
        self.is_idle = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Judge what came until then."""
        if self._timer is not None:
            self._timer.cancel()
        self.is_idle = False
        if not self._has_headers:
            self._fail("connection_reset")
        elif exc is None and self._ends_with_connection():
            self._succeed()
        else:
            self._fail("truncated_body")
        self._on_closed(self)
        self.closed.set_result(None)

    def _ends_with_connection(self) -> bool:
        """Tell whether nothing else says where the body ends."""
        is_chunked = self._headers.get(b"transfer-encoding", b"").lower().endswith(b"chunked")
        return not is_chunked and b"content-length" not in self._headers

    # --- as httptools' protocol ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin anew; close where nobody asked for an answer: it must never pass for the next one."""
        self._headers = {}
        self._body = []
        self._room_bytes = self._limits.body_limit_bytes
        if self._answer is None:
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, the first of its name; what follows the body is none."""
        if not self._has_headers:
            self._headers.setdefault(name.lower(), value)

    def on_headers_complete(self) -> None:
        """Refuse what is not to be read."""
        if self._parser.get_status_code() < _FIRST_FINAL_STATUS:
            return
        self._has_headers = True
        encoding = self._headers.get(b"content-encoding", b"identity")
        if encoding.lower() != b"identity":
            self._fail("unwanted_encoding", encoding=encoding.decode("latin-1"))
        elif int(self._headers.get(b"content-length", b"0")) > self._limits.body_limit_bytes:
            self._fail("too_large")

    def on_body(self, part: bytes) -> None:
        """Keep a piece of the body, as far as there may be one."""
        self._body.append(part)
        self._overhead_bytes -= len(part)
        self._room_bytes -= len(part)
        if self._room_bytes < 0:
            self._fail("too_large")

    def on_message_complete(self) -> None:
        """Hand the answer over; 100 and its kind only announce it."""
        if self._has_headers:
            self._has_headers = False
            self.is_idle = self._answer is not None and self._parser.should_keep_alive() and not self.is_retired
            self._succeed()
