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
- A network is fixed unless it is wider than /8, or /16 of IPv6, which nobody owns. The networks of a list are fixed if
  together they have fewer addresses than two of these: many parts can be everything. A network of IPv6 that is one of
  IPv4 counts as that, and one that contains all of IPv4 is not fixed.
- Of ``Bool``, only ``true`` limits: what has not happened is true of most requests. It compares no text, so it limits
  no key whose value is one.
- Any other value is fixed if it has no ``*``, whatever the operator, and no ``?`` under ``StringLike``.

Whether the key of a condition says anything about who may call is for the views to decide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network, collapse_addresses, ip_network

_LIMITS = re.compile(r"(?:foranyvalue:)?(string(?:equals|like)(?:ignorecase)?|arn(?:equals|like)|ipaddress|bool)")
_ARN_PARTS = 6
_ACCOUNT = 4
_ORGANIZATION_PATHS = ("aws:principalorgpaths", "aws:sourceorgpaths")
_TEXT_KEYS = frozenset(
    {
        *("aws:sourcearn", "aws:sourceaccount", "aws:sourceowner", "aws:sourceorgid", "aws:sourceorgpaths"),
        *("aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:userid"),
        *("aws:sourcevpc", "aws:sourcevpce", "aws:sourceip", "lambda:eventsourcetoken", "lambda:functionurlauthtype"),
    }
)
_LEAST_PREFIX = {4: 8, 6: 16}
_MAPPED = IPv6Network("::ffff:0:0/96")
_HEAD_OF_S3 = re.compile(r"arn:aws[a-z-]*:s3::")


def limiting_operator(operator: str) -> str | None:
    """Return the part of a lower-case operator that says how values are compared; None if it does not limit."""
    matched = _LIMITS.fullmatch(operator)
    return matched[1] if matched else None


def limiting_values(operator: str, key: str, values: Sequence[str]) -> list[bool]:
    """Return of each value of a condition whether it limits, judged together with the others."""
    found = [is_limiting(operator, key, value) for value in values]
    if limiting_operator(operator) != "ipaddress":
        return found
    networks = {_network(value) for value, is_narrow in zip(values, found, strict=True) if is_narrow}
    v4 = collapse_addresses(each for each in networks if isinstance(each, IPv4Network))
    v6 = collapse_addresses(each for each in networks if isinstance(each, IPv6Network))
    is_everything = {
        4: sum(each.num_addresses for each in v4) >= 2 ** (33 - _LEAST_PREFIX[4]),
        6: sum(each.num_addresses for each in v6) >= 2 ** (129 - _LEAST_PREFIX[6]),
    }
    return [
        is_narrow and (network := _network(value)) is not None and not is_everything[network.version]
        for value, is_narrow in zip(values, found, strict=True)
    ]


def is_limiting(operator: str, key: str, value: str) -> bool:
    """Return whether a condition limits an Allow; operator and key are in lower case."""
    kind = limiting_operator(operator)
    if kind is None or not value or "${" in value:
        return False
    if kind == "bool":
        return value.lower() == "true" and key not in _TEXT_KEYS
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


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        address = IPv4Address(int(network.network_address) & 0xFFFFFFFF)
        return IPv4Network((address, network.prefixlen - _MAPPED.prefixlen))
    return network


def _is_narrow(text: str) -> bool:
    network = _network(text)
    if network is None or (isinstance(network, IPv6Network) and network.supernet_of(_MAPPED)):
        return False
    return network.prefixlen >= _LEAST_PREFIX[network.version]
