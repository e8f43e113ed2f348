"""Bytes of a manifest -> text, JSON or TOML, in the encodings that tools write, with checked access to its values."""

from __future__ import annotations

import codecs
import tomllib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import orjson

_MAX_DOTS = 50  # in a line; tomllib takes quadratic time in the parts of a key
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


def read_json(body: bytes) -> Any:
    """Parse JSON with or without a byte order mark; raises ValueError."""
    return orjson.loads(utf8_of(body))


def read_toml(body: bytes) -> dict[str, Any]:
    """Parse TOML; raises ValueError, also for a document that would take very long."""
    text = text_of(body)
    if any(line.count(".") > _MAX_DOTS for line in text.splitlines()):
        raise ValueError("a line with too many dots")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def mapping(value: object) -> dict[str, Any]:
    """Return a mapping, an empty one for None; raises ValueError for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - callers treat a wrong type as a wrong value
    return value


def mappings(value: object) -> list[dict[str, Any]]:
    """Return the mappings of a list; an empty list for anything but a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def reachable(roots: Iterable[str], below: Callable[[str], Iterable[str]]) -> set[str]:
    """Return every key that can be reached from ``roots``; ``below`` returns the next keys of a key."""
    reached: set[str] = set()
    queue = deque(roots)
    while queue:
        key = queue.popleft()
        if key not in reached:
            reached.add(key)
            queue.extend(below(key))
    return reached
