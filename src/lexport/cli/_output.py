"""Write rows to a stream as a table, JSON, JSON lines or CSV, one row at a time, so that memory is bounded.

Cells are plain Python values. None is ``NULL`` in a table, ``null`` in JSON and an empty cell in CSV, where an empty
text is ``""``. Instants are text (see ``_values.py``) or ``datetime``.
"""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import click

from lexport.errors import SettingsError, WriteError
from lexport.query.value_text import json_text, plain
from lexport.tables.text import visible

FORMATS = ("table", "json", "jsonl", "csv")
SAFE_CSV = "csv-safe"  # CSV in which no cell is a formula to a spreadsheet

_MEASURED_ROWS = 1_000  # rows that decide the widths of columns; later cells may be wider

Row = Sequence[Any]


def write_rows(names: Sequence[str], rows: Iterable[Row], *, output: str, stream: BinaryIO) -> int:
    """Write rows in one of ``FORMATS`` or as ``SAFE_CSV``; return the number of rows."""
    write = {
        "table": _write_table,
        "json": _write_json,
        "jsonl": _write_json_lines,
        "csv": _write_csv,
        SAFE_CSV: _write_safe_csv,
    }[output]
    return write(names, rows, stream)


def print_rows(names: Sequence[str], rows: Iterable[Row], *, output: str) -> int:
    """Write rows to stdout; return the number of rows."""
    written = write_rows(names, rows, output=output, stream=sys.stdout.buffer)
    sys.stdout.buffer.flush()
    return written


def notify(*lines: str) -> None:
    """Print notices on standard error."""
    for line in lines:
        click.echo(f"lexport: {line}", err=True)


@contextmanager
def open_output(path: str | None) -> Iterator[BinaryIO]:
    """Open stdout, or a temporary file that replaces the file at ``path`` when it is complete.

    None, ``-`` and other names of stdout such as /dev/stdout are stdout. If the block raises, the old file is
    unchanged and the temporary file is removed.
    """
    if path is None or path == "-" or _is_stdout(path):
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise SettingsError(f"-o {path} is not a file", option="-o")
    draft = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        # 0600: a result can hold what the dataset holds.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
        draft.replace(target)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}", path=path) from error
    finally:
        draft.unlink(missing_ok=True)


def _is_stdout(path: str) -> bool:
    """Return whether a path is the file that stdout writes to: replacing it would lose earlier output of a script."""
    try:
        return os.path.samestat(Path(path).stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):
        return False


# --- formats ------------------------------------------------------------------------------------------------------


def _write_json(names: Sequence[str], rows: Iterable[Row], stream: BinaryIO) -> int:
    stream.write(b"[")
    written = 0
    for line in _objects(names, rows):
        stream.write(b",\n " if written else b"\n ")
        stream.write(line)
        written += 1
    stream.write(b"\n]\n" if written else b"]\n")
    return written


def _write_json_lines(names: Sequence[str], rows: Iterable[Row], stream: BinaryIO) -> int:
    written = 0
    for line in _objects(names, rows):
        stream.write(line + b"\n")
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


def _write_csv(names: Sequence[str], rows: Iterable[Row], stream: BinaryIO) -> int:
    written = -1  # the header is not counted
    for row in chain([names], rows):
        stream.write((",".join(map(_csv_cell, row)) + "\r\n").encode())
        written += 1
    return written


def _write_safe_csv(names: Sequence[str], rows: Iterable[Row], stream: BinaryIO) -> int:
    return _write_csv([*map(_neutralize, names)], ([*map(_neutralize, row)] for row in rows), stream)


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


def _write_table(names: Sequence[str], rows: Iterable[Row], stream: BinaryIO) -> int:
    source = iter(rows)
    measured = list(islice(source, _MEASURED_ROWS))
    head = [visible(name) for name in names]
    texts = [[visible(plain(value)) for value in row] for row in measured]
    widths = [max(map(_width, column)) for column in zip(head, *texts, strict=True)]
    is_right = [_is_numeric(column) for column in zip(*measured, strict=True)] or [False] * len(head)
    bold, normal = ("\x1b[1m", "\x1b[0m") if _is_coloured(stream) else ("", "")

    def line(cells: Sequence[str]) -> str:
        return "  ".join(map(_pad, cells, widths, is_right)).rstrip()

    stream.write(f"{bold}{line(head)}{normal}\n{'  '.join('-' * width for width in widths)}\n".encode())
    written = 0
    for cells in chain(texts, ([visible(plain(value)) for value in row] for row in source)):
        stream.write((line(cells) + "\n").encode())
        written += 1
    return written


def _is_numeric(values: Iterable[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in present
    )


def _is_coloured(stream: BinaryIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _pad(text: str, width: int, is_right: bool) -> str:  # noqa: FBT001 - one of three columns in a map
    space = " " * (width - _width(text))
    return space + text if is_right else text + space


def _width(text: str) -> int:
    """Count the terminal cells of a text: wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
