"""One JSON object -> one row, by a plan: the walk that every kind of answer is flattened with. Pure.

A plan is the source paths of a table's columns as a tree of keys. Whatever of the object is in no plan, or of another
type than its column, is kept under its path; nothing is dropped here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from typing import Any

import orjson

from lexport.aws.redact import cut_urls, has_presigned_url, remove_presigned_urls
from lexport.extract.unknown_fields import JSON_TYPES, Guard, guard, guard_at, has_form_of_secret, outline
from lexport.tables.staged import staged_names
from lexport.tables.table import Table, Type

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_INT_BITS = {Type.INT32: 31, Type.INT64: 63}
_EXACT_FLOAT = 2.0**63  # orjson reads integers beyond 64 bits as floats


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one answer that its rows cannot show: becomes a row of ``errors``, never a gap."""

    code: str
    message: str


class Inexact(Exception):  # noqa: N818 - a signal, no error
    """An integer too long for orjson must be kept as it was sent: read the body again, exactly."""


# --- the plan: source paths of the columns as a tree of keys ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A scalar of the answer and the place of its column. Paths are joined here, once, and not for every answer."""

    path: str
    index: int
    type: Type
    is_text: bool


Handler = Callable[["Walk", Any, str], None]


@dataclass(frozen=True, slots=True)
class _Special:
    """A path that is more than one scalar."""

    path: str
    handle: Handler


@dataclass(frozen=True, slots=True)
class Node:
    """An object of the answer: what becomes of each of its keys."""

    path: str
    specs: dict[str, Node | _Leaf | _Special] = field(default_factory=dict)


def make_plan(table: Table, prefix: str, special: Mapping[str, Handler]) -> Node:
    """Grow the tree of a table's scalar columns below ``prefix``; ``special`` paths have a handler of their own."""
    root = Node("")
    places = {name: index for index, name in enumerate(staged_names(table))}
    found: dict[str, _Leaf | _Special] = {}
    for column in table.columns:
        if column.source and column.source.startswith(prefix) and column.source.removesuffix("[0]") not in special:
            path = column.source.removeprefix(prefix)
            found[path] = _Leaf(path, places[column.name], column.type, column.type is Type.TEXT)
    for source, handle in special.items():
        path = source.removeprefix(prefix)
        found[path] = _Special(path, handle)
    for path, spec in found.items():
        *parents, last = path.split(".")
        node = root
        for key in parents:
            below = node.specs.setdefault(key, Node(join_path(node.path, key)))
            assert isinstance(below, Node)
            node = below
        node.specs[last] = spec
    return root


# --- one answer ------------------------------------------------------------------------------------------------------


