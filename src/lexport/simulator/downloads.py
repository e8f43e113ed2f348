"""The response to a presigned URL: a package that is generated while it is sent, and the faults of downloads."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from aiohttp import web

from lexport.simulator.faults import Fault
from lexport.simulator.package_files import Package


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A range of a package; if ``stop`` is beyond its end, zeros follow.

    After ``ends_after`` bytes the connection is closed, or reset if ``is_reset``. ``has_length``: send Content-Length.
    After ``drips_after`` bytes, one byte is sent per ``drip_s``.
    """

    package: Package
    start: int
    stop: int
    status: int
    headers: dict[str, str]
    flipped_at: int | None = None
    ends_after: int | None = None
    is_reset: bool = False
    has_length: bool = True
    drips_after: int | None = None
    drip_s: float = 0.0

    def parts(self) -> Iterator[bytes]:
        """Yield the bytes of the body."""
        stop = self.stop if self.ends_after is None else min(self.stop, self.start + self.ends_after)
        at = self.start
        for part in self.package.parts(at, min(stop, self.package.code_size)):
            flipped = None if self.flipped_at is None else self.flipped_at - at
            if flipped is not None and 0 <= flipped < len(part):
                yield part[:flipped] + bytes((part[flipped] ^ 0xFF,)) + part[flipped + 1 :]
            else:
                yield part
            at += len(part)
        while at < stop:  # a package that a fault made longer
            part = bytes(min(stop - at, 65_536))
            at += len(part)
            yield part


def download(package: Package, byte_range: tuple[int, int] | None, headers: dict[str, str]) -> Download:
    """Return the response with the whole package, or with a range, given by its first and last byte."""
    size = package.code_size
    start, stop = (0, size) if byte_range is None else (byte_range[0], byte_range[1] + 1)
    status = 200 if byte_range is None else 206
    if byte_range is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Download(package=package, start=start, stop=stop, status=status, headers=headers)


def apply_fault(sent: Download, fault: Fault) -> Download:
    """Return the response with a fault. ``after_bytes`` counts from the start of this response; the default is half."""
    after = (sent.stop - sent.start) // 2 if fault.after_bytes is None else fault.after_bytes
    headers = dict(sent.headers)
    match fault.kind:
        case "corrupt":
            return replace(sent, flipped_at=sent.start + after)
        case "truncate" | "short" | "reset":
            is_reset, has_length = fault.kind == "reset", fault.kind != "short"
            return replace(sent, ends_after=after, is_reset=is_reset, has_length=has_length)
        case "drip":
            return replace(sent, drips_after=after, drip_s=fault.delay_s)
        case "ignore_range":
            headers.pop("Content-Range", None)
            return replace(sent, start=0, stop=sent.package.code_size, status=200, headers=headers)
        case "resize":
            size = after if fault.size_bytes is None else fault.size_bytes
            if "Content-Range" in headers:
                headers["Content-Range"] = f"bytes {sent.start}-{size - 1}/{size}"
            return replace(sent, stop=size, headers=headers)
    return sent


async def send_download(request: web.BaseRequest, sent: Download, request_id: str) -> web.StreamResponse:
    """Send the response, a part at a time, as fast as the client reads."""
    kind = web.StreamResponse if sent.has_length else _WithoutLength
    response = kind(status=sent.status, headers={**sent.headers, "x-amzn-requestid": request_id})
    if sent.has_length:
        response.content_length = max(0, sent.stop - sent.start)
    if not sent.has_length or sent.ends_after is not None:
        response.force_close()
    await response.prepare(request)
    done = 0
    for part in sent.parts():
        if sent.drips_after is not None and done + len(part) > sent.drips_after:
            await _drip(response, part, max(0, sent.drips_after - done), sent.drip_s)
        else:
            await response.write(part)
        done += len(part)
    if sent.is_reset:
        reset(request)
    if sent.ends_after is not None and request.transport is not None:
        request.transport.close()
    return response


class _WithoutLength(web.StreamResponse):
    """A body that ends with the connection: without Content-Length and without chunks."""

    _length_check = False


async def _drip(response: web.StreamResponse, part: bytes, at_once: int, drip_s: float) -> None:
    await response.write(part[:at_once])
    for at in range(at_once, len(part)):
        await asyncio.sleep(drip_s)
        await response.write(part[at : at + 1])


def reset(request: web.BaseRequest) -> NoReturn:
    """Close the connection with a RST, so that the client gets a connection reset."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    raise asyncio.CancelledError  # end the handler as if the client had disconnected
