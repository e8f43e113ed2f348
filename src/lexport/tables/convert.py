"""How a column's value is made of a JSON value that is not just a scalar of the column's type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson

from lexport.tables.arn import split_function_arn


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


def _instant_or_epoch(value: Any) -> datetime | None:
    if value.__class__ is not float and value.__class__ is not int:
        return _instant(value)
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError):
        raise ValueError from None


def _part_of_arn(name: str, value: Any) -> str:
    parts = split_function_arn(value)
    if parts is None:
        raise ValueError
    part: str = getattr(parts, name)
    return part


def _json(value: Any) -> str:
    if value.__class__ is not dict and value.__class__ is not list:
        raise ValueError
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:  # nested too deeply, or a number too long for it
        raise ValueError from None


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
INSTANT_OR_EPOCH = Convert(Any, "seconds since 1970 or an ISO 8601 instant", _instant_or_epoch)
"""An instant that AWS's model declares as a timestamp: a number in JSON. Text with an offset is read too."""
NAME_OF_ARN = Convert(str, "the ARN of a function", partial(_part_of_arn, "function_name"))
"""The name in the ARN of a function."""
QUALIFIER_OF_ARN = Convert(str, "the ARN of a function", partial(_part_of_arn, "qualifier"))
"""The qualifier in the ARN of a function, ``$LATEST`` where it has none."""
JSON = Convert(Any, "object or array", _json)
"""An object or an array of anything, as JSON with sorted keys."""
