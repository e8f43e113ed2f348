"""Checked access to parsed JSON, TOML and similar documents: a value of another shape raises ValueError."""

from __future__ import annotations

import tomllib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from lexport.artifacts.dependencies.text import text_of, utf8_of

_MAX_DOTS = 50  # in a line; tomllib takes quadratic time in the parts of a key


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
