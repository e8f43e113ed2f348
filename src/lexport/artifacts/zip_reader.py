"""Reads untrusted ZIP files: the entries of the directory one by one, and the bytes of selected members.

The reader of the standard library is not used: it loads the whole directory, trusts its counts, and sees overlaps late
or never. This one streams the directory, inflates within limits and never writes to disk. A fault becomes an
``ArchiveError``, or a problem of the budget where reading can go on. Source: PKWARE APPNOTE 6.3.10, sections 4.3-4.5.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from lexport.artifacts.archive_limits import MIB, ArchiveBudget
from lexport.errors import ArchiveError
from lexport.tables.text import plural


class ByteSource(Protocol):
    """Bytes with random access. Reads past the end return fewer bytes, or none."""

    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """Return at most ``length`` bytes."""
        ...


class FileSource:
    """An open file, read with ``pread``."""

    def __init__(self, descriptor: int) -> None:
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor

    def read_at(self, offset: int, length: int) -> bytes:
        """Return at most ``length`` bytes."""
        return os.pread(self._descriptor, length, offset)


class MemorySource:
    """Bytes in memory, e.g. an inflated jar."""

    def __init__(self, body: bytes | bytearray) -> None:
        self.size = len(body)
        self._body = body

    def read_at(self, offset: int, length: int) -> bytes:
        """Return at most ``length`` bytes."""
        return bytes(self._body[offset : offset + length])


class SourceRange:
    """A range of another source, e.g. a jar that is stored uncompressed."""

    def __init__(self, source: ByteSource, start: int, size: int) -> None:
        self.size = size
        self._source = source
        self._start = start

    def read_at(self, offset: int, length: int) -> bytes:
        """Return at most ``length`` bytes."""
        return self._source.read_at(self._start + offset, min(length, max(0, self.size - offset)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the directory, as it is declared there. ``offset`` is where the member's own header should be.

    A size that does not fit a signed 64-bit integer is None.
    """

    path: str
    size_bytes: int | None
    compressed_bytes: int | None
    crc32: int
    method: int
    offset: int
    is_encrypted: bool
    is_executable: bool


_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_COMMENT_BYTES = 0xFFFF
_READ_BYTES = 64 * 1024
_INFLATED_CHUNK_BYTES = 256 * 1024
_RATIO_MIN_BYTES = MIB  # below this size the ratio proves nothing: a page of blanks is no bomb
_BOMB_MIN_BYTES = 16 * MIB  # declared sizes below this are harmless
_STORED, _DEFLATED = 0, 8
_UTF8_NAME, _ENCRYPTED = 0x0800, 0x0001 | 0x0040 | 0x2000
_UNIX = 3
_MAX32, _MAX16, _MAX_INT64 = 0xFFFF_FFFF, 0xFFFF, 2**63 - 1


