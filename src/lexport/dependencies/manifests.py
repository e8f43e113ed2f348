"""path -> which parser reads it, if any."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lexport.dependencies.maven import read_manifest, read_pom_properties
from lexport.dependencies.npm import read_lock, read_package
from lexport.dependencies.python import read_metadata, read_requirements
from lexport.model import Dependency


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """How a kind of manifest is read: its parser, and whether the head of the file holds all it says.

    ``is_fallback``: believed only where the same archive holds nothing better.
    """

    parse: Callable[[str, bytes], Iterator[Dependency]]
    is_head_enough: bool = False
    is_fallback: bool = False


_KINDS = (
    (r"(?:.*/)?[^/]+\.dist-info/METADATA", Manifest(parse=read_metadata, is_head_enough=True)),
    (r"(?:.*/)?[^/]+\.egg-info/PKG-INFO", Manifest(parse=read_metadata, is_head_enough=True)),
    (r"(?:.*/)?requirements[^/]*\.txt", Manifest(parse=read_requirements)),
    (r"(?:.*/)?node_modules/(?:@[^/]+/)?[^/@][^/]*/package\.json", Manifest(parse=read_package)),
    (r"(?:.*/)?package-lock\.json", Manifest(parse=read_lock)),
    (r"(?:.*/)?META-INF/maven/.*/pom\.properties", Manifest(parse=read_pom_properties, is_head_enough=True)),
    (r"META-INF/MANIFEST\.MF", Manifest(parse=read_manifest, is_head_enough=True, is_fallback=True)),
)
_PATTERNS = tuple((re.compile(pattern), manifest) for pattern, manifest in _KINDS)
_LAST_WORDS = re.compile(r"(?:METADATA|PKG-INFO|\.txt|package(?:-lock)?\.json|pom\.properties|MANIFEST\.MF)\Z")


def manifest_at(path: str) -> Manifest | None:
    """Tell how the file of this path is read; None for what is no manifest."""
    if _LAST_WORDS.search(path) is None:
        return None
    return next((manifest for pattern, manifest in _PATTERNS if pattern.fullmatch(path)), None)


def is_archive(path: str) -> bool:
    """Tell whether a member is itself a zip that holds dependencies."""
    return path.endswith((".jar", ".war", ".whl"))


def may_be_executable(path: str) -> bool:
    """Tell whether an executable is to be expected here: `bootstrap` and its like, extensions of layers."""
    folder, _, name = path.rpartition("/")
    return folder in ("", "bin", "extensions") and "." not in name
