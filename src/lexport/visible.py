"""Text of strangers -> text that a terminal shows as it is."""

from __future__ import annotations


def visible(text: str) -> str:
    """Show what would steer a terminal, or hide in it, as its escape: data may come from a stranger."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
