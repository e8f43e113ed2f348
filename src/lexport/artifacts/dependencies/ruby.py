"""Gemfile.lock and the specifications of installed gems -> gems."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexport.artifacts.dependencies.documents import text_of
from lexport.artifacts.dependencies.purl import dependency, named
from lexport.model import Dependency

_SPEC = re.compile(r" {4}(?P<name>\S+) \((?P<version>[^)]+)\)")
_ELSEWHERE = re.compile(r"darwin|mingw|mswin|java|jruby|freebsd")  # platforms of gems that cannot run in Lambda
_GEM = re.compile(r"(?P<name>.+?)-(?P<version>\d[0-9A-Za-z.]*)(?:-(?P<platform>.+))?")


def read_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the gems of a lock file; a gem from a repository or a folder has no version."""
    section = ""
    for line in text_of(body).splitlines():
        if line and not line.startswith(" "):
            section = line.strip()
        match = _SPEC.fullmatch(line.rstrip()) if section in ("GEM", "GIT", "PATH", "PLUGIN SOURCE") else None
        if match is None:
            continue
        version, _, platform = match["version"].partition("-")
        if not _ELSEWHERE.search(platform):
            yield from named("gem", match["name"], version if section == "GEM" else None, path)
    if not section:
        raise ValueError("no section")


def read_specification(path: str, body: bytes) -> Iterator[Dependency]:  # noqa: ARG001 - the file is a Ruby program
    """Yield the gem of ``specifications/name-1.2.3.gemspec``, by the name of the file."""
    match = _GEM.fullmatch(path.rpartition("/")[2].removesuffix(".gemspec"))
    gem = match and dependency("gem", match["name"], match["version"], path)
    if not gem:
        raise ValueError("no name and version")
    yield gem
