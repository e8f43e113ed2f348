"""Checks of the values of settings. Every message begins with the option."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lexport.errors import SettingsError


def check_types(settings: object) -> None:
    """Refuse a value of a wrong type, for example a text in place of a tuple; lists become tuples.

    The values of a Literal are checked with the other rules. No message holds the value, because it may be a secret.
    """
    for name, kind in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        if get_origin(kind) is not tuple:
            if not _fits(value, kind):
                raise SettingsError(f"{name} is {_words(kind)}, not {type(value).__name__}", option=name)
            continue
        check(isinstance(value, tuple | list), name, f"is a tuple of texts, not {type(value).__name__}")
        odd = next((item for item in value if not isinstance(item, str)), "")
        check(isinstance(odd, str), name, f"is a tuple of texts, and holds {type(odd).__name__}")
        object.__setattr__(settings, name, tuple(value))


def _fits(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return True
    if get_args(kind):
        return any(_fits(value, part) for part in get_args(kind))
    if isinstance(value, bool):
        return kind is bool
    if kind is Path:
        return isinstance(value, str | Path)
    return isinstance(value, int | float if kind is float else kind)


def _words(kind: Any) -> str:
    parts = [part for part in get_args(kind) if part is not NoneType] or [kind]
    named = {str: "a text", bool: "True or False", int: "a whole number", float: "a number", Path: "a path"}
    return " or ".join(named.get(part, f"a {part.__name__}") for part in parts)


def split(texts: Iterable[str], option: str, what: str) -> tuple[str, ...]:
    """Split texts that have several names with commas or blanks between; return each name once."""
    parts = [(text, [part for part in re.split(r"[,\s]+", text) if part]) for text in texts]
    for text, names in parts:
        check(bool(names), option, f"names no {what}: {text!r}")
    return tuple(dict.fromkeys(name for _, names in parts for name in names))


def check(is_right: bool, option: str, rule: str) -> None:  # noqa: FBT001 - reads as an assertion
    """Raise SettingsError where something is not right."""
    if not is_right:
        raise SettingsError(f"{option} {rule}", option=option)
