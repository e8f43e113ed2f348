"""One value of a row as text: for a table or CSV, and as JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from types import NoneType
from typing import Any


def plain(value: Any) -> str:
    """Write one value as text, for tables and CSV."""
    write = _PLAIN.get(type(value))
    return str(value) if write is None else write(value)


def json_text(value: Any) -> str:
    """Write one value as JSON: numbers exact, NaN and infinities null, bytes base64."""
    write = _JSON.get(type(value))
    return _json_string(str(value)) if write is None else write(value)


def instant(at: datetime) -> str:
    """Write a point in time as ISO 8601, with ``Z`` where it is one; a fraction only where there is one."""
    if at.tzinfo is None:
        return at.isoformat()
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _json_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _json_object(value: dict[Any, Any]) -> str:
    return "{" + ", ".join(f"{_json_string(plain(key))}: {json_text(item)}" for key, item in value.items()) + "}"


def _json_array(value: Iterable[Any]) -> str:
    return "[" + ", ".join(map(json_text, value)) + "]"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _claim(value: object) -> str:
    return "true" if value else "false"


_PLAIN: dict[type, Callable[[Any], str]] = {
    str: str,
    bool: _claim,
    Decimal: lambda value: f"{value:f}",
    bytes: _base64,
    datetime: instant,
    NoneType: lambda _: "NULL",
    list: _json_array,
    dict: _json_object,
}

_JSON: dict[type, Callable[[Any], str]] = {
    NoneType: lambda _: "null",
    bool: _claim,
    str: _json_string,
    int: int.__repr__,
    float: lambda value: float.__repr__(value) if math.isfinite(value) else "null",
    Decimal: lambda value: f"{value:f}" if value.is_finite() else "null",
    bytes: lambda value: _json_string(_base64(value)),
    datetime: lambda value: _json_string(instant(value)),
    list: _json_array,
    tuple: _json_array,  # the key and value of a map's entry
    dict: _json_object,
}
