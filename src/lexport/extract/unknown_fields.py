"""A field that nobody knows -> what of it may be stored. Pure.

Its key is all there is to judge by. So whatever stands below a key that speaks of secrets, of code or of an environment
is told by type and length only. Keys that tell about a secret and hold none (``SecretArn``, ``TokenTtl``) are let
through for scalars, ARNs under any key; whatever is let through still loses the queries of its URLs, and whole texts
that have the form of a secret.
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
    """What may be stored of what stands below a key."""

    OPEN = auto()
    VALUES = auto()  # type and length; all of it with --env values
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
    {
        "auth",
        "bearer",
        "dsn",
        "jwt",
        "kubeconfig",
        "mnemonic",
        "otp",
        "pin",
        "pwd",
        "pw",
        "pass",
        "salt",
        "creds",
        "cred",
    }
)
_ENVIRONMENT_WORDS = frozenset({"env", "envs", "vars"})
_NO_CODE_BEFORE = frozenset("error reason status state exit response result failure country currency language".split())  # noqa: SIM905
_NO_CODE_AFTER = frozenset({"signing", "sha", "size"})
_ABOUT_IT = frozenset(
    (  # noqa: SIM905 - forty lines of one word each say less
        "arn arns id ids name names type types size length count sha version mode status state enabled disabled "
        "required ttl expiry expires expiration timeout seconds minutes hours days at date time algorithm format "
        "region limit max min concurrency memory cpu rotation policy"
    ).split()
)
_ARN = re.compile(r"arn:[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:[\w+=,.@/:*$-]+")


@lru_cache(CACHED_KEYS)
def guard_of(key: str) -> tuple[Guard, bool]:
    """Return the guard of a key, and whether its first or last word says that a scalar there is only about it."""
    words = [word.lower() for word in _WORDS.findall(key)]
    joined = "_".join(words)
    is_about = bool(words) and (words[-1] in _ABOUT_IT or words[0] in {"max", "min"})
    if _SECRET_STEMS.search(joined) or not _SECRET_WORDS.isdisjoint(words) or _speaks_of_code(words):
        return Guard.SECRET, is_about
    if _ENVIRONMENT_STEMS.search(joined) or not _ENVIRONMENT_WORDS.isdisjoint(words):
        return Guard.VALUES, is_about
    return Guard.OPEN, is_about


def guard(key: str, item: Any) -> Guard:
    """Judge one value by its key."""
    found, is_about = guard_of(key)
    if is_about and not isinstance(item, dict | list):
        return Guard.OPEN
    return Guard.OPEN if item.__class__ is str and _ARN.fullmatch(item) else found


def guard_at(path: str, item: Any) -> Guard:
    """Judge one value by its path, as ``walk.join_path`` joins it: the first key with a guard decides."""
    *above, last = [json.loads(f'"{quoted}"') if quoted else plain for quoted, plain in _STEPS.findall(path)] or [""]
    return next((found for key in above if (found := guard_of(key)[0]) is not Guard.OPEN), guard(last, item))


def has_form_of_secret(text: str) -> bool:
    """Tell whether a text is a token, or JSON with a key that speaks of a secret."""
    if value_rule(text) is not None:
        return True
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        return _has_secret_key(orjson.loads(text))
    except (orjson.JSONDecodeError, RecursionError):
        return False


def outline(item: Any) -> dict[str, Any]:
    """Return type and length of a JSON value; an outline stays what it is."""
    if item.__class__ is dict and item.keys() == {"type", "length"} and item["type"] in JSON_TYPES.values():
        return {"type": item["type"], "length": item["length"] if item["length"].__class__ is int else 0}
    length = len(item) if isinstance(item, str | list | dict) else len(json.dumps(item))
    return {"type": JSON_TYPES[item.__class__], "length": length}


def _speaks_of_code(words: list[str]) -> bool:
    for place, word in enumerate(words):
        if word == "code":
            before, after = words[place - 1] if place else "", words[place + 1] if place + 1 < len(words) else ""
            return before not in _NO_CODE_BEFORE and after not in _NO_CODE_AFTER
    return False


def _has_secret_key(item: Any) -> bool:
    if item.__class__ is dict:
        return any(guard(key, value) is not Guard.OPEN or _has_secret_key(value) for key, value in item.items())
    return item.__class__ is list and any(map(_has_secret_key, item))
