"""Names as package URLs have them, so that one name means one package. Source: github.com/package-url/purl-spec."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

from lexport.model import Dependency

Ecosystem = Literal["pypi", "npm", "maven", "golang"]
_LONGEST = 512  # characters of a name or a version; the longest of Maven Central have about 200


def dependency(ecosystem: Ecosystem, name: object, version: object, path: str) -> Dependency | None:
    """Make a dependency of what a manifest says; None where that is no name or no version."""
    if not _is_word(name) or not _is_word(version):
        return None
    assert isinstance(name, str)
    assert isinstance(version, str)
    if ecosystem == "pypi":
        name = name.lower().replace("_", "-")
    return Dependency(ecosystem=ecosystem, name=name, version=version, path=path)


def _is_word(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _LONGEST and text.isprintable() and text.strip() == text


def purl(ecosystem: str, name: str, version: str) -> str | None:
    """Write a package URL; None for a jar whose group nobody knows."""
    if ecosystem == "maven":
        group, separator, artifact = name.partition(":")
        if not separator or not group or not artifact:
            return None
        parts = [group, artifact]
    else:
        parts = (name.lower() if ecosystem == "golang" else name).split("/")  # as its type demands
    path = "/".join(quote(part, safe="") for part in parts if part)
    return f"pkg:{ecosystem}/{path}@{quote(version, safe=':')}"
