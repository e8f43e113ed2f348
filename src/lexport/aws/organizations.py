"""An AWS organization, or some units of it -> its accounts, the name and the state of each."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from lexport.aws.json import clean_text
from lexport.aws.session import Session
from lexport.errors import (
    AccessDeniedError,
    CredentialsError,
    ExpiredCredentialsError,
    ItemError,
    RunError,
    SettingsError,
)

PAGE = 20
"""The most that Organizations lists at once; pages may be empty with more to come. Source: API reference, 2026."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One account of an organization. ``state`` is ACTIVE where it can be read; ``name`` is what people call it."""

    account_id: str
    state: str
    name: str | None = None


async def list_members(session: Session, region: str, units: tuple[str, ...]) -> tuple[Member, ...]:
    """List every account, or those below ``units``, however deep; in order, each once.

    Raises CredentialsError where it is not allowed, SettingsError for a unit that is not there, and RunError where
    Organizations cannot be had: part of a list would be mistaken for all of it.
    """
    members: dict[str, Member] = {}
    try:
        if not units:
            async for entry in _pages(session, region, "list_accounts", "Accounts"):
                _add(members, entry)
        waiting, seen = deque(dict.fromkeys(units)), set(units)
        while waiting:
            parent = waiting.popleft()
            async for entry in _pages(session, region, "list_accounts_for_parent", "Accounts", parent):
                _add(members, entry)
            below = "list_organizational_units_for_parent"
            async for entry in _pages(session, region, below, "OrganizationalUnits", parent):
                if entry["Id"] not in seen:
                    seen.add(entry["Id"])
                    waiting.append(entry["Id"])
    except (AccessDeniedError, ExpiredCredentialsError) as error:
        raise CredentialsError(
            f"the accounts of the organization cannot be listed: {error}; use the management account or a delegated"
            " administrator, with the permissions of `lexport iam-policy --for hub`"
        ) from error
    except ItemError as error:
        if error.code == "ParentNotFoundException":
            raise SettingsError(f"--ou: {error}; the unit is not in this organization", option="--ou") from error
        raise RunError(f"{error}; so the accounts of the organization cannot be listed") from error
    return tuple(members.values())


def _add(members: dict[str, Member], entry: dict[str, Any]) -> None:
    # AWS retires Status on 2026-09-09; servers that do not know State yet send it alone.
    state = entry.get("State") or entry.get("Status") or "unknown"
    name = entry.get("Name")
    shown = clean_text(name)[0].strip() if isinstance(name, str) else ""
    members.setdefault(entry["Id"], Member(account_id=entry["Id"], state=str(state), name=shown or None))


async def _pages(
    session: Session, region: str, operation: str, key: str, parent: str | None = None
) -> AsyncIterator[dict[str, Any]]:
    more: dict[str, Any] = {} if parent is None else {"ParentId": parent}
    tokens: set[str] = set()
    while True:
        answer = await session.call("organizations", region, operation, MaxResults=PAGE, **more)
        if key not in answer:  # an empty list is sent as one
            raise ItemError(f"organizations:{operation} came without {key}", code="invalid_answer")
        for entry in answer[key]:
            if "Id" not in entry:
                raise ItemError(f"organizations:{operation} lists an item without Id", code="invalid_answer")
            yield entry
        token = answer.get("NextToken")
        if not token:
            return
        if token in tokens:
            raise ItemError(f"organizations:{operation} repeats itself", code="repeated_marker")
        tokens.add(token)
        more["NextToken"] = token
