"""What AWS calls a version, and what the ARN of a function looks like. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lexport.model import LATEST, LATEST_PUBLISHED

_HEAD = re.compile(r"arn:aws[a-zA-Z-]*")
_FUNCTION_ARN = re.compile(
    r"arn:aws[a-zA-Z-]*:lambda:([a-z0-9-]+):(\d{12}):function:([a-zA-Z0-9-_.]+)(?::([$a-zA-Z0-9-_.]+))?", re.ASCII
)
_LONGEST_SHOWN = 120  # characters of a name that a server sent, in a message


def is_version(version: Any) -> bool:
    """Return whether this is what AWS calls a version: ``$LATEST``, a number, or that of managed instances."""
    return version.__class__ is str and (
        version in (LATEST, LATEST_PUBLISHED) or (version.isascii() and version.isdigit())
    )


def is_function_arn(arn: Any, function: str, *qualifiers: str | None) -> bool:
    """Return whether an ARN is a function's (``region:account:function:name``), unqualified or with one of these."""
    if arn.__class__ is not str:
        return False
    head, _, rest = arn.partition(":lambda:")
    if rest != function:
        named, _, qualifier = rest.rpartition(":")
        if named != function or qualifier not in qualifiers:
            return False
    return head == "arn:aws" or _HEAD.fullmatch(head) is not None


class FunctionArn(NamedTuple):
    """The parts of the ARN of a function; ``qualifier`` is ``$LATEST`` where it has none."""

    region: str
    account_id: str
    function_name: str
    qualifier: str


def split_function_arn(arn: Any) -> FunctionArn | None:
    """Take the ARN of a function apart; return None for anything else."""
    matched = _FUNCTION_ARN.fullmatch(arn) if arn.__class__ is str else None
    if matched is None:
        return None
    return FunctionArn(matched[1], matched[2], matched[3], matched[4] or LATEST)


def other_function(item: Mapping[str, Any], function: str) -> str | None:
    """Say whose an item is if its ``FunctionArn`` is that of another function, or of another account-region.

    ``function`` is ``region:account:function:name``; without a name, any function of the account-region passes. An item
    whose ARN is absent or none at all passes: it is lost later.
    """
    parts = split_function_arn(item.get("FunctionArn"))
    if parts is None:
        return None
    found = f"{parts.region}:{parts.account_id}:function:{parts.function_name}"
    is_same = found == function or (function.endswith(":") and found.startswith(function))
    return None if is_same else shown(item["FunctionArn"])


def shown(value: Any) -> str:
    """Quote a name that a server sent; of what should have been a text, its type."""
    if value is None:
        return "none"
    return repr(value[:_LONGEST_SHOWN]) if isinstance(value, str) else type(value).__name__
