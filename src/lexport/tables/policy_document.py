"""Read the text of a policy into statements whose elements have the types that IAM documents have. Pure.

A policy is a stranger's text. What is not as IAM writes it is not guessed: the statement says what is wrong with it
(``flaws``), and its rows show that it could not be judged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from math import isfinite
from typing import Any

LONGEST_POLICY = 2**18
"""The length of a policy that is looked at; AWS allows 20 KB."""
MOST_DEPTH = 32
"""Levels of objects and arrays that are followed; a policy of IAM has seven."""
_MOST_DIGITS = 300  # of an integer that stays a number; Python converts no text of more than 4,300 digits
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # NUL and lone surrogates: no column of any warehouse holds them
_MAY_BE_UNSTORABLE = re.compile("[\x00\ud800-\udfff]|\\\\u(?:0000|[dD][89a-fA-F])")
_ELEMENTS = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)


class PolicyError(ValueError):
    """A text that is no policy; ``code`` is that of its row in ``errors``."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code."""
        super().__init__(message)
        self.code = code


class _Doubled(dict[str, Any]):
    """An object in which a key stood twice: ``'`` and a number stand behind the key of each former value."""


@dataclass(slots=True)
class Statement:
    """One statement. ``principals`` are pairs of type and principal.

    ``flaws`` are codes and texts of what IAM would refuse; with any of them, the lists are not to be believed.
    ``others`` are the keys that have no column. ``conditions`` are operator, key, both in lower case, and values.
    """

    elements: dict[str, Any]
    principals: list[tuple[str, str]] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    conditions: list[tuple[str, str, list[Any]]] = field(default_factory=list)
    others: dict[str, Any] = field(default_factory=dict)
    flaws: list[tuple[str, str]] = field(default_factory=list)

    def is_not(self, element: str) -> bool:
        """Return whether the element is there in its form with Not."""
        return self.elements.get(f"Not{element}") is not None

    @property
    def row_count(self) -> int:
        """How many rows it makes: what is absent counts once."""
        if self.flaws:
            return 1
        return len(self.principals) * len(self.actions) * max(1, len(self.resources))

    @property
    def condition_count(self) -> int:
        """How many values its conditions have."""
        return sum(len(values) for _, _, values in self.conditions)


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """The statements of a policy, and its other keys. ``cleaned`` characters were replaced.

    With any of ``flaws``, codes and texts, the statements may not be all that the policy grants.
    """

    statements: list[Any]
    others: dict[str, Any]
    flaws: list[tuple[str, str]]
    cleaned: int


def read_policy(text: Any) -> PolicyDocument:
    """Parse the text of a policy. Raises PolicyError where it is no text of a JSON object with statements."""
    if not isinstance(text, str):
        raise PolicyError("wrong_type", f"the policy is {type_of(text)}")
    if len(text) > LONGEST_POLICY:
        raise PolicyError("too_large", f"the policy has {len(text):,} characters, and AWS allows 20,480")
    value, cleaned = parse(text)
    if not isinstance(value, dict):
        raise PolicyError("invalid_policy", f"the policy is no JSON object but {type_of(value)}")
    others = {key: item for key, item in value.items() if key != "Statement"}
    statements = value.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list):
        raise PolicyError("invalid_policy", f"the policy has {type_of(statements)} where its statements should be")
    flaws = [("duplicate_key", "the policy has a key twice")] if isinstance(value, _Doubled) else []
    if not others.keys() <= {"Version", "Id"}:
        flaws.append(("invalid_policy", "the policy has an unknown key"))
    return PolicyDocument(statements, others, flaws, cleaned)


