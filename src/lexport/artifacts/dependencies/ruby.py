"""Gemfile.lock and the specifications of installed gems -> gems."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexport.artifacts.dependencies.purl import dependency
from lexport.artifacts.dependencies.text import text_of
from lexport.model import Dependency

_SPEC = re.compile(r" {4}(?P<name>\S+) \((?P<version>[^)]+)\)")
_GEM = re.compile(r"(?P<name>.+?)-(?P<version>\d[0-9A-Za-z.]*)(?:-(?P<platform>.+))?")


def read_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Read the gems of a lock file; one from a repository or a folder is no release."""
    section = ""
    for line in text_of(body).splitlines():
        if line and not line.startswith(" "):
            section = line.strip()
        match = _SPEC.fullmatch(line.rstrip()) if section in ("GEM", "GIT", "PATH", "PLUGIN SOURCE") else None
        if match is None:
            continue
        version, _, platform = match["version"].partition("-")
        if not is_for_linux(platform):
            continue
        found = dependency("gem", match["name"], version if section == "GEM" else None, path)
        if found:
            yield found
    if not section:
        raise ValueError("no section")


def read_specification(path: str, body: bytes) -> Iterator[Dependency]:  # noqa: ARG001 - a specification is a program
    """Read the gem that ``specifications/name-1.2.3.gemspec`` is of, by the name of the file."""
    match = _GEM.fullmatch(path.rpartition("/")[2].removesuffix(".gemspec"))
    found = match and dependency("gem", match["name"], match["version"], path)
    if not found:
        raise ValueError("no name and version")
    yield found


def is_for_linux(platform: str) -> bool:
    """Tell whether a gem of this platform can be installed in Lambda: ``x86_64-linux``, ``java``, ``arm64-darwin``."""
    return not re.search(r"darwin|mingw|mswin|java|jruby|freebsd", platform)
