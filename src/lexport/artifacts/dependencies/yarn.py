"""yarn.lock, of yarn 1 and of current yarn -> the packages that yarn should install.

The file does not mark development packages, so the ``package.json`` in the same folder decides: the function needs the
packages that its dependencies reach.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lexport.artifacts.dependencies.documents import mapping, reachable, read_json
from lexport.artifacts.dependencies.indented import read_indented
from lexport.artifacts.dependencies.npm import npm_version
from lexport.artifacts.dependencies.purl import dependency
from lexport.model import Dependency

_DESCRIPTOR = re.compile(r"(?P<name>@[^/@]+/[^@]+|[^@/]+)@(?P<specifier>.*)", re.DOTALL)
_LINKS = ("git", "http:", "https:", "file:", "link:", "portal:", "workspace:", "ssh:", "exec:")


def read_lock(path: str, body: bytes, project: bytes | None = None) -> Iterator[Dependency]:
    """Yield the packages that the dependencies of ``project`` reach; every package where that cannot be determined."""
    is_version_1 = b"__metadata:" not in body
    entries = read_indented(body, is_spaced=is_version_1)
    entries.pop("__metadata", None)
    items = {key: mapping(item) for key, item in entries.items()}
    needed = _needed(items, project)
    for key, item in items.items():
        package = _entry(key, item, path) if needed is None or key in needed else None
        if package:
            yield package


def _needed(items: dict[str, dict[str, Any]], project: bytes | None) -> set[str] | None:
    """Return the keys of the entries that a ``package.json`` reaches; None where an entry is missing."""
    try:
        roots = mapping(mapping(read_json(project or b"{}")).get("dependencies"))
    except ValueError:
        return None
    if project is None:
        return None
    by_descriptor = {descriptor.strip('"'): key for key in items for descriptor in key.split(", ")}

    def keys(dependencies: dict[str, Any]) -> list[str | None]:
        return [
            by_descriptor.get(f"{name}@{text}") or by_descriptor.get(f"{name}@npm:{text}")
            for name, text in dependencies.items()
        ]

    root_keys = keys(roots)
    if None in root_keys:
        return None
    return reachable(
        [key for key in root_keys if key],
        lambda key: [below for below in keys(mapping(items[key].get("dependencies"))) if below],
    )


def _entry(key: str, item: dict[str, Any], path: str) -> Dependency | None:
    descriptor = item.get("resolution") or key.split(", ", maxsplit=1)[0].strip('"')
    match = _DESCRIPTOR.fullmatch(descriptor) if isinstance(descriptor, str) else None
    if match is None:
        raise ValueError("an entry without a name")
    name, specifier = match["name"], match["specifier"]
    conditions = str(item.get("conditions", ""))
    if specifier.startswith("workspace:") or ("os=" in conditions and "os=linux" not in conditions):
        return None
    if specifier.startswith("npm:") and (alias := _DESCRIPTOR.fullmatch(specifier[4:])):
        name = alias["name"]
    is_release = not specifier.startswith(_LINKS) and not re.match(r"[\w.-]+/[\w.-]+(?:#|\Z)", specifier)
    return dependency("npm", name, npm_version(item.get("version")) if is_release else None, path)
