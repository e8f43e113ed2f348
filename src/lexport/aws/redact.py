"""Text -> text without signed links. A link that works for ten minutes is a secret wherever it stands.

In a field that nobody knows any URL may be such a link, so there each loses its query, its fragment and its user.
"""

from __future__ import annotations

import re
from itertools import pairwise

REMOVED = "[signed link removed]"

# AWS's query parameters of a signed request, version 4 and 2, plain or percent-encoded once or twice.
_SIGNED = re.compile(
    r"(?:X-Amz-(?:Signature|Security-Token|Credential)|AWSAccessKeyId|[?&;]Signature)(?:=|%(?:25)*3D|\\u003d)",
    re.IGNORECASE,
)
_WORD_BREAK = re.compile(r"([\s\"'<>]+)")


def has_signed_link(text: str) -> bool:
    """Tell whether a text holds a signed link; cheap where it holds neither ``=`` nor ``%``."""
    return ("=" in text or "%" in text or "\\" in text) and _SIGNED.search(text) is not None


def remove_signed_links(text: str) -> str:
    """Replace each word that holds a signature by ``[signed link removed]``."""
    return "".join(REMOVED if _SIGNED.search(word) else word for word in _WORD_BREAK.split(text))


_QUERY_REMOVED = "[query removed]"
_USER_REMOVED = "[user removed]@"
_SLASH = r"(?:\\?/|%(?:25)*2F)"
_SCHEME = re.compile(rf"(?:(?<![\w+.-])[a-z][a-z0-9+.-]*(?::|%(?:25)*3A)|^){_SLASH}{_SLASH}", re.IGNORECASE)
_USER = re.compile(r"[^/\\?#]*(?:@|%(?:25)*40)", re.IGNORECASE)
_QUERY = re.compile(r"(?:[?#]|%(?:25)*(?:3F|23)|\\u00(?:3F|23)|;[\w.~%-]+=).+", re.IGNORECASE)
_RELATIVE_QUERY = re.compile(r"\?[\w.~%\[\]-]+=.*")


def cut_urls(text: str) -> str:
    """Cut query, fragment and user out of every URL of a text, percent-encoded or not."""
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
