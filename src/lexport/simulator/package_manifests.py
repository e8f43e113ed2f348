"""The libraries of simulated packages: files by which tools know them, with versions that exist, some vulnerable.

There are few sets of libraries for each kind of runtime, and each is made once: a package must cost microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache

from lexport.simulator.seeded_choices import SeededChoices

SETS = 64
"""So many sets of libraries there are for each kind of runtime."""

PROGRAM = "bootstrap"
"""The name of a Go program in a package, which is executable."""
MAIN_FILES = {
    "python": ("handler.py", "#", "def handler(event, context):\n    return event\n"),
    "nodejs": ("index.js", "//", "exports.handler = async (event) => event;\n"),
    "java": ("application.properties", "#", "handler=com.example.Handler\n"),
    "dotnet": ("App.ini", ";", "[Handler]\n"),
    "provided": ("config.ini", ";", "[handler]\n"),
}
"""Kind -> name of a text file in each package, what its comments begin with, and its text."""

_MOST_LIBRARIES = 5  # of a package; more would make it larger than 4 KB
_PYTHON = (
    ("boto3", ("1.34.162", "1.35.36")),
    ("requests", ("2.19.1", "2.31.0", "2.32.3")),
    ("urllib3", ("1.24.1", "1.26.5", "2.2.3")),
    ("PyYAML", ("5.3.1", "6.0.2")),
    ("Jinja2", ("2.10", "3.1.4")),
    ("cryptography", ("3.3.1", "43.0.1")),
    ("Pillow", ("8.1.0", "10.4.0")),
    ("certifi", ("2022.9.24", "2024.8.30")),
    ("pydantic", ("1.10.2", "2.9.2")),
)
_NODEJS = (
    ("@aws-sdk/client-s3", ("3.609.0", "3.664.0")),
    ("lodash", ("4.17.15", "4.17.21")),
    ("axios", ("0.21.0", "1.7.7")),
    ("minimist", ("1.2.5", "1.2.8")),
    ("node-fetch", ("2.6.0", "2.7.0")),
    ("jsonwebtoken", ("8.5.1", "9.0.2")),
    ("moment", ("2.29.1", "2.30.1")),
    ("semver", ("7.3.5", "7.6.3")),
    ("express", ("4.17.1", "4.21.1")),
)
_JAVA = (
    ("com.amazonaws:aws-lambda-java-core", ("1.2.2", "1.2.3")),
    ("org.apache.logging.log4j:log4j-core", ("2.14.1", "2.17.1", "2.23.1")),
    ("com.fasterxml.jackson.core:jackson-databind", ("2.9.8", "2.17.2")),
    ("org.yaml:snakeyaml", ("1.26", "2.2")),
    ("org.apache.commons:commons-text", ("1.9", "1.12.0")),
    ("org.springframework:spring-core", ("5.3.17", "6.1.12")),
    ("com.google.code.gson:gson", ("2.8.6", "2.11.0")),
)
_GO = (
    ("github.com/aws/aws-lambda-go", ("v1.41.0", "v1.47.0")),
    ("golang.org/x/net", ("v0.7.0", "v0.29.0")),
    ("golang.org/x/crypto", ("v0.14.0", "v0.27.0")),
    ("golang.org/x/text", ("v0.3.5", "v0.18.0")),
    ("gopkg.in/yaml.v2", ("v2.2.2", "v2.4.0")),
    ("github.com/dgrijalva/jwt-go", ("v3.2.0+incompatible",)),
    ("google.golang.org/protobuf", ("v1.31.0", "v1.34.2")),
)
_DOTNET = (
    ("Amazon.Lambda.Core", ("2.2.0", "2.3.0")),
    ("Newtonsoft.Json", ("12.0.3", "13.0.3")),
    ("System.Text.Json", ("8.0.3", "8.0.5")),
    ("System.Net.Http", ("4.3.0", "4.3.4")),
    ("Npgsql", ("8.0.2", "8.0.4")),
    ("AWSSDK.Core", ("3.7.303", "3.7.400")),
)
"""Name -> versions. The first library is in every package of its kind."""

_Libraries = dict[str, str]
_Files = dict[str, bytes]


def kind_of(runtime: str | None) -> str:
    """Return the kind of libraries that functions of a runtime have; "" for none."""
    return next((kind for kind in _KINDS if runtime and runtime.startswith(kind)), "")


@lru_cache(maxsize=8 * SETS)
def manifests(kind: str, number: int) -> _Files:
    """Return path and content of the files that name the libraries of a set."""
    if not kind:
        return {}
    known, write = _KINDS[kind]
    choices = SeededChoices("libraries", kind, number)
    libraries: _Libraries = {}
    for position, (name, versions) in enumerate(known):
        version = choices.choose(versions)
        if (not position or choices.chance(60)) and len(libraries) < _MOST_LIBRARIES:
            libraries[name] = version
    return write(libraries, number % 2 == 0)


def _python(libraries: _Libraries, is_installed: bool) -> _Files:  # noqa: FBT001 - called through a table
    if not is_installed:
        return {"requirements.txt": "".join(f"{name}=={version}\n" for name, version in libraries.items()).encode()}
    return {
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        for name, version in libraries.items()
    }


def _nodejs(libraries: _Libraries, is_installed: bool) -> _Files:  # noqa: FBT001 - called through a table
    if is_installed:
        return {
            f"node_modules/{name}/package.json": json.dumps({"name": name, "version": version}).encode()
            for name, version in libraries.items()
        }
    packages = {f"node_modules/{name}": {"version": version} for name, version in libraries.items()}
    return {"package-lock.json": json.dumps({"lockfileVersion": 3, "packages": {"": {}} | packages}).encode()}


def _java(libraries: _Libraries, _: bool) -> _Files:  # noqa: FBT001 - called through a table
    files = {}
    for title, version in libraries.items():
        group, name = title.split(":")
        text = f"groupId={group}\nartifactId={name}\nversion={version}\n"
        files[f"META-INF/maven/{group}/{name}/pom.properties"] = text.encode()
    return files


def _dotnet(libraries: _Libraries, _: bool) -> _Files:  # noqa: FBT001 - called through a table
    packages = {f"{name}/{version}": {"type": "package"} for name, version in libraries.items()}
    return {"App.deps.json": json.dumps({"libraries": {"App/1.0.0": {"type": "project"}} | packages}).encode()}


def _go(libraries: _Libraries, _: bool) -> _Files:  # noqa: FBT001 - called through a table
    """Return an executable that holds nothing but the build information that Go links into each.

    Source: Go's ``debug/buildinfo``: 32 bytes at a multiple of 16, then two texts, each after its length.
    """
    lines = "".join(f"dep\t{name}\t{version}\th1:simulated=\n" for name, version in libraries.items())
    frame = bytes(16)
    modules = frame + f"path\texample.com/app\nmod\texample.com/app\t(devel)\t\n{lines}".encode() + frame
    head = b"\x7fELF".ljust(16, b"\0") + b"\xff Go buildinf:\x08\x02".ljust(32, b"\0")
    return {PROGRAM: head + _with_length(b"go1.22.5") + _with_length(modules)}


def _with_length(text: bytes) -> bytes:
    """Return a text after its length, in 7 bits a byte, lowest first."""
    length, encoded = len(text), bytearray()
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(encoded) + bytes((length,)) + text


_KINDS: dict[str, tuple[tuple[tuple[str, tuple[str, ...]], ...], Callable[[_Libraries, bool], _Files]]] = {
    "python": (_PYTHON, _python),
    "nodejs": (_NODEJS, _nodejs),
    "java": (_JAVA, _java),
    "provided": (_GO, _go),
    "dotnet": (_DOTNET, _dotnet),
}
"""What runtimes begin with -> their libraries, and what writes the files that name them."""
