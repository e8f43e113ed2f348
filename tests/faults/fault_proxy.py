"""An HTTP(S) proxy between lexport and a server, in which a table says which request fails, and how.

``FaultProxy`` is a server of its own in front of another (``--endpoint-url``), and a forward proxy too (HTTP_PROXY).
It parses each request, looks for the first fault that matches, and lets its act answer; without a fault it passes the
request on, and the response back. An act is an async function of one ``Exchange``.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

HEAD_END = b"\r\n\r\n"
OPERATIONS = {
    "ListFunctions": r"GET /2015-03-31/functions/?[? ]",
    "GetFunction": r"GET /2015-03-31/functions/[^/? ]+[? ]",
    "ListAliases": r"GET /2015-03-31/functions/[^/? ]+/aliases",
    "ListVersionsByFunction": r"GET /2015-03-31/functions/[^/? ]+/versions",
    "GetAccountSettings": r"GET /2016-08-19/account-settings",
    "GetCallerIdentity": r"POST / .*Action=GetCallerIdentity",
    "AssumeRole": r"POST / .*Action=AssumeRole",
    "Lambda": r"GET .*/lambda ",
    "GetObject of a package": r"GET /snapshots/",
    "PutObject": r"PUT /[^?/]+/[^?]+ ",
    "PutObject of the commit": r"PUT /[^?]+/_runs/[^?]+ ",
    "PutObject of a table": r"PUT /[^?]+\.parquet ",
    "GetObject": r"GET /[^?/]+/[^?]+ [^ ]*/s3 ",
    "ListObjects": r"GET /[^?]+\?.*list-type=2",
    "HeadBucket": r"HEAD /[^?/]+/? ",
    "S3": r"/s3 ",
    "any": r"",
}
"""Name of an operation -> the requests that it is: a pattern for ``Incoming.line``."""
_UNFORWARDED = {"connection", "keep-alive", "proxy-connection", "proxy-authorization", "transfer-encoding", "te"}


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request. ``headers`` have lower-case names; the body is read on demand."""

    method: str
    target: str
    headers: dict[str, str]
    size_bytes: int

    @property
    def line(self) -> str:
        """Method, path with query, and Region and service of the signature: ``GET /x?y=z us-east-1/lambda``."""
        matched = re.search(r"/\d{8}/([^/]+/[^/]+)/aws4_request", self.headers.get("authorization", "") + self.target)
        return f"{self.method} {self.target} {matched[1] if matched else ''} "


@dataclass(frozen=True, slots=True)
class Answer:
    """One response as a server made it, or as a fault makes it."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def head(self, size_bytes: int | None) -> bytes:
        """Return status line and headers, with this Content-Length or with none."""
        lines = [f"HTTP/1.1 {self.status} Fault", *(f"{name}: {value}" for name, value in self.headers.items())]
        if size_bytes is not None and "content-length" not in self.headers:
            lines.append(f"content-length: {size_bytes}")
        return "\r\n".join(lines).encode("latin-1") + HEAD_END


class Exchange:
    """One request and what an act may do with it."""

    def __init__(
        self, proxy: FaultProxy, request: Incoming, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.request = request
        self.writer = writer
        self.is_over = False
        self._proxy, self._reader = proxy, reader
        self._body: bytes | None = None

    async def body(self) -> bytes:
        """Read the body of the request."""
        if self._body is None:
            self._body = await self._reader.readexactly(self.request.size_bytes)
        return self._body

    async def until_closed(self) -> None:
        """Wait until the client closes the connection."""
        while await self._reader.read(1000):
            pass
        self.is_over = True

    async def part_of_body(self) -> None:
        """Read some of the body of the request, and no more."""
        if self.request.size_bytes:
            await self._reader.read(min(1000, self.request.size_bytes))

    async def forward(self, changed: Incoming | None = None) -> Answer:
        """Pass the request on, or a changed one; return the server's response."""
        return await self._proxy.forward(changed or self.request, await self.body())

    async def send(self, answer: Answer) -> None:
        """Send a whole response. One to HEAD has no body."""
        await self.body()
        is_head = self.request.method == "HEAD"
        await self.write(answer.head(len(answer.body)) + (b"" if is_head else answer.body))

    async def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        """Close the connection after what was sent."""
        self.is_over = True

    def reset(self) -> None:
        """End the connection as a machine that has crashed does: RST."""
        self.is_over = True
        reset(self.writer)


