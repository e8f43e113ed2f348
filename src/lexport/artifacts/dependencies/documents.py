"""Parsed JSON, TOML and the like -> the shapes that a manifest has; what has another shape is a wrong value."""

from __future__ import annotations

import tomllib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from lexport.artifacts.dependencies.text import text_of

_MOST_DOTS = 50  # in a line; tomllib takes time by the square of a key's parts


def read_toml(body: bytes) -> dict[str, Any]:
    """Read a document; raises ValueError, also for one that was made to take long."""
    text = text_of(body)
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise ValueError("a line with too many dots")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def mapping(value: object) -> dict[str, Any]:
    """Return a mapping, an empty one for nothing; raises ValueError for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - a wrong document is a wrong value
    return value


def mappings(value: object) -> list[dict[str, Any]]:
    """Return the mappings of a list; none where there is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def reachable(roots: Iterable[str], below: Callable[[str], Iterable[str]]) -> set[str]:
    """Return every key that is reached from some."""
    seen: set[str] = set()
    waiting = deque(roots)
    while waiting:
        key = waiting.popleft()
        if key not in seen:
            seen.add(key)
            waiting.extend(below(key))
    return seen
