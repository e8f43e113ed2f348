"""Remove presigned URLs, signatures and secrets from text and from raw JSON.

A presigned URL downloads a function's code for ten minutes without credentials, so it is a credential itself. Any text
may contain one. aws/errors, extract/failures, cli/_ending and artifacts/presigned clean messages, extract/decode and
extract/lossless clean responses, aws/logs cleans every line that a command prints or logs. Environment values are
replaced in extract/flatten._children_of and extract/rows. All functions are pure but those of log lines, which use
the secrets that this process remembers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from urllib.parse import quote, unquote

# --- presigned URLs in text -------------------------------------------------------------------------------------------

REMOVED = "[signed link removed]"

# Query parameters of a signed request, Signature Version 4 and 2, plain or percent-encoded once or twice.
_SIGNED = re.compile(
    r"(?:X-Amz-(?:Signature|Security-Token|Credential)|AWSAccessKeyId|[?&;]Signature)(?:=|%(?:25)*3D|\\u003d)",
    re.IGNORECASE,
)
_WORD_BREAK = re.compile(r"([\s\"'<>]+)")


def has_presigned_url(text: str) -> bool:
    """Return whether a text contains a presigned URL; cheap for a text without ``=``, ``%`` and backslash."""
    return ("=" in text or "%" in text or "\\" in text) and _SIGNED.search(text) is not None


def remove_presigned_urls(text: str) -> str:
    """Replace each word that contains a signature by ``[signed link removed]``."""
    return "".join(REMOVED if _SIGNED.search(word) else word for word in _WORD_BREAK.split(text))


# --- signatures and secrets in messages -------------------------------------------------------------------------------

_LEAST_SECRET_CHARACTERS = 8  # secret keys have 40; removing a shorter text would only remove words of the message
_SIGNED_PARAMETER = re.compile(
    r"""((?:x-amz-)?(?:signature|security-token|credential))\s*(?:=|:|%3d)\s*[^\s&,;'"<>]+""", re.IGNORECASE
)


def remove_secrets(text: str, secrets: Iterable[str | None] = ()) -> str:
    """Remove these secrets from a message, and the values of signed parameters and headers that AWS quotes."""
    for secret in secrets:
        if secret and len(secret) >= _LEAST_SECRET_CHARACTERS:
            text = text.replace(secret, "[removed]").replace(quote(secret, safe=""), "[removed]")
    return _SIGNED_PARAMETER.sub(r"\1=[removed]", text)


# --- passwords in URLs and connection strings that a user gives ------------------------------------------------------

_USER_AND_PASSWORD = re.compile(
    # After the first `//`; a connection string without it begins with the user. A password may have any character.
    r"//.*?(?::|%(?:25)*3A).*@"
    r"|^(?!.*//)(?:[^\s=]*:[^\s=]*@|(?:(?:postgres|mysql|sqlite):)?+[^\s=]*:.*@)",
    re.IGNORECASE | re.DOTALL,
)
_PASSWORD_PARAMETER = re.compile(
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token|credential|signature|api[_-]?key|access[_-]?key)[\w.-]*\s*="
    r"|(?<![a-z])(?:pass|sig)\s*=",
    re.IGNORECASE,
)


def may_hold_password(text: str) -> bool:
    """Return whether a URL or connection string may have a password; rather once too often than too seldom.

    Only a parser of its library knows for certain, and each has its own idea of a text that is no URL.
    """
    if _USER_AND_PASSWORD.search(text):
        return True
    return any(_PASSWORD_PARAMETER.search(each) for each in (text, unquote(text), unquote(unquote(text))))


# --- secrets in lines of logs -----------------------------------------------------------------------------------------

MOST_REMEMBERED = 4_096
"""Secrets that are remembered at once; credentials of roles are renewed every hour."""

_remembered: dict[str, None] = {}
_FIELD_OF_SECRET = re.compile(
    r"""((?:secret|token|passw|authorization|signature|credential|api.?key|access.?key|private.?key|cookie)[\w.-]*)"""
    r"""(["'\]]*\s*[:=>]+\s*)(?:b?(?P<quote>["']).*?(?P=quote)|[^\s"',;&<>]+(?:\s+[\w+/=.-]{16,})*)""",
    re.IGNORECASE,
)
_USER_IN_WORD = re.compile(r"(:/+)[^\s'\"<>]*:[^\s'\"<>]*@")  # a password may have a slash
_LETTERS = re.compile(r"[A-Za-z][A-Za-z.-]{0,63}")


def remember_secret(*secrets: str | None) -> None:
    """Remove these texts from every line that is logged from now on."""
    for secret in secrets:
        if secret and len(secret) >= _LEAST_SECRET_CHARACTERS:
            _remembered[secret] = None
    while len(_remembered) > MOST_REMEMBERED:
        del _remembered[next(iter(_remembered))]


