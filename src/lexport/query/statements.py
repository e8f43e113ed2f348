"""Split text that a person types into SQL statements, which end at a semicolon."""

from __future__ import annotations

import re

_PIECE = re.compile(
    r"""
      --[^\n]*
    | (?P<comment>/\*)
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*)
    | (?P<text>'[^']*)
    | (?P<name>"[^"]*)
    | \w[\w$]*
    | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_NESTED = re.compile(r"/\*|\*/")


def split_statements(text: str) -> tuple[list[str], str]:
    """Return the statements of a text without their semicolons, and the unfinished rest.

    A semicolon in a text, name, comment or dollar quote ends no statement. Empty statements are left out, and a rest of
    blanks and comments is empty.
    """
    statements: list[str] = []
    begin = at = 0
    while (piece := _PIECE.search(text, at)) is not None:
        end = _end(text, piece)
        if end is None:
            return statements, text[begin:]
        if piece.lastgroup == "end":
            statements.append(text[begin : piece.start()])
            begin = end
        at = end
    rest = text[begin:]
    return [one for one in statements if not _is_blank(one)], "" if _is_blank(rest) else rest


def _end(text: str, piece: re.Match[str]) -> int | None:
    """Return where a piece ends; None if it is open at the end of the text."""
    at = piece.end()
    match piece.lastgroup:
        case "escaped" | "text" | "name":
            return at + 1 if at < len(text) else None  # a doubled quote begins the next piece
        case "dollar":
            close = text.find(piece[0], at)
            return close + len(piece[0]) if close >= 0 else None
        case "comment":
            depth = 1
            for mark in _NESTED.finditer(text, at):
                depth += 1 if mark[0] == "/*" else -1
                if depth == 0:
                    return mark.end()
            return None
    return at


def _is_blank(text: str) -> bool:
    return not _COMMENT.sub("", text).strip()
