"""Read a JSON object into a row of a table without losing anything. Pure.

The table's columns say where each value of the row stands in the object. Whatever has no column, or another type than
its column, is kept under its path in ``extra_json``; a text never keeps a presigned URL.

This is the slow way, for responses that typed decoding refuses (see decode.py). A property test holds both ways
together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from typing import Any, cast

import orjson

from lexport.aws.json import parse_document
from lexport.aws.redact import cut_urls, has_presigned_url, remove_presigned_urls
from lexport.errors import FlattenError
from lexport.extract.unknown_fields import JSON_TYPES, Guard, guard, guard_at, has_form_of_secret, outline
from lexport.tables.staged import ChildShape, child_source, staged_names
from lexport.tables.table import Column, Table, Type

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_INT_BITS = {Type.INT32: 31, Type.INT64: 63}
_EXACT_FLOAT = 2.0**63  # orjson reads integers beyond 64 bits as floats


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about one response that its rows cannot show: becomes a row of ``errors``, never a gap."""

    code: str
    message: str


class Inexact(Exception):  # noqa: N818 - a signal, no error
    """An integer too long for orjson must be kept as AWS sent it: read the body again, exactly."""


def parse_exactly(body: bytes) -> dict[str, Any]:
    """Parse a body that was parsed before, with all digits of its integers. Raises FlattenError."""
    try:
        return cast("dict[str, Any]", parse_document(body, is_exact=True)[0])
    except ValueError:  # this way may not go as deep as the first
        raise FlattenError("the response is too deeply nested to be read exactly", code="too_deep") from None


# --- the plan: the columns' source paths as a tree of keys -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scalar:
    """A path that is one scalar, and the index of its column. Paths are joined here once, not for every response."""

    path: str
    index: int
    type: Type
    is_text: bool


Handler = Callable[["LosslessReader", Any, str], None]


