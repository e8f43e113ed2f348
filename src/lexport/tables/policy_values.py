"""What the principals and actions of a policy statement amount to. Pure."""

from __future__ import annotations

from typing import Any

_ARN_PARTS = 6
_ACCOUNT = 4


def is_public(type_: str, principal: str) -> bool:
    """Return whether a principal is anybody: ``*`` of any type, nobody at all, or any account of AWS."""
    if principal.strip() in ("", "*"):
        return True
    if type_ not in ("AWS", "*"):
        return False
    parts = principal.split(":", _ARN_PARTS - 1)
    account = parts[_ACCOUNT] if len(parts) == _ARN_PARTS else principal
    return "*" in account or "?" in account


def value_text(value: Any) -> str:
    """Write a scalar of a condition as IAM compares it."""
    if value.__class__ is bool:
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def covers(pattern: str, action: str) -> bool:
    """Return whether an action of a statement, with ``*`` and ``?``, covers an action in lower case.

    It goes back to the last ``*`` alone, so no pattern costs more than its length times that of the action.
    """
    pattern = pattern.lower()
    if len(pattern) - pattern.count("*") > len(action):
        return False
    at = position = again = 0
    star = -1
    while position < len(action):
        if at < len(pattern) and pattern[at] == "*":
            star, again = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", action[position]):
            at, position = at + 1, position + 1
        elif star >= 0:
            again += 1
            at, position = star + 1, again
        else:
            return False
    return not pattern[at:].strip("*")