Act = Callable[[Exchange], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of the script: which requests, and what happens.

    ``on`` is a name of OPERATIONS or a pattern for ``Incoming.line``. The first ``after`` such requests are not
    affected; ``times`` None means always.
    """

    on: str
    does: Act
    after: int = 0
    times: int | None = 1


def fault(on: str, does: Act, *, after: int = 0, times: int | None = 1) -> Fault:
    """Return one line of the script."""
    return Fault(on=on, does=does, after=after, times=times)


class FaultProxy:
    """A running proxy. ``open`` are the connections of clients, ``lines`` the requests so far."""

    def __init__(self, upstream: str, faults: Iterable[Fault], client: aiohttp.ClientSession) -> None:
        self.url = ""
        self.open: set[asyncio.StreamWriter] = set()
        self.lines: list[str] = []
        self.happened = 0
        self.upstream, self._client = upstream, client
        self._armed = [
            [re.compile(OPERATIONS.get(each.on, each.on)), each.does, each.after, each.times] for each in faults
        ]

    def take(self, request: Incoming, body: bytes = b"") -> Act:
        """Return what happens with a request; count it."""
        line = request.line + body.decode("latin-1")
        self.lines.append(line)
        for armed in self._armed:
            pattern, does, after, times = armed
            if times == 0 or not pattern.search(line):
                continue
            if after:
                armed[2] -= 1
                continue
            armed[3] = None if times is None else times - 1
            self.happened += 1
            return does
        return passed

    async def forward(self, request: Incoming, body: bytes) -> Answer:
        """Send a request to the server as it came."""
        headers = {name: value for name, value in request.headers.items() if name not in _UNFORWARDED}
        url = URL(f"{self.upstream}{request.target}", encoded=True)
        async with self._client.request(
            request.method, url, headers=headers, data=body or None, allow_redirects=False
        ) as found:
            kept = {name.lower(): value for name, value in found.headers.items() if name.lower() not in _UNFORWARDED}
            if request.method != "HEAD":
                kept.pop("content-length", None)
            return Answer(found.status, kept, await found.read())

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.open.add(writer)
        try:
            while head := await _head_of(reader):
                request = _parse(head)
                form = "form" in request.headers.get("content-type", "")
                early = await reader.readexactly(request.size_bytes) if form else b""
                exchange = Exchange(self, request, reader, writer)
                if form:
                    exchange._body = early
                await self.take(request, early)(exchange)
                if exchange.is_over:
                    return
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, aiohttp.ClientError):
            reset(writer)
        finally:
            self.open.discard(writer)
            writer.close()

    def end_faults(self) -> None:
        """Let nothing fail from now on."""
        self._armed.clear()

    def drop_connections(self) -> None:
        """Close every connection of a client at once."""
        for writer in self.open:
            reset(writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST."""
    raw = writer.get_extra_info("socket")
    with suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _head_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(HEAD_END)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""


def _parse(head: bytes) -> Incoming:
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    if not target.startswith("/"):  # as a proxy gets it
        parts = urlsplit(target)
        target = target.removeprefix(f"{parts.scheme}://{parts.netloc}") or "/"
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Incoming(method, target, headers, int(headers.get("content-length", "0")))


@asynccontextmanager
async def open_fault_proxy(
    upstream: str, *faults: Fault, tls: ssl.SSLContext | None = None
) -> AsyncIterator[FaultProxy]:
    """Serve the proxy on 127.0.0.1 until the block ends, over TLS if there is a context."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, auto_decompress=False, skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent")
    ) as client:
        proxy = FaultProxy(upstream, faults, client)
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with suppress(asyncio.CancelledError):
                await proxy.handle(reader, writer)
            tasks.discard(task)

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=1024, limit=1 << 20)
        async with server:
            host, port = server.sockets[0].getsockname()[:2]
            proxy.url = f"{'https' if tls else 'http'}://{host}:{port}"
            yield proxy
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


# --- acts: what happens with a request -------------------------------------------------------------------------------


async def passed(exchange: Exchange) -> None:
    """Pass the request on, and the response back."""
    await exchange.send(await exchange.forward())


def answered(status: int, body: bytes = b"", **headers: str) -> Act:
    """Answer in place of the server."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def act(exchange: Exchange) -> None:
        await exchange.send(Answer(status, named, body))

    return act


def refused(status: int, code: str, message: str = "refused by a test", **headers: str) -> Act:
    """Answer with an error of Lambda, or of STS where it is asked."""

    async def act(exchange: Exchange) -> None:
        if exchange.request.method == "POST":
            text = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            xml = f"<ErrorResponse>{text}</ErrorResponse>".encode()
            await exchange.send(Answer(status, {"content-type": "text/xml"}, xml))
            return
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        more = {"x-amzn-errortype": code, "x-amzn-requestid": "1", "content-type": "application/json"}
        body = json.dumps({"Type": "User", "message": message}).encode()
        await exchange.send(Answer(status, more | named, body))

    return act


def refused_by_s3(status: int, code: str, message: str = "refused by a test", **more: str) -> Act:
    """Answer with an error of S3."""
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in {"Code": code, "Message": message, **more}.items())
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error>{inner}<RequestId>1</RequestId></Error>'
    return answered(status, text.encode(), content_type="application/xml")


def throttled(retry_after: str | None = None) -> Act:
    """Answer 429; ``retry_after`` may be a number of seconds, or ``date`` for a date a second away."""

    async def act(exchange: Exchange) -> None:
        headers = {}
        if retry_after == "date":
            now = datetime.now(UTC)
            headers = {"date": format_datetime(now, usegmt=True)}
            headers["retry_after"] = format_datetime(now + timedelta(seconds=1), usegmt=True)
        elif retry_after is not None:
            headers["retry_after"] = retry_after
        await refused(429, "TooManyRequestsException", "Rate exceeded", **headers)(exchange)

    return act


