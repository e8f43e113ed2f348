"""Sorted rows -> a CycloneDX 1.6 document in pieces, so that a fleet of any size takes bounded memory. Pure.

A function version depends on its content (package and layers), and content depends on the libraries in it; each library
is listed once. The same rows give the same bytes: the serial number comes last and is a hash of everything before it.
Source: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from lexport.artifacts.dependencies.purl import purl
from lexport.dataset.manifest import format_instant

Part = Mapping[str, Any]

_NAMESPACE = uuid.UUID("6c657870-6f72-5474-a000-73626f6d0001")  # an arbitrary constant


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionVersion:
    """One function version; ``sha256_hex`` is None where its package cannot be stored, e.g. for an image."""

    function_arn: str
    account_id: str
    region: str
    function_name: str
    version: str
    runtime: str | None
    architecture: str | None
    package_type: str | None
    sha256_hex: str | None

    @property
    def ref(self) -> str:
        """The qualified ARN, used as the reference in the document."""
        return f"{self.function_arn}:{self.version}"


def document(
    *, at: datetime, lexport_version: str, about: FunctionVersion | None, lists: Mapping[str, Iterable[Any]]
) -> Iterator[bytes]:
    """Yield the pieces of a document about one function version, or about the fleet if ``about`` is None."""
    head = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": format_instant(at),
            "tools": {"components": [{"type": "application", "name": "lexport", "version": lexport_version}]},
            "component": {"type": "platform", "bom-ref": "fleet", "name": "AWS Lambda functions"}
            if about is None
            else function_component(about),
        },
    }
    digest = hashlib.sha256()
    for piece in _pieces(head, lists):
        digest.update(piece)
        yield piece
    yield f',\n"serialNumber": "{uuid.uuid5(_NAMESPACE, digest.hexdigest()).urn}"}}\n'.encode()


def _pieces(head: Part, lists: Mapping[str, Iterable[Any]]) -> Iterator[bytes]:
    yield _json(head)[:-1]
    for name, items in lists.items():
        yield f',\n"{name}": ['.encode()
        separator = b"\n"
        for item in items:
            yield separator + _json(item)
            separator = b",\n"
        yield b"\n]"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def function_component(function: FunctionVersion) -> Part:
    """Return the component of one function version."""
    properties = {
        "aws:account_id": function.account_id,
        "aws:region": function.region,
        "aws:lambda:runtime": function.runtime,
        "aws:lambda:architecture": function.architecture,
        "aws:lambda:package_type": function.package_type,
    }
    return {
        "type": "application",
        "bom-ref": function.ref,
        "name": function.function_name,
        "version": function.version,
        **_hashes(function.sha256_hex),
        "properties": [{"name": name, "value": value} for name, value in properties.items() if value],
    }


def content_component(sha256_hex: str, layer_arn: str | None, status: str) -> Part:
    """Return the component of one package, or of one layer by its ARN, with its dependencies status."""
    return {
        "type": "file",
        "bom-ref": _content_ref(sha256_hex),
        "name": layer_arn or f"{sha256_hex}.zip",
        **_hashes(sha256_hex),
        "properties": [{"name": "lexport:dependencies_status", "value": status}],
    }


def library_components(rows: Iterable[tuple[str, str, str | None, str, str]]) -> Iterator[Part]:
    """Yield each library once, with its occurrences. Rows: library, hash and path; sorted."""
    for (ecosystem, name, version), occurrences in groupby(rows, key=itemgetter(0, 1, 2)):
        group, separator, artifact = name.rpartition(":" if ecosystem == "maven" else "/")
        package_url = purl(ecosystem, name, version)
        yield {
            "type": "library",
            "bom-ref": _library_ref(ecosystem, name, version),
            **({"group": group} if separator and group else {}),
            "name": artifact,
            **({"version": version} if version else {}),
            **({"purl": package_url} if package_url else {}),
            "evidence": {
                "occurrences": [{"location": f"{sha256_hex}.zip!/{path}"} for *_, sha256_hex, path in occurrences]
            },
        }


def function_nodes(rows: Iterable[tuple[str, str]]) -> Iterator[Part]:
    """Yield the content of each function version. Rows: reference and hash; sorted."""
    for ref, contents in groupby(rows, key=itemgetter(0)):
        yield {"ref": ref, "dependsOn": [_content_ref(sha256_hex) for _, sha256_hex in contents]}


def content_nodes(rows: Iterable[tuple[str, str, str, str | None]]) -> Iterator[Part]:
    """Yield the libraries of each content. Rows: hash and library; sorted."""
    for sha256_hex, libraries in groupby(rows, key=itemgetter(0)):
        refs = [_library_ref(ecosystem, name, version) for _, ecosystem, name, version in libraries]
        yield {"ref": _content_ref(sha256_hex), "dependsOn": refs}


def _hashes(sha256_hex: str | None) -> Part:
    return {"hashes": [{"alg": "SHA-256", "content": sha256_hex}]} if sha256_hex else {}


def _content_ref(sha256_hex: str) -> str:
    return f"sha256:{sha256_hex}"


def _library_ref(ecosystem: str, name: str, version: str | None) -> str:
    return f"{ecosystem}:{name}@{version}" if version else f"{ecosystem}:{name}"
