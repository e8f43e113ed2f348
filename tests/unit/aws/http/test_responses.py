"""A response is complete, belongs to its request and stays within the limits, or it is an error with a code."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from aiohttp import web

from lexport.aws.http.message import Request
from lexport.errors import FetchError, NetworkError, ServiceError

pytestmark = pytest.mark.asyncio

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", ServiceError, "truncated_body"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", ServiceError, "truncated_body"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", ServiceError, "invalid_http"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
            ServiceError,
            "unexpected_encoding",
        ),
    ],
)
async def test_damaged_responses(get, answer, error, code, servers):
    """Every kind of damage has a code and is retryable."""
    async with servers.raw(answer) as url:
        with pytest.raises(error) as caught:
            await get(url + "/f?Marker=canary")

    assert caught.value.code == code
    assert caught.value.retryable
    assert "canary" not in str(caught.value)


async def test_a_body_that_says_it_is_too_large(get, servers):
    """A body that is announced as larger than the limit is not read."""

    async def handle(request):
        response = web.StreamResponse(headers={"Content-Length": str(10**11)})
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        except ConnectionError:
            return response

    async with servers.serve(handle) as url:
        with pytest.raises(ServiceError) as caught:
            await get(url)

    assert caught.value.code == "body_too_large"


async def test_an_endless_body_is_cut(get, servers):
    """A body without a length is read up to the limit only."""

    async def handle(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(10_000):
                await response.write(b"x" * 100)
        except ConnectionError:
            pass
        return response

    async with servers.serve(handle) as url:
        with pytest.raises(ServiceError) as caught:
            await get(url, body_limit_bytes=1000)

    assert caught.value.code == "body_too_large"


async def test_a_chunked_body_is_read_whole(get, servers):
    """A body without a length but within the limit arrives as it is."""
    async with servers.raw(
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{"\r\n5\r\na":1}\r\n0\r\n\r\n'
    ) as url:
        response = await get(url)

    assert response.body == b'{"a":1}'


async def test_silence_is_a_timeout(get, servers):
    """A server that accepts and sends nothing costs the idle timeout and no more."""
    forever = asyncio.Event()
    async with servers.raw(b"", wait=forever) as url:
        with pytest.raises(NetworkError) as caught:
            await get(url, idle_timeout_s=0.05)
        forever.set()

    assert caught.value.code == "timeout"


async def test_a_service_that_looks_something_up_may_be_silent_for_longer(get, servers):
    """The idle timeout of a POST is the timeout of the whole response: CloudTrail is silent for half a minute."""

    async def handle(_request):
        await asyncio.sleep(0.2)
        return web.Response(body=b"{}")

    async with servers.serve(handle) as url:
        response = await get(url, body=b"{}", idle_timeout_s=0.05)
        with pytest.raises(NetworkError):
            await get(url, idle_timeout_s=0.05)

    assert response.body == b"{}"


async def test_a_response_without_a_length_ends_with_the_connection(get, servers):
    """A body without length and chunks is complete when the server closes the connection."""
    async with servers.raw(b'HTTP/1.1 200 OK\r\nServer: old\r\n\r\n{"a":1}') as url:
        response = await get(url)

    assert response.body == b'{"a":1}'


async def test_an_interim_response(get, servers):
    """`100 Continue` is not the response: the one after it is."""
    async with servers.raw(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
    ) as url:
        response = await get(url)

    assert (response.status, response.body) == (404, b"{}")


async def test_a_response_in_pieces(get):
    """A response may arrive in pieces of any size."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nRetry-After: 3\r\n\r\n" + b'{"a":1}'

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for byte in answer:
            writer.write(bytes([byte]))
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        response = await get("http://{}:{}/".format(*server.sockets[0].getsockname()[:2]))

    assert (response.headers.get("retry-after"), response.body) == ("3", b'{"a":1}')


@pytest.mark.slow
async def test_a_response_that_trickles_for_ever(get, monkeypatch, servers):
    """A server that sends a byte now and then costs the total timeout and no more."""
    monkeypatch.setattr("lexport.aws.http.connection.TOTAL_TIMEOUT_S", 0.2)
    monkeypatch.setattr("lexport.aws.http.proxied.TOTAL_TIMEOUT_S", 0.2)

    async def handle(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.01)
        except ConnectionError:
            return response

    async with servers.serve(handle) as url:
        with pytest.raises(FetchError) as caught:
            await get(url, idle_timeout_s=0.15)

    assert caught.value.retryable
    assert caught.value.code in ("timeout", "truncated_body")


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
async def test_headers_are_those_of_the_answer(way, answer, servers):
    """Interim responses, trailers and bytes after a response add nothing to its headers."""
    async with servers.served(servers.answering(answer)) as url, servers.opened() as send:
        response = await send(Request(url, {}))

    assert (response.status, response.body) == (200, b"{}")
    assert "retry-after" not in response.headers


