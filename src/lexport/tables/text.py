"""Text for people: counts with their nouns, near names, and strangers' text made safe for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def plural(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun."""
    return f"{number:,} {agree(number, one, many)}"


def agree(number: int, one: str, many: str = "") -> str:
    """Return the form of a word, ``one`` or by default that with an s, that goes with a number."""
    return one if number == 1 else many or f"{one}s"


def first_of(names: Sequence[str], most: int = 3) -> str:
    """Join the first names, and write how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def visible(text: str, *, keep: str = "") -> str:
    r"""Write control and invisible characters as escapes, U+202E as ``\u202e``, except for those in ``keep``.

    Names and messages come from other systems: they must not steer a terminal or change the order of a text.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def nearest(word: str, names: Iterable[str], *, most: int = 3) -> list[str]:
    """Return the names most like a word, the nearest first; those that hold it, or begin it, where none is alike."""
    from difflib import get_close_matches

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


def words_of(name: str) -> str:
    """Return a name of the command line or of a table as words."""
    return name.replace("-", " ").replace("_", " ")
