"""``App.deps.json`` -> the NuGet packages that a .NET program was built from, and the files that it accounts for."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from lexport.artifacts.dependencies.documents import mapping
from lexport.artifacts.dependencies.purl import dependency
from lexport.artifacts.dependencies.text import utf8_of
from lexport.model import Dependency


def read_deps(path: str, body: bytes) -> Iterator[Dependency]:
    """Read the libraries that are packages; a project of the program itself is none."""
    for title, item in mapping(mapping(orjson.loads(utf8_of(body))).get("libraries")).items():
        kind = mapping(item).get("type")
        if kind not in ("package", "runtimepack"):
            continue
        name, _, version = title.removeprefix("runtimepack.").rpartition("/")
        found = dependency("nuget", name, version, path)
        if found is None:
            raise ValueError("a library without a name")
        yield found


def accounted_files(body: bytes) -> Iterator[str]:
    """Yield the names of the files that the libraries and projects of a program bring, without their folders."""
    for target in mapping(mapping(orjson.loads(utf8_of(body))).get("targets")).values():
        for item in mapping(target).values():
            for kind in ("runtime", "native", "runtimeTargets", "resources"):
                for file in mapping(mapping(item).get(kind)):
                    yield file.rpartition("/")[2].lower()
