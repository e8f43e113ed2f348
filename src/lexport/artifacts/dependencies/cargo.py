"""Cargo.lock -> the crates that a Rust program was built from."""

from __future__ import annotations

from collections.abc import Iterator

from lexport.artifacts.dependencies.documents import mappings, read_toml
from lexport.artifacts.dependencies.purl import dependency
from lexport.model import Dependency


def read_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Read the crates that come from a registry or a repository; one without a source is the program itself."""
    for item in mappings(read_toml(body).get("package")):
        source = item.get("source")
        version = item.get("version") if str(source).startswith(("registry+", "sparse+")) else None
        found = source and dependency("cargo", item.get("name"), version, path)
        if found:
            yield found
