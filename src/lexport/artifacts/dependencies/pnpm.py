"""pnpm-lock.yaml of versions 5 to 9 -> the packages that pnpm should install, without development packages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lexport.artifacts.dependencies.documents import mapping, reachable
from lexport.artifacts.dependencies.indented import read_indented
from lexport.artifacts.dependencies.npm import npm_version
from lexport.artifacts.dependencies.purl import named
from lexport.model import Dependency

_PEERS = re.compile(r"\(.*|_.*")  # `1.0.0(react@18.0.0)`, in older versions `1.0.0_react@18.0.0`
_PACKAGE_KEY = re.compile(r"/?(?P<name>(?:@[^/@]+/)?[^/@]+)[/@](?P<version>.+)", re.DOTALL)


def read_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the packages that the importers' dependencies reach; every package where the file has no graph."""
    document = read_indented(body)
    packages, snapshots = mapping(document.get("packages")), mapping(document.get("snapshots"))
    needed = _needed(document, snapshots) if snapshots else None
    for key, value in packages.items():
        item = mapping(value)
        match = _PACKAGE_KEY.fullmatch(key)
        if match is None and not item.get("name"):
            raise ValueError("a package without a name")
        is_left_out = item.get("dev") == "true" or item.get("optional") == "true" or _is_elsewhere(item)
        if is_left_out or (needed is not None and key not in needed):
            continue
        name = item.get("name") or (match and match["name"])
        version = item.get("version") or (match and _PEERS.sub("", match["version"]))
        is_link = match is None or ":" in match["version"] or "/" in match["version"]
        yield from named("npm", name, None if is_link else npm_version(version), path)


def _needed(document: dict[str, Any], snapshots: dict[str, Any]) -> set[str]:
    """Return the keys of the packages that are reached, by the ``snapshots`` of version 9."""
    importers = mapping(document.get("importers")) or {".": document}
    roots = [
        _key(name, mapping(item).get("version"))
        for importer in importers.values()
        for name, item in mapping(mapping(importer).get("dependencies")).items()
    ]

    def below(key: str) -> list[str]:
        item = snapshots.get(key)
        needed = mapping(item.get("dependencies")) if isinstance(item, dict) else {}
        return [_key(name, version) for name, version in needed.items()]

    return {key.partition("(")[0] for key in reachable(roots, below)}


def _key(name: str, version: object) -> str:
    """Return the key of ``name: version``; the version of an alias is a key itself: ``b: a@1.0.0``."""
    text = str(version)
    return text if re.match(r"(?:@[^/]+/)?[^@(:/]+@", text) else f"{name}@{text}"


def _is_elsewhere(item: dict[str, Any]) -> bool:
    """Return whether a package excludes Linux: ``os: [darwin]`` does, ``os: ['!win32']`` does not."""
    names = re.findall(r"!?\w+", str(item.get("os", "")))
    return bool(names) and "linux" not in names and not any(name.startswith("!") for name in names)
