"""package.json and package-lock.json -> what npm installed, or was to install."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from lexport.dependencies.purl import dependency
from lexport.model import Dependency

_FOLDER = "node_modules/"


def read_package(path: str, body: bytes) -> Iterator[Dependency]:
    """Read the name and version of an installed package."""
    document = _object(orjson.loads(body))
    found = dependency("npm", document.get("name"), document.get("version"), path)
    if found is None:
        raise ValueError("no name and version")
    yield found


def read_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Read the packages of a lock file: of versions 2 and 3 by place, of version 1 as a tree."""
    document = _object(orjson.loads(body))
    packages = document.get("packages")
    if isinstance(packages, dict):
        found = (_placed(place, item, path) for place, item in packages.items())
    else:
        found = (dependency("npm", name, item.get("version"), path) for name, item in _tree(document))
    yield from (item for item in found if item is not None)


def _placed(place: str, item: object, path: str) -> Dependency | None:
    """Read one entry of ``packages``; the project's own and links within it are no dependencies."""
    if _FOLDER not in place or not isinstance(item, dict) or item.get("link") is True:
        return None
    return dependency("npm", item.get("name", place.rpartition(_FOLDER)[2]), item.get("version"), path)


def _tree(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    waiting = [document]
    while waiting:
        below = waiting.pop().get("dependencies")
        for name, item in below.items() if isinstance(below, dict) else ():
            if isinstance(item, dict):
                yield name, item
                waiting.append(item)


def _object(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ValueError("not an object")  # noqa: TRY004 - a wrong document is a wrong value
    return document
