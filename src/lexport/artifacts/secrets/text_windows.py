"""Bytes of a member in chunks -> its text in windows. What is no text has none."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

HEAD_BYTES = 8192  # what decides whether a member is text
WINDOW_CHARACTERS = 64 * 1024
OVERLAP_CHARACTERS = 4 * 1024  # that two windows share, so that a secret is whole in one of them
_MARKS = (  # UTF-32 first, because its mark begins as that of UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LEAST_ZEROS = 0.4  # of every second byte, where UTF-16 has no mark: its letters are mostly ASCII


@dataclass(frozen=True, slots=True)
class Window:
    """Some lines of a text, the first with its number, from 1. ``is_cut``: the first line began before."""

    line: int
    text: str
    is_cut: bool


def encoding_of(head: bytes) -> str | None:
    """Return the encoding of a member that begins with these bytes; None where it is no text.

    Latin-1 stands for every encoding that contains ASCII: secrets are of ASCII characters.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" not in head:
        return "latin-1"
    half = len(head) // 2
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = head[first::2].count(0), head[1 - first :: 2].count(0)
        if zeros >= _LEAST_ZEROS * half and not others:
            return encoding
    return None


def windows(chunks: Iterable[bytes]) -> Iterator[Window]:
    """Yield the text of a member in windows that overlap; nothing where the first bytes are no text."""
    decoder: codecs.IncrementalDecoder | None = None
    line, text, is_cut = 1, "", False
    for chunk in chunks:
        if decoder is None:
            encoding = encoding_of(chunk[:HEAD_BYTES])
            if encoding is None:
                return
            decoder = codecs.getincrementaldecoder(encoding)("replace")
        text += decoder.decode(chunk)
        while len(text) > WINDOW_CHARACTERS:
            yield Window(line, text[:WINDOW_CHARACTERS], is_cut)
            overlap = WINDOW_CHARACTERS - OVERLAP_CHARACTERS
            at_line = text.find("\n", overlap, WINDOW_CHARACTERS) + 1
            start, is_cut = at_line or overlap, not at_line
            line += text.count("\n", 0, start)
            text = text[start:]
    if text:
        yield Window(line, text, is_cut)