def skewed(ahead: timedelta, *, is_s3: bool = False) -> Act:
    """Refuse a signature as a server whose clock is ahead of the client's does."""

    async def act(exchange: Exchange) -> None:
        sent = exchange.request.headers.get("x-amz-date", "20260101T000000Z")
        server = datetime.strptime(sent, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) + ahead
        if is_s3:
            stamps = {
                "RequestTime": sent,
                "ServerTime": f"{server:%Y-%m-%dT%H:%M:%SZ}",
                "MaxAllowedSkewMilliseconds": "900000",
            }
            message = "The difference between the request time and the current time is too large."
            await refused_by_s3(403, "RequestTimeTooSkewed", message, **stamps)(exchange)
            return
        message = (
            f"Signature expired: {sent} is now earlier than {server:%Y%m%dT%H%M%SZ} ({server:%Y%m%dT%H%M%SZ} - 5 min.)"
        )
        await refused(403, "InvalidSignatureException", message)(exchange)

    return act


async def reset_before_headers(exchange: Exchange) -> None:
    """RST instead of a response."""
    await exchange.body()
    exchange.reset()


async def reset_in_body(exchange: Exchange) -> None:
    """Half a body, then RST."""
    answer = await exchange.forward()
    await exchange.write(answer.head(len(answer.body)) + answer.body[: len(answer.body) // 2])
    exchange.reset()


async def cut_off(exchange: Exchange) -> None:
    """Half a body, then the connection is closed in good order: less than Content-Length says."""
    answer = await exchange.forward()
    await exchange.write(answer.head(len(answer.body)) + answer.body[: len(answer.body) // 2])
    exchange.close()


async def too_long(exchange: Exchange) -> None:
    """More bytes than Content-Length says."""
    answer = await exchange.forward()
    await exchange.write(answer.head(max(0, len(answer.body) - 10)) + answer.body)


async def too_short_length(exchange: Exchange) -> None:
    """The whole body, and a Content-Length that says less; then the connection is closed."""
    await too_long(exchange)
    exchange.close()


async def closed_after(exchange: Exchange) -> None:
    """A response of a connection that is kept alive, as its headers say; then it is closed."""
    await passed(exchange)
    exchange.close()


async def reset_after(exchange: Exchange) -> None:
    """The request is done, and its answer is lost."""
    await exchange.forward()
    exchange.reset()


def failed_after(status: int, code: str) -> Act:
    """The request is done, and answered with an error of S3."""

    async def act(exchange: Exchange) -> None:
        await exchange.forward()
        await refused_by_s3(status, code)(exchange)

    return act


async def reset_in_upload(exchange: Exchange) -> None:
    """RST after a part of the body of the request."""
    await exchange.part_of_body()
    exchange.reset()


async def hung(exchange: Exchange) -> None:
    """No answer, until the client has gone."""
    await exchange.body()
    await exchange.until_closed()


def dripped(delay_s: float) -> Act:
    """One byte of the response at a time."""

    async def act(exchange: Exchange) -> None:
        answer = await exchange.forward()
        for byte in answer.head(len(answer.body)) + answer.body:
            await exchange.write(bytes((byte,)))
            await asyncio.sleep(delay_s)

    return act


def changed(change: Callable[[Any], Any]) -> Act:
    """Pass a response back with a changed document; ``change`` returns another one, or None and has changed it."""

    async def act(exchange: Exchange) -> None:
        answer = await exchange.forward()
        document = json.loads(answer.body)
        other = change(document)
        await exchange.send(replace(answer, body=json.dumps(document if other is None else other).encode()))

    return act


def changed_bytes(change: Callable[[bytes], bytes], **headers: str) -> Act:
    """Pass a response back with a changed body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def act(exchange: Exchange) -> None:
        answer = await exchange.forward()
        await exchange.send(Answer(answer.status, answer.headers | named, change(answer.body)))

    return act


def looped(markers: Iterable[str]) -> Act:
    """Answer every request of a listing with its first page, and with the next of these markers."""
    first: list[Answer] = []
    left = iter(markers)

    async def act(exchange: Exchange) -> None:
        if not first:
            first.append(await exchange.forward())
        page = json.loads(first[0].body) | {"NextMarker": next(left)}
        await exchange.send(replace(first[0], body=json.dumps(page).encode()))

    return act


def followed_by(act: Callable[[], object]) -> Act:
    """Pass the response back, and do something before it is sent."""

    async def both(exchange: Exchange) -> None:
        answer = await exchange.forward()
        act()
        await exchange.send(answer)

    return both


def renamed(old: str, new: str) -> Act:
    """Write a name in every response as another, and turn it back in the paths of requests."""
    encoded = quote(new, safe="-._~", errors="surrogatepass")

    async def act(exchange: Exchange) -> None:
        request = exchange.request
        answer = await exchange.forward(replace(request, target=request.target.replace(encoded, old)))
        await exchange.send(replace(answer, body=answer.body.replace(old.encode(), json.dumps(new)[1:-1].encode())))

    return act
