"""package.json and package-lock.json -> what npm installed, or was to install."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from lexport.artifacts.dependencies.documents import mapping
from lexport.artifacts.dependencies.purl import dependency
from lexport.artifacts.dependencies.text import utf8_of
from lexport.model import Dependency

_FOLDER = "node_modules/"


def read_package(path: str, body: bytes) -> Iterator[Dependency]:
    """Read the name and version of an installed package; without a name in it, it has that of its folder."""
    document = mapping(orjson.loads(utf8_of(body)))
    version = npm_version(document.get("version"))
    found = dependency("npm", document.get("name"), version, path) or dependency(
        "npm", _place_name(path), version, path
    )
    if found is None:
        raise ValueError("no name")
    yield found


def read_project(path: str, body: bytes) -> Iterator[Dependency]:
    """Read what the function's own ``package.json`` asks for, without what is for development alone."""
    document = mapping(orjson.loads(utf8_of(body)))
    optional = mapping(document.get("optionalDependencies"))
    for alias, wanted in mapping(document.get("dependencies")).items():
        name, version = resolved(alias, wanted)
        found = alias not in optional and dependency("npm", name, version, path)
        if found:
            yield found


def read_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Read the packages of a lock file: of versions 2 and 3 by place, of version 1 as a tree.

    Leaves out what is for development or optional, and so perhaps for other platforms.
    """
    document = mapping(orjson.loads(utf8_of(body)))
    packages = document.get("packages")
    if packages is not None:
        found = (_placed(place, item, path) for place, item in mapping(packages).items())
    else:
        found = (dependency("npm", *resolved(name, item.get("version")), path) for name, item in _tree(document))
    yield from (item for item in found if item is not None)


def resolved(alias: str, wanted: object) -> tuple[str, str | None]:
    """Return the true name and the version: ``npm:@acme/braces@3.0.2`` is @acme/braces, whatever it is called here."""
    if isinstance(wanted, str) and wanted.startswith("npm:"):
        name, _, version = wanted[4:].rpartition("@")
        return (name, npm_version(version)) if name else (version, None)
    return alias, npm_version(wanted)


def npm_version(text: object) -> str | None:
    """Return a version as npm has it: ``=v1.0.0`` is 1.0.0."""
    return text.strip().lstrip("=v") if isinstance(text, str) else None


def _placed(place: str, item: object, path: str) -> Dependency | None:
    """Read one entry of ``packages``; the project's own and links within it are no dependencies."""
    if _FOLDER not in place or not isinstance(item, dict) or item.get("link") is True or _is_left_out(item):
        return None
    name = item.get("name") or _place_name(place + "/")
    link = str(item.get("resolved", ""))
    is_release = not link.startswith(("git+", "git:", "file:", "ssh:", "github:"))
    return dependency("npm", name, npm_version(item.get("version")) if is_release else None, path)


def _tree(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    waiting = [document]
    while waiting:
        for name, item in mapping(waiting.pop().get("dependencies")).items():
            if isinstance(item, dict) and not _is_left_out(item):
                yield name, item
                waiting.append(item)


def _is_left_out(item: dict[str, Any]) -> bool:
    return any(item.get(flag) is True for flag in ("dev", "optional", "devOptional"))


def _place_name(path: str) -> str:
    """Return the name of the folder of a package: ``node_modules/@s/a/package.json`` is of @s/a."""
    parts = path.rpartition(_FOLDER)[2].split("/")
    return "/".join(parts[:2] if parts[0].startswith("@") else parts[:1])
