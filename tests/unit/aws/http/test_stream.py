"""The socket of a connection: nothing is lost, doubled or kept open, however TLS and the system cut the bytes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from lexport.aws.http.message import Request
from lexport.aws.http.pool import _encode, _origin
from lexport.aws.http.stream import UNSENT_LIMIT_BYTES, open_stream
from lexport.errors import FetchError, NetworkError

pytestmark = pytest.mark.asyncio


class Received:
    """What a stream has received, and how it was closed."""

    def __init__(self):
        self.data = bytearray()
        self.closed = []

    def data_received(self, data):
        self.data += data

    def connection_lost(self, error):
        self.closed.append(error)


@pytest.fixture(params=["plain", "TLS 1.2", "TLS 1.3"])
def secured(request, certificate, monkeypatch):
    """The server's TLS context, or None, and the CA file of the client."""
    tls, ca_file = certificate
    if request.param == "plain":
        return None, ca_file
    version = ssl.TLSVersion.TLSv1_2 if request.param == "TLS 1.2" else ssl.TLSVersion.TLSv1_3
    monkeypatch.setattr(tls, "maximum_version", version)
    monkeypatch.setattr(tls, "minimum_version", version)
    return tls, ca_file


async def test_long_requests_and_responses_arrive_whole(secured, servers):
    """A request that the socket takes in pieces and a response of many records arrive as they were sent, in order."""
    tls, ca_file = secured
    padding, body = "x" * 700_000, bytes(range(256)) * 8_000
    received = hashlib.sha256()

    async def talk(reader, writer):
        while True:
            head = b""
            while not head.endswith(servers.HEAD_END):
                await asyncio.sleep(0.002)  # slower than the client, whose socket is full meanwhile
                head += await reader.read(65_536)
                if not head:
                    return
            received.update(head)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with servers.served(talk, tls) as url, servers.opened(ca_bundle=ca_file) as send:
        responses = [await send(Request(url, {"Padding": padding})) for _ in range(3)]
    expected = hashlib.sha256()
    for _ in range(3):
        expected.update(_encode(_origin(url), "/", Request(url, {"Padding": padding})))

    assert [response.body for response in responses] == [body] * 3
    assert received.hexdigest() == expected.hexdigest()


async def test_a_server_that_closes_an_idle_connection(secured, servers):
    """A connection that the server has closed while it was idle is replaced, and no call fails."""
    tls, ca_file = secured
    closed = 0

    async def talk(reader, writer):
        nonlocal closed
        await reader.readuntil(servers.HEAD_END)
        writer.write(servers.OK)
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
        closed += 1

    before = servers.sockets_open()
    async with servers.served(talk, tls) as url, servers.opened(ca_bundle=ca_file) as send:
        for number in range(1, 4):
            assert (await send(Request(url, {}))).body == b"{}"
            await servers.until(lambda number=number: closed == number)
            for _ in range(10):
                await asyncio.sleep(0)
    await servers.until(lambda: servers.sockets_open() == before)


@pytest.mark.parametrize("says_so", [True, False])
async def test_the_end_of_tls(says_so, certificate, servers):
    """A body that ends with the connection is whole only if TLS ends too: otherwise anybody may have cut it off."""
    tls, ca_file = certificate

    async def talk(reader, writer):
        await reader.readuntil(servers.HEAD_END)
        writer.write(b'HTTP/1.1 200 OK\r\n\r\n{"a":1}')
        if not says_so:
            await writer.drain()
            with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as same:
                same.shutdown(socket.SHUT_WR)  # the end of TCP, not of TLS
            await reader.read()

    async with servers.served(talk, tls) as url, servers.opened(ca_bundle=ca_file) as send:
        if says_so:
            assert (await send(Request(url, {}))).body == b'{"a":1}'
        else:
            with pytest.raises(FetchError) as caught:
                await send(Request(url, {}))
            assert caught.value.code == "truncated_body"


@pytest.mark.parametrize("end", ["close", "garbage", "alert"])
async def test_a_handshake_that_fails(end, servers):
    """A server that ends or disturbs the handshake is an error with a code, and no socket stays open."""
    before = servers.sockets_open()

    async def talk(reader, writer):
        await reader.read(1)
        if end != "close":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" if end == "garbage" else b"\x15\x03\x03\x00\x02\x02\x28")
            await writer.drain()

    async with servers.served(talk) as url, servers.opened() as send:
        with pytest.raises(NetworkError) as caught:
            await send(Request(url.replace("http:", "https:"), {}))
    await servers.until(lambda: servers.sockets_open() == before)

    assert caught.value.code == ("connect_failed" if end == "close" else "tls_failed")


@pytest.mark.slow
async def test_cancelled_at_any_moment(secured, servers):
    """A call that is cancelled while it connects, shakes hands, sends or receives leaves no socket open."""
    tls, ca_file = secured
    before = servers.sockets_open()
    body = b"x" * 300_000

    async def talk(reader, writer):
        await reader.readuntil(servers.HEAD_END)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    ended = []
    async with servers.served(talk, tls) as url, servers.opened(ca_bundle=ca_file) as send:
        rounds = 0
        while not ended:
            call = asyncio.create_task(send(Request(url, {"Padding": "x" * 50_000})))
            for _ in range(rounds):
                await asyncio.sleep(0)
            rounds += 1
            if call.done():
                ended.append(await call)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
    await servers.until(lambda: servers.sockets_open() == before)

    assert len(ended[0].body) == len(body)


@pytest.mark.parametrize(
    ("version", "command"),
    [pytest.param("-tls1_3", b"K\n", id="a new key"), pytest.param("-tls1_2", b"r\n", id="a second handshake")],
)
async def test_a_server_that_renews_its_keys(version, command, certificate, servers):
    """A server that changes keys between and before responses gets the answer that TLS asks for."""
    (_, ca_file), port = certificate, servers.free_port()
    folder = Path(ca_file).parent
    program = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", folder / "chain.pem"),
        *("-key", folder / "key.pem", version, "-msg"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        await program.stdout.readuntil(b"ACCEPT")
        async with servers.opened(ca_bundle=ca_file) as send, asyncio.timeout(10):
            bodies = []
            for _ in range(2):
                call = asyncio.create_task(send(Request(f"https://127.0.0.1:{port}/", {})))
                await program.stdout.readuntil(b"Accept-Encoding")
                program.stdin.write(command)
                await program.stdin.drain()
                await program.stdout.readuntil(b"KeyUpdate" if command == b"K\n" else b"Finished")
                program.stdin.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\n"[:-1])
                await program.stdin.drain()
                bodies.append((await call).body)
    finally:
        with contextlib.suppress(ProcessLookupError):
            program.kill()
        await program.communicate()

    assert bodies == [b"{}"] * 2


async def test_what_is_not_sent_is_bounded():
    """A peer that reads nothing gets no more than a bounded number of bytes kept for it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        received = Received()
        stream = await open_stream(ours, None, "peer")
        stream.start(received)
        stream.write(b"x" * UNSENT_LIMIT_BYTES)
        assert not stream.is_closing
        stream.write(b"x" * UNSENT_LIMIT_BYTES)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert stream.is_closing
        assert [type(error) for error in received.closed] == [ConnectionResetError]
