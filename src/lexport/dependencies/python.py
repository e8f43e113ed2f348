"""METADATA, PKG-INFO and requirements -> what pip installed, or was asked to install."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.parser import HeaderParser

from lexport.dependencies.purl import dependency
from lexport.model import Dependency

# `name[extra] == 1.2 ; marker  # comment`; other operators pin nothing, nor does `== 1.*`
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,200}[A-Za-z0-9])?)\s{0,9}(?:\[[^\]\n]{0,200}\])?\s{0,9}===?\s{0,9}"
    r"(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]{0,200})(?=[\s;#\\]|$)"
)


def read_metadata(path: str, body: bytes) -> Iterator[Dependency]:
    """Read the name and version of an installed distribution; they stand among the first headers."""
    head = body.replace(b"\r\n", b"\n").split(b"\n\n", maxsplit=1)[0]
    headers = HeaderParser().parsestr(head.decode("utf-8", "replace"), headersonly=True)
    found = dependency("pypi", headers["Name"], headers["Version"], path)
    if found is None:
        raise ValueError("no Name and Version")
    yield found


def read_requirements(path: str, body: bytes) -> Iterator[Dependency]:
    """Read the pins of a requirements file; what is not pinned says no version."""
    for line in body.decode("utf-8-sig", "replace").splitlines():
        pin = _PIN.match(line.strip())
        found = pin and dependency("pypi", pin["name"], pin["version"], path)
        if found:
            yield found
