"""installed.json and composer.lock -> the packages that Composer installed, or that it should install."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lexport.artifacts.dependencies.documents import mapping, mappings, read_json
from lexport.artifacts.dependencies.purl import named
from lexport.model import Dependency


def read_installed(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the packages of ``vendor/composer/installed.json`` of Composer 1 or 2."""
    document = read_json(body)
    yield from _packages(document if isinstance(document, list) else mapping(document).get("packages"), path)


def read_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the packages of ``composer.lock`` without development packages."""
    yield from _packages(mapping(read_json(body)).get("packages"), path)


def _packages(items: Any, path: str) -> Iterator[Dependency]:
    for item in mappings(items):
        version = item.get("version")
        release = version.removeprefix("v") if isinstance(version, str) else None
        yield from named("composer", item.get("name"), release, path)
