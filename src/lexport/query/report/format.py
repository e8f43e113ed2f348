"""Values of a table in the report: as shown, and as sorted and copied."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lexport.query.report.labels import Labels
from lexport.query.report.words import column_words, value_words
from lexport.tables.units import short_size

_LONGEST = 300  # characters of one cell, because a text can have 10,000
_OURS = {"status", "kind", "table_name"}  # columns with values that lexport or a view has chosen


def count(value: float) -> str:
    """Write a number with thousands separators; a fraction gets two digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def signed(value: int) -> str:
    """Write a difference with its sign."""
    return f"{value:+,}".replace("-", "\u2212") if value else "\u00b10"


def percent(value: float) -> str:
    """Write a share in per cent. A share above 0 is never shown as 0 %."""
    return "<1 %" if 0 < value < 0.005 else f"{value:.0%}".replace("%", " %")  # noqa: PLR2004 - rounds to 0


def cell(name: str, value: Any, labels: Labels) -> tuple[str, str | None]:
    """Return the text that a cell shows, and the text to sort by and copy, or None if that is the same."""
    if value is None:
        return "-", ""
    if isinstance(value, bool):
        return ("yes" if value else "no"), str(value).lower()
    if isinstance(value, int | float):
        return _number(name, value), str(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}", value.isoformat().replace("+00:00", "Z")
    text = str(value)
    shown = cut(_words(name, text, labels))
    return shown, None if shown == text else text if len(text) <= _LONGEST else None


def cut(text: str) -> str:
    """Shorten a text that is longer than anything AWS names, and say so."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"


def _words(name: str, text: str, labels: Labels) -> str:
    if name == "account_id":
        return labels.account(text)
    if name == "check":
        return labels.checks.get(text, text)
    if name == "column_name":
        return column_words(text)
    return value_words(text) if name in _OURS else text


def _number(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return short_size(value)
    return percent(value) if name.endswith("_share") else count(value)
