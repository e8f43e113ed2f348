"""Decide which rules of secrets a piece of code or configuration breaks: text -> names of rules.

The formats are those of variables (extract/secret_formats.py). Code has more harmless texts than variables have:
documentation, tests of libraries, constants of parsers, encoded data. What looks like one of these is no secret.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from urllib.parse import unquote

from lexport.extract.secret_formats import LEADS, VALUE_RULES, ValueRule
from lexport.extract.secret_rules import is_harmless, looks_random, matches_of, name_means_secret

RULES_VERSION = 1
"""Raised when a package could get other findings than before, so that packages are searched again."""

ASSIGNED = "random_secret"
"""The rule of a random text that is assigned to a name that means a secret."""

NEEDS_CONTEXT = frozenset(
    ("json_secret", "connection_password", "query_secret", "authorization", "url_password", "signed_link")
)
"""Rules whose format is no provider's own. In libraries, what they match is documentation."""

_LEAD_OF_ASSIGNMENT = (
    r"""(?i:passw|pwd|secret|token|key|cred|auth)[\w.-]{0,20}["'`]?\s*(?:=>|[:=]=?)\s*["'`]?[A-Za-z0-9+/=_.~-]{20}"""
)
OWN_LEADS = f"{LEADS}|{_LEAD_OF_ASSIGNMENT}"
LIBRARY_LEADS = "|".join(rule.lead for rule in VALUE_RULES if rule.name not in NEEDS_CONTEXT)
"""Every text that breaks a rule matches these patterns, the second in libraries. Arrow searches them."""


def broken_rules(text: str, following: str, *, is_cut: bool, is_library: bool) -> set[str]:
    """Return the names of the rules that a line breaks.

    ``following`` is the text after it: a private key has its body there. ``is_cut``: the line is only the rest of one,
    whose first characters were searched before.
    """
    start = _DATA_CHARACTERS if is_cut else 0
    names = set[str]()
    for rule in VALUE_RULES:
        if rule.name in names or (is_library and rule.name in NEEDS_CONTEXT):
            continue
        if any(hint in text for hint in rule.hints) and _breaks(rule, text, following, start):
            names.add(rule.name)
    if not is_library and not names and any(map(_is_secret_assignment, _ASSIGNMENT.finditer(text))):
        names.add(ASSIGNED)
    return names


def _breaks(rule: ValueRule, text: str, following: str, start: int) -> bool:
    look = _LOOKS.get(rule.name)
    for match in matches_of(rule, text):
        group = match.lastindex or 0
        secret = match[group]
        if match.start(group) < start or is_example(secret) or _is_inside_data(text, match.start(group)):
            continue
        if rule.name == "private_key":
            if _has_key_body(match, following):
                return True
        elif look is None or look(secret, match):
            return True
    return False


# --- examples and data ------------------------------------------------------------------------------------------------

_SEQUENCES = re.compile("12345678|23456789|abcdefgh|87654321|98765432|deadbeef|foobar", re.IGNORECASE)
_DOCUMENTED = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq",  # Azure docs: the storage emulator's key
    "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw",  # its database's key
    "16C7e42F292c6912E7710c838347Ae178B4a",  # GitHub docs, token formats
    "4eC39HqLyjWDarjtT1zdp7dc",  # Stripe docs
    "BQokikJOvBiI2HlWgH4olfQ2",  # Stripe docs
    "DaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",  # Google docs, API keys
    "4mt0t4l1yf3k3t0k3n",  # Slack docs
    "wJalrXUtnFEMI",  # IAM user guide
    "je7MtGbClwBF",  # STS reference
    "QWxhZGRpbjpvcGVu",  # RFC 7617: Aladdin, open sesame
    "mF_9.B5f-4.1JqM",  # RFC 6750
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",  # RFC 7515, A.1
)
"""Parts of examples in the documentation of providers that do not look like examples."""


