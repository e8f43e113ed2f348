"""Package key -> the bytes of a real zip, deterministic, 1 to 4 KB.

Written by hand and without compression: every answer has to tell the true hash, so a package must cost microseconds.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from dataclasses import dataclass, field
from functools import lru_cache

_DOS_TIME, _DOS_DATE = 0, 0x0021  # 1980-01-01, the earliest that a zip can say
_FILE_MODE = 0o100644 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One deployment package: its bytes, and what Lambda says of them."""

    body: bytes = field(repr=False)
    code_sha256: str
    code_size: int


@lru_cache(maxsize=2048)
def package(seed: int, key: str) -> Package:
    """Make the package of a key."""
    entropy = hashlib.shake_128(f"{seed}/{key}".encode()).hexdigest(1400)
    length = 700 + int(entropy[:3], 16) // 2
    lines = [f"# {key}", "def handler(event, context):", "    return event", ""]
    lines += [f"# {entropy[start : start + 100]}" for start in range(0, length, 100)]
    body = _zip({"handler.py": "\n".join(lines).encode(), "VERSION": entropy[:16].encode()})
    digest = hashlib.sha256(body).digest()
    return Package(body=body, code_sha256=base64.b64encode(digest).decode(), code_size=len(body))


def _zip(files: dict[str, bytes]) -> bytes:
    """Write a zip of stored entries. Layout: PKWARE APPNOTE 4.3.7, 4.3.12, 4.3.16."""
    local, central = bytearray(), bytearray()
    for name, data in files.items():
        offset, encoded = len(local), name.encode()
        common = struct.pack(
            "<HHHHHIIIHH", 20, 0, 0, _DOS_TIME, _DOS_DATE, zlib.crc32(data), len(data), len(data), len(encoded), 0
        )
        local += b"PK\x03\x04" + common + encoded + data
        central += b"PK\x01\x02" + struct.pack("<H", 0x0314) + common
        central += struct.pack("<HHHII", 0, 0, 0, _FILE_MODE, offset) + encoded
    end = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(central), len(local), 0)
    return bytes(local + central + b"PK\x05\x06" + end)
