"""Cargo.lock -> the crates of a Rust program."""

from __future__ import annotations

from collections.abc import Iterator

from lexport.artifacts.dependencies.documents import mappings, read_toml
from lexport.artifacts.dependencies.purl import named
from lexport.model import Dependency


def read_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the crates from a registry or a repository. A crate without a source is the program itself."""
    for item in mappings(read_toml(body).get("package")):
        source = item.get("source")
        version = item.get("version") if str(source).startswith(("registry+", "sparse+")) else None
        if source:
            yield from named("cargo", item.get("name"), version, path)