def is_example(secret: str) -> bool:
    """Return whether a text in the format of a secret is a documented example, or typed from the keyboard's rows."""
    return _SEQUENCES.search(secret) is not None or any(part in secret for part in _DOCUMENTED)


_DATA_CHARACTERS = 64
_DATA = re.compile(rf"[A-Za-z0-9+/]{{{_DATA_CHARACTERS}}}")


def _is_inside_data(text: str, start: int) -> bool:
    """Return whether base64 of something long comes right before: then the format is there by chance."""
    return start >= _DATA_CHARACTERS and _DATA.match(text, start - _DATA_CHARACTERS, start) is not None


_KEY_BODY = re.compile(
    r"""(?:\\[nrt]|\\$|[\s"'`+,;()|>]|[A-Z][A-Za-z-]{2,20}: ?[\w:., ()-]{1,200}?(?=\\n|\n))*([A-Za-z0-9+/]{40,})"""
)
_BODY_CHARACTERS = 2_000
_LEAST_ENCODED_KEY = 100


def _has_key_body(match: re.Match[str], following: str) -> bool:
    """Return whether a key follows its first line. That line alone is a constant of code that reads keys."""
    start = match[0]
    if start.startswith("-----"):
        rest = (match.string[match.end() : match.end() + _BODY_CHARACTERS] + "\n" + following)[:_BODY_CHARACTERS]
        body = _KEY_BODY.match(rest)
        return body is not None and looks_random_enough(body[1]) and not is_example(body[1])
    if start.startswith("LS0t"):
        encoded = re.compile(r"[A-Za-z0-9+/=]*").match(match.string, match.start())
        return encoded is not None and len(encoded[0]) >= _LEAST_ENCODED_KEY
    if start.startswith("PuTTY"):
        return "Private-Lines:" in following
    return True


def looks_random_enough(text: str) -> bool:
    """Return whether a long text has as many different characters as a random one."""
    return len(set(text)) >= 16  # noqa: PLR2004 - of 64 characters, 40 random ones have about 30 different


# --- second looks at what a rule matches ------------------------------------------------------------------------------

_KEY_ID = re.compile("[A-Z]{4}[A-Z2-7]{16}")
_LOCAL_HOST = re.compile(
    r"(?:localhost|127\.\d+\.\d+\.\d+|\[?::1\]?|0\.0\.0\.0|host|hostname|server|(?:[\w-]+\.)*example(?:\.\w+)?"
    r"|(?:[\w-]+\.)*(?:test|invalid|local))(?![\w.-])",
    re.IGNORECASE,
)
_CLAIMS = frozenset(("iss", "sub", "aud", "exp", "nbf", "iat", "jti"))
_EXAMPLE_CLAIMS = {("sub", "1234567890"), ("name", "John Doe"), ("iss", "joe"), ("iss", "https://example.com")}
_LEAST_PASSWORD = 6
_NEXT_SETTING = re.compile(r" [A-Za-z_]+=")  # of libpq's connection strings
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_NO_LITERAL = re.compile(r"[(){}\[\]<>$|]|\w+\.\w+\.\w+|self\.|this\.|os\.|process\.")


def _is_key_id(secret: str, _: re.Match[str]) -> bool:
    """Return whether an id is of the characters of base32, as all of AWS's are."""
    return _KEY_ID.fullmatch(secret) is not None


def _is_token(secret: str, _: re.Match[str]) -> bool:
    """Return whether a JSON Web Token says something, and is no example from a documentation."""
    try:
        header, payload = (_decoded(part) for part in secret.split(".")[:2])
    except (TypeError, ValueError, RecursionError):
        return False
    if "alg" not in header or _CLAIMS.isdisjoint(payload):
        return False
    return not any(payload.get(name) == value for name, value in _EXAMPLE_CLAIMS)


def _decoded(part: str) -> dict[str, object]:
    value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(value, dict):
        raise TypeError(part)
    return value


