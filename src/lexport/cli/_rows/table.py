"""Write rows for people: as an aligned table, which may be trimmed to the width of a terminal, or one value a line."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, islice
from typing import Any, BinaryIO

from lexport.query.value_text import plain
from lexport.tables.text import plural, visible

Row = Sequence[Any]

_MEASURED_ROWS = 1_000  # rows that decide the widths of columns; later cells may be wider
_GAP = "  "
_CUT = "…"
_LEAST_WIDTH = 20
"""Columns that do not fit are narrowed down to this many terminal cells before any is left out, as in DuckDB."""


@dataclass(frozen=True, slots=True)
class Room:
    """The terminal cells that a line of a table may take, and the words of how to see what does not fit."""

    width: int
    hint: str


@dataclass(frozen=True, slots=True)
class _Layout:
    """The width of each column that is shown, the first ones of a result."""

    widths: tuple[int, ...]
    columns: int

    @property
    def leaves_out(self) -> bool:
        return len(self.widths) < self.columns


def write_table(names: Sequence[str], rows: Iterable[Row], stream: BinaryIO, room: Room | None = None) -> int:
    """Write an aligned table; return the number of rows.

    In a ``room``, long values are cut and the last columns left out so that each line fits, and a last line says so.
    """
    source = iter(rows)
    measured = list(islice(source, _MEASURED_ROWS))
    head = [visible(name) for name in names]
    texts = [[visible(plain(value)) for value in row] for row in measured]
    needed = [max(map(_width, column)) for column in zip(head, *texts, strict=True)]
    layout = _Layout(tuple(needed), len(needed)) if room is None else _fit(needed, room.width)
    is_right = [_is_numeric(column) for column in zip(*measured, strict=True)] or [False] * len(head)
    bold, normal = ("\x1b[1m", "\x1b[0m") if _is_coloured(stream) else ("", "")
    has_cut = False

    def line(cells: Sequence[str]) -> str:
        nonlocal has_cut
        if room is None:
            return _GAP.join(map(_pad, cells, layout.widths, is_right)).rstrip()
        shown = [*map(cut, cells, layout.widths)]
        has_cut = has_cut or any(text != cell for text, cell in zip(shown, cells, strict=False))
        text = _GAP.join(map(_pad, shown, layout.widths, is_right))
        return text + _GAP + _CUT if layout.leaves_out else text.rstrip()

    stream.write(f"{bold}{line(head)}{normal}\n{_GAP.join('-' * width for width in layout.widths)}\n".encode())
    written = 0
    for cells in chain(texts, ([visible(plain(value)) for value in row] for row in source)):
        stream.write((line(cells) + "\n").encode())
        written += 1
    if room is not None and (layout.leaves_out or has_cut):
        counts = (
            f"{plural(len(head), 'column')}, {len(layout.widths)} shown" if layout.leaves_out else "long values are cut"
        )
        stream.write(f"{counts}; {room.hint}\n".encode())
    return written


def _fit(needed: Sequence[int], width: int) -> _Layout:
    """Choose the widths of the columns that fit: each as wide as it needs, or narrowed, or left out from the right."""
    least = [min(one, _LEAST_WIDTH) for one in needed]
    shown = len(needed)
    while shown > 1 and _total(least[:shown], is_all=shown == len(needed)) > width:
        shown -= 1
    widths = least[:shown]
    spare = max(0, width - _total(widths, is_all=shown == len(needed)))
    for index in sorted(range(shown), key=lambda index: needed[index]):  # those that need little more, first
        # Wide columns share what is left evenly.
        wide = [other for other in range(shown) if needed[other] >= needed[index] and widths[other] < needed[other]]
        more = min(needed[index] - widths[index], spare // max(1, len(wide)))
        widths[index] += more
        spare -= more
    if shown == 1:
        widths[0] = max(1, min(widths[0], width - (0 if len(needed) == 1 else len(_GAP) + 1)))
    return _Layout(tuple(widths), len(needed))


def _total(widths: Sequence[int], *, is_all: bool) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1) + (0 if is_all else len(_GAP) + 1)


def cut(text: str, width: int) -> str:
    """Shorten a text to a number of terminal cells, with an ellipsis at the end."""
    if _width(text) <= width:
        return text
    taken, cells = [], 1  # of the ellipsis
    for character in text:
        cells += _width(character)
        if cells > width:
            break
        taken.append(character)
    return "".join(taken) + _CUT


def write_lines(names: Sequence[str], rows: Iterable[Row], stream: BinaryIO) -> int:
    """Write one value a line, as ``name = value``, and an empty line between rows; return the number of rows."""
    head = [visible(name) for name in names]
    widest = max(map(_width, head), default=0)
    labels = [_pad(name, widest, is_right=True) for name in head]
    written = 0
    for row in rows:
        lines = [f"{label} = {visible(plain(value))}\n" for label, value in zip(labels, row, strict=True)]
        stream.write((("\n" if written else "") + "".join(lines)).encode())
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