def clean_line(text: str) -> str:
    """Remove remembered secrets, signed parameters, presigned URLs and users with passwords from a line of our own."""
    if ":/" in text and "@" in text:
        text = _USER_IN_WORD.sub(r"\1[user removed]@", text)
    text = remove_presigned_urls(text) if has_presigned_url(text) else text
    return remove_secrets(text, tuple(_remembered))


def clean_foreign_line(text: str) -> str:
    """Clean a line that a library wrote; also remove the value after each word that names a secret."""
    return _FIELD_OF_SECRET.sub(r"\1\2[removed]", clean_line(text))


def clean_argument(value: object) -> object:
    """Replace an argument of a library's debug line by its type, unless it is a number or one word without digits.

    Libraries log requests, signatures, responses and credentials as arguments. Their texts have no rules.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str) and _LETTERS.fullmatch(value) and value not in _remembered:
        return value
    return f"[{type(value).__name__}]"


# --- presigned URLs in raw JSON ---------------------------------------------------------------------------------------

_LOCATION = b'"Location"'
_COLON = re.compile(rb"\s*:\s*")
_ENCODED_EQUALS = re.compile(rb"%(?:25)*3[dD]")
_ASCII_IGNORING_CASE = tuple(letter.encode() for letter in "\u0130\u0131\u017f\u212a")
"""Letters outside ASCII that ``re.IGNORECASE`` takes for ASCII letters: the Kelvin sign is a k."""
_BEFORE_EQUALS = (b"signature", b"security-token", b"credential", b"accesskeyid")
_LONGEST_BEFORE_EQUALS = 14


def has_location(body: bytes) -> bool:
    """Return whether raw JSON has a key ``Location``, or a text that reads so."""
    return _LOCATION in body


def cut_location(body: bytes, url: str) -> bytes | None:
    """Empty the value of ``Location``, which is ``url``, in raw JSON.

    Returns None where that cannot be done for certain: the key stands twice, or key or URL is written with escapes.
    """
    key = body.find(_LOCATION)
    colon = _COLON.match(body, key + len(_LOCATION)) if key >= 0 else None
    sent = f'"{url}"'.encode(errors="surrogatepass")
    if colon is None or not body.startswith(sent, colon.end()):
        return None
    start, end = colon.end(), colon.end() + len(sent)
    return None if body.find(_LOCATION, end) >= 0 else body[:start] + b'""' + body[end:]


def may_have_presigned_url(body: bytes) -> bool:
    """Return whether a text in raw JSON may contain a presigned URL, or NUL.

    False only if no text has either. True for every body with a Unicode escape, which may stand for any character.
    """
    if b"\\" in body and b"\\u" in body:
        return True
    if not body.isascii() and any(letter in body for letter in _ASCII_IGNORING_CASE):
        return True
    if b"%" in body and _ENCODED_EQUALS.search(body):
        return True
    at = body.find(b"=")  # most bodies have one alone, at the end of CodeSha256
    while at >= 0:
        if body[max(0, at - _LONGEST_BEFORE_EQUALS) : at].lower().endswith(_BEFORE_EQUALS):
            return True
        at = body.find(b"=", at + 1)
    return False


# --- URLs in fields that no column knows ------------------------------------------------------------------------------

# Any URL in such a field may be a credential of a service that lexport does not know.
_QUERY_REMOVED = "[query removed]"
_USER_REMOVED = "[user removed]@"
_SLASH = r"(?:\\?/|%(?:25)*2F)"
_SCHEME = re.compile(rf"(?:(?<![\w+.-])[a-z][a-z0-9+.-]*(?::|%(?:25)*3A)|^){_SLASH}{_SLASH}", re.IGNORECASE)
_USER = re.compile(r"[^/\\?#]*(?:@|%(?:25)*40)", re.IGNORECASE)
_QUERY = re.compile(r"(?:[?#]|%(?:25)*(?:3F|23)|\\u00(?:3F|23)|;[\w.~%-]+=).+", re.IGNORECASE)
_RELATIVE_QUERY = re.compile(r"\?[\w.~%\[\]-]+=.*")


def cut_urls(text: str) -> str:
    """Remove query, fragment and user from every URL of a text, percent-encoded or not."""
    if "?" not in text and "//" not in text and "%" not in text and "\\" not in text:
        return text
    return "".join(map(_cut_url, _WORD_BREAK.split(text)))


def _cut_url(word: str) -> str:
    first = _SCHEME.search(word)
    if first is None:
        return _RELATIVE_QUERY.sub(f"?{_QUERY_REMOVED}", word)
    query = _QUERY.search(word, first.start())
    left = word if query is None else word[: query.start()]
    ends = [*(scheme.end() for scheme in _SCHEME.finditer(left)), len(left)]
    parts = (_without_user(left[start:end]) for start, end in pairwise(ends))
    return "".join((left[: ends[0]], *parts, _QUERY_REMOVED if query else ""))


def _without_user(host: str) -> str:
    user = _USER.match(host)
    return host if user is None else _USER_REMOVED + host[user.end() :]
