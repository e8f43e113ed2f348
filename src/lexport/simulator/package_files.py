"""Deployment packages, which hold manifests of libraries: deterministic ZIP files of 1 to 4 KB, or if wanted larger.

They are written here and not compressed: every GetFunction response has the true hash of its package, so a package must
cost microseconds. A large package begins with a member that all packages of its size share, and ends with its own
members. So the hash of the beginning is computed once per size, and no package is in memory as a whole.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from lexport.simulator.package_manifests import MAIN_FILES, PROGRAM, SETS, kind_of, manifests
from lexport.simulator.seeded_choices import SeededChoices

_DOS_TIME, _DOS_DATE = 0, 0x0021  # 1980-01-01, the earliest date in a ZIP file
_FILE_MODE, _PROGRAM_MODE = 0o100644 << 16, 0o100755 << 16
_FILLER_NAME = "assets.bin"
_PATTERN = hashlib.shake_128(b"lexport simulator").digest(256 * 1024)
_SIZES = (
    (500, (0,)),
    (800, (16_000, 32_000, 64_000, 128_000, 256_000)),
    (950, (512_000, 1_000_000, 2_000_000, 4_000_000)),
    (998, (8_000_000, 16_000_000, 32_000_000, 50_000_000)),
    (1000, (250_000_000,)),
)
"""Sizes of the filler by rank among a thousand packages: half are small, two have the size of Lambda's limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One deployment package: ``head``, ``filler_bytes`` of filler, ``tail``; and Lambda's hash and size of it."""

    head: bytes = field(repr=False)
    filler_bytes: int
    tail: bytes = field(repr=False)
    code_sha256: str
    code_size: int

    @property
    def body(self) -> bytes:
        """All bytes of a small package."""
        return b"".join(self.parts(0, self.code_size))

    def parts(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to ``stop``, at most 256 KiB at a time."""
        at = start
        behind = len(self.head) + self.filler_bytes
        while at < stop:
            if at < len(self.head):
                part = self.head[at:stop]
            elif at < behind:
                offset = (at - len(self.head)) % len(_PATTERN)
                part = _PATTERN[offset : offset + min(stop, behind) - at]
            else:
                part = self.tail[at - behind : stop - behind]
            at += len(part)
            yield part


def full_key(seed: int, key: str, runtime: str | None = None, *, is_large: bool = False) -> str:
    """Return a key that includes the kind of libraries in the package, and if ``is_large`` a realistic size."""
    filler, kind = _filler_bytes(seed, key) if is_large else 0, kind_of(runtime)
    return f"{key}#{filler}#{kind}" if filler or kind else key


def _filler_bytes(seed: int, key: str) -> int:
    choices = SeededChoices("size", seed, key)
    turn = choices.pick(1000)
    return choices.choose(next(sizes for below, sizes in _SIZES if turn < below))


@lru_cache(maxsize=2048)
def package(seed: int, key: str) -> Package:
    """Build the package of a key."""
    entropy = hashlib.shake_128(f"{seed}/{key}".encode()).hexdigest(1400)
    _, filler, kind, *_ = f"{key}##".split("#")
    length = 600 + int(entropy[:3], 16) // 4 if kind else 700 + int(entropy[:3], 16) // 2
    main, mark, code = MAIN_FILES.get(kind, MAIN_FILES["python"])
    lines = [f"{mark} {key}", code, *(f"{mark} {entropy[start : start + 100]}" for start in range(0, length, 100))]
    files = {main: "\n".join(lines).encode(), "VERSION": entropy[:16].encode()}
    files |= manifests(kind, int(entropy[3:5], 16) % SETS)
    filler_bytes = int(filler or 0)
    if filler_bytes:
        head, crc, digest = _beginning(filler_bytes)
        digest = digest.copy()
        entry = _entry(_FILLER_NAME, crc, filler_bytes)
        tail = _zip(files, offset=len(head) + filler_bytes, central=_central(entry, _FILLER_NAME, 0))
    else:
        head, digest, tail = b"", hashlib.sha256(), _zip(files)
    digest.update(tail)
    return Package(
        head=head,
        filler_bytes=filler_bytes,
        tail=tail,
        code_sha256=base64.b64encode(digest.digest()).decode(),
        code_size=len(head) + filler_bytes + len(tail),
    )


@lru_cache
def _beginning(filler_bytes: int) -> tuple[bytes, int, hashlib._Hash]:
    """Return the local header of the filler, its CRC, and the hash up to its end. All sizes together take a second."""
    crc, left = 0, filler_bytes
    while left:
        part = _PATTERN[:left]
        crc, left = zlib.crc32(part, crc), left - len(part)
    head = b"PK\x03\x04" + _entry(_FILLER_NAME, crc, filler_bytes) + _FILLER_NAME.encode()
    digest, left = hashlib.sha256(head), filler_bytes
    while left:
        part = _PATTERN[:left]
        digest.update(part)
        left -= len(part)
    return head, crc, digest


def _zip(files: dict[str, bytes], *, offset: int = 0, central: bytes = b"") -> bytes:
    """Build the end of a ZIP file: its last members, uncompressed, and the central directory.

    Layout: PKWARE APPNOTE 4.3.7, 4.3.12, 4.3.16.
    ``offset`` is the length of the part before them, ``central`` its part of the central directory.
    """
    local, directory = bytearray(), bytearray(central)
    for name, data in files.items():
        entry = _entry(name, zlib.crc32(data), len(data))
        directory += _central(entry, name, offset + len(local))
        local += b"PK\x03\x04" + entry + name.encode() + data
    count = len(files) + bool(central)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), offset + len(local), 0)
    return bytes(local + directory + b"PK\x05\x06" + end)


def _entry(name: str, crc: int, size: int) -> bytes:
    return struct.pack("<HHHHHIIIHH", 20, 0, 0, _DOS_TIME, _DOS_DATE, crc, size, size, len(name.encode()), 0)


def _central(entry: bytes, name: str, offset: int) -> bytes:
    head = b"PK\x01\x02" + struct.pack("<H", 0x0314) + entry
    mode = _PROGRAM_MODE if name == PROGRAM else _FILE_MODE
    return head + struct.pack("<HHHII", 0, 0, 0, mode, offset) + name.encode()
