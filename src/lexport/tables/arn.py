"""What AWS calls a version, and what the ARN of a function looks like. Pure."""

from __future__ import annotations

import re
from typing import Any

from lexport.model import LATEST, LATEST_PUBLISHED

_HEAD = re.compile(r"arn:aws[a-zA-Z-]*")
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


def shown(value: Any) -> str:
    """Quote a name that a server sent; of what should have been a text, its type."""
    if value is None:
        return "none"
    return repr(value[:_LONGEST_SHOWN]) if isinstance(value, str) else type(value).__name__
