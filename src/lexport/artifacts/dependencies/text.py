"""Bytes of a manifest -> text, in the encodings that tools write."""

from __future__ import annotations

import codecs

_MARKS = (  # longer marks first: the mark of UTF-32 begins like the one of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def text_of(body: bytes) -> str:
    """Decode by the byte order mark (PowerShell writes UTF-16), else as UTF-8, else as Latin-1."""
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def utf8_of(body: bytes) -> bytes:
    """Return the bytes as UTF-8 without a byte order mark, for JSON parsers."""
    is_marked = any(body.startswith(mark) for mark, _ in _MARKS)
    return text_of(body).encode("utf-8", "replace") if is_marked else body
