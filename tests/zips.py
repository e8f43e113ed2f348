"""Write zips by hand, true ones and lies: every field of every header can be told otherwise."""

import struct
import zlib
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Member:
    """One member as it is, and what its headers say instead where that is given."""

    name: str | bytes
    data: bytes = b""
    stored: bool = False
    mode: int = 0o100644
    made_by: int = 3
    says: dict = field(default_factory=dict)  # flags, method, crc, compressed, size, offset, extra, local_name


def zip_bytes(*members, before=b"", comment=b"", zip64=False, **end):
    """Write a zip. ``end`` overrides the end record: count, size, offset; ``zip64`` writes 64-bit fields throughout."""
    body, directory = bytearray(before), bytearray()
    for member in members:
        header, data = _member(member, len(body) - len(before), zip64)
        body += data
        directory += header
    start = len(body)
    body += directory
    told = {"count": len(members), "size": len(directory), "offset": start - len(before)} | end
    if zip64:
        at = len(body)
        body += struct.pack(
            "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, told["count"], told["count"], told["size"], told["offset"]
        )
        body += struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
        told = {"count": 0xFFFF, "size": 0xFFFFFFFF, "offset": 0xFFFFFFFF}
    body += struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, told["count"], told["count"], told["size"], told["offset"], len(comment)
    )
    return bytes(body + comment)


def deflate(data):
    """Deflate without a header, as zips have it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def _member(member, offset, zip64):
    name = member.name.encode() if isinstance(member.name, str) else member.name
    packed = member.data if member.stored else deflate(member.data)
    told = {
        "flags": 0 if name.isascii() or isinstance(member.name, bytes) else 0x800,
        "method": 0 if member.stored else 8,
        "crc": zlib.crc32(member.data),
        "compressed": len(packed),
        "size": len(member.data),
        "offset": offset,
        "extra": b"",
        "local_name": name,
    } | member.says
    common = (told["flags"], told["method"], 0, 0x21, told["crc"])
    local_name = told["local_name"]
    local = struct.pack(
        "<4s5H3L2H", b"PK\x03\x04", 20, *common, len(packed), min(told["size"], 2**32 - 1), len(local_name), 0
    )
    sizes, extra = (told["compressed"], told["size"], told["offset"]), told["extra"]
    if zip64:
        extra = struct.pack("<HHQQQ", 1, 24, told["size"], told["compressed"], told["offset"]) + extra
        sizes = (0xFFFFFFFF,) * 3
    central = struct.pack(
        "<4s6H3L5H2L",
        b"PK\x01\x02",
        member.made_by << 8 | 20,
        20,
        *common,
        *sizes[:2],
        len(name),
        len(extra),
        0,
        0,
        0,
        member.mode << 16,
        sizes[2],
    )
    return central + name + extra, local + local_name + packed
