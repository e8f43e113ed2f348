"""package.json and package-lock.json -> the packages that npm installed, or that it should install."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lexport.artifacts.dependencies.documents import mapping, read_json
from lexport.artifacts.dependencies.purl import dependency, named
from lexport.model import Dependency

_FOLDER = "node_modules/"


def read_package(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield an installed package; a package without a name has the name of its folder."""
    document = mapping(read_json(body))
    version = npm_version(document.get("version"))
    package = dependency("npm", document.get("name"), version, path) or dependency(
        "npm", _folder_name(path), version, path
    )
    if package is None:
        raise ValueError("no name")
    yield package


def read_project(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the dependencies of the function's own ``package.json``, without development dependencies."""
    document = mapping(read_json(body))
    optional = mapping(document.get("optionalDependencies"))
    for alias, specifier in mapping(document.get("dependencies")).items():
        name, version = resolved(alias, specifier)
        if alias not in optional:
            yield from named("npm", name, version, path)


def read_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the packages of a lock file: by folder in versions 2 and 3, as a tree in version 1.

    Leaves out development packages and optional ones, which may be for other platforms.
    """
    document = mapping(read_json(body))
    packages = document.get("packages")
    if packages is not None:
        locked = (_locked(folder, item, path) for folder, item in mapping(packages).items())
    else:
        locked = (dependency("npm", *resolved(name, item.get("version")), path) for name, item in _tree(document))
    yield from (package for package in locked if package is not None)


def resolved(alias: str, specifier: object) -> tuple[str, str | None]:
    """Return the real name and the version: ``npm:@acme/braces@3.0.2`` is @acme/braces, whatever its alias."""
    if isinstance(specifier, str) and specifier.startswith("npm:"):
        name, _, version = specifier[4:].rpartition("@")
        return (name, npm_version(version)) if name else (version, None)
    return alias, npm_version(specifier)


def npm_version(text: object) -> str | None:
    """Return a version as npm normalizes it: ``=v1.0.0`` is 1.0.0."""
    return text.strip().lstrip("=v") if isinstance(text, str) else None


def _locked(folder: str, item: object, path: str) -> Dependency | None:
    """Return one entry of ``packages``; None for the project itself and for links inside it."""
    if _FOLDER not in folder or not isinstance(item, dict) or item.get("link") is True or _is_left_out(item):
        return None
    name = item.get("name") or _folder_name(folder + "/")
    link = str(item.get("resolved", ""))
    is_release = not link.startswith(("git+", "git:", "file:", "ssh:", "github:"))
    return dependency("npm", name, npm_version(item.get("version")) if is_release else None, path)


def _tree(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    stack = [document]
    while stack:
        for name, item in mapping(stack.pop().get("dependencies")).items():
            if isinstance(item, dict) and not _is_left_out(item):
                yield name, item
                stack.append(item)


def _is_left_out(item: dict[str, Any]) -> bool:
    return any(item.get(flag) is True for flag in ("dev", "optional", "devOptional"))


def _folder_name(path: str) -> str:
    """Return the name that the folder gives to a package: ``node_modules/@s/a/package.json`` is in @s/a."""
    parts = path.rpartition(_FOLDER)[2].split("/")
    return "/".join(parts[:2] if parts[0].startswith("@") else parts[:1])