def parse(text: str) -> tuple[Any, int]:
    """Parse JSON, and count characters that no table can hold, which are replaced. Raises PolicyError."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=str)
    except RecursionError:
        raise PolicyError("too_deep", "the policy is nested too deeply") from None
    except ValueError as error:  # its message has a position, and nothing of the text
        raise PolicyError("invalid_policy", f"the policy is no JSON: {error}") from None
    if _is_deep(value):
        raise PolicyError("too_deep", f"the policy is nested more than {MOST_DEPTH} levels deep")
    return _cleaned(value) if _MAY_BE_UNSTORABLE.search(text) else (value, 0)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    made = _Doubled()
    numbers = count(1)
    for key, item in pairs:
        if key in made:
            former = next(name for number in numbers if (name := f"{key}'{number}") not in made)
            made[former] = made[key]
        made[key] = item
    return made


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= _MOST_DIGITS else text


def _float(text: str) -> float | str:
    value = float(text)
    return value if isfinite(value) else text


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [item for each in level for item in _items(each)]
        if not level:
            return False
    return True


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _cleaned(value: Any) -> tuple[Any, int]:
    if isinstance(value, str):
        return _UNSTORABLE.subn("\ufffd", value)
    if isinstance(value, list):
        parts = [_cleaned(item) for item in value]
        return [item for item, _ in parts], sum(count for _, count in parts)
    if isinstance(value, dict):
        pairs = [(_cleaned(key), _cleaned(item)) for key, item in value.items()]
        made = _object([(key, item) for (key, _), (item, _) in pairs])
        is_doubled = isinstance(value, _Doubled)
        return _Doubled(made) if is_doubled else made, sum(one + two for (_, one), (_, two) in pairs)
    return value, 0


# --- one statement ----------------------------------------------------------------------------------------------------


def read_statement(value: Any) -> Statement:
    """Read one item of the list of statements."""
    if not isinstance(value, dict):
        statement = Statement({})
        statement.others[""] = value
        statement.flaws.append(("invalid_policy", f"is {type_of(value)}"))
        return statement
    statement = Statement({key: value[key] for key in _ELEMENTS if value.get(key) is not None})
    statement.others = {key: item for key, item in value.items() if key not in _ELEMENTS and item is not None}
    if not value.keys() <= set(_ELEMENTS):  # a Deny whose Condition is misspelled would deny everything
        statement.flaws.append(("invalid_policy", "has an unknown element"))
    statement.flaws += [("wrong_type", f"has null in {key}") for key in _ELEMENTS if value.get(key, "") is None]
    if _has_doubled_keys(value):
        statement.flaws.append(("duplicate_key", "has a key twice"))
    if statement.elements.get("Effect") not in ("Allow", "Deny"):
        statement.flaws.append(("invalid_policy", "has no Effect of Allow or Deny"))
    if not isinstance(statement.elements.get("Sid", ""), str):
        statement.flaws.append(("wrong_type", f"has {type_of(statement.elements['Sid'])} in Sid"))
    for element, is_needed in (("Principal", True), ("Action", True), ("Resource", False)):
        _read_element(statement, element, is_needed=is_needed)
    _read_condition(statement)
    return statement


def _read_element(statement: Statement, element: str, *, is_needed: bool) -> None:
    given = [statement.elements[name] for name in (element, f"Not{element}") if name in statement.elements]
    if len(given) != 1:
        if given or is_needed:
            what = "both" if given else "neither"
            statement.flaws.append(("invalid_policy", f"has {what} {element} {'and' if given else 'nor'} Not{element}"))
        return
    try:
        if element == "Principal":
            statement.principals = list(_principals(given[0]))
        elif element == "Action":
            statement.actions = _texts(given[0])
        else:
            statement.resources = _texts(given[0])
    except TypeError as error:
        statement.flaws.append(("wrong_type", f"has {error} in {element}"))
        return
    if not {"Principal": statement.principals, "Action": statement.actions, "Resource": statement.resources}[element]:
        statement.flaws.append(("invalid_policy", f"has an empty {element}"))


def _principals(value: Any) -> Iterator[tuple[str, str]]:
    if value == "*":
        yield "*", "*"
        return
    if not isinstance(value, dict):
        raise TypeError(type_of(value))
    for type_, names in value.items():
        texts = _texts(names)
        if not texts:
            raise TypeError("an empty list")
        for text in texts:
            yield type_, text


def _texts(value: Any) -> list[str]:
    texts = value if isinstance(value, list) else [value]
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(type_of(text))
    return texts


def _read_condition(statement: Statement) -> None:
    condition = statement.elements.get("Condition", {})
    if not isinstance(condition, dict):
        statement.flaws.append(("wrong_type", f"has {type_of(condition)} in Condition"))
        return
    for operator, keys in condition.items():
        if not isinstance(keys, dict):
            statement.flaws.append(("wrong_type", f"has {type_of(keys)} in Condition"))
            continue
        for key, given in keys.items():
            values = given if isinstance(given, list) else [given]
            scalars = [value for value in values if isinstance(value, str | bool | int | float)]
            if len(scalars) < len(values):
                wrong = next(value for value in values if not isinstance(value, str | bool | int | float))
                statement.flaws.append(("wrong_type", f"has {type_of(wrong)} in Condition"))
            statement.conditions.append((operator.lower(), key.lower(), scalars))


def _has_doubled_keys(value: Any) -> bool:
    return isinstance(value, _Doubled) or any(map(_has_doubled_keys, _items(value)))


def type_of(value: Any) -> str:
    """Name the type of a JSON value."""
    names = {str: "text", bool: "a boolean", int: "a number", float: "a number", list: "an array", type(None): "null"}
    return names.get(value.__class__, "an object")
