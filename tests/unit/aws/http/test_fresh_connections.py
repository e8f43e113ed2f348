"""No response is taken for that of another request; connections are retired, and new ones opened on demand."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web

from lexport.aws.http.connection import Connection
from lexport.aws.http.message import HttpLimits, Request
from lexport.aws.http.pool import open_pool
from lexport.aws.http.stream import Outbox, open_stream

pytestmark = pytest.mark.asyncio


def by_connection():
    """Return a handler that responds with the number of the connection and of the request on it."""
    connections = {}

    async def handle(request):
        number, requests = connections.setdefault(request.transport, (len(connections), []))
        requests.append(request.path)
        return web.Response(text=f"{number} {len(requests)}")

    return handle


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nanother", b"HTTP/1.1 2", b"\0", b"H"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_bytes_without_a_request(more, at_once, servers):
    """Bytes that a server sends without a request are never taken for the next response."""
    connections = 0

    async def handle(reader, writer):
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        answer = servers.OK
        writer.write(answer + more if at_once else answer)
        await writer.drain()
        if not at_once:
            writer.write(more)
        await reader.read()  # until the other side hangs up
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        url = "http://{}:{}/".format(*server.sockets[0].getsockname()[:2])
        async with open_pool(ca_bundle=None, connections=1) as send:
            bodies = []
            while connections < 3:
                bodies.append((await send(Request(url, {}))).body)

    assert set(bodies) == {b"{}"}


async def test_a_fresh_connection(way, servers):
    """A request that needs a fresh connection is the first one on it, however many connections are idle."""
    async with servers.serve(by_connection()) as url, open_pool(ca_bundle=None, connections=3) as send:
        await asyncio.gather(*(send(Request(url, {})) for _ in range(3)))
        bodies = [(await send(Request(url, {}, needs_fresh_connection=True))).body for _ in range(3)]
        after = await send(Request(url, {}))

    assert [body.split()[1] for body in bodies] == [b"1"] * 3
    assert after.body.split()[1] == b"2"


async def test_a_fresh_connection_where_all_are_busy(servers):
    """A waiter that needs a fresh connection does not take over the one that becomes free."""
    go, arrived = asyncio.Event(), asyncio.Event()
    answer = by_connection()

    async def handle(request):
        arrived.set()
        await go.wait()
        return await answer(request)

    async with servers.serve(handle) as url, open_pool(ca_bundle=None, connections=1) as send:
        first = asyncio.create_task(send(Request(url, {})))
        await arrived.wait()
        second = asyncio.create_task(send(Request(url, {}, needs_fresh_connection=True)))
        await asyncio.sleep(0)
        go.set()
        bodies = [(await call).body for call in (first, second)]

    assert bodies == [b"0 1", b"1 1"]


async def test_a_retired_connection(servers):
    """A retired connection is not used again; if it is in use, not after its current response."""
    go, arrived = asyncio.Event(), asyncio.Event()
    answer = by_connection()

    async def handle(request):
        if request.path == "/wait":
            arrived.set()
            await go.wait()
        return await answer(request)

    async with servers.serve(handle) as url, open_pool(ca_bundle=None, connections=1) as send:
        wrong = await send(Request(url, {}))
        wrong.source.retire()
        other = await send(Request(url, {}))
        in_use = asyncio.create_task(send(Request(f"{url}/wait", {})))
        await arrived.wait()
        other.source.retire()
        go.set()
        same, last = await in_use, await send(Request(url, {}))

    assert [response.body for response in (wrong, other, same, last)] == [b"0 1", b"1 1", b"1 2", b"2 1"]


async def test_many_fresh_connections_while_others_wait_for_answers(way, servers):
    """Fresh connections do not disturb requests in flight: each response belongs to its request."""

    async def handle(request):
        return web.Response(text=request.path)

    async with servers.serve(handle) as url, open_pool(ca_bundle=None, connections=4) as send:
        paths = [f"/{number}" for number in range(40)]
        answers = await asyncio.gather(
            *(send(Request(url + path, {}, needs_fresh_connection=path.endswith("3"))) for path in paths)
        )

    assert [answer.body.decode() for answer in answers] == paths


async def test_a_lost_connection_is_not_used_again(servers):
    """A closed connection is not used again, even before `connection_lost` is called."""

    async def talk(reader, writer):
        await reader.readuntil(servers.HEAD_END)
        writer.write(servers.OK)

    async with servers.served(talk) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        limits = HttpLimits(connections=1, idle_timeout_s=1, body_limit_bytes=100)
        ended = []
        connected = socket.create_connection((host, int(port)))
        connected.setblocking(False)
        stream = await open_stream(connected, None, host)
        connection = Connection(stream, Outbox(), limits, ended.append)
        await connection.send(b"GET / HTTP/1.1\r\n\r\n")
        was_fresh = connection.is_fresh()
        await servers.until(lambda: stream.is_closing)
        is_fresh = connection.is_fresh()
        await servers.until(lambda: ended)

    assert (was_fresh, is_fresh) == (True, False)
