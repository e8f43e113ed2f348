"""Zip -> its entries one by one, and the bytes of chosen members, for files that nobody vouches for.

Own code, because the standard library's reader loads the whole directory, believes its counts and sees no overlap. This
one reads the directory as a stream, inflates within limits and never writes. What is wrong becomes an ``ArchiveError``,
or a note where the reading can go on. Source: PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5.
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

from lexport.artifacts.archive_limits import MIB, Budget
from lexport.errors import ArchiveError
from lexport.tables.text import plural


class Source(Protocol):
    """Bytes that can be read at any place; past the end there are none."""

    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """Read at most so many bytes."""
        ...


class FileSource:
    """An open file, read by position."""

    def __init__(self, descriptor: int) -> None:
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor

    def read_at(self, offset: int, length: int) -> bytes:
        """Read at most so many bytes."""
        return os.pread(self._descriptor, length, offset)


class MemorySource:
    """Bytes in memory: a jar that was inflated."""

    def __init__(self, body: bytes | bytearray) -> None:
        self.size = len(body)
        self._body = body

    def read_at(self, offset: int, length: int) -> bytes:
        """Read at most so many bytes."""
        return bytes(self._body[offset : offset + length])


class Window:
    """A part of another source: a jar that was stored as it is."""

    def __init__(self, source: Source, start: int, size: int) -> None:
        self.size = size
        self._source = source
        self._start = start

    def read_at(self, offset: int, length: int) -> bytes:
        """Read at most so many bytes."""
        return self._source.read_at(self._start + offset, min(length, max(0, self.size - offset)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the directory: claims, all of them. ``offset`` is where the member's own header should be.

    A size that no 64-bit column holds is None.
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
_INFLATED_AT_ONCE = 256 * 1024
_RATIO_FROM = MIB  # below it a ratio says nothing: a page of blanks is no bomb
_BOMB_FROM = 16 * MIB  # as a claim in the directory: less than that hurts nobody
_STORED, _DEFLATED = 0, 8
_UTF8_NAME, _ENCRYPTED = 0x0800, 0x0001 | 0x0040 | 0x2000
_UNIX = 3
_MAX32, _MAX16, _MAX_INT64 = 0xFFFF_FFFF, 0xFFFF, 2**63 - 1


class Archive:
    """One zip. Read ``entries()`` to their end first: only then is known what overlaps.

    ``title`` stands before the names in notes: ``lib/x.jar!/`` for a jar in the package.
    """

    def __init__(self, source: Source, budget: Budget, *, title: str = "") -> None:
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
        """Yield every entry as the directory has it; note what is wrong with it. Raises ArchiveError where it breaks.

        Order: the directory's. Loses: folders, which hold nothing.
        """
        starts, ends, found = array("Q"), array("Q"), 0
        claimed = 0
        try:
            for entry, least_end in self._walk():
                self._budget.spend_entry()
                found += 1
                starts.append(entry.offset)
                ends.append(least_end)
                claimed += entry.size_bytes or 0
                if not (entry.path.endswith("/") and not entry.size_bytes):
                    yield entry
        finally:
            self._note_overlaps(starts, ends)
            if claimed > self._budget.limits.declared_bytes:
                self._note("bomb", f"its entries claim {claimed:,} bytes unpacked")
        if found != self._count and found % (_MAX16 + 1) != self._count:  # some writers of big zips count modulo 65,536
            self._note(
                "wrong_count", f"its directory holds {plural(found, 'entry', 'entries')} and says {self._count:,}"
            )

    def read(self, entry: Entry, *, most: int) -> bytearray:
        """Return a whole member of at most so many bytes, its checksum proven; raises ArchiveError."""
        if entry.size_bytes is None or entry.size_bytes > most:
            raise ArchiveError(f"{entry.size_bytes} bytes, more than the {most:,} that are read", code="too_large")
        body = bytearray()
        for chunk in self.chunks(entry):
            body += chunk
        return body

    def read_head(self, entry: Entry, *, most: int) -> bytes:
        """Return the first bytes of a member; the checksum is proven only if that is all of it."""
        head = bytearray()
        for chunk in self.chunks(entry):
            head += chunk
            if len(head) >= most:
                break
        return bytes(head[:most])

    def window(self, entry: Entry) -> Source | None:
        """Return a member that was stored as it is, without reading it; None where it has to be inflated."""
        if entry.method != _STORED or entry.is_encrypted or entry.size_bytes != entry.compressed_bytes:
            return None
        start, size = self._place(entry)
        return Window(self._source, start, size)

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield the bytes of a member in pieces, never more than it claims; raises ArchiveError."""
        if entry.is_encrypted:
            raise ArchiveError("encrypted", code="encrypted")
        if entry.method not in (_STORED, _DEFLATED):
            raise ArchiveError(f"packed by method {entry.method}, not by deflate", code="unknown_method")
        start, size = self._place(entry)
        crc = produced = 0
        for chunk, taken in (self._stored if entry.method == _STORED else self._inflated)(start, size):
            self._budget.spend_inflated(len(chunk))
            crc = zlib.crc32(chunk, crc)
            produced += len(chunk)
            if produced > (entry.size_bytes or 0):
                raise ArchiveError(f"holds more than the {entry.size_bytes} bytes it claims", code="bomb")
            if produced > _RATIO_FROM and produced > taken * self._budget.limits.ratio:
                raise ArchiveError(f"unpacks to over {self._budget.limits.ratio} times its size", code="bomb")
            yield chunk
        if produced != entry.size_bytes or crc != entry.crc32:
            raise ArchiveError("not what the directory says", code="damaged_entry")

    # --- the directory ------------------------------------------------------------------------------------------------

    def _find_directory(self) -> tuple[int, int, int, int]:
        """Return start, size and claimed count of the directory, and by how much all offsets are shifted."""
        size = self._source.size
        tail_start = max(0, size - _COMMENT_BYTES - _END.size)
        tail = self._source.read_at(tail_start, _COMMENT_BYTES + _END.size)
        place = tail.rfind(b"PK\x05\x06", 0, max(0, len(tail) - _END.size + 4))
        if place < 0:
            if self._source.read_at(0, 4) == b"PK\x03\x04":
                raise ArchiveError("its end is missing", code="truncated")
            raise ArchiveError("not a zip", code="not_a_zip")
        end = tail_start + place
        _, disk, first_disk, _, count, length, offset, _ = _END.unpack_from(tail, place)
        if _MAX16 in (count, disk) or _MAX32 in (length, offset):
            found = self._find_end64(end)
            if found is not None:
                end, disk, first_disk, count, length, offset = found
        if disk or first_disk:
            raise ArchiveError("one part of a zip in several parts", code="truncated")
        start = end - length
        if start < offset:
            raise ArchiveError(
                f"its directory of {length:,} bytes cannot begin at {offset:,} and end at {end:,}", code="truncated"
            )
        return start, length, count, start - offset

    def _find_end64(self, end: int) -> tuple[int, int, int, int, int, int] | None:
        """Read the 64-bit end of the directory, if there is one."""
        at = end - _END64_LOCATOR.size
        raw = self._source.read_at(at, _END64_LOCATOR.size) if at >= 0 else b""
        if len(raw) < _END64_LOCATOR.size or not raw.startswith(b"PK\x06\x07"):
            return None
        told: int = _END64_LOCATOR.unpack(raw)[2]
        for place in (told, at - _END64.size):  # where it is told to be; else where it is when bytes were put before
            raw = self._source.read_at(place, _END64.size) if 0 <= place <= self._source.size else b""
            if len(raw) == _END64.size and raw.startswith(b"PK\x06\x06"):
                _, _, _, _, disk, first_disk, _, count, length, offset = _END64.unpack(raw)
                return place, disk, first_disk, count, length, offset
        raise ArchiveError("the 64-bit end of its directory is missing", code="truncated")

    def _walk(self) -> Iterator[tuple[Entry, int]]:
        """Yield entries, and where each must end at the earliest."""
        position, end = self._start, self._start + self._directory_bytes
        buffer, at = b"", 0
        while position < end:
            if len(buffer) - at < _CENTRAL.size + 3 * _COMMENT_BYTES:  # the longest entry there can be
                have = len(buffer) - at
                more = self._source.read_at(position + have, min(end - position - have, 4 * _READ_BYTES))
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
            size, compressed, offset = _wide(extra, size, compressed, offset)
        offset += self._shift
        mode = attributes >> 16 if made_by >> 8 == _UNIX else 0
        if not path or "\0" in path or len(path) > self._budget.limits.name_characters:
            self._note("bad_name", f"{title!r} is no name of a file")
            path = path.replace("\0", "\N{REPLACEMENT CHARACTER}")[: self._budget.limits.name_characters]
        if _leads_out(path):
            self._note("traversal_name", f"{title!r} leads out of its folder")
        if stat.S_ISLNK(mode):
            self._note("symlink", f"{title!r} is a symbolic link")
        if flags & _ENCRYPTED:
            self._note("encrypted", f"{title!r} is encrypted")
        if size > _BOMB_FROM and size > compressed * self._budget.limits.ratio:
            self._note("bomb", f"{title!r} claims to unpack from {compressed:,} to {size:,} bytes")
        least_end = offset + _LOCAL.size + len(raw_name) + compressed
        if least_end > self._start:
            self._note("truncated", f"{title!r} is said to end after byte {self._start:,}, where the directory begins")
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
        return entry, min(least_end, _MAX_INT64)

    def _note_overlaps(self, starts: array[int], ends: array[int]) -> None:
        """Note entries that share bytes: a few bytes can then claim to be any number of members."""
        furthest = -1
        overlapping = 0
        for index in sorted(range(len(starts)), key=starts.__getitem__):
            overlapping += starts[index] < furthest
            furthest = max(furthest, ends[index])
        if overlapping:
            self._note("overlapping", f"{overlapping:,} of its entries lie over others")

    # --- members ------------------------------------------------------------------------------------------------------

    def _place(self, entry: Entry) -> tuple[int, int]:
        """Return where a member's bytes begin and how many there are; raises ArchiveError."""
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
        """Yield a member's bytes as they are, and how many were taken so far."""
        taken = 0
        while taken < size:
            chunk = self._source.read_at(start + taken, min(_READ_BYTES, size - taken))
            if not chunk:
                raise ArchiveError("cut off", code="truncated")
            taken += len(chunk)
            yield chunk, taken

    def _inflated(self, start: int, size: int) -> Iterator[tuple[bytes, int]]:
        """Yield a member's bytes inflated, and how many packed ones were taken so far."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for packed, taken in self._stored(start, size):
                waiting, is_more = packed, True
                while is_more and not inflater.eof:
                    chunk = inflater.decompress(waiting, _INFLATED_AT_ONCE)
                    waiting = inflater.unconsumed_tail
                    is_more = bool(waiting) or len(chunk) == _INFLATED_AT_ONCE  # output can wait without input
                    yield chunk, taken
        except zlib.error as error:
            raise ArchiveError("cannot be inflated", code="damaged_entry") from error

    def _note(self, code: str, text: str) -> None:
        self._budget.note(code, text if text.startswith(("'", '"')) else f"{self._title or 'the package'}: {text}")


def _decode(raw: bytes, flags: int) -> str:
    """Read a name: UTF-8 where that is said or fits, else the code page of DOS."""
    if raw.isascii() or flags & _UTF8_NAME:
        return raw.decode("utf-8", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _wide(extra: bytes, size: int, compressed: int, offset: int) -> tuple[int, int, int]:
    """Take 64-bit values from the extra field 1, in the order of those that did not fit (APPNOTE 4.5.3)."""
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
    """Tell whether a careless unpacker would write outside its folder, on any system."""
    return path[:1] in ("/", "\\") or path[1:2] == ":" or (".." in path and ".." in re.split(r"[/\\]", path))