def _is_password(text: str) -> bool:
    """Return whether a text that stands where a password does looks like one: letters, and a digit or a mark."""
    if len(text) < _LEAST_PASSWORD or is_harmless(text) or _NO_LITERAL.search(text):
        return False
    has_letter, has_digit = any(map(str.isalpha, text)), any(map(str.isdigit, text))
    return has_letter and (has_digit or looks_random(text))


def _is_password_of_url(secret: str, match: re.Match[str]) -> bool:
    user = match[0].removeprefix("://").partition(":")[0]
    after = match.string[match.end() : match.end() + 100]
    return unquote(secret) != user and _is_password(unquote(secret)) and _LOCAL_HOST.match(after) is None


def _is_password_of_connection(secret: str, match: re.Match[str]) -> bool:
    """Return whether a password is written out: in quotes, or in a string of several settings."""
    before = match.string[match.start(1) - 1]
    is_written_out = (
        before in "\"'"
        or match[0][0] in ";?&,"
        or match.string[match.end() : match.end() + 1] == ";"
        or _NEXT_SETTING.match(match.string, match.end()) is not None
    )
    return is_written_out and _is_password(secret)


def _is_credential(secret: str, match: re.Match[str]) -> bool:
    """Return whether what follows the name of a scheme is a user with a password, or a token."""
    if match[0].lower().startswith("basic"):
        password = base64.b64decode(secret + "=" * (-len(secret) % 4)).partition(b":")[2].decode("ascii", "replace")
        return len(password) >= _LEAST_PASSWORD and not is_harmless(password)
    return looks_random(secret) or _UUID.fullmatch(secret) is not None


_LOOKS: dict[str, Callable[[str, re.Match[str]], bool]] = {
    "aws_access_key": _is_key_id,
    "jwt": _is_token,
    "url_password": _is_password_of_url,
    "connection_password": _is_password_of_connection,
    "json_secret": lambda secret, _: _is_password(secret) and " " not in secret and not _UUID.fullmatch(secret),
    "query_secret": lambda secret, _: looks_random(secret.rstrip("\"'`,)}]")),
    "signed_link": lambda secret, _: looks_random(unquote(secret)),
    "authorization": _is_credential,
    "azure_key": lambda secret, _: looks_random_enough(secret),
}

# --- assignments ------------------------------------------------------------------------------------------------------

_ASSIGNMENT = re.compile(
    r"""(?<![\w.-])["'`]?(?P<name>[A-Za-z_][\w.-]{2,60})["'`]?\s*(?:=>|:=|[=:])\s*"""
    r"""(?:(?P<quote>["'`])(?P<text>[A-Za-z0-9+/=_.~-]{20,200})(?P=quote)|(?P<plain>[A-Za-z0-9+/=_.~-]{20,200})\s*$)"""
)
_LEAST_PART = 12
_WORDS = re.compile("[._~-]")
_ATTRIBUTE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_INTEGRITY = re.compile(r"(?:sha(?:1|256|384|512)[-:]|[0-9a-f-]{36}$)", re.IGNORECASE)


def _is_secret_assignment(match: re.Match[str]) -> bool:
    value = match["text"] or match["plain"]
    return (
        name_means_secret(match["name"]) is True
        and looks_random(value)
        and not is_harmless(value)
        and not is_example(value)
        and _INTEGRITY.match(value) is None
        and _ATTRIBUTE.fullmatch(value) is None
        and any(len(part) >= _LEAST_PART and _is_mixed(part) for part in _WORDS.split(value))
    )


def _is_mixed(part: str) -> bool:
    """Return whether a part of a value is no word: LicenseRef-apache-2 has none that is."""
    is_lower, is_upper = part.lower() == part, part.upper() == part
    return any(map(str.isdigit, part)) and (is_lower == is_upper or len(part) >= 2 * _LEAST_PART)
