"""What pip, Poetry, Pipenv, PDM and uv leave behind -> what is installed, and what was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.parser import HeaderParser
from posixpath import dirname, join, normpath
from typing import Any

import orjson

from lexport.artifacts.dependencies.documents import mapping, mappings, reachable, read_toml
from lexport.artifacts.dependencies.markers import may_hold
from lexport.artifacts.dependencies.purl import dependency
from lexport.artifacts.dependencies.text import text_of, utf8_of
from lexport.model import Dependency

# `name[extra] == 1.2 ; marker  # comment`
_NAME = r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,200}[A-Za-z0-9])?)"
_REQUIREMENT = re.compile(_NAME + r"\s{0,9}(?:\[[^\]\n]{0,200}\])?\s{0,9}(?P<rest>.*)")
_PIN = re.compile(r"===?\s{0,9}(?P<version>[^\s,;)]{1,200})")
_EGG = re.compile(r"[#&]egg=" + _NAME)
_WHEEL = re.compile(r"(?:.*/)?(?P<name>[A-Za-z0-9][\w.-]{0,200}?)-\d[^/]{0,200}\.(?:whl|zip|tar\.gz|tgz)(?:[#?].*)?")
_LONGEST_LINE = 2_000  # without its hashes
_OPTION = re.compile(r"\s--?[a-z].*")  # `--hash=…`, `--config-settings …` behind a requirement


def read_metadata(path: str, body: bytes) -> Iterator[Dependency]:
    """Read the name and version of an installed distribution; they stand among the first headers."""
    head = text_of(body).replace("\r\n", "\n").split("\n\n", maxsplit=1)[0]
    headers = HeaderParser().parsestr(head, headersonly=True)
    found = dependency("pypi", (headers["Name"] or "").strip(), (headers["Version"] or "").strip(), path)
    if found is None:
        raise ValueError("no Name")
    yield found


# --- what was asked for -----------------------------------------------------------------------------------------------


def read_requirements(path: str, body: bytes) -> Iterator[Dependency]:
    """Read a requirements file: an exact pin gives a version, whatever else is asked for a name.

    Leaves out what other platforms need. Raises ValueError, after all the rest, for a line without a name.
    """
    nameless = False
    for line in _lines(body):
        text = line
        if option := re.match(r"(?:-e|--editable)[\s=]+(.*)", line):
            text = option[1]
        elif line.startswith("-"):
            continue
        requirement, _, marker = text.partition(" ;") if "://" in text else text.partition(";")
        if marker.strip() and not may_hold(marker.strip()):
            continue
        found = _required(requirement.strip(), path) if len(requirement) <= _LONGEST_LINE else None
        nameless = nameless or not found
        if found:
            yield found
    if nameless:
        raise ValueError("a requirement without a name")


def _required(text: str, path: str) -> Dependency | None:
    link = "://" in text or text.startswith(("git+", "file:", ".", "/"))
    if link and not re.match(_NAME + r"\s{0,9}(?:\[[^\]]*\])?\s{0,9}@", text):
        found = _EGG.search(text) or _WHEEL.fullmatch(text)
        return dependency("pypi", found["name"], None, path) if found else None
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
    """Yield lines without comments and options, those that go on behind a backslash as one."""
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
    """Read the packages of a ``Pipfile.lock`` that are no development packages."""
    for name, item in mapping(mapping(orjson.loads(utf8_of(body))).get("default")).items():
        facts = item if isinstance(item, dict) else {}
        marker = facts.get("markers")
        found = dependency("pypi", name, str(facts.get("version", "")).removeprefix("=="), path)
        if found and (not isinstance(marker, str) or may_hold(marker)):
            yield found


def read_toml_lock(path: str, body: bytes) -> Iterator[Dependency]:
    """Read ``poetry.lock``, ``pdm.lock``, ``uv.lock`` or ``pylock.toml``: what the project itself needs."""
    document = read_toml(body)
    packages = [*mappings(document.get("package")), *mappings(document.get("packages"))]
    own = [item for item in packages if _is_own(item)]
    wanted = _needed(packages, own) if own else None
    for item in packages:
        name = item.get("name")
        if _is_own(item) or _is_for_development(item) or (wanted is not None and name not in wanted):
            continue
        marker = item.get("marker") or item.get("markers")
        if isinstance(marker, str) and not may_hold(marker):
            continue
        found = dependency("pypi", name, None if _is_elsewhere(item) else item.get("version"), path)
        if found:
            yield found


def _source(item: dict[str, Any]) -> dict[str, Any]:
    source = item.get("source")
    return source if isinstance(source, dict) else {}


def _is_elsewhere(item: dict[str, Any]) -> bool:
    """Tell what comes from a repository, a link or a folder: its version is not that of a release."""
    source = _source(item)
    if "type" in source:  # Poetry's word
        return source["type"] in ("git", "url", "directory", "file")
    return bool({"git", "url", "path", "vcs", "directory", "archive"} & (source.keys() | item.keys()))


def _is_own(item: dict[str, Any]) -> bool:
    """Tell the project itself in a ``uv.lock``."""
    return bool({"editable", "virtual"} & _source(item).keys())


def _is_for_development(item: dict[str, Any]) -> bool:
    groups = item.get("groups")
    if isinstance(groups, list) and groups:
        return not {"main", "default"} & {group for group in groups if isinstance(group, str)}
    return item.get("category") == "dev" or (item.get("optional") is True)


def _needed(packages: list[dict[str, Any]], own: list[dict[str, Any]]) -> set[str]:
    """Return what the project reaches, without its development groups."""

    def names(item: dict[str, Any]) -> list[str]:
        below = [each for each in mappings(item.get("dependencies")) if _holds(each)]
        return [each["name"] for each in below if isinstance(each.get("name"), str)]

    edges: dict[str, list[str]] = {}
    for item in packages:
        edges.setdefault(str(item.get("name")), []).extend(names(item))
    return reachable([name for item in own for name in names(item)], lambda name: edges.get(name, ()))


def _holds(item: dict[str, Any]) -> bool:
    marker = item.get("marker")
    return not isinstance(marker, str) or may_hold(marker)