class Archive:
    """One ZIP file. Read ``entries()`` to the end first: only then are overlaps known.

    ``title`` is put before the names in problems, e.g. ``lib/x.jar!/`` for a jar inside the package.
    """

    def __init__(self, source: ByteSource, budget: ArchiveBudget, *, title: str = "") -> None:
        self._source = source
        self._budget = budget
        self._title = title
        self._start, self._directory_bytes, self._count, self._shift = self._find_directory()
        if self._directory_bytes > budget.limits.directory_bytes:
            raise ArchiveError(
                f"a directory of {self._directory_bytes:,} bytes, more than {budget.limits.directory_bytes:,}",
                code="too_many_entries",
            )

    def entries(self) -> Iterator[Entry]:
        """Yield every entry in the order of the directory, without folders, and report problems.

        Raises ArchiveError where the directory is damaged.
        """
        starts, ends, count = array("Q"), array("Q"), 0
        declared_bytes = 0
        try:
            for entry, min_end in self._directory_entries():
                self._budget.spend_entry()
                count += 1
                starts.append(entry.offset)
                ends.append(min_end)
                declared_bytes += entry.size_bytes or 0
                if not (entry.path.endswith("/") and not entry.size_bytes):
                    yield entry
        finally:
            self._report_overlaps(starts, ends)
            if declared_bytes > self._budget.limits.declared_bytes:
                self._report("bomb", f"its entries claim {declared_bytes:,} bytes unpacked")
        if count != self._count and count % (_MAX16 + 1) != self._count:  # some writers of big zips count modulo 65,536
            self._report(
                "wrong_count", f"its directory holds {plural(count, 'entry', 'entries')} and says {self._count:,}"
            )

    def read(self, entry: Entry, *, max_bytes: int) -> bytearray:
        """Return a whole member of at most ``max_bytes`` after checking its checksum; raises ArchiveError."""
        if entry.size_bytes is None or entry.size_bytes > max_bytes:
            raise ArchiveError(f"{entry.size_bytes} bytes, more than the {max_bytes:,} that are read", code="too_large")
        body = bytearray()
        for chunk in self.chunks(entry):
            body += chunk
        return body

    def read_head(self, entry: Entry, *, max_bytes: int) -> bytes:
        """Return the first bytes of a member; the checksum is checked only if these are all of its bytes."""
        head = bytearray()
        for chunk in self.chunks(entry):
            head += chunk
            if len(head) >= max_bytes:
                break
        return bytes(head[:max_bytes])

    def stored_range(self, entry: Entry) -> ByteSource | None:
        """Return an uncompressed member without reading it; None where it has to be inflated."""
        if entry.method != _STORED or entry.is_encrypted or entry.size_bytes != entry.compressed_bytes:
            return None
        start, size = self._locate(entry)
        return SourceRange(self._source, start, size)

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield the bytes of a member in chunks, never more than declared; raises ArchiveError."""
        if entry.is_encrypted:
            raise ArchiveError("encrypted", code="encrypted")
        if entry.method not in (_STORED, _DEFLATED):
            raise ArchiveError(f"packed by method {entry.method}, not by deflate", code="unknown_method")
        start, size = self._locate(entry)
        crc = produced = 0
        for chunk, bytes_read in (self._stored if entry.method == _STORED else self._inflated)(start, size):
            self._budget.spend_inflated(len(chunk))
            crc = zlib.crc32(chunk, crc)
            produced += len(chunk)
            if produced > (entry.size_bytes or 0):
                raise ArchiveError(f"holds more than the {entry.size_bytes} bytes it claims", code="bomb")
            if produced > _RATIO_MIN_BYTES and produced > bytes_read * self._budget.limits.ratio:
                raise ArchiveError(f"unpacks to over {self._budget.limits.ratio} times its size", code="bomb")
            yield chunk
        if produced != entry.size_bytes or crc != entry.crc32:
            raise ArchiveError("not what the directory says", code="damaged_entry")

    def _find_directory(self) -> tuple[int, int, int, int]:
        size = self._source.size
        tail_start = max(0, size - _COMMENT_BYTES - _END.size)
        tail = self._source.read_at(tail_start, _COMMENT_BYTES + _END.size)
        end_at = tail.rfind(b"PK\x05\x06", 0, max(0, len(tail) - _END.size + 4))
        if end_at < 0:
            if self._source.read_at(0, 4) == b"PK\x03\x04":
                raise ArchiveError("its end is missing", code="truncated")
            raise ArchiveError("not a zip", code="not_a_zip")
        end = tail_start + end_at
        _, disk, first_disk, _, count, length, offset, _ = _END.unpack_from(tail, end_at)
        if _MAX16 in (count, disk) or _MAX32 in (length, offset):
            end64 = self._find_end64(end)
            if end64 is not None:
                end, disk, first_disk, count, length, offset = end64
        if disk or first_disk:
            raise ArchiveError("one part of a zip in several parts", code="truncated")
        start = end - length
        if start < offset:
            raise ArchiveError(
                f"its directory of {length:,} bytes cannot begin at {offset:,} and end at {end:,}", code="truncated"
            )
        return start, length, count, start - offset

    def _find_end64(self, end: int) -> tuple[int, int, int, int, int, int] | None:
        at = end - _END64_LOCATOR.size
        raw = self._source.read_at(at, _END64_LOCATOR.size) if at >= 0 else b""
        if len(raw) < _END64_LOCATOR.size or not raw.startswith(b"PK\x06\x07"):
            return None
        declared: int = _END64_LOCATOR.unpack(raw)[2]
        for position in (declared, at - _END64.size):  # the second applies where bytes were put before the archive
            raw = self._source.read_at(position, _END64.size) if 0 <= position <= self._source.size else b""
            if len(raw) == _END64.size and raw.startswith(b"PK\x06\x06"):
                _, _, _, _, disk, first_disk, _, count, length, offset = _END64.unpack(raw)
                return position, disk, first_disk, count, length, offset
        raise ArchiveError("the 64-bit end of its directory is missing", code="truncated")

    def _directory_entries(self) -> Iterator[tuple[Entry, int]]:
        """Yield each entry with the lowest position at which its member can end."""
        position, end = self._start, self._start + self._directory_bytes
        buffer, at = b"", 0
        while position < end:
            if len(buffer) - at < _CENTRAL.size + 3 * _COMMENT_BYTES:  # the longest possible entry
                unread = len(buffer) - at
                more = self._source.read_at(position + unread, min(end - position - unread, 4 * _READ_BYTES))
                buffer, at = buffer[at:] + more, 0
            if len(buffer) - at < _CENTRAL.size or not buffer.startswith(b"PK\x01\x02", at):
                raise ArchiveError(f"its directory breaks off at byte {position:,}", code="damaged_directory")
            fields = _CENTRAL.unpack_from(buffer, at)
            name_bytes, extra_bytes, comment_bytes = fields[10:13]
            length = _CENTRAL.size + name_bytes + extra_bytes + comment_bytes
            if len(buffer) - at < length:
                raise ArchiveError(f"its directory breaks off at byte {position:,}", code="damaged_directory")
            name_end = at + _CENTRAL.size + name_bytes
            yield self._entry(fields, buffer[at + _CENTRAL.size : name_end], buffer[name_end : name_end + extra_bytes])
            at += length
            position += length

    def _entry(self, fields: tuple[int, ...], raw_name: bytes, extra: bytes) -> tuple[Entry, int]:
        _, made_by, _, flags, method, _, _, crc, compressed, size, _, _, _, _, _, attributes, offset = fields
        path = _decode(raw_name, flags)
        title = self._title + path[:200]
        if _MAX32 in (size, compressed, offset):
            size, compressed, offset = _zip64_values(extra, size, compressed, offset)
        offset += self._shift
        mode = attributes >> 16 if made_by >> 8 == _UNIX else 0
        if not path or "\0" in path or len(path) > self._budget.limits.name_characters:
            self._report("bad_name", f"{title!r} is no name of a file")
            path = path.replace("\0", "\N{REPLACEMENT CHARACTER}")[: self._budget.limits.name_characters]
        if _leads_out(path):
            self._report("traversal_name", f"{title!r} leads out of its folder")
        if stat.S_ISLNK(mode):
            self._report("symlink", f"{title!r} is a symbolic link")
        if flags & _ENCRYPTED:
            self._report("encrypted", f"{title!r} is encrypted")
        if size > _BOMB_MIN_BYTES and size > compressed * self._budget.limits.ratio:
            self._report("bomb", f"{title!r} claims to unpack from {compressed:,} to {size:,} bytes")
        min_end = offset + _LOCAL.size + len(raw_name) + compressed
        if min_end > self._start:
            self._report("truncated", f"{title!r} claims to end after byte {self._start:,}, where the directory begins")
        entry = Entry(
            path=path,
            size_bytes=size if size <= _MAX_INT64 else None,
            compressed_bytes=compressed if compressed <= _MAX_INT64 else None,
            crc32=crc,
            method=method,
            offset=min(offset, _MAX_INT64),
            is_encrypted=bool(flags & _ENCRYPTED),
            is_executable=bool(mode & 0o111) or not mode,
        )
        return entry, min(min_end, _MAX_INT64)

    def _report_overlaps(self, starts: array[int], ends: array[int]) -> None:
        """Report entries that share bytes: a few bytes could otherwise be declared as any number of members."""
        furthest = -1
        overlapping = 0
        for index in sorted(range(len(starts)), key=starts.__getitem__):
            overlapping += starts[index] < furthest
            furthest = max(furthest, ends[index])
        if overlapping:
            self._report("overlapping", f"{overlapping:,} of its entries lie over others")

    def _locate(self, entry: Entry) -> tuple[int, int]:
        raw = self._source.read_at(entry.offset, _LOCAL.size) if entry.offset < self._source.size else b""
        if len(raw) < _LOCAL.size or not raw.startswith(b"PK\x03\x04"):
            raise ArchiveError("not where the directory says", code="damaged_entry")
        _, _, flags, *_, name_bytes, extra_bytes = _LOCAL.unpack(raw)
        name = _decode(self._source.read_at(entry.offset + _LOCAL.size, name_bytes), flags)
        if name.replace("\0", "\N{REPLACEMENT CHARACTER}")[: self._budget.limits.name_characters] != entry.path:
            raise ArchiveError("has another name in its own header", code="damaged_entry")
        start = entry.offset + _LOCAL.size + name_bytes + extra_bytes
        if entry.compressed_bytes is None or start + entry.compressed_bytes > self._start:
            raise ArchiveError("cut off", code="truncated")
        return start, entry.compressed_bytes

    def _stored(self, start: int, size: int) -> Iterator[tuple[bytes, int]]:
        """Yield a member's bytes as stored, each chunk with the number of bytes read so far."""
        bytes_read = 0
        while bytes_read < size:
            chunk = self._source.read_at(start + bytes_read, min(_READ_BYTES, size - bytes_read))
            if not chunk:
                raise ArchiveError("cut off", code="truncated")
            bytes_read += len(chunk)
            yield chunk, bytes_read

    def _inflated(self, start: int, size: int) -> Iterator[tuple[bytes, int]]:
        """Yield a member's bytes inflated, each chunk with the number of compressed bytes read so far."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for compressed, bytes_read in self._stored(start, size):
                pending, has_more = compressed, True
                while has_more and not inflater.eof:
                    chunk = inflater.decompress(pending, _INFLATED_CHUNK_BYTES)
                    pending = inflater.unconsumed_tail
                    has_more = bool(pending) or len(chunk) == _INFLATED_CHUNK_BYTES  # zlib may hold output back
                    yield chunk, bytes_read
        except zlib.error as error:
            raise ArchiveError("cannot be inflated", code="damaged_entry") from error

    def _report(self, code: str, text: str) -> None:
        self._budget.report(code, text if text.startswith(("'", '"')) else f"{self._title or 'the package'}: {text}")


def _decode(raw: bytes, flags: int) -> str:
    """Decode a name: as UTF-8 where it is flagged or valid as such, else as the code page of DOS."""
    if raw.isascii() or flags & _UTF8_NAME:
        return raw.decode("utf-8", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _zip64_values(extra: bytes, size: int, compressed: int, offset: int) -> tuple[int, int, int]:
    """Return 64-bit values from the extra field 1 for those that do not fit into 32 bits (APPNOTE 4.5.3)."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            values = [value for (value,) in struct.iter_unpack("<Q", extra[at + 4 :][: length // 8 * 8])]
            return (
                values.pop(0) if size == _MAX32 and values else size,
                values.pop(0) if compressed == _MAX32 and values else compressed,
                values.pop(0) if offset == _MAX32 and values else offset,
            )
        at += 4 + length
    return size, compressed, offset


def _leads_out(path: str) -> bool:
    """Return whether a careless unpacker would write outside its folder, on any system."""
    return path[:1] in ("/", "\\") or path[1:2] == ":" or (".." in path and ".." in re.split(r"[/\\]", path))