class Walk:
    """The state of one walk over one JSON object: the row it fills and what does not fit into it."""

    __slots__ = ("children", "extra", "findings", "is_exact", "masks_values", "row", "where")

    def __init__(self, width: int, *, masks_values: bool, is_exact: bool, where: str = "") -> None:
        self.row: list[Any] = [None] * width
        self.extra: dict[str, Any] = {}
        self.findings: list[Finding] = []
        self.children: dict[str, Any] = {}
        self.masks_values = masks_values
        self.is_exact = is_exact
        self.where = where

    def walk(self, node: Node, value: dict[str, Any]) -> None:
        """Take every key of an object to its place."""
        row, specs = self.row, node.specs
        for key, item in value.items():
            if item is None:  # an explicit null equals absent
                continue
            spec: Any = specs.get(key)
            kind = spec.__class__
            if kind is _Leaf:
                if not spec.is_text or item.__class__ is not str:
                    row[spec.index] = self.scalar(item, spec.type, spec.path)
                elif "=" in item or "%" in item or "\\" in item:  # no other text holds a link
                    row[spec.index] = self.text(item, spec.path)
                else:
                    row[spec.index] = item
            elif kind is _Special:
                spec.handle(self, item, spec.path)
            elif spec is None:
                self.keep(join_path(node.path, key), item)
            elif item.__class__ is dict:
                self.walk(spec, item)
            else:
                self.wrong(spec.path, "object", item)

    def find(self, code: str, path: str, message: str) -> None:
        """Say something about a path, which may hold a link itself."""
        self.findings.append(Finding(code, f"{self.where}{_without_urls(path)}: {message}"))

    def text(self, item: str, path: str) -> str:
        """Return a text as it may be stored."""
        if has_presigned_url(item):
            self.find("signed_link_removed", path, "held a signed link")
            return remove_presigned_urls(item)
        return item

    def texts(self, items: list[str], path: str) -> list[str]:
        """Return texts as they may be stored; all are looked at in one go, since hardly any holds a link."""
        return [self.text(item, path) for item in items] if has_presigned_url("\n".join(items)) else items

    def scalar(self, item: Any, type_: Type, path: str) -> Any:
        """Return a value of the column's type, or None after keeping the raw one."""
        kind = item.__class__
        if kind is int:
            bits = _INT_BITS.get(type_)
            if bits is not None and -(1 << bits) <= item < 1 << bits:
                return item
            if type_ is Type.DOUBLE and abs(item) <= 1 << 1000:
                return float(item)
        elif (kind is float and type_ is Type.DOUBLE and isfinite(item)) or (kind is bool and type_ is Type.BOOL):
            return item
        self.wrong(path, type_.value, item)
        return None

    def wrong(self, path: str, wanted: str, item: Any) -> None:
        """Keep a value of the wrong type under its path, and say so without telling it."""
        self.find("wrong_type", path, f"wanted {wanted}, got {JSON_TYPES[item.__class__]}")
        self.keep(path, item)

    def keep(self, path: str, item: Any) -> None:
        """Keep a value that has no column, or what may be told of it."""
        try:
            self.extra[path] = self._guarded(guard_at(_without_urls(path), item), item, path)
        except RecursionError:
            self.find("too_deep", path, "nested too deep to be kept")
            self.extra[path] = outline(item)

    def _guarded(self, found: Guard, item: Any, path: str) -> Any:
        if found is Guard.OPEN:
            return self._clean(item, path, is_open=True)
        if found is Guard.VALUES and not self.masks_values:
            return self._clean(item, path, is_open=False)
        return outline(item)

    def _clean(self, item: Any, path: str, *, is_open: bool) -> Any:
        """Copy a JSON value without its signed links; where ``is_open``, without what else may be secret."""
        kind = item.__class__
        if kind is str:
            kept = self.text(item, path)
            if not is_open:
                return kept
            kept = cut_urls(kept)
            return outline(item) if has_form_of_secret(kept) else kept
        if kind is dict:
            cleaned: dict[str, Any] = {}
            for key, value in item.items():
                name = self._key(key, path)
                found = guard(name, value) if is_open else Guard.VALUES
                cleaned[_free(name, cleaned)] = self._guarded(found, value, path)
            return cleaned
        if kind is list:
            return [self._clean(value, path, is_open=is_open) for value in item]
        if kind is float and not self.is_exact and abs(item) >= _EXACT_FLOAT:
            raise Inexact
        return item

    def _key(self, key: str, path: str) -> str:
        return cut_urls(self.text(key, path))

    def extra_json(self) -> str | None:
        """Write what has no column as stable JSON."""
        if not self.extra:
            return None
        extra: dict[str, Any] = {}
        for path, value in self.extra.items():
            extra[_free(self._key(path, path), extra)] = value
        try:
            return orjson.dumps(extra, option=orjson.OPT_SORT_KEYS).decode()
        except (orjson.JSONEncodeError, TypeError):  # nested too deep or a number too long for it
            return json.dumps(extra, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _without_urls(text: str) -> str:
    return cut_urls(remove_presigned_urls(text))


def _free(key: str, taken: Container[str]) -> str:
    """Keep keys apart that are the same without their links."""
    while key in taken:
        key += "'"
    return key


def join_path(path: str, key: str) -> str:
    """Return the path of a key below a path; a key that would look like more than one is quoted."""
    step = key if _PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key, ensure_ascii=False)}]"
    return step if not path else f"{path}.{step}"


@cache
def place_of(table: Table, name: str) -> int:
    """Return where a column stands in a staged row."""
    return staged_names(table).index(name)
