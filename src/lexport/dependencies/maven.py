"""pom.properties and MANIFEST.MF -> the artifact that a jar is, or that was folded into it."""

from __future__ import annotations

from collections.abc import Iterator

from lexport.dependencies.purl import dependency
from lexport.model import Dependency


def read_pom_properties(path: str, body: bytes) -> Iterator[Dependency]:
    """Read group, artifact and version as Maven wrote them."""
    lines = [line.strip() for line in body.decode("utf-8", "replace").splitlines()]
    values = {
        key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines if line[:1] not in "#!")
    }
    group, artifact = values.get("groupId"), values.get("artifactId")
    found = group and artifact and dependency("maven", f"{group}:{artifact}", values.get("version"), path)
    if not found:
        raise ValueError("no groupId, artifactId and version")
    yield found


def read_manifest(path: str, body: bytes) -> Iterator[Dependency]:
    """Read a jar's own words of itself, for jars without pom.properties; most say nothing, and that is fine."""
    main = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n\n", maxsplit=1)[0]
    lines = main.replace("\n ", "").split("\n")  # a line of over 72 bytes goes on after a blank
    values = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    title, group = values.get("Implementation-Title"), values.get("Implementation-Vendor-Id")
    name = f"{group}:{title}" if group and title else title
    found = dependency("maven", name, values.get("Implementation-Version"), path)
    if found:
        yield found