async def test_the_first_header_of_a_name_counts(way, servers):
    """A body is compressed if the first Content-Encoding says so, whatever a second one says."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}"
    async with servers.served(servers.answering(answer)) as url, servers.opened() as send:
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
async def test_a_response_whose_end_is_ambiguous(way, lengths, code, servers):
    """A response whose end is ambiguous is an error, and its connection is not used again."""
    status = b"101 Switching Protocols" if lengths.startswith(b"Upgrade") else b"200 OK"

    async def talk(reader, writer):
        head = await reader.readuntil(servers.HEAD_END)
        if head.startswith(b"GET /second "):
            writer.write(servers.OK)
        else:
            writer.write(b"HTTP/1.1 " + status + b"\r\n" + lengths + b"\r\n\r\n{}" + servers.OK)
            await reader.readuntil(servers.HEAD_END)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")

    async with servers.served(talk) as url, servers.opened() as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url + "/first", {}))
        response = await send(Request(url + "/second", {}))

    assert caught.value.code == code
    assert response.body == b"{}"


async def test_a_response_before_the_request(certificate, monkeypatch, servers):
    """A server that sends bytes before the first request does not speak HTTP."""
    tls, ca_file = certificate
    monkeypatch.setattr(tls, "maximum_version", ssl.TLSVersion.TLSv1_2)  # here the server has the last word in opening

    async def talk(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
        await servers.answering(servers.OK)(reader, writer)

    async with servers.served(talk, tls) as url, servers.opened(ca_bundle=ca_file) as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url, {}))

    assert caught.value.code == "invalid_http"


@pytest.mark.parametrize("coding", [b"identity", b"gzip"])
async def test_a_body_in_a_coding_that_has_no_end(way, coding, servers):
    """Only chunks say where they end: any other transfer coding lasts until the connection does."""

    async def talk(reader, writer):
        await reader.readuntil(servers.HEAD_END)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + coding + b"\r\n\r\n{}")

    async with servers.served(talk) as url, servers.opened() as send:
        response = await send(Request(url, {}))

    assert response.body == b"{}"


async def test_a_body_without_a_length_that_breaks_off(way, servers):
    """A reset of the connection does not complete a body."""

    async def talk(reader, writer):
        await reader.readuntil(servers.HEAD_END)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{")
        await writer.drain()
        await reached.wait()
        writer.transport.abort()

    reached = asyncio.Event()
    async with servers.served(talk) as url, servers.opened() as send:
        asking = asyncio.create_task(send(Request(url, {"Padding": "x" * 100_000})))
        await asyncio.sleep(0.02)
        reached.set()
        with pytest.raises(FetchError) as caught:
            await asking

    assert caught.value.code in ("truncated_body", "connection_reset")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001, id="in chunks"),
        pytest.param(b"\r\n" + b"x" * 1001, id="without a length"),
    ],
)
async def test_the_limit_is_exact(way, answer, servers):
    """One byte more than the limit is too much, and known at once."""
    async with (
        servers.served(servers.answering(b"HTTP/1.1 200 OK\r\n" + answer)) as url,
        servers.opened(body_limit_bytes=1000) as send,
    ):
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
async def test_headers_without_end(way, start, more, monkeypatch, servers):
    """Headers and chunk sizes without end are not HTTP."""
    monkeypatch.setattr("lexport.aws.http.proxied.TOTAL_TIMEOUT_S", 0.3)  # aiohttp reads on after "100 Continue"
    sent = 0

    async def talk(reader, writer):
        nonlocal sent
        await reader.readuntil(servers.HEAD_END)
        writer.write(start)
        while True:
            writer.write(more)
            await writer.drain()
            sent += len(more)

    async with servers.served(talk) as url, servers.opened() as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url, {}))

    assert caught.value.code in (
        ("invalid_http",) if way == "direct" else ("invalid_http", "truncated_body", "timeout")
    )
    if way == "direct":  # aiohttp skips the extensions of a chunk until the time is up
        assert sent < 16 * 1024 * 1024  # most of it lies in the buffers of the system
