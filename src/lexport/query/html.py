"""Tables in HTML, for notebooks. Every value is escaped, and a line says what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice
from typing import Any

from lexport.query.value_text import plain
from lexport.tables.text import plural, visible

MOST_ROWS = 20
MOST_COLUMNS = 30
MOST_CHARACTERS = 200


def table_html(
    head: Sequence[str], rows: Iterable[Sequence[Any]], *, total: int, noun: str = "row", plural_noun: str = ""
) -> str:
    """Return a table of the first rows and columns; where there are more of them, a line says how many."""
    shown = list(islice(rows, MOST_ROWS))
    names = head[:MOST_COLUMNS]
    body = "".join(_row("td", [_cell(value) for value in row[:MOST_COLUMNS]]) for row in shown)
    table = (
        f"<table><thead>{_row('th', [escape(visible(name)) for name in names])}</thead><tbody>{body}</tbody></table>"
    )
    cut = [f"{len(shown):,} of {plural(total, noun, plural_noun)}"] if total > len(shown) else []
    cut += [f"{len(names):,} of {plural(len(head), 'column')}"] if len(head) > len(names) else []
    return table + (paragraph(f"{' and '.join(cut)} shown") if cut else "")


def paragraph(text: str) -> str:
    """Return a line of text."""
    return f"<p>{escape(visible(text))}</p>"


def _row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _cell(value: Any) -> str:
    if value is None:
        return "<i>NULL</i>"
    text = plain(value)
    return escape(visible(text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"))
