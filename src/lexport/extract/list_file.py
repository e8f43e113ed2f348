"""Read a list that the user gives as a file or on standard input: its lines, and the cells of each line."""

from __future__ import annotations

import codecs
import csv
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from lexport.errors import SettingsError

MOST_BYTES = 64 * 2**20  # half a million functions by their ARNs; a device or a pipe may have no end

_DRAWN = set("-=+|: \t")
_COUNT = re.compile(r"\(\d+ rows?\)")  # psql's last line
_GAP = re.compile(r"\s{2,}")
_LEAST_RULE = 3  # dashes


def read_lines(path: str, *, option: str) -> tuple[str, list[str]]:
    """Read a UTF-8 file, ``-`` for standard input; return the name to show for it, and its lines.

    Raises SettingsError that names the option, the file and the reason.
    """
    shown = "<stdin>" if path == "-" else path
    try:
        with nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise SettingsError(f"{option} {shown}: is larger than {MOST_BYTES // 2**20} MiB", option=option)
        return shown, raw.decode(_encoding(raw)).splitlines()
    except OSError as error:
        raise SettingsError(f"{option} {shown}: {error.strerror or error}", option=option) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{option} {shown}: is not UTF-8 text", option=option) from error


def _encoding(raw: bytes) -> str:
    """Return UTF-8, or the UTF-16 that PowerShell's ``>`` writes; either way without the byte order mark."""
    return "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """One row of a list: the number of its line, and its cells, stripped. ``is_tabbed`` where tabs part them."""

    number: int
    cells: tuple[str, ...]
    is_tabbed: bool = False


def read_rows(lines: Sequence[str], *, shown: str, option: str) -> Iterator[ListRow]:
    """Yield the rows of a list: CSV, tabs, or a table as psql, Markdown, the AWS CLI or lexport print it.

    Blank lines, comments after ``#`` and borders are no rows; a line of dashes alone is one border at the top, above a
    line that begins with ``|``, or under the first line. Raises SettingsError with file and line for broken CSV.
    """
    numbered = [
        (number, text)
        for number, line in enumerate(lines, start=1)
        if (text := line.strip()) and not text.startswith("#")
    ]
    has_title = (
        len(numbered) > 1 and _is_rule(numbered[0][1]) and numbered[1][1].startswith("|")
    )  # as the AWS CLI has it
    for at, (number, text) in enumerate(numbered):
        is_border = _is_rule(text) and (at == 1 or (at == 0 and has_title))
        if is_border or (at == 1 and has_title) or _is_drawn(text):
            continue
        try:
            yield _row(number, text)
        except csv.Error as error:
            raise SettingsError(f"{shown}:{number}: {error}", option=option) from error


def _is_rule(text: str) -> bool:
    return len(text) >= _LEAST_RULE and set(text) == {"-"}


def _is_drawn(text: str) -> bool:
    """Return whether a line can only be a border: no function name or ARN is made of ``|``, ``+`` or ``=``."""
    characters = set(text)
    return _COUNT.fullmatch(text) is not None or (({"-"} < characters or "=" in characters) and characters <= _DRAWN)


def _row(number: int, text: str) -> ListRow:
    cells: Sequence[str]
    if '"' not in text and "|" in text:
        cells = text.removeprefix("|").removesuffix("|").split("|")
    elif "\t" in text:
        return ListRow(number=number, cells=tuple(map(str.strip, text.split("\t"))), is_tabbed=True)
    elif '"' not in text and "," not in text:
        cells = _GAP.split(text)
    else:
        cells = next(csv.reader([text], strict=True, skipinitialspace=True))
    return ListRow(number=number, cells=tuple(map(str.strip, cells)))
