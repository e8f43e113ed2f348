"""Decide what may be stored of a field that no column knows. Pure.

Only its key shows what it may contain. So a value below a key that suggests a secret, code or an environment is
replaced by its type and length. Scalars below a key that is about a secret without containing it (``SecretArn``,
``TokenTtl``) are stored, and so are ARNs below any key. A stored value still loses the queries of its URLs, and a text
that has the form of a secret is replaced as a whole.
"""

from __future__ import annotations

import json
import re
from enum import Enum, auto
from functools import lru_cache
from typing import Any

import orjson

from lexport.extract.secret_rules import value_rule

CACHED_KEYS = 4096

JSON_TYPES = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}


class Guard(Enum):
    """What may be stored of a value, by its key."""

    OPEN = auto()
    VALUES = auto()  # type and length; with --env values, everything
    SECRET = auto()  # type and length


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_STEPS = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|([^.\[\]]+)')
_SECRET_STEMS = re.compile(
    "secret|credential|passw|passphrase|passcode|token|authoriz|cookie|signature|presign|plaintext|connection_?string"
    "|key_?material|user_?data|(?:api|access|private|signing|encryption|decryption)_?key"
    "|(?:^|_)(?:auth|shared|master|data|session|hmac|ssh)_?key"
)
_ENVIRONMENT_STEMS = re.compile("environment|variable")
_SECRET_WORDS = frozenset(
    "auth bearer dsn jwt kubeconfig mnemonic otp pin pwd pw pass salt creds cred".split()  # noqa: SIM905
)
_ENVIRONMENT_WORDS = frozenset({"env", "envs", "vars"})
_NO_CODE_BEFORE = frozenset("error reason status state exit response result failure country currency language".split())  # noqa: SIM905
_NO_CODE_AFTER = frozenset({"signing", "sha", "size"})
_ATTRIBUTES = frozenset(
    (  # noqa: SIM905 - forty lines of one word each say less
        "arn arns id ids name names type types size length count sha version mode status state enabled disabled "
        "required ttl expiry expires expiration timeout seconds minutes hours days at date time algorithm format "
        "region limit max min concurrency memory cpu rotation policy"
    ).split()
)
_ARN = re.compile(r"arn:[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:[\w+=,.@/:*$-]+")


@lru_cache(CACHED_KEYS)
def guard_of(key: str) -> tuple[Guard, bool]:
    """Return the guard of a key, and whether its first or last word means that a scalar there is no secret itself."""
    words = [word.lower() for word in _WORDS.findall(key)]
    joined = "_".join(words)
    is_attribute = bool(words) and (words[-1] in _ATTRIBUTES or words[0] in {"max", "min"})
    if _SECRET_STEMS.search(joined) or not _SECRET_WORDS.isdisjoint(words) or _means_code(words):
        return Guard.SECRET, is_attribute
    if _ENVIRONMENT_STEMS.search(joined) or not _ENVIRONMENT_WORDS.isdisjoint(words):
        return Guard.VALUES, is_attribute
    return Guard.OPEN, is_attribute


def guard(key: str, item: Any) -> Guard:
    """Return the guard of a value by its key."""
    of_key, is_attribute = guard_of(key)
    if is_attribute and not isinstance(item, dict | list):
        return Guard.OPEN
    return Guard.OPEN if item.__class__ is str and _ARN.fullmatch(item) else of_key


def guard_at(path: str, item: Any) -> Guard:
    """Return the guard of a value by its path, as ``lossless.join_path`` makes it: the first guarded key decides."""
    *above, last = [json.loads(f'"{quoted}"') if quoted else plain for quoted, plain in _STEPS.findall(path)] or [""]
    return next((of_key for key in above if (of_key := guard_of(key)[0]) is not Guard.OPEN), guard(last, item))


def has_form_of_secret(text: str) -> bool:
    """Return whether a text is a token, or JSON with a key that suggests a secret."""
    if value_rule(text) is not None:
        return True
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        return _has_secret_key(orjson.loads(text))
    except (orjson.JSONDecodeError, RecursionError):
        return False


def outline(item: Any) -> dict[str, Any]:
    """Return type and length of a JSON value; an outline is returned unchanged."""
    if item.__class__ is dict and item.keys() == {"type", "length"} and item["type"] in JSON_TYPES.values():
        return {"type": item["type"], "length": item["length"] if item["length"].__class__ is int else 0}
    length = len(item) if isinstance(item, str | list | dict) else len(json.dumps(item))
    return {"type": JSON_TYPES[item.__class__], "length": length}


def _means_code(words: list[str]) -> bool:
    for index, word in enumerate(words):
        if word == "code":
            before, after = words[index - 1] if index else "", words[index + 1] if index + 1 < len(words) else ""
            return before not in _NO_CODE_BEFORE and after not in _NO_CODE_AFTER
    return False


def _has_secret_key(item: Any) -> bool:
    if item.__class__ is dict:
        return any(guard(key, value) is not Guard.OPEN or _has_secret_key(value) for key, value in item.items())
    return item.__class__ is list and any(map(_has_secret_key, item))
