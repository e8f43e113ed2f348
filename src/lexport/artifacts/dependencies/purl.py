"""Names and versions as package URLs have them, so that one name means one package.

Source: the package URL specification, written by packageurl-python.
"""

from __future__ import annotations

import re
from typing import Literal

from packageurl import PackageURL

from lexport.model import Dependency

Ecosystem = Literal["pypi", "npm", "maven", "golang", "nuget", "gem", "composer", "cargo"]
_LONGEST = 512  # characters of a name or a version; the longest of Maven Central have about 200
_VERSION = re.compile(r"(?=[^0-9]*[0-9])[A-Za-z0-9][A-Za-z0-9.+_!~-]*")
_WILDCARD = re.compile(r"(?:.*\.)?[xX](?:\..*)?")  # `1.x` is a range


def dependency(ecosystem: Ecosystem, name: object, version: object, path: str) -> Dependency | None:
    """Make a dependency of what a manifest says; None where that is no name.

    A version that is a placeholder, a range or a place to fetch from is none.
    """
    if not _is_word(name):
        return None
    assert isinstance(name, str)
    return Dependency(ecosystem=ecosystem, name=_normal(ecosystem, name), version=exact_version(version), path=path)


def exact_version(text: object) -> str | None:
    """Return a version; None for what is none: ``${project.version}``, ``@VERSION@``, ``^1.2``, ``file:../x``."""
    if not _is_word(text):
        return None
    assert isinstance(text, str)
    return text if _VERSION.fullmatch(text) and not _WILDCARD.fullmatch(text) else None


def _normal(ecosystem: Ecosystem, name: str) -> str:
    if ecosystem == "pypi":
        return re.sub(r"[-_.]+", "-", name).lower()  # PEP 503
    return name.lower() if ecosystem in ("npm", "composer") else name


def _is_word(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _LONGEST and text.isprintable() and text.strip() == text


def purl(ecosystem: str, name: str, version: str | None) -> str | None:
    """Write a package URL; None for a jar whose group is unknown, or for a name that no package URL can hold."""
    namespace, separator, last = name.rpartition(":" if ecosystem == "maven" else "/")
    if ecosystem == "maven" and not (separator and namespace):
        return None
    if ecosystem == "golang":
        namespace, last = namespace.lower(), last.lower()  # as its type demands
    try:
        return PackageURL(ecosystem, namespace or None, last, version or None).to_string()
    except ValueError:
        return None
