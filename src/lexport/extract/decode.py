"""Bytes of an ordinary answer -> its values, typed, in one pass. Pure.

The types are made of the columns' source paths. What is not just as they say (a field that nobody knows, another type,
a signed link where none belongs, an escape that could hide one) is None here: then the answer is read with care, key by
key, by walk.py. So the ordinary answer does not pay for the odd one, and nothing is judged in two places.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

from msgspec import Meta, MsgspecError, Raw, Struct, defstruct, msgpack, to_builtins
from msgspec.json import Decoder
from msgspec.structs import astuple

from lexport.aws.errors import describe
from lexport.aws.json import parse_document
from lexport.aws.redact import cut_location, has_location, may_have_presigned_url
from lexport.errors import ServiceError
from lexport.model import Reply
from lexport.tables.functions import (
    ENV_VARS,
    FILE_SYSTEMS,
    FUNCTIONS,
    LAYERS,
    SECURITY_GROUPS,
    SUBNETS,
    TAGS,
)
from lexport.tables.table import Table, Type

Flat = Sequence[Any]

_KINDS: dict[Type, Any] = {
    Type.TEXT: str,
    Type.TIMESTAMP: str,
    Type.BOOL: bool,
    Type.INT32: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)],
    Type.INT64: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
    Type.DOUBLE: float,
}
_TEXTS = {"[]": list[str], "[0]": list[str], "{}": dict[str, str]}
_IMAGE = "Configuration.ImageConfigResponse.ImageConfig."
_TEXT_ARRAYS = (_IMAGE + "EntryPoint", _IMAGE + "Command")
"""Arrays that a column holds as one text."""


# --- an object of JSON, laid flat ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """How a decoded object is laid flat: ``read`` gives one value for each of ``paths``, None for what is absent."""

    type: type[Struct]
    paths: tuple[str, ...]
    read: Callable[[Any], Flat]


def _layout(name: str, kinds: dict[str, Any], path: str = "") -> Layout:
    """Make the type of an object whose keys are of these kinds; a kind that is a dict is an object itself."""
    below = {key: _layout(key, kind, f"{path}{key}.") for key, kind in kinds.items() if isinstance(kind, dict)}
    fields = [(key, (below[key].type if key in below else kind) | None, None) for key, kind in kinds.items()]
    # No answer has a circle, so the garbage collector need not look at it.
    type_ = defstruct(name, fields, forbid_unknown_fields=True, omit_defaults=True, gc=False)
    paths = [path + key for key in kinds]
    if not below:
        return Layout(type_, tuple(paths), astuple)
    parts = [
        (place, below[key].read, (None,) * len(below[key].paths)) for place, key in enumerate(kinds) if key in below
    ]
    for layout in below.values():
        paths += layout.paths

    def read(item: Any) -> Flat:
        own = astuple(item)
        flat = list(own)
        for place, read_part, blank in parts:
            part = own[place]
            flat += blank if part is None else read_part(part)
        return flat

    return Layout(type_, tuple(paths), read)


def _kinds(sources: dict[str, Any]) -> dict[str, Any]:
    """Grow the tree of keys from paths."""
    root: dict[str, Any] = {}
    for path, kind in sources.items():
        *parents, last = path.split(".")
        node = root
        for key in parents:
            node = node.setdefault(key, {})
        node[last] = kind
    return root


def _sources(*tables: Table, prefix: str = "") -> dict[str, Any]:
    """Return path -> kind of what these tables take from an answer, below ``prefix``."""
    found: dict[str, Any] = {}
    for table in tables:
        for column in table.columns:
            path = column.source.removeprefix(prefix)
            if column.source.startswith(prefix) and path:
                plain, mark, _ = re.split(r"(\[0?\]|\{\}|$)", path, maxsplit=1)
                found[plain] = _TEXTS[mark] if mark else _KINDS[column.type]
    return found


def _items(table: Table, path: str) -> Layout:
    return _layout(table.name, _kinds(_sources(table, prefix=f"{path}[].")))


LAYER = _items(LAYERS, "Configuration.Layers")
FILE_SYSTEM = _items(FILE_SYSTEMS, "Configuration.FileSystemConfigs")
FUNCTION = _layout(
    "GetFunction",
    _kinds(
        _sources(FUNCTIONS, TAGS, ENV_VARS, SUBNETS, SECURITY_GROUPS)
        | dict.fromkeys(_TEXT_ARRAYS, list[str])
        | {
            "Configuration.Layers": list[LAYER.type],  # type: ignore[name-defined]
            "Configuration.FileSystemConfigs": list[FILE_SYSTEM.type],  # type: ignore[name-defined]
            "Code.Location": str,
        }
    ),
)

# --- any response ----------------------------------------------------------------------------------------------------

_NO_JSON = (MsgspecError, ValueError, RecursionError)  # ValueError: bytes that are no UTF-8


def decode_object(body: bytes) -> Reply:
    """Decode a response as a JSON object. Raises ServiceError for any other body, which is worth a retry.

    The presigned URL of ``Code.Location`` or ``Content.Location`` is removed from document and body: it is in
    ``location`` alone.
    Characters that no table can hold (lone surrogates, NUL, bytes that are no UTF-8) become U+FFFD and are counted.
    Integers beyond 64 bits may be floats in the document; the body has their digits. NaN and floats beyond the range
    of a double become their own text.
    """
    try:
        document, cleaned = parse_document(body)
        if not isinstance(document, dict):
            raise _invalid_body(body)
        location = None
        for code in _objects_with_location(document):
            location = code.pop("Location")
            body = _without_location(body, location)
    except (ValueError, RecursionError):
        raise _invalid_body(body) from None  # the cause would quote the body
    url = location if isinstance(location, str) and location else None
    return Reply(parsed=document, body=body, cleaned=cleaned, location=url)


def _objects_with_location(document: Any) -> list[dict[str, Any]]:
    """Return the objects of a response that have a presigned URL: ``Code`` of a function, ``Content`` of a layer."""
    objects = (document.get(name) for name in ("Code", "Content"))
    return [code for code in objects if isinstance(code, dict) and "Location" in code]


def _without_location(body: bytes, location: object) -> bytes:
    """Remove the presigned URL from a body; the whole document is written anew where the URL is hard to find."""
    if isinstance(location, str) and location and (rest := cut_location(body, location)) is not None:
        return rest
    document, _ = parse_document(body, is_exact=True)
    for code in _objects_with_location(document):
        code.pop("Location")
    return json.dumps(document, ensure_ascii=False).encode(errors="replace")


def _invalid_body(body: bytes) -> ServiceError:
    return ServiceError(
        f"the answer is no JSON object but {describe(body)} ({len(body)} bytes);"
        " a proxy or a wrong --endpoint-url may stand in between",
        code="invalid_body",
        http_status=200,
    )


def _parse(body: bytes) -> dict[str, Any]:
    document: dict[str, Any] = parse_document(body)[0]
    return document


# --- GetFunction -----------------------------------------------------------------------------------------------------

_decode_function: Callable[[bytes], Any] = Decoder(FUNCTION.type).decode


def decode_function(body: bytes) -> Reply:
    """Decode a response of GetFunction: typed where it fits the columns, else as a JSON object."""
    return decode_typed_function(body) or decode_object(body)


def decode_typed_function(body: bytes) -> Reply | None:
    """Decode a response of GetFunction that fits the columns; None for any other.

    The presigned URL is in ``location`` alone.
    """
    try:
        answer = _decode_function(body)
    except _NO_JSON:
        return None
    code = answer.Code
    url = None if code is None else code.Location
    if url:
        code.Location = None
        rest = cut_location(body, url)
        if rest is None:
            return None
        body = rest
    elif has_location(body):  # an empty one, or one that a second key "Code" replaced
        return None
    if may_have_presigned_url(body):
        return None
    return Reply(body=body, answer=answer, location=url or None, parse=_parse_without_location)


def _parse_without_location(body: bytes) -> dict[str, Any]:
    document = _parse(body)
    (document.get("Code") or {}).pop("Location", None)
    return document


# --- listings --------------------------------------------------------------------------------------------------------


class Item(Struct, gc=False):
    """What a listing must tell of a version for it to be fetched; the rest is skipped."""

    FunctionName: Annotated[str, Meta(min_length=1)]
    Version: str
    FunctionArn: str


def _page(kind: Any) -> dict[str, Callable[[bytes], Any]]:
    """Return, for each key that a listing has its items under, what decodes a page to items of a kind."""
    marker = ("NextMarker", str | None, None)
    return {key: Decoder(defstruct(key, [(key, list[kind]), marker])).decode for key in ("Functions", "Versions")}


_decode_page, _decode_raw_page = _page(Item), _page(Raw)


def decode_page(body: bytes, key: str) -> Reply:
    """Decode a page of versions, with its items under ``key``: typed where each has a name, else as an object."""
    return decode_typed_page(body, key) or decode_object(body)


def decode_typed_page(body: bytes, key: str) -> Reply | None:
    """Decode name, version and ARN of each item of a page; None where an item does not have them as plain text."""
    try:
        page = _decode_page[key](body)
    except _NO_JSON:
        return None
    texts = "".join([f"{item.FunctionName}{item.Version}{item.FunctionArn}" for item in getattr(page, key)])
    if "\n" in texts or "\0" in texts or "\0" in (page.NextMarker or ""):
        return None
    return Reply(body=body, answer=page, parse=_parse)


def split_page(body: bytes, key: str) -> list[bytes]:
    """Return the bytes of each item of a page that was decoded."""
    return [bytes(item) for item in getattr(_decode_raw_page[key](body), key)]


_CONFIGURATION = b'{"Configuration":%b}'


def read_listed(item: bytes) -> Reply | None:
    """Read one item of a listing as if it were an answer of GetFunction; None for what no table can hold as it is."""
    body = _CONFIGURATION % item
    reply = decode_typed_function(body)
    if reply is not None:
        return reply
    try:
        document, cleaned = parse_document(body)
    except (ValueError, RecursionError):
        return None
    return None if cleaned else Reply(body=body, parsed=document)


_pack = msgpack.Encoder().encode
_unpack_function: Callable[[bytes], Any] = msgpack.Decoder(FUNCTION.type).decode
_unpack_variables = msgpack.Decoder(dict[str, str]).decode


def part_listed(item: bytes) -> tuple[bytes, bytes]:
    """Part one item of a listing into what may be written to a disk and what may not: see ``join_listed``.

    Secret are the variables, and the whole of an item that is not ordinary: nobody knows what it holds.
    """
    reply = decode_typed_function(_CONFIGURATION % item)
    if reply is None or reply.answer.Configuration is None:
        return b"", item
    environment = reply.answer.Configuration.Environment
    if environment is None or environment.Variables is None:
        return _pack(reply.answer), b""
    secret = _pack(environment.Variables)
    environment.Variables = None
    return _pack(reply.answer), secret


def join_listed(plain: bytes, secret: bytes) -> Reply | None:
    """Read what ``part_listed`` made of an item, as ``read_listed`` reads the item itself."""
    if not plain:
        return read_listed(secret)
    answer = _unpack_function(plain)
    if secret:
        answer.Configuration.Environment.Variables = _unpack_variables(secret)
    return Reply(body=plain, answer=answer, parse=lambda _: cast("dict[str, Any]", to_builtins(answer)))
