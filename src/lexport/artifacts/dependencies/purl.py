"""Dependencies with normalized names, and their package URLs, so that one package has one name.

Source: the package URL specification; packageurl-python writes the URLs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, TypeGuard

from packageurl import PackageURL

from lexport.model import Dependency

Ecosystem = Literal["pypi", "npm", "maven", "golang", "nuget", "gem", "composer", "cargo"]
_MAX_CHARACTERS = 512  # of a name or a version; the longest in Maven Central have about 200
_VERSION = re.compile(r"(?=[^0-9]*[0-9])[A-Za-z0-9][A-Za-z0-9.+_!~-]*")
_WILDCARD = re.compile(r"(?:.*\.)?[xX](?:\..*)?")  # `1.x` is a range


def dependency(ecosystem: Ecosystem, name: object, version: object, path: str) -> Dependency | None:
    """Return a dependency for the values of a manifest; None where ``name`` is no name.

    Its version is None where the manifest gives a placeholder, a range, or a URL or folder.
    """
    if not _is_word(name):
        return None
    if ecosystem == "pypi":
        name = python_name(name)
    elif ecosystem in ("npm", "composer"):
        name = name.lower()
    return Dependency(ecosystem=ecosystem, name=name, version=exact_version(version), path=path)


def named(ecosystem: Ecosystem, name: object, version: object, path: str) -> Iterator[Dependency]:
    """Yield a dependency as ``dependency`` returns it, or nothing."""
    if item := dependency(ecosystem, name, version, path):
        yield item


def exact_version(text: object) -> str | None:
    """Return an exact version; None for ``${project.version}``, ``@VERSION@``, ``^1.2``, ``file:../x``."""
    return text if _is_word(text) and _VERSION.fullmatch(text) and not _WILDCARD.fullmatch(text) else None


def python_name(name: str) -> str:
    """Return the normalized name of a Python distribution. Source: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_word(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and 0 < len(text) <= _MAX_CHARACTERS and text.isprintable() and text.strip() == text


def purl(ecosystem: str, name: str, version: str | None) -> str | None:
    """Return a package URL; None for a jar of unknown group, and for a name that no package URL can hold."""
    namespace, separator, last = name.rpartition(":" if ecosystem == "maven" else "/")
    if ecosystem == "maven" and not (separator and namespace):
        return None
    if ecosystem == "golang":
        namespace, last = namespace.lower(), last.lower()  # required by the type golang
    try:
        return PackageURL(ecosystem, namespace or None, last, version or None).to_string()
    except ValueError:
        return None
