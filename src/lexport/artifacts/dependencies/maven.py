"""pom.properties, MANIFEST.MF and the file name of a jar -> the artifacts in the jar."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexport.artifacts.dependencies.documents import text_of
from lexport.artifacts.dependencies.purl import dependency, exact_version, named
from lexport.model import Dependency

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_QUALIFIERS = r"alpha|beta|rc|cr|m|b|sp|ga|final|release|snapshot|pre|dev|jre|android|incubating|patch|build|rev"
_FILE = re.compile(
    rf"(?P<artifact>[A-Za-z][\w.+]*(?:-(?!\d)[\w.+]+|-\d[\d.]*(?=-(?!(?:{_QUALIFIERS})\b)[A-Za-z][\w.+-]*-\d))*)"
    r"-(?P<version>\d[\w.+-]*|[vr]\d[\w.+-]*)",
    re.IGNORECASE,
)  # numbers before a word and a version, as in `log4j-1.2-api-2.19.0`, belong to the artifact


def read_pom_properties(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the artifact that Maven wrote; a version that is still a placeholder is taken from the jar's name."""
    values = read_properties(body)
    group, artifact = values.get("groupId"), values.get("artifactId")
    version, by_name = exact_version(values.get("version")), name_of_jar(path)
    if version is None and by_name and by_name[0] == artifact:
        version = by_name[1]
    item = group and artifact and dependency("maven", f"{group}:{artifact}", version, path)
    if not item or "${" in item.name:
        raise ValueError("no groupId and artifactId")
    yield item


def read_properties(body: bytes) -> dict[str, str]:
    """Parse Java properties: comments, continued lines, escapes, and ``=``, ``:`` or a blank after the key."""
    lines: list[str] = []
    is_continued = False
    for line in re.split(r"\r\n|\r|\n", text_of(body)):
        text = line.lstrip(" \t\f")
        if not is_continued and (not text or text[0] in "#!"):
            continue
        if is_continued:
            lines[-1] += text
        else:
            lines.append(text)
        is_continued = (len(text) - len(text.rstrip("\\"))) % 2 == 1
        if is_continued:
            lines[-1] = lines[-1][:-1]
    values: dict[str, str] = {}
    for line in lines:
        key, value = re.fullmatch(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", line, re.DOTALL).groups()  # type: ignore[union-attr]
        values[_unescape(key)] = _unescape(value).strip()
    return values


def _unescape(text: str) -> str:
    return _ESCAPE.sub(
        lambda match: chr(int(match[1], 16)) if match[1] else {"t": "\t", "n": "\n", "r": "\r"}.get(match[2], match[2]),
        text,
    )


def read_manifest(path: str, body: bytes) -> Iterator[Dependency]:
    """Yield the artifact of a jar without pom.properties, if its file name or else its manifest names one.

    ``commons-io-2.11.0.jar`` gives artifact and version as Maven knows them; the manifest may then give the group.
    """
    main = text_of(body).replace("\r\n", "\n").replace("\r", "\n").split("\n\n", maxsplit=1)[0]
    lines = main.replace("\n ", "").split("\n")  # lines over 72 bytes are continued after a blank
    values = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    group = values.get("implementation-vendor-id", "")
    by_name = name_of_jar(path)
    bundle = values.get("bundle-symbolicname", "").partition(";")[0].strip()
    title, title_version = values.get("implementation-title"), exact_version(values.get("implementation-version"))
    if by_name:
        artifact, version = by_name
    elif bundle and exact_version(values.get("bundle-version")):
        artifact, version = bundle, values["bundle-version"]
        group = ""
    elif title and title_version:
        artifact, version = title, title_version
    else:
        return
    is_group = re.fullmatch(r"[\w-]+(?:\.[\w-]+)*", group) is not None
    yield from named("maven", f"{group}:{artifact}" if is_group else artifact, version, path)


def name_of_jar(path: str) -> tuple[str, str] | None:
    """Return artifact and version of ``lib/artifact-1.2.3.jar`` or of a file in it; None for other names."""
    file = re.split(r"[/\\]", path.rpartition("!/")[0] or path)[-1]
    stem = re.sub(r"\.(?:jar|war|ear|aar)\Z", "", file)
    match = _FILE.fullmatch(stem) if stem != file else None
    return (match["artifact"], match["version"]) if match and exact_version(match["version"]) else None
