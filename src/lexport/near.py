"""A name that there is none of -> those that may be meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, names: Iterable[str], *, most: int = 3) -> list[str]:
    """Return the names most like a word, the nearest first; those that hold it, or begin it, where none is alike."""
    known = {name.lower(): name for name in names}
    asked = word.strip().lower()
    found = get_close_matches(asked, known, n=most, cutoff=0.7)
    if not found and len(asked) > 2:  # noqa: PLR2004 - shorter ones are in everything
        found = [name for name in known if asked in name or name in asked][:most]
    return [known[name] for name in found]


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Write the question after a sentence, or nothing where no name is near."""
    found = nearest(word, names)
    return f"; did you mean {' or '.join(found)}?" if found else ""
