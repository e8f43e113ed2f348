"""Values of a table in the report: as shown, and as sorted and copied."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lexport.tables.units import short_size

_LONGEST = 300  # characters of one cell, because a text can have 10,000


def count(value: float) -> str:
    """Write a number with thousands separators; a fraction gets two digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def percent(value: float) -> str:
    """Write a share in per cent. A share above 0 is never shown as 0 %."""
    return "<1 %" if 0 < value < 0.005 else f"{value:.0%}".replace("%", " %")  # noqa: PLR2004 - rounds to 0


def cell(name: str, value: Any) -> tuple[str, str | None]:
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
    return (text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"), None


def _number(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return short_size(value)
    return percent(value) if name.endswith("_share") else count(value)
