"""The footer of a run file, which says where the rows of each table begin; runs.py writes and reads the rows.

One file for all tables keeps the number of files small where there are thousands of shards. The footer is JSON, then
its length and ``MAGIC``. A file is written once and synced; its SHA-256 is in its name wherever it is kept.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from lexport.dataset.local import hash_file, write_error
from lexport.dataset.manifest import NO_JSON
from lexport.errors import ReadError
from lexport.tables.registry import BY_NAME

MAGIC = b"LXRUN1"
_TAIL_BYTES = 8 + len(MAGIC)
_MOST_FOOTER_BYTES = 2**16


class Place(msgspec.Struct, frozen=True):
    """Where the rows of one table are: ``batches`` record batches in the stream that begins at ``offset``."""

    table: str
    offset: int
    batches: int
    rows: int


_PLACES = msgspec.json.Decoder(list[Place])  # made once: see dataset/manifest.py


def read_places(path: Path) -> list[Place]:
    """Read the footer of a finished run file. Raises ReadError where it is none. Blocking."""
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
    return places


def hash_run_file(path: Path) -> str:
    """Return the SHA-256 of a run file in hex; raises WriteError where it cannot be read back. Blocking."""
    try:
        return hash_file(path)
    except OSError as error:
        raise write_error(path, error) from error
