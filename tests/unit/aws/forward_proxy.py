"""A forward proxy on loopback: it rewrites each request to the origin form, opens tunnels, and passes on what comes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        writer.transport.abort()
    finally:
        writer.close()


async def _requests(reader: asyncio.StreamReader, head: bytes, far: asyncio.StreamWriter) -> None:
    """Pass on requests, each as the server would have got it directly."""
    while True:
        first, _, rest = head.partition(b"\r\n")
        method, url, protocol = first.split(b" ")
        parts = urlsplit(url.decode("latin-1"))
        target = url.decode("latin-1").removeprefix(f"{parts.scheme}://{parts.netloc}") or "/"
        far.write(b" ".join([method, target.encode("latin-1"), protocol]) + b"\r\n" + rest)
        if length := re.search(rb"(?i)\r\ncontent-length: *(\d+)", rest):
            far.write(await reader.readexactly(int(length[1])))
        head = await reader.readuntil(HEAD_END)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        try:
            head = await reader.readuntil(HEAD_END)
            method, where = head.split(b" ", 2)[:2]
            is_tunnel = method == b"CONNECT"
            parts = urlsplit(f"//{where.decode()}" if is_tunnel else where.decode("latin-1"))
            far_reader, far = await asyncio.open_connection(parts.hostname, parts.port or 80)
            try:
                if is_tunnel:
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                sending = _copy(reader, far) if is_tunnel else _requests(reader, head, far)
                back = asyncio.ensure_future(_copy(far_reader, writer))
                forth = asyncio.ensure_future(sending)
                await asyncio.wait((back, forth), return_when=asyncio.FIRST_COMPLETED)
                for task in (back, forth):
                    task.cancel()
                await asyncio.gather(back, forth, return_exceptions=True)
            finally:
                far.close()
        finally:
            writer.close()


@asynccontextmanager
async def forward_proxy() -> AsyncIterator[str]:
    """Run the proxy; yield its URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await _serve(reader, writer)

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield "http://{}:{}".format(*server.sockets[0].getsockname()[:2])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