@dataclass(frozen=True, slots=True)
class _Handled:
    """A path whose value is more than one scalar."""

    path: str
    handle: Handler


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of each key of an object: a column, child rows, or an object below with a plan of its own."""

    path: str
    keys: dict[str, Plan | _Scalar | _Handled] = field(default_factory=dict)


def make_plan(table: Table, *, prefix: str = "", children: Iterable[Table] = (), dropped: Iterable[str] = ()) -> Plan:
    """Plan how to read an object into a row of ``table``, and arrays and maps in it into rows of ``children``.

    ``prefix`` is the part of the columns' sources above the object. Paths in ``dropped`` are not stored at all.
    """
    columns: dict[str, list[Column]] = {}
    for column in table.columns:
        if column.source.startswith(prefix) and column.source:
            columns.setdefault(column.source.removeprefix(prefix).removesuffix("[0]"), []).append(column)
    specs: dict[str, _Scalar | _Handled] = {}
    for path, of_path in columns.items():
        if path and "[]" not in path and "{}" not in path:
            specs[path] = _spec(table, path, of_path)
    for child in children:
        source, shape = child_source(child)
        path = source.removeprefix(prefix)
        specs[path] = _Handled(path, _CHILD_HANDLERS[shape](child))
    for source in dropped:
        path = source.removeprefix(prefix)
        specs[path] = _Handled(path, _drop)
    root = Plan("")
    for path, spec in specs.items():
        *parents, last = path.split(".")
        node = root
        for key in parents:
            below = node.keys.setdefault(key, Plan(join_path(node.path, key)))
            assert isinstance(below, Plan)
            node = below
        node.keys[last] = spec
    return root


def _spec(table: Table, path: str, columns: list[Column]) -> _Scalar | _Handled:
    scalars = [_Scalar(path, index_of(table, c.name), c.type, c.type is Type.TEXT) for c in columns if not c.convert]
    if len(columns) == 1 and scalars:
        return scalars[0]
    assert len(scalars) < 2, f"two columns of {table.name} have the same value"  # noqa: PLR2004
    converts = [(index_of(table, column.name), column.convert) for column in columns if column.convert]

    def handle(reader: LosslessReader, value: Any, path: str) -> None:
        if scalars and not reader.store(scalars[0], value):
            return
        for index, convert in converts:
            try:
                made = convert.make(value)
            except ValueError:
                if not scalars:
                    reader.keep_wrong_type(path, convert.expected, value)
                else:  # the column beside this one has the value as AWS sent it
                    reader.note("wrong_type", path, f"wanted {convert.expected}, got other text")
                continue
            if made is not None and not scalars and (cleaned := reader.clean_value(value, path)) is not value:
                made = convert.make(cleaned)
            reader.row[index] = made

    return _Handled(path, handle)


# --- arrays and maps: rows of child tables ---------------------------------------------------------------------------


def _array(table: Table, kind: type, kind_name: str, make: Callable[[LosslessReader, Any, str, int], Any]) -> Handler:
    """Collect what ``make`` makes of each item of an array, by its path and position; other items are kept."""

    def handle(reader: LosslessReader, value: Any, path: str) -> None:
        if value.__class__ is not list:
            reader.keep_wrong_type(path, "array", value)
            return
        made = reader.children.setdefault(table.name, [])
        for position, item in enumerate(value):
            if item.__class__ is kind:
                made.append(make(reader, item, path, position))
            elif item is not None:
                reader.keep_wrong_type(f"{path}[{position}]", kind_name, item)

    return handle


def _texts(table: Table) -> Handler:
    return _array(table, str, "text", lambda reader, item, path, _: reader.clean_text(item, path))


def _objects(table: Table) -> Handler:
    """Read each object of an array as a row with a position and an ``extra_json`` of its own."""
    plan = make_plan(table, prefix=f"{child_source(table)[0]}[].")
    width = len(staged_names(table))
    position_index, extra_index = index_of(table, "position"), index_of(table, "extra_json")

    def make(reader: LosslessReader, item: Any, path: str, position: int) -> list[Any]:
        where = f"{path}[{position}]."
        child = LosslessReader(width, masks_values=reader.masks_values, is_exact=reader.is_exact, where=where)
        child.read(plan, item)
        child.row[position_index], child.row[extra_index] = position, child.extra_json()
        reader.notices += child.notices
        return child.row

    return _array(table, dict, "object", make)


def _pairs(table: Table) -> Handler:
    """Read a map as it is: presigned URLs are removed from its texts when the rows are made."""
    source, _ = child_source(table)
    type_ = [column.type for column in table.columns if column.source == f"{source}{{}}"][1]  # after the key's

    def handle(reader: LosslessReader, value: Any, path: str) -> None:
        if value.__class__ is not dict:
            reader.keep_wrong_type(path, "object", value)
            return
        pairs = reader.children.setdefault(table.name, {})
        for key, item in value.items():
            if item.__class__ is str and type_ is Type.TEXT:
                pairs[key] = item
            elif item is not None:
                stored = reader.scalar(item, type_, join_path(path, key))
                if stored is not None:
                    pairs[key] = stored

    return handle


def _drop(_reader: LosslessReader, _value: Any, _path: str) -> None:
    """Store nothing of a value, in any mode."""


_CHILD_HANDLERS: dict[ChildShape, Callable[[Table], Handler]] = {"texts": _texts, "objects": _objects, "pairs": _pairs}


# --- one object ------------------------------------------------------------------------------------------------------


class LosslessReader:
    """Reads one JSON object: fills ``row`` and ``children``, keeps the rest in ``extra``, and lists ``notices``.

    ``children`` has, by table name, texts, rows, or a map whose texts are not cleaned yet. ``masks_values`` hides the
    values of environments that no column knows. ``is_exact`` says that long integers were parsed exactly.
    """

    __slots__ = ("children", "extra", "is_exact", "masks_values", "notices", "row", "where")

    def __init__(self, width: int, *, masks_values: bool, is_exact: bool, where: str = "") -> None:
        self.row: list[Any] = [None] * width
        self.extra: dict[str, Any] = {}
        self.notices: list[Notice] = []
        self.children: dict[str, Any] = {}
        self.masks_values = masks_values
        self.is_exact = is_exact
        self.where = where

    def read(self, plan: Plan, document: dict[str, Any]) -> None:
        """Store the value of every key of an object. An explicit null equals an absent key."""
        row, specs = self.row, plan.keys
        for key, value in document.items():
            if value is None:
                continue
            spec: Any = specs.get(key)
            kind = spec.__class__
            if kind is _Scalar:
                if not spec.is_text or value.__class__ is not str:
                    row[spec.index] = self.scalar(value, spec.type, spec.path)
                elif "=" in value or "%" in value or "\\" in value:  # no other text has a presigned URL
                    row[spec.index] = self.clean_text(value, spec.path)
                else:
                    row[spec.index] = value
            elif kind is _Handled:
                spec.handle(self, value, spec.path)
            elif spec is None:
                self.keep(join_path(plan.path, key), value)
            elif value.__class__ is dict:
                self.read(spec, value)
            else:
                self.keep_wrong_type(spec.path, "object", value)

    def store(self, spec: _Scalar, value: Any) -> bool:
        """Store a scalar in its column; return whether it had the column's type."""
        is_text = spec.is_text and value.__class__ is str
        stored = self.clean_text(value, spec.path) if is_text else self.scalar(value, spec.type, spec.path)
        self.row[spec.index] = stored
        return stored is not None

    def note(self, code: str, path: str, message: str) -> None:
        """Add a notice about a path, which may contain a presigned URL itself."""
        self.notices.append(Notice(code, f"{self.where}{_without_urls(path)}: {message}"))

    def clean_text(self, text: str, path: str) -> str:
        """Return a text as it may be stored."""
        if has_presigned_url(text):
            self.note("signed_link_removed", path, "contained a presigned URL")
            return remove_presigned_urls(text)
        return text

    def clean_texts(self, value: Any, path: str) -> Any:
        """Return a text or an array of texts as it may be stored; the same object where nothing was removed."""
        if value.__class__ is str:
            return self.clean_text(value, path)
        # All are searched at once, since hardly any has a presigned URL.
        return [self.clean_text(text, path) for text in value] if has_presigned_url("\n".join(value)) else value

    def clean_value(self, value: Any, path: str) -> Any:
        """Return the value of a column of JSON as it may be stored; the same object where nothing was removed."""
        kind = value.__class__
        if kind is str or (kind is list and all(text.__class__ is str for text in value)):
            return self.clean_texts(value, path)
        if kind is dict:
            cleaned: dict[str, Any] = {}
            for key, item in value.items():
                cleaned[_unused(self.clean_text(key, path), cleaned)] = self.clean_value(item, path)
            return cleaned
        if kind is list:
            return [self.clean_value(item, path) for item in value]
        if kind is float and not self.is_exact and abs(value) >= _EXACT_FLOAT:
            raise Inexact
        return value

    def scalar(self, value: Any, type_: Type, path: str) -> Any:
        """Return a value of the column's type, or None after keeping the raw one."""
        kind = value.__class__
        if kind is int:
            bits = _INT_BITS.get(type_)
            if bits is not None and -(1 << bits) <= value < 1 << bits:
                return value
            if type_ is Type.DOUBLE and abs(value) <= 1 << 1000:
                return float(value)
        elif (kind is float and type_ is Type.DOUBLE and isfinite(value)) or (kind is bool and type_ is Type.BOOL):
            return value
        self.keep_wrong_type(path, type_.value, value)
        return None

    def keep_wrong_type(self, path: str, expected: str, value: Any) -> None:
        """Keep a value of the wrong type under its path, and add a notice that does not quote it."""
        self.note("wrong_type", path, f"wanted {expected}, got {JSON_TYPES[value.__class__]}")
        self.keep(path, value)

    def keep(self, path: str, value: Any) -> None:
        """Keep a value that has no column, or as much of it as may be stored."""
        try:
            self.extra[path] = self._guarded(guard_at(_without_urls(path), value), value, path)
        except RecursionError:
            self.note("too_deep", path, "nested too deeply to be kept")
            self.extra[path] = outline(value)

    def _guarded(self, level: Guard, value: Any, path: str) -> Any:
        if level is Guard.OPEN:
            return self._clean(value, path, is_open=True)
        if level is Guard.VALUES and not self.masks_values:
            return self._clean(value, path, is_open=False)
        return outline(value)

    def _clean(self, value: Any, path: str, *, is_open: bool) -> Any:
        """Copy a JSON value without presigned URLs; where ``is_open``, without anything else that may be secret."""
        kind = value.__class__
        if kind is str:
            text = self.clean_text(value, path)
            if not is_open:
                return text
            text = cut_urls(text)
            return outline(value) if has_form_of_secret(text) else text
        if kind is dict:
            cleaned: dict[str, Any] = {}
            for key, item in value.items():
                name = self._clean_key(key, path)
                level = guard(name, item) if is_open else Guard.VALUES
                cleaned[_unused(name, cleaned)] = self._guarded(level, item, path)
            return cleaned
        if kind is list:
            return [self._clean(item, path, is_open=is_open) for item in value]
        if kind is float and not self.is_exact and abs(value) >= _EXACT_FLOAT:
            raise Inexact
        return value

    def _clean_key(self, key: str, path: str) -> str:
        return cut_urls(self.clean_text(key, path))

    def extra_json(self) -> str | None:
        """Return what has no column as JSON with sorted keys."""
        if not self.extra:
            return None
        extra: dict[str, Any] = {}
        for path, value in self.extra.items():
            extra[_unused(self._clean_key(path, path), extra)] = value
        try:
            return orjson.dumps(extra, option=orjson.OPT_SORT_KEYS).decode()
        except (orjson.JSONEncodeError, TypeError):  # nested too deeply or a number too long for it
            return json.dumps(extra, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _without_urls(text: str) -> str:
    return cut_urls(remove_presigned_urls(text))


def _unused(key: str, taken: Container[str]) -> str:
    while key in taken:
        key += "'"
    return key


def join_path(path: str, key: str) -> str:
    """Return the path of a key below a path; a key that would look like more than one is quoted."""
    step = key if _PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key, ensure_ascii=False)}]"
    return step if not path else f"{path}.{step}"


@cache
def index_of(table: Table, name: str) -> int:
    """Return the index of a column in a staged row."""
    return staged_names(table).index(name)
