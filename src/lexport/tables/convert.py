"""How a column's value is made of a JSON value that is not just a scalar of the column's type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Convert:
    """Makes a column's value of a JSON value.

    ``takes`` is the JSON type that AWS sends, as a Python type; typed decoding accepts no other. ``make`` gets any JSON
    value; it raises ValueError for one that it cannot convert. ``expected`` names, in messages, what it can convert.
    """

    takes: Any
    expected: str
    make: Callable[[Any], Any]


def _instant(value: Any) -> datetime | None:
    if value.__class__ is not str:
        raise ValueError
    if not value:
        return None
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except OverflowError:
        pass
    raise ValueError


def _unqualified(value: Any) -> str:
    """Return a function's ARN without its qualifier; any other text stays as it is."""
    if value.__class__ is not str:
        raise ValueError
    # arn:partition:lambda:region:account:function:name[:qualifier]
    is_qualified = value.startswith("arn:") and value.count(":") == 7  # noqa: PLR2004
    return value.rpartition(":")[0] if is_qualified else value


def _single_text(value: Any) -> str | None:
    if value.__class__ is list and len(value) == 1 and value[0].__class__ is str:
        return value[0]
    if value in ([], [None]):
        return None
    raise ValueError


def _json_array(value: Any) -> str:
    if value.__class__ is not list or not all(text.__class__ is str for text in value):
        raise ValueError
    return orjson.dumps(value).decode()


INSTANT = Convert(str, "an ISO 8601 instant", _instant)
"""An instant with its offset, in UTC. Empty text is NULL."""
FUNCTION_ARN = Convert(str, "text", _unqualified)
"""The ARN of a function, without the qualifier that the request had."""
SINGLE_TEXT = Convert(list[str], "array of one text", _single_text)
"""The text of an array of one. An empty array is NULL."""
JSON_ARRAY = Convert(list[str], "array of texts", _json_array)
"""An array of texts, as JSON."""
