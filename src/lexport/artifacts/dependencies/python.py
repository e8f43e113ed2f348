"""Files of pip, Poetry, Pipenv, PDM and uv -> installed distributions, and requested ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.parser import HeaderParser
from posixpath import dirname, join, normpath
from typing import Any

from lexport.artifacts.dependencies.documents import mapping, mappings, reachable, read_json, read_toml, text_of
from lexport.artifacts.dependencies.markers import may_hold
from lexport.artifacts.dependencies.purl import dependency, named
from lexport.model import Dependency

# `name[extra] == 1.2 ; marker  # comment`
_NAME = r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,200}[A-Za-z0-9])?)"
_REQUIREMENT = re.compile(_NAME + r"\s{0,9}(?:\[[^\]\n]{0,200}\])?\s{0,9}(?P<rest>.*)")
_PIN = re.compile(r"===?\s{0,9}(?P<version>[^\s,;)]{1,200})")
_EGG = re.compile(r"[#&]egg=" + _NAME)
_WHEEL = re.compile(r"(?:.*/)?(?P<name>[A-Za-z0-9][\w.-]{0,200}?)-\d[^/]{0,200}\.(?:whl|zip|tar\.gz|tgz)(?:[#?].*)?")
_MAX_LINE = 2_000  # characters of a requirement without its hashes
_OPTION = re.compile(r"\s--?[a-z].*")  # `--hash=…`, `--config-settings …` after a requirement


def read_metadata(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield an installed distribution; name and version are among the first headers."""
    head = text_of(body).replace("\r\n", "\n").split("\n\n", maxsplit=1)[0]
    headers = HeaderParser().parsestr(head, headersonly=True)
    distribution = dependency("pypi", (headers["Name"] or "").strip(), (headers["Version"] or "").strip(), path)
    if distribution is None:
        raise ValueError("no Name")
    yield distribution


def read_requirements(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the distributions of a requirements file; only an exact pin gives a version.

    Leaves out requirements of other platforms. Raises ValueError, after everything else, for a line without a name.
    """
    has_nameless_line = False
    for line in _lines(body):
        text = line
        if option := re.match(r"(?:-e|--editable)[\s=]+(.*)", line):
            text = option[1]
        elif line.startswith("-"):
            continue
        requirement, _, marker = text.partition(" ;") if "://" in text else text.partition(";")
        if marker.strip() and not may_hold(marker.strip()):
            continue
        item = _requirement(requirement.strip(), path) if len(requirement) <= _MAX_LINE else None
        has_nameless_line = has_nameless_line or not item
        if item:
            yield item
    if has_nameless_line:
        raise ValueError("a requirement without a name")


def _requirement(text: str, path: str) -> Dependency | None:
    link = "://" in text or text.startswith(("git+", "file:", ".", "/"))
    if link and not re.match(_NAME + r"\s{0,9}(?:\[[^\]]*\])?\s{0,9}@", text):
        match = _EGG.search(text) or _WHEEL.fullmatch(text)
        return dependency("pypi", match["name"], None, path) if match else None
    requirement = _REQUIREMENT.match(text)
    if requirement is None:
        return None
    pin = None if requirement["rest"].startswith("@") else _PIN.search(requirement["rest"])
    return dependency("pypi", requirement["name"], pin and pin["version"], path)


def included_files(path: str, body: bytes) -> Iterator[str]:
    """Yield the paths that a requirements file includes with ``-r``."""
    for line in _lines(body):
        included = re.match(r"(?:-r|--requirement)[\s=]*(\S+)", line)
        if included and "://" not in included[1]:
            yield normpath(join(dirname(path), included[1]))


def _lines(body: bytes) -> Iterator[str]:
    """Yield lines without comments and options; lines continued with a backslash are joined."""
    parts: list[str] = []
    for line in (*text_of(body).splitlines(), ""):
        text = line.strip()
        if text.endswith("\\"):
            parts.append(text[:-1].rstrip())
            continue
        whole = re.sub(r"(?:^|\s)#.*", "", " ".join((*parts, text))).strip()
        parts.clear()
        if whole:
            yield whole if whole.startswith("-") else _OPTION.sub("", whole)


def read_pipfile_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the packages of a ``Pipfile.lock`` without development packages."""
    for name, item in mapping(mapping(read_json(body)).get("default")).items():
        values = item if isinstance(item, dict) else {}
        if may_hold(values.get("markers")):
            yield from named("pypi", name, str(values.get("version", "")).removeprefix("=="), path)


def read_toml_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the packages of ``poetry.lock``, ``pdm.lock``, ``uv.lock`` or ``pylock.toml`` that the project needs."""
    document = read_toml(body)
    packages = [*mappings(document.get("package")), *mappings(document.get("packages"))]
    own = [item for item in packages if _is_own(item)]
    needed = _needed(packages, own) if own else None
    for item in packages:
        name = item.get("name")
        if _is_own(item) or _is_for_development(item) or (needed is not None and name not in needed):
            continue
        if may_hold(item.get("marker") or item.get("markers")):
            yield from named("pypi", name, None if _is_no_release(item) else item.get("version"), path)


def _source(item: dict[str, Any]) -> dict[str, Any]:
    source = item.get("source")
    return source if isinstance(source, dict) else {}


def _is_no_release(item: dict[str, Any]) -> bool:
    """Return whether a package comes from a repository, a URL or a folder: its version is none of a release."""
    source = _source(item)
    if "type" in source:  # the key that Poetry writes
        return source["type"] in ("git", "url", "directory", "file")
    return bool({"git", "url", "path", "vcs", "directory", "archive"} & (source.keys() | item.keys()))


def _is_own(item: dict[str, Any]) -> bool:
    return bool({"editable", "virtual"} & _source(item).keys())


def _is_for_development(item: dict[str, Any]) -> bool:
    groups = item.get("groups")
    if isinstance(groups, list) and groups:
        return not {"main", "default"} & {group for group in groups if isinstance(group, str)}
    return item.get("category") == "dev" or (item.get("optional") is True)


def _needed(packages: list[dict[str, Any]], own: list[dict[str, Any]]) -> set[str]:
    """Return the names that the project's dependencies reach, without its development groups."""

    def names(item: dict[str, Any]) -> list[str]:
        required = [entry for entry in mappings(item.get("dependencies")) if may_hold(entry.get("marker"))]
        return [entry["name"] for entry in required if isinstance(entry.get("name"), str)]

    edges: dict[str, list[str]] = {}
    for item in packages:
        edges.setdefault(str(item.get("name")), []).extend(names(item))
    return reachable([name for item in own for name in names(item)], lambda name: edges.get(name, ()))
