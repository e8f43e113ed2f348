"""Our own HTTP, against servers on loopback that mean no good."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from lexport.aws.connection import Connection
from lexport.aws.transport import Request, open_transport
from lexport.aws.wire import Limits
from lexport.errors import FetchError, NetworkError

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HEAD_END = b"\r\n\r\n"

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@asynccontextmanager
async def served(talk, tls=None):
    """A server whose side of each connection is ``talk(reader, writer)``; yields its URL."""

    talks = []

    async def handle(reader, writer):
        talks.append(asyncio.current_task())
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await talk(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls) as server:
        yield "{}://{}:{}".format("https" if tls else "http", *server.sockets[0].getsockname()[:2])
    for task in talks:
        task.cancel()
    await asyncio.gather(*talks, return_exceptions=True)


def answering(answer):
    """Give the same answer to each question, and wait for the next one."""

    async def talk(reader, writer):
        while True:
            await reader.readuntil(HEAD_END)
            writer.write(answer)

    return talk


@asynccontextmanager
async def opened(**options):
    """A pool of one connection, or of more."""
    async with open_transport(**{"kind": "aiohttp", "ca_bundle": None, "connections": 1, **options}) as send:
        yield send


async def until(claim):
    """Let the event loop run until it is so."""
    async with asyncio.timeout(10):
        while not claim():  # noqa: ASYNC110 - what is claimed has no event
            await asyncio.sleep(0)


async def test_on_this_loop(request):
    """Each test of this file runs on the event loop that its name says."""
    assert type(asyncio.get_running_loop()).__module__.partition(".")[0] == request.node.callspec.id


# --- an answer is what was said to its own question, and no more ----------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            ANSWER + b"HTTP/1.1 429 Slow\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n", id="a second answer"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nRetry-After: 9\r\n\r\n",
            id="a trailer",
        ),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n" + ANSWER, id="an announcement"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nContent-Encoding: br\r\n\r\n" + ANSWER, id="an encoding announced"),
    ],
)
async def test_headers_are_those_of_the_answer(answer):
    """What stands before or after an answer adds nothing to its headers."""
    async with served(answering(answer)) as url, opened() as send:
        response = await send(Request(url, {}))

    assert (response.status, response.body) == (200, b"{}")
    assert "retry-after" not in response.headers


async def test_the_first_header_of_a_name_counts():
    """A body is compressed where one header says so, whatever a second one says."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}"
    async with served(answering(answer)) as url, opened() as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url, {}))

    assert caught.value.code == "unexpected_encoding"


@pytest.mark.parametrize(
    ("lengths", "code"),
    [
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked", "invalid_http"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 2", "invalid_http"),
        (b"Content-Length: 2\r\nContent-Length: 3", "invalid_http"),
        (b"Content-Length: 2, 2", "invalid_http"),
        (b"Content-Length: +2", "invalid_http"),
        (b"Content-Length: -2", "invalid_http"),
        (b"Content-Length: 99999999999999999999999", "invalid_http"),
        (b"Content-Length: 9223372036854775808", "body_too_large"),
        (b"Upgrade: h2c\r\nConnection: upgrade", "invalid_http"),
    ],
)
async def test_an_answer_whose_end_is_not_sure(lengths, code):
    """What could be cut in two ways is no answer, and its connection serves no other question."""
    status = b"101 Switching Protocols" if lengths.startswith(b"Upgrade") else b"200 OK"

    async def talk(reader, writer):
        head = await reader.readuntil(HEAD_END)
        if head.startswith(b"GET /second "):
            writer.write(ANSWER)
        else:
            writer.write(b"HTTP/1.1 " + status + b"\r\n" + lengths + b"\r\n\r\n{}" + ANSWER)
            await reader.readuntil(HEAD_END)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")

    async with served(talk) as url, opened() as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url + "/first", {}))
        response = await send(Request(url + "/second", {}))

    assert caught.value.code == code
    assert response.body == b"{}"


@pytest.mark.parametrize("coding", [b"identity", b"gzip"])
async def test_a_body_in_a_coding_that_has_no_end(coding):
    """Only chunks say where they end: any other transfer coding lasts until the connection does."""

    async def talk(reader, writer):
        await reader.readuntil(HEAD_END)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + coding + b"\r\n\r\n{}")

    async with served(talk) as url, opened() as send:
        response = await send(Request(url, {}))

    assert response.body == b"{}"


async def test_a_body_without_a_length_that_breaks_off():
    """A connection that was reset is no end of a body."""

    async def talk(reader, writer):
        await reader.readuntil(HEAD_END)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{")
        await writer.drain()
        await reached.wait()
        writer.transport.abort()

    reached = asyncio.Event()
    async with served(talk) as url, opened() as send:
        asking = asyncio.create_task(send(Request(url, {"Padding": "x" * 100_000})))
        await asyncio.sleep(0.02)
        reached.set()
        with pytest.raises(FetchError) as caught:
            await asking

    assert caught.value.code in ("truncated_body", "connection_reset")


# --- no more is read than there may be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001, id="in chunks"),
        pytest.param(b"\r\n" + b"x" * 1001, id="without a length"),
    ],
)
async def test_the_limit_is_exact(answer):
    """One byte more than the limit is too much, and known at once."""
    async with served(answering(b"HTTP/1.1 200 OK\r\n" + answer)) as url, opened(body_limit_bytes=1000) as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url, {}))

    assert (caught.value.code, caught.value.http_status) == ("body_too_large", 200)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"A: " + b"a" * 1000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nA: ", b"a" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 1000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: " + b"a" * 1000 + b"\r\n"),
    ],
)
async def test_headers_without_end(start, more):
    """What is no body has an end, or is no HTTP."""
    sent = 0

    async def talk(reader, writer):
        nonlocal sent
        await reader.readuntil(HEAD_END)
        writer.write(start)
        while True:
            writer.write(more)
            await writer.drain()
            sent += len(more)

    async with served(talk) as url, opened() as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url, {}))

    assert caught.value.code == "invalid_http"
    assert sent < 16 * 1024 * 1024  # most of it lies in the buffers of the system


async def test_a_lost_connection_is_not_used_again():
    """Also in the moment between the end and the news of it."""

    async def talk(reader, writer):
        await reader.readuntil(HEAD_END)
        writer.write(ANSWER)

    async with served(talk) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, host, int(port))
        limits = Limits(connections=1, idle_timeout_s=1, body_limit_bytes=100)
        ended = []
        connection = Connection(transport, limits, ended.append)
        await connection.ask(b"GET / HTTP/1.1\r\n\r\n")
        was_fresh = connection.is_fresh()
        await until(transport.is_closing)
        is_fresh = connection.is_fresh()
        await until(lambda: ended)

    assert (was_fresh, is_fresh) == (True, False)


async def test_cancelled_as_the_answer_breaks(caplog):
    """Nobody is told of an error whose call was given up in the same moment."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def talk(reader, writer):
        await reader.readuntil(HEAD_END)
        writer.write(b"garbage")
        await asyncio.sleep(0)
        for task in calls:
            task.cancel()

    async with served(talk) as url, opened(connections=3) as send:
        calls = [asyncio.create_task(send(Request(url, {}))) for _ in range(5)]
        ends = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(end) for end in ends} <= {asyncio.CancelledError, NetworkError, type(ends[0])}
    assert complaints == []
    assert "never retrieved" not in caplog.text
