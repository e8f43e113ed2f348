"""Numbers as people read them: ``1 item``, ``2 items``, ``1,234 items``."""

from __future__ import annotations


def plural(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun."""
    return f"{number:,} {agree(number, one, many)}"


def agree(number: int, one: str, many: str = "") -> str:
    """Return the form of a word, ``one`` or by default that with an s, that goes with a number."""
    return one if number == 1 else many or f"{one}s"
