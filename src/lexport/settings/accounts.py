"""Accounts, and the role that reads them: ids and names that are checked before any request."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from lexport.settings.checks import check

if TYPE_CHECKING:
    from lexport.settings.snapshot import SnapshotSettings

ACCOUNT_ID = "{account_id}"  # stands for the account in the ARN of --account-role

_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_ROLE_ARN = re.compile(
    rf"arn:(?P<partition>aws(?:-[a-z0-9]+)*):iam::{re.escape(ACCOUNT_ID)}:role/(?:[!-~]{{1,510}}/)?[\w+=,.@-]{{1,64}}",
    re.ASCII,
)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_UNIT = re.compile(r"ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32}")


def is_account_id(text: str) -> bool:
    """Return whether a text is the id of an AWS account."""
    return len(text) == 12 and text.isascii() and text.isdigit()  # noqa: PLR2004 - digits of an AWS account


def role_partition(role: str) -> str | None:
    """Return the partition that an ARN with ``{account_id}`` names; None for a role's name, which is in any."""
    match = _ROLE_ARN.fullmatch(role)
    check(
        match is not None or _ROLE_NAME.fullmatch(role) is not None,
        "--account-role",
        f"is a role's name, or an ARN like arn:aws:iam::{ACCOUNT_ID}:role/path/name, not {role!r}",
    )
    return match["partition"] if match else None


def role_arn(role: str, account_id: str, partition: str) -> str:
    """Return the ARN of a role, given as ``--account-role`` takes it, in an account."""
    pattern = role if role_partition(role) else f"arn:{partition}:iam::{ACCOUNT_ID}:role/{role}"
    return pattern.replace(ACCOUNT_ID, account_id)


def check_retirement(settings: SnapshotSettings) -> None:
    """Check that a run that retires what has ended lists everything that has not. Raises SettingsError."""
    if settings.retire_after is None:
        return
    option, why = "--retire-after", "an account that is not listed would be retired"
    check(
        settings.retire_after > timedelta(0),
        option,
        f"is a duration above 0, not {settings.retire_after.total_seconds():g}s",
    )
    check(settings.organization, option, "goes with --organization, whose list says which accounts there are")
    check(not settings.organizational_units, option, f"and --ou exclude each other: {why}")
    check(not settings.exclude_accounts, option, f"and --exclude-account exclude each other: {why}")


def check_accounts(settings: SnapshotSettings) -> None:
    """Check which accounts are read, and by which role. Raises SettingsError."""
    role, listed = settings.account_role, bool(settings.accounts) or settings.accounts_from is not None
    for is_given, option in (
        (listed, "--accounts"),
        (settings.organization, "--organization"),
        (settings.external_id is not None, "--external-id"),
    ):
        check(role is not None or not is_given, option, "goes with --account-role, which says how to enter them")
    for chosen, option in ((settings.organizational_units, "--ou"), (settings.exclude_accounts, "--exclude-account")):
        check(settings.organization or not chosen, option, "goes with --organization")
    check(not (listed and settings.organization), "--organization", "and --accounts exclude each other")
    for option, ids in (("--accounts", settings.accounts), ("--exclude-account", settings.exclude_accounts)):
        for account_id in ids:
            check(is_account_id(account_id), option, f"takes ids of 12 digits, not {account_id!r}")
    for unit in settings.organizational_units:
        check(_UNIT.fullmatch(unit) is not None, "--ou", f"is an id like ou-ab12-11111111 or r-ab12, not {unit!r}")
    if role is None:
        return
    check(not settings.is_selection, "--account-role", "reads whole fleets, not a list of functions")
    role_partition(role)
    if settings.external_id is not None:
        is_good = _EXTERNAL_ID.fullmatch(settings.external_id) is not None
        check(is_good, "--external-id", "is 2 to 1,224 letters, digits or any of _+=,.@:/-")
