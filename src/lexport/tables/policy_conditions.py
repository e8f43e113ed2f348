"""What a condition of a policy statement limits: the one place of these rules. Pure.

A condition limits an Allow where a request without the key does not satisfy it, and where its value is fixed. So it
matters which operator it has, and what the value leaves open:

- ``StringEquals``, ``StringLike`` (both also with ``IgnoreCase``), ``ArnEquals``, ``ArnLike``, ``IpAddress`` and
  ``Bool`` limit, alone and behind ``ForAnyValue:``. Operators with ``IfExists``, ``ForAllValues:`` and ``Not`` are
  satisfied by requests without the key, and ``Null`` only asks whether there is one: they limit nothing.
- A value with a policy variable (``${``) or without a character is not fixed.
- An ARN is fixed if its account has 12 digits; Region and resource may have wildcards, except that under ``StringLike``
  nothing before the account may, because ``*`` passes over colons there. An ARN of S3 has no account: its bucket must
  be without wildcards. Any other ARN without an account is not fixed, nor is a value of an ARN operator that is no ARN.
- Of a path of an organization (``o-…/r-…/*``) the organization must be without wildcards.
- A network is fixed unless it is wider than /8, or /16 of IPv6: nobody owns one, and two halves are everything.
- Of ``Bool``, only ``true`` limits: what has not happened is true of most requests.
- Any other value is fixed if it has no ``*``, whatever the operator, and no ``?`` under ``StringLike``.

Whether the key of a condition says anything about who may call is for the views to decide.
"""

from __future__ import annotations

import re
from ipaddress import ip_network

_LIMITS = re.compile(r"(?:foranyvalue:)?(string(?:equals|like)(?:ignorecase)?|arn(?:equals|like)|ipaddress|bool)")
_ARN_PARTS = 6
_ACCOUNT = 4
_ORGANIZATION_PATHS = ("aws:principalorgpaths", "aws:sourceorgpaths")
_LEAST_PREFIX = {4: 8, 6: 16}
_HEAD_OF_S3 = re.compile(r"arn:aws[a-z-]*:s3::")


def limiting_operator(operator: str) -> str | None:
    """Return the part of a lower-case operator that says how values are compared; None if it does not limit."""
    matched = _LIMITS.fullmatch(operator)
    return matched[1] if matched else None


def is_limiting(operator: str, key: str, value: str) -> bool:
    """Return whether a condition limits an Allow; operator and key are in lower case."""
    kind = limiting_operator(operator)
    if kind is None or not value or "${" in value:
        return False
    if kind == "bool":
        return value.lower() == "true"
    if kind == "ipaddress":
        return _is_narrow(value)
    is_pattern = kind.startswith(("stringlike", "arn"))
    if value.startswith("arn:"):
        return _is_fixed_arn(value, spans_colons=kind.startswith("stringlike"))
    if kind.startswith("arn"):
        return False
    if key in _ORGANIZATION_PATHS:
        value = value.partition("/")[0]
    return not _has_wildcard(value, is_pattern=is_pattern)


def _has_wildcard(text: str, *, is_pattern: bool) -> bool:
    return "*" in text or (is_pattern and "?" in text)


def _is_fixed_arn(arn: str, *, spans_colons: bool) -> bool:
    parts = arn.split(":", _ARN_PARTS - 1)
    if len(parts) < _ARN_PARTS:
        return False
    if re.fullmatch(r"[0-9]{12}", parts[_ACCOUNT]):
        return not (spans_colons and _has_wildcard("".join(parts[:_ACCOUNT]), is_pattern=True))
    bucket = parts[-1].partition("/")[0]
    return _HEAD_OF_S3.match(arn) is not None and bool(bucket) and not _has_wildcard(bucket, is_pattern=True)


def _is_narrow(text: str) -> bool:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= _LEAST_PREFIX[network.version]
