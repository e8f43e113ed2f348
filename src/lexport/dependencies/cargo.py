"""Cargo.lock -> the crates that a Rust program was built from."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

from lexport.dependencies.documents import mappings
from lexport.dependencies.purl import dependency
from lexport.dependencies.text import text_of
from lexport.model import Dependency


def read_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Read the crates that come from a registry or a repository; one without a source is the program itself."""
    try:
        document = tomllib.loads(text_of(body))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    for item in mappings(document.get("package")):
        source = item.get("source")
        version = item.get("version") if str(source).startswith(("registry+", "sparse+")) else None
        found = source and dependency("cargo", item.get("name"), version, path)
        if found:
            yield found
