"""Bytes of a manifest -> text, in the encodings that real tools write."""

from __future__ import annotations

import codecs

_MARKS = (  # the longer one first: UTF-32's begins like UTF-16's
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
    """Return the same as UTF-8 without a mark, for parsers of JSON."""
    is_marked = any(body.startswith(mark) for mark, _ in _MARKS)
    return text_of(body).encode("utf-8", "replace") if is_marked else body
