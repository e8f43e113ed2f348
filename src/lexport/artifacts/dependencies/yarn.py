"""yarn.lock, of version 1 and of today's yarn -> what was to be installed.

Neither says what is for development. The ``package.json`` beside it does: the function has what its dependencies reach.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from lexport.artifacts.dependencies.documents import mapping, reachable
from lexport.artifacts.dependencies.indented import read_indented
from lexport.artifacts.dependencies.npm import npm_version
from lexport.artifacts.dependencies.purl import dependency
from lexport.artifacts.dependencies.text import utf8_of
from lexport.model import Dependency

_DESCRIPTOR = re.compile(r"(?P<name>@[^/@]+/[^@]+|[^@/]+)@(?P<wanted>.*)", re.DOTALL)
_LINKS = ("git", "http:", "https:", "file:", "link:", "portal:", "workspace:", "ssh:", "exec:")


def read_lock(path: str, body: bytes, project: bytes | None = None) -> Iterator[Dependency]:
    """Read the entries that ``project`` reaches by way of dependencies; every entry where that cannot be told."""
    is_first = b"__metadata:" not in body
    entries = read_indented(body, is_spaced=is_first)
    entries.pop("__metadata", None)
    items = {key: mapping(item) for key, item in entries.items()}
    wanted = _wanted(items, project)
    for key, item in items.items():
        found = _entry(key, item, path) if wanted is None or key in wanted else None
        if found:
            yield found


def _wanted(items: dict[str, dict[str, Any]], project: bytes | None) -> set[str] | None:
    """Return the keys of the entries that a ``package.json`` reaches; None where one of its words leads nowhere."""
    try:
        roots = mapping(mapping(orjson.loads(utf8_of(project or b"{}"))).get("dependencies"))
    except ValueError:
        return None
    if project is None:
        return None
    places = {descriptor.strip('"'): key for key in items for descriptor in key.split(", ")}

    def keys(needed: dict[str, Any]) -> list[str | None]:
        return [places.get(f"{name}@{text}") or places.get(f"{name}@npm:{text}") for name, text in needed.items()]

    found = keys(roots)
    if None in found:
        return None
    return reachable(
        [key for key in found if key],
        lambda key: [each for each in keys(mapping(items[key].get("dependencies"))) if each],
    )


def _entry(key: str, item: dict[str, Any], path: str) -> Dependency | None:
    descriptor = item.get("resolution") or key.split(", ", maxsplit=1)[0].strip('"')
    match = _DESCRIPTOR.fullmatch(descriptor) if isinstance(descriptor, str) else None
    if match is None:
        raise ValueError("an entry without a name")
    name, wanted = match["name"], match["wanted"]
    conditions = str(item.get("conditions", ""))
    if wanted.startswith("workspace:") or ("os=" in conditions and "os=linux" not in conditions):
        return None
    if wanted.startswith("npm:") and (alias := _DESCRIPTOR.fullmatch(wanted[4:])):
        name = alias["name"]
    is_release = not wanted.startswith(_LINKS) and not re.match(r"[\w.-]+/[\w.-]+(?:#|\Z)", wanted)
    return dependency("npm", name, npm_version(item.get("version")) if is_release else None, path)
