"""A run file: sorted rows of several tables, as one Arrow IPC stream each, and a footer that says where each begins.

One file for all tables keeps the number of files small where there are thousands of shards. The footer is JSON, then
its length and ``MAGIC``. A file is written once and synced; its SHA-256 is in its name wherever it is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import msgspec
import pyarrow as pa

from lexport.dataset.local import sync_file, write_error
from lexport.dataset.manifest import NO_JSON
from lexport.errors import ReadError
from lexport.tables.registry import BY_NAME

MAGIC = b"LXRUN1"
_TAIL_BYTES = 8 + len(MAGIC)
_MOST_FOOTER_BYTES = 2**16
_BUFFER_BYTES = 2**20  # a file of some kilobytes is one write
_WRITE = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)  # buffers are small: handing over costs more
_READ = pa.ipc.IpcReadOptions(use_threads=False)
_NUMBERS = count()


class _Place(msgspec.Struct, frozen=True):
    """Where the rows of one table are: ``batches`` record batches in the stream that begins at ``offset``."""

    table: str
    offset: int
    batches: int
    rows: int


_PLACES = msgspec.json.Decoder(list[_Place])  # made once: see dataset/manifest.py


@dataclass(frozen=True, slots=True)
class Section:
    """The sorted rows of one table in one run file on this machine."""

    path: Path
    table: str
    offset: int
    batches: int
    rows: int

    def open(self) -> SectionReader:
        """Open it for reading, block by block; the caller closes the reader."""
        return SectionReader(self)

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """Yield the blocks in order."""
        with closing(self.open()) as reader:
            while reader.batches_left:
                yield reader.read()


class SectionReader:
    """Reads the blocks of a section in order; memory-mapped pages would count as this process's."""

    def __init__(self, section: Section) -> None:
        self.batches_left = section.batches
        self._file = pa.OSFile(str(section.path))
        self._file.seek(section.offset)
        self._stream = pa.ipc.open_stream(self._file, options=_READ)
        self.schema: pa.Schema = self._stream.schema

    def read(self) -> pa.RecordBatch:
        """Read the next block."""
        self.batches_left -= 1
        return self._stream.read_next_batch()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class RunFileWriter:
    """Writes one run file: ``begin`` a table, ``write`` its rows in blocks, and so on; ``close`` adds the footer.

    Blocking. The errors of Arrow and of the disk leave it as they are; see ``writing``.
    """

    def __init__(self, folder: Path, file_mode: int) -> None:
        self.path = folder / f"{next(_NUMBERS):06d}.run"
        self.path.touch()
        self.path.chmod(file_mode)  # whatever the umask
        self._file = pa.BufferedOutputStream(pa.OSFile(str(self.path), "wb"), _BUFFER_BYTES)
        self._places: list[_Place] = []
        self._stream: pa.ipc.RecordBatchStreamWriter | None = None

    def begin(self, table: str, schema: pa.Schema) -> None:
        """Begin the rows of one table."""
        self._end()
        self._places.append(_Place(table=table, offset=self._file.tell(), batches=0, rows=0))
        self._stream = pa.ipc.new_stream(self._file, schema, options=_WRITE)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write one block of the table that was begun last."""
        assert self._stream is not None
        self._stream.write_batch(batch)
        last = self._places[-1]
        self._places[-1] = _Place(last.table, last.offset, last.batches + 1, last.rows + len(batch))

    def _end(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> list[Section]:
        """Write the footer and sync the file; return what is in it."""
        self._end()
        footer = msgspec.json.encode(self._places)
        self._file.write(footer + len(footer).to_bytes(8, "big") + MAGIC)
        self._file.close()
        sync_file(self.path)
        return [_section(self.path, place) for place in self._places]

    def abandon(self) -> None:
        """Close the file after an error; it stays incomplete."""
        if not self._file.closed:
            self._file.close()


def _section(path: Path, place: _Place) -> Section:
    return Section(path, place.table, place.offset, place.batches, place.rows)


def read_sections(path: Path) -> list[Section]:
    """Return the sections of a finished run file. Raises ReadError where it is none. Blocking."""
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            file.seek(max(0, size_bytes - _TAIL_BYTES))
            tail = file.read()
            length = int.from_bytes(tail[:8], "big")
            if tail[8:] != MAGIC or not 0 < length <= min(_MOST_FOOTER_BYTES, size_bytes - _TAIL_BYTES):
                raise ReadError(f"{path} is no run file of this release", path=str(path))
            file.seek(size_bytes - _TAIL_BYTES - length)
            places = _PLACES.decode(file.read(length))
    except OSError as error:
        raise ReadError(f"cannot read {path}: {error.strerror or error}", path=str(path)) from error
    except NO_JSON as error:
        raise ReadError(f"{path} has a damaged footer: {error}", path=str(path)) from error
    if any(place.table not in BY_NAME or not 0 <= place.offset < size_bytes for place in places):
        raise ReadError(f"{path} has rows of a table that this release does not know", path=str(path))
    return [_section(path, place) for place in places]


def hash_run_file(path: Path) -> str:
    """Return the SHA-256 of a run file in hex; raises WriteError where it cannot be read back. Blocking."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise write_error(path, error) from error
