"""Write rows to a stream as a table, JSON, JSON lines or CSV, one row at a time, so that memory is bounded.

Cells are plain Python values. None is ``NULL`` in a table, ``null`` in JSON and an empty cell in CSV, where an empty
text is ``""``. Instants are text (see ``values.py``) or ``datetime``. Formats for programs are exact, except on a
terminal, where control characters are escaped.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO

from lexport.cli._rows.table import Row, write_lines, write_table
from lexport.query.value_text import json_text, plain
from lexport.tables.text import visible

FORMATS = ("table", "line", "json", "jsonl", "csv")
SAFE_CSV = "csv-safe"  # CSV in which no cell is a formula to a spreadsheet

Write = Callable[[bytes], object]


def write_rows(names: Sequence[str], rows: Iterable[Row], *, output: str, stream: BinaryIO) -> int:
    """Write rows in one of ``FORMATS`` or as ``SAFE_CSV``; return the number of rows."""
    if output in ("table", "line"):
        return (write_table if output == "table" else write_lines)(names, rows, stream)
    write = {"json": _write_json, "jsonl": _write_json_lines, "csv": _write_csv, SAFE_CSV: _write_safe_csv}[output]
    return write(names, rows, (lambda line: stream.write(_harmless(line))) if stream.isatty() else stream.write)


def _harmless(line: bytes) -> bytes:
    """Return text for a program with the characters escaped that would control a terminal."""
    return visible(line.decode().replace("\r\n", "\n"), keep="\n\t").encode()


def print_rows(names: Sequence[str], rows: Iterable[Row], *, output: str) -> int:
    """Write rows to stdout; return the number of rows."""
    written = write_rows(names, rows, output=output, stream=sys.stdout.buffer)
    sys.stdout.buffer.flush()
    return written


def _write_json(names: Sequence[str], rows: Iterable[Row], write: Write) -> int:
    write(b"[")
    written = 0
    for line in _objects(names, rows):
        write(b",\n " if written else b"\n ")
        write(line)
        written += 1
    write(b"\n]\n" if written else b"]\n")
    return written


def _write_json_lines(names: Sequence[str], rows: Iterable[Row], write: Write) -> int:
    written = 0
    for line in _objects(names, rows):
        write(line + b"\n")
        written += 1
    return written


def _objects(names: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    keys = [f"{json.dumps(name, ensure_ascii=False)}: " for name in distinct(names)]
    for row in rows:
        cells = (key + json_text(value) for key, value in zip(keys, row, strict=True))
        yield ("{" + ", ".join(cells) + "}").encode()


def distinct(names: Sequence[str]) -> list[str]:
    """Make the names of columns distinct: ``a``, ``a_2``."""
    taken: list[str] = []
    for name in names:
        number, fresh = 1, name
        while fresh in taken:
            number += 1
            fresh = f"{name}_{number}"
        taken.append(fresh)
    return taken


def _write_csv(names: Sequence[str], rows: Iterable[Row], write: Write) -> int:
    written = -1  # the header is not counted
    for row in chain([names], rows):
        write((",".join(map(_csv_cell, row)) + "\r\n").encode())
        written += 1
    return written


def _write_safe_csv(names: Sequence[str], rows: Iterable[Row], write: Write) -> int:
    return _write_csv([*map(_neutralize, names)], ([*map(_neutralize, row)] for row in rows), write)


_FORMULA = re.compile(r"[=+\-@\t\r\n\0\uff1d\uff0b\uff0d\uff20]")
"""The first character of cells that a spreadsheet may run. Source: OWASP, "CSV Injection"; OWASP ASVS 5, 1.2.10."""


def _neutralize(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


_QUOTED = re.compile(r'[,"\r\n]|\A\s|\s\Z|\A\Z')


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    text = plain(value)
    return text if _QUOTED.search(text) is None else '"' + text.replace('"', '""') + '"'
