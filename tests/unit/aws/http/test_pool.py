"""The slots of the pool: connections are bounded, reused while they are intact, and no slot is lost."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest
from aiohttp import web

from lexport.aws.http.message import Request, Response
from lexport.aws.http.pool import open_pool
from lexport.errors import FetchError, NetworkError

pytestmark = pytest.mark.asyncio


async def test_on_this_loop(request):
    """The tests of HTTP run on the event loop that their names say."""
    assert type(asyncio.get_running_loop()).__module__.partition(".")[0] == request.node.callspec.id


async def test_connections_are_kept_and_bounded(way, servers):
    """There are never more than `connections` at once, and they are reused."""
    open_now, peak, ports = 0, 0, set()

    async def handle(request):
        nonlocal open_now, peak
        open_now += 1
        peak = max(peak, open_now)
        ports.add(request.transport.get_extra_info("peername")[1])
        await asyncio.sleep(0)
        open_now -= 1
        return web.Response()

    async with servers.serve(handle) as url, open_pool(ca_bundle=None, connections=3) as send:
        await asyncio.gather(*(send(Request(url, {})) for _ in range(30)))

    assert peak <= 3
    assert len(ports) <= 3


async def test_a_closed_connection_is_not_retried(get, servers):
    """One call is one request, even if the server closes the connection without a response."""
    seen = []
    async with servers.raw(b"", seen=seen) as url:
        with pytest.raises(NetworkError) as caught:
            await get(url)

    assert caught.value.code == "connection_reset"
    assert len(seen) == 1


async def test_a_stale_connection_is_not_retried(way, servers):
    """If the server closes a reused connection on the second request, the call fails and was sent once."""
    heads = []

    async def handle(reader, writer):
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(servers.OK)
            heads.append(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        url = "http://{}:{}/".format(*server.sockets[0].getsockname()[:2])
        async with open_pool(ca_bundle=None, connections=1) as send:
            first = await send(Request(url, {}))
            with pytest.raises(NetworkError) as caught:
                await send(Request(url, {}))

    assert first.status == 200
    assert caught.value.code == "connection_reset"
    assert len(heads) == 2


async def test_an_idle_connection_makes_room_for_another_host(way, servers):
    """A pool whose connections to one host are idle still reaches another host."""

    async def handle(request):
        return web.Response(text=str(request.transport.get_extra_info("sockname")[1]))

    async with (
        servers.serve(handle) as one,
        servers.serve(handle) as other,
        open_pool(ca_bundle=None, connections=1) as send,
    ):
        bodies = [(await send(Request(url, {}))).body.decode() for url in (one, other, one)]

    assert bodies == [url.rpartition(":")[2] for url in (one, other, one)]


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch, servers):
    """The server may close such a connection at any moment, and then the call would fail."""
    monkeypatch.setattr("lexport.aws.http.connection.KEEP_ALIVE_S", 0.0)
    ports = set()

    async def handle(request):
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.Response()

    async with servers.serve(handle) as url, open_pool(ca_bundle=None, connections=1) as send:
        for _ in range(3):
            await send(Request(url, {}))

    assert len(ports) == 3


@pytest.mark.slow
async def test_cancelled_in_flight(way, servers):
    """A cancelled call frees its slot."""
    forever, arrived = asyncio.Event(), asyncio.Event()
    async with (
        servers.raw(b"", wait=forever, arrived=arrived) as slow,
        servers.raw(servers.OK) as quick,
        open_pool(ca_bundle=None, connections=1, idle_timeout_s=0.3) as send,
    ):
        task = asyncio.create_task(send(Request(slow, {})))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        response = await send(Request(quick, {}))
        forever.set()

    assert response.status == 200


async def test_cancelled_while_it_waits_for_a_connection(servers):
    """A caller that is cancelled while it waits passes its slot on, even if the slot was just handed to it."""
    go, arrived = asyncio.Event(), asyncio.Event()

    async def handle(request):
        arrived.set()
        await go.wait()
        return web.Response()

    async with servers.serve(handle) as url, open_pool(ca_bundle=None, connections=1) as send:
        first = asyncio.create_task(send(Request(url, {})))
        await arrived.wait()
        waiting = [asyncio.create_task(send(Request(url, {}))) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        go.set()
        await first
        waiting[1].cancel()  # its turn has come
        ended = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(end) for end in ended[:2]] == [asyncio.CancelledError] * 2
    assert ended[2].status == 200


async def test_waiters_get_slots_in_order(servers):
    """A caller that sends again and again does not keep waiters from slots, even waiters for another host."""
    got = []

    async def ask_for_ever(send, url):
        while True:
            await send(Request(url, {}))
            got.append("again")

    async def ask_once(send, url, name):
        await send(Request(url, {}))
        got.append(name)

    async with (
        servers.served(servers.answering(servers.OK)) as here,
        servers.served(servers.answering(servers.OK)) as there,
        servers.opened() as send,
    ):
        again = asyncio.create_task(ask_for_ever(send, here))
        await servers.until(lambda: got)
        waiting = [asyncio.create_task(ask_once(send, url, url)) for url in (here, there, here)]
        await servers.until(lambda: all(task.done() for task in waiting) or len(got) > 1000)
        again.cancel()
        await asyncio.gather(again, *waiting, return_exceptions=True)

    assert [name for name in got if name != "again"] == [here, there, here]
    assert len(got) < 20


@pytest.mark.slow
@pytest.mark.parametrize("is_tls", [False, True])
async def test_a_storm_loses_no_slot(certificate, is_tls, servers):
    """After calls that were cancelled, cut off, refused and answered in any order, all slots are free."""
    tls, ca_file = certificate
    dice = random.Random(7)
    connections, asked, all_asked = 4, 0, asyncio.Event()

    async def talk(reader, writer):
        nonlocal asked
        while True:
            head = await reader.readuntil(servers.HEAD_END)
            if b"/calm" in head:
                asked += 1
                if asked == connections:
                    all_asked.set()
                await all_asked.wait()
                writer.write(servers.OK)
                continue
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            fate = dice.randrange(8)
            if fate == 0:
                writer.transport.abort()
                return
            writer.write(servers.OK[: dice.randrange(len(servers.OK))] if fate == 1 else servers.OK)
            if fate <= 2:
                return
            if fate == 3:
                writer.write(b"garbage")

    async def ask(send, url):
        with suppress(FetchError):
            await send(Request(url, {}))

    async with (
        servers.served(talk, tls if is_tls else None) as one,
        servers.served(talk, tls if is_tls else None) as other,
    ):
        nobody = one.rpartition(":")[0] + ":1"
        async with servers.opened(connections=connections, ca_bundle=ca_file) as send:
            tasks = []
            for _ in range(600):
                tasks.append(asyncio.create_task(ask(send, dice.choice((one, other, one, other, nobody)))))
                for _ in range(dice.randrange(4)):
                    await asyncio.sleep(0)
                if dice.randrange(3) == 0:
                    dice.choice(tasks).cancel()
            async with asyncio.timeout(20):
                await asyncio.gather(*tasks, return_exceptions=True)
                responses = await asyncio.gather(
                    *(send(Request(f"{dice.choice((one, other))}/calm", {})) for _ in range(3 * connections))
                )

    assert [response.body for response in responses] == [b"{}"] * 3 * connections


async def test_closing_ends_all_calls(certificate, servers):
    """Closing the pool ends all calls: those that connect, wait for a slot, and wait for a response."""
    tls, ca_file = certificate
    before, asked = servers.sockets_open(), asyncio.Event()

    async def silent(reader, writer):
        asked.set()
        await reader.read()

    async with (
        servers.served(silent) as plain,
        servers.served(silent, tls) as secure,
        servers.served(servers.answering(servers.OK)) as quick,
    ):
        async with servers.opened(connections=4, ca_bundle=ca_file) as send:
            await send(Request(quick, {}))
            calls = [asyncio.create_task(send(Request(url, {}))) for url in (plain, secure, plain, quick, plain, quick)]
            await asked.wait()
        async with asyncio.timeout(5):
            ends = await asyncio.gather(*calls, return_exceptions=True)
    await servers.until(lambda: servers.sockets_open() == before)  # the servers' side ends a little later

    assert {type(end) for end in ends} == {NetworkError, Response}  # the quick one may have answered


async def test_a_handshake_that_never_ends(monkeypatch, servers):
    """A server that accepts and sends nothing costs the connect timeout, and frees its slot."""
    monkeypatch.setattr("lexport.aws.http.pool.CONNECT_TIMEOUT_S", 0.05)
    hung_up = asyncio.Event()

    async def silent(reader, writer):
        await reader.read()
        hung_up.set()

    async with (
        servers.served(silent) as deaf,
        servers.served(servers.answering(servers.OK)) as quick,
        servers.opened() as send,
    ):
        calls = [send(Request(deaf.replace("http:", "https:"), {})), send(Request(quick, {}))]
        refused, response = await asyncio.gather(*calls, return_exceptions=True)
        async with asyncio.timeout(5):
            await hung_up.wait()

    assert (type(refused), refused.code) == (NetworkError, "timeout")
    assert "connecting to" in str(refused)
    assert response.body == b"{}"


async def test_cancelled_as_the_response_breaks(caplog, servers):
    """The error of a call that was cancelled at the same moment is not reported to the event loop."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def talk(reader, writer):
        await reader.readuntil(servers.HEAD_END)
        writer.write(b"garbage")
        await asyncio.sleep(0)
        for task in calls:
            task.cancel()

    async with servers.served(talk) as url, servers.opened(connections=3) as send:
        calls = [asyncio.create_task(send(Request(url, {}))) for _ in range(5)]
        ends = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(end) for end in ends} <= {asyncio.CancelledError, NetworkError, type(ends[0])}
    assert complaints == []
    assert "never retrieved" not in caplog.text
