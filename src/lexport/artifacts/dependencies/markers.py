"""Environment marker of a requirement -> whether it can be true in Lambda. Source: PEP 508.

Values that the package does not give, such as the Python version and the processor, count as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice

_LAMBDA = {
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "os.name": "posix",
    "sys.platform": "linux",
    "platform_python_implementation": "CPython",
    "implementation_name": "cpython",
    "extra": "",
}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^']*'|\"[^\"]*\")|(?P<op>===|==|!=|~=|<=|>=|<|>)|(?P<word>[\w.]+)|(?P<mark>[()]))"
)
_MAX_TOKENS = 500  # a marker has three to ten


def may_hold(marker: object) -> bool:
    """Return whether a marker can be true on Linux with CPython; True for none, and for one that cannot be parsed."""
    if not isinstance(marker, str):
        return True
    tokens = list(islice(_TOKEN.finditer(marker), _MAX_TOKENS + 1))
    if len(tokens) > _MAX_TOKENS or sum(len(match[0]) for match in tokens) != len(marker.rstrip()):
        return True
    words = [match[0].strip() for match in tokens]
    try:
        result = _any(words)
    except (IndexError, RecursionError):
        return True
    return bool(words) or result is not False  # remaining words: not a marker of PEP 508


def _any(words: list[str]) -> bool | None:
    return _join(words, "or", _all, decisive=True)


def _all(words: list[str]) -> bool | None:
    return _join(words, "and", _one, decisive=False)


def _join(words: list[str], word: str, part: Callable[[list[str]], bool | None], *, decisive: bool) -> bool | None:
    """Return ``decisive`` where one of the parts has this value, else None where one is unknown."""
    values = {part(words)}
    while words and words[0] == word:
        words.pop(0)
        values.add(part(words))
    return decisive if decisive in values else None if None in values else not decisive


def _one(words: list[str]) -> bool | None:
    word = words.pop(0)
    if word == "(":
        result = _any(words)
        words.pop(0)
        return result
    op = words.pop(0)
    if op == "not":
        op += " " + words.pop(0)
    left, right = _value(word), _value(words.pop(0))
    if left is None or right is None:
        return None
    comparisons = {"==": left == right, "===": left == right, "!=": left != right}
    return comparisons.get(op, (left in right) == (op == "in") if op in ("in", "not in") else None)


def _value(word: str) -> str | None:
    return word[1:-1] if word[:1] in "'\"" else _LAMBDA.get(word)
