"""Parse JSON: fast where that is exact, else slowly, so that nothing is lost. Pure."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

import orjson

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # NUL and lone surrogates: no column of any warehouse holds them
_ESCAPED_NUL = b"\\u0000"


def parse_document(body: bytes, *, is_exact: bool = False) -> tuple[Any, int]:
    """Parse a body. Return the value, and how many characters were replaced by U+FFFD because no table can hold them.

    ``is_exact`` keeps integers beyond 64 bits, which orjson reads as floats. NaN and numbers beyond the range of a
    double (1e999) become their text. Raises ValueError for bytes that are not JSON, or are nested too deeply.
    """
    if not is_exact and _ESCAPED_NUL not in body:
        try:
            return orjson.loads(body), 0
        except orjson.JSONDecodeError:
            pass  # perhaps a lone surrogate or broken UTF-8, which the standard library accepts
    text = body.decode("utf-8", "replace")
    broken = text.count("\ufffd") - body.count("\ufffd".encode())
    try:
        value, cleaned = _clean(json.loads(text, parse_constant=str, parse_float=_float))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value, cleaned + broken


def clean_text(text: str) -> tuple[str, int]:
    """Replace the characters that no table can hold by U+FFFD, and count them."""
    return _UNSTORABLE.subn("\ufffd", text)


def _float(text: str) -> float | str:
    value = float(text)
    return value if isfinite(value) else text


def _clean(value: Any) -> tuple[Any, int]:
    kind = value.__class__
    if kind is str:
        return clean_text(value)
    if kind is list:
        parts = [_clean(item) for item in value]
        return [item for item, _ in parts], sum(count for _, count in parts)
    if kind is dict:
        cleaned: dict[str, Any] = {}
        count = 0
        for raw, item in value.items():
            key, in_key = _clean(raw)
            while key in cleaned:  # two keys must not become one
                key += "\ufffd"
            cleaned[key], in_item = _clean(item)
            count += in_key + in_item
        return cleaned, count
    return value, 0
