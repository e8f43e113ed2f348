"""Servers on loopback for the tests of HTTP, and small helpers; tests get this module as the fixture ``servers``."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from lexport.aws.http.pool import open_pool

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HEAD_END = b"\r\n\r\n"


@asynccontextmanager
async def serve(handle):
    """Run an aiohttp server; yield its URL."""
    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(response, *, tls=None, seen=None, wait=None, arrived=None):
    """Run a server that reads one request head, sends the bytes of a response and closes; yield its URL."""

    async def handle(reader, writer):
        try:
            head = await reader.readuntil(HEAD_END)
            if seen is not None:
                seen.append(head)
            if arrived is not None:
                arrived.set()
            if wait is not None:
                await wait.wait()
            writer.write(response)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield "{}://{}:{}".format("https" if tls else "http", *server.sockets[0].getsockname()[:2])


@asynccontextmanager
async def served(talk, tls=None):
    """Run a server whose side of each connection is ``talk(reader, writer)``; yield its URL."""

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


def answering(response):
    """Return a ``talk`` that sends the same response to every request."""

    async def talk(reader, writer):
        while True:
            await reader.readuntil(HEAD_END)
            writer.write(response)

    return talk


@asynccontextmanager
async def opened(**settings):
    """Open a transport with one connection, unless ``settings`` name more."""
    async with open_pool(**{"ca_bundle": None, "connections": 1, **settings}) as send:
        yield send


def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def sockets_open():
    """Count the sockets of this process."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the folder itself
            count += str(link.readlink()).startswith("socket:")
    return count


async def until(claim):
    """Let the event loop run until ``claim()`` is true."""
    async with asyncio.timeout(10):
        while not claim():  # noqa: ASYNC110 - a claim has no event
            await asyncio.sleep(0)


def chain_of(error):
    """Return the repr of an error and of everything chained to it."""
    shown, seen = "", []
    while error is not None and error not in seen:
        seen.append(error)
        shown += repr(error) + repr(vars(error))
        error = error.__cause__ or error.__context__
    return shown
