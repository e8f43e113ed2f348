"""Decode the body of a response: typed where it fits the columns, as a JSON object where it does not. Pure.

The types are made of the columns' source paths. A response that does not fit them exactly (an unknown field, another
type, a presigned URL in a text, an escape that could hide one) is decoded as a JSON object, which flatten.py reads with
the slower lossless reader. So common responses do not pay for rare ones, and no rule exists twice.
"""

from __future__ import annotations

import json
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
from lexport.tables.functions import FUNCTIONS, TAGS
from lexport.tables.staged import CHILD_TABLES, child_source
from lexport.tables.table import Table, Type

# --- types made of the columns' source paths -------------------------------------------------------------------------

JSON_TYPES: dict[Type, Any] = {
    Type.TEXT: str,
    Type.BOOL: bool,
    Type.INT32: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)],
    Type.INT64: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
    Type.DOUBLE: float,
}
"""The JSON value of a column that has no ``convert``."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The type of a JSON object. ``values`` returns one value of a decoded object for each of ``paths``.

    The value of an absent path is None.
    """

    type: type[Struct]
    paths: tuple[str, ...]
    values: Callable[[Any], Sequence[Any]]


def _layout(name: str, types: dict[str, Any], path: str = "") -> Layout:
    """Make the type of an object from the types of its keys; a dict in ``types`` is the types of an object below."""
    below = {key: _layout(key, type_, f"{path}{key}.") for key, type_ in types.items() if isinstance(type_, dict)}
    fields = [(key, (below[key].type if key in below else type_) | None, None) for key, type_ in types.items()]
    # No response refers to itself, so the garbage collector need not follow these objects.
    struct = defstruct(name, fields, forbid_unknown_fields=True, omit_defaults=True, gc=False)
    paths = [path + key for key in types]
    if not below:
        return Layout(struct, tuple(paths), astuple)
    parts = [
        (index, below[key].values, (None,) * len(below[key].paths)) for index, key in enumerate(types) if key in below
    ]
    for layout in below.values():
        paths += layout.paths

    def values(item: Any) -> Sequence[Any]:
        own = astuple(item)
        flat = list(own)
        for index, values_below, absent in parts:
            part = own[index]
            flat += absent if part is None else values_below(part)
        return flat

    return Layout(struct, tuple(paths), values)


def _nested(types: dict[str, Any]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path, type_ in types.items():
        *parents, last = path.split(".")
        node = root
        for key in parents:
            node = node.setdefault(key, {})
        node[last] = type_
    return root


def _types(table: Table, prefix: str = "") -> dict[str, Any]:
    """Return path -> JSON type of what the columns of a table read from an object, below ``prefix``."""
    return {
        column.source.removeprefix(prefix).removesuffix("[0]"): (
            JSON_TYPES[column.type] if column.convert is None else column.convert.takes
        )
        for column in table.columns
        if column.source and column.source.startswith(prefix)
    }


def _child_type(table: Table) -> Any:
    match child_source(table)[1]:
        case "texts":
            return list[str]
        case "pairs":
            return dict[str, str]
        case "objects":
            return list[ITEMS[table.name].type]  # type: ignore[misc]


CHILDREN = (*CHILD_TABLES, TAGS)
"""The tables whose rows are in a response of GetFunction, beside ``functions``."""
ITEMS = {
    table.name: _layout(table.name, _nested(_types(table, prefix=f"{path}[].")))
    for table in CHILDREN
    for path, shape in (child_source(table),)
    if shape == "objects"
}
"""Child table -> type of the objects that its rows are made of."""
FUNCTION = _layout(
    "GetFunction",
    _nested(
        _types(FUNCTIONS) | {child_source(table)[0]: _child_type(table) for table in CHILDREN} | {"Code.Location": str}
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
        f"the response is no JSON object but {describe(body)} ({len(body)} bytes);"
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
        typed = _decode_function(body)
    except _NO_JSON:
        return None
    code = typed.Code
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
    return Reply(body=body, typed=typed, location=url or None, parse=_parse_without_location)


def _parse_without_location(body: bytes) -> dict[str, Any]:
    document = _parse(body)
    (document.get("Code") or {}).pop("Location", None)
    return document


# --- listings --------------------------------------------------------------------------------------------------------


class Item(Struct, gc=False):
    """What a listing must have of a version so that it can be fetched; decoding skips the rest."""

    FunctionName: Annotated[str, Meta(min_length=1)]
    Version: str
    FunctionArn: str
    PackageType: Any = None


def _page_decoders(item_type: Any) -> dict[str, Callable[[bytes], Any]]:
    """Return a decoder of pages for each key that a listing can have its items under."""
    marker = ("NextMarker", str | None, None)
    return {key: Decoder(defstruct(key, [(key, list[item_type]), marker])).decode for key in ("Functions", "Versions")}


_decode_page, _decode_raw_page = _page_decoders(Item), _page_decoders(Raw)


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
    return Reply(body=body, typed=page, parse=_parse)


def split_page(body: bytes, key: str) -> list[bytes]:
    """Return the bytes of each item of a page that was decoded."""
    return [bytes(item) for item in getattr(_decode_raw_page[key](body), key)]


_CONFIGURATION = b'{"Configuration":%b}'


def decode_listed(item: bytes) -> Reply | None:
    """Decode an item of a listing as if it were a response of GetFunction; None if its text has to be replaced."""
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


def split_listed(item: bytes) -> tuple[bytes, bytes]:
    """Split an item of a listing into what may be written to a disk and what may not; ``join_listed`` is the inverse.

    Secret are the variables, and the whole of an item that does not fit the columns.
    """
    reply = decode_typed_function(_CONFIGURATION % item)
    if reply is None or reply.typed.Configuration is None:
        return b"", item
    environment = reply.typed.Configuration.Environment
    if environment is None or environment.Variables is None:
        return _pack(reply.typed), b""
    secret = _pack(environment.Variables)
    environment.Variables = None
    return _pack(reply.typed), secret


def join_listed(plain: bytes, secret: bytes) -> Reply | None:
    """Decode what ``split_listed`` made of an item, as ``decode_listed`` decodes the item itself."""
    if not plain:
        return decode_listed(secret)
    typed = _unpack_function(plain)
    if secret:
        typed.Configuration.Environment.Variables = _unpack_variables(secret)
    return Reply(body=plain, typed=typed, parse=lambda _: cast("dict[str, Any]", to_builtins(typed)))
