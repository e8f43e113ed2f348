"""``App.deps.json`` -> the NuGet packages of a .NET program, and the files that belong to them."""

from __future__ import annotations

from collections.abc import Iterator

from lexport.artifacts.dependencies.documents import mapping, read_json
from lexport.artifacts.dependencies.purl import dependency
from lexport.model import Dependency


def read_deps(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the libraries that are packages; projects of the program itself are left out."""
    for title, item in mapping(mapping(read_json(body)).get("libraries")).items():
        kind = mapping(item).get("type")
        if kind not in ("package", "runtimepack"):
            continue
        name, _, version = title.removeprefix("runtimepack.").rpartition("/")
        package = dependency("nuget", name, version, path)
        if package is None:
            raise ValueError("a library without a name")
        yield package


def explained_files(body: bytes) -> Iterator[str]:
    """Yield the names, without folders, of the files that belong to the libraries and projects of a program."""
    for target in mapping(mapping(read_json(body)).get("targets")).values():
        for item in mapping(target).values():
            for kind in ("runtime", "native", "runtimeTargets", "resources"):
                for file in mapping(mapping(item).get(kind)):
                    yield file.rpartition("/")[2].lower()
