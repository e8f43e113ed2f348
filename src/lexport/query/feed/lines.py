"""A feed as JSON lines, one record each. Blocking."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa

from lexport.query.feed.description import head, scope_record, table_schemas, totals
from lexport.query.feed.files import Compression
from lexport.query.feed.part import Action, FeedPart
from lexport.query.feed.prepare import Feed
from lexport.query.row_values import arrow_rows
from lexport.query.value_text import json_text
from lexport.tables.registry import SCHEMA_VERSION


@dataclass(slots=True)
class _Written:
    """The lines of one table and action: their number, and the hash of their bytes."""

    rows: int = 0
    sha256: Any = field(default_factory=hashlib.sha256)


@contextmanager
def open_lines(stream: BinaryIO, compress: Compression | None) -> Iterator[BinaryIO]:
    """Return the stream for JSON lines: this one, or one that compresses what it writes into it."""
    if compress is None:
        yield stream
        return
    with pa.CompressedOutputStream(pa.PythonFile(_KeptOpen(stream), "w"), compress) as compressed:
        yield compressed


class _KeptOpen(io.RawIOBase):
    """Writes into a stream, which stays open when this is closed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._stream.write(data)


def write_lines(feed: Feed, stream: BinaryIO) -> dict[str, int]:
    """Write a feed as JSON lines; return the numbers of ``upserts`` and ``deletes``.

    The records are ``feed``, ``schema`` for each table, ``scope`` for each account-region with news, ``delete`` and
    ``upsert`` for each row, and ``end``, without which the lines were cut off. A value that is NULL is left out.
    """

    def write(**record: object) -> None:
        stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")

    write(type="feed", **head(feed))
    for table in table_schemas():
        write(type="schema", schema_version=SCHEMA_VERSION, **table)
    for scope in feed.scopes:
        write(type="scope", **scope_record(scope))
    written: dict[tuple[str, Action], _Written] = {}
    for part in feed.parts:
        counted = written.setdefault((part.table.name, part.action), _Written())
        counted.rows += len(part.rows)
        for lines in _rows(part):
            stream.write(lines)
            counted.sha256.update(lines)
    counts = totals(
        *(sum(each.rows for (_, of), each in written.items() if of == action) for action in ("upsert", "delete"))
    )
    parts = [
        {"table": table, "action": action, "rows": each.rows, "sha256": each.sha256.hexdigest()}
        for (table, action), each in written.items()
    ]
    write(type="end", next_since=feed.next_since, totals=counts, parts=parts)
    return counts


def _rows(part: FeedPart) -> Iterator[bytes]:
    """Yield the lines of each batch of a part."""
    names = [f"{json.dumps(name)}: " for name in part.rows.column_names]
    member = "key" if part.action == "delete" else "row"
    start = f'{{"type": "{part.action}", "table": "{part.table.name}", "{member}": {{'
    for batch in part.rows.to_batches():
        yield "".join(
            start
            + ", ".join([name + json_text(value) for name, value in zip(names, row, strict=True) if value is not None])
            + "}}\n"
            for row in arrow_rows([batch])
        ).encode()
