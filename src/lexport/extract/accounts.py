"""The accounts of a run: those that the user lists, those of an organization, or the caller's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from anyio import current_time

from lexport.aws.client import LambdaClient
from lexport.aws.errors import ends_run, is_account
from lexport.aws.organizations import Member
from lexport.aws.quota.retry import retry
from lexport.aws.waits import scaled
from lexport.errors import CredentialsError, ItemError, NetworkError, RunError, SettingsError
from lexport.extract.access import Access
from lexport.extract.decode import decode_object
from lexport.extract.list_file import read_lines
from lexport.extract.selection import Selection
from lexport.model import Scope
from lexport.settings import is_account_id
from lexport.tables.functions import GET_FUNCTION, LIST_FUNCTIONS
from lexport.tables.text import first_of

_OPTION = "--accounts"
ACCOUNTS_NAMED = 10  # in a note
LONGEST_S = scaled(5.0)  # for which the calls that find out the account are retried; those to STS were retried before


def split_accounts(text: str) -> tuple[tuple[str, ...], str | None]:
    """Part ``--accounts ID,…`` from ``--accounts FILE``: return the ids, or the path. A list begins with digits."""
    parts = tuple(part.strip() for part in text.split(","))
    return (parts, None) if parts[0].isdigit() else ((), text)


def read_accounts(ids: tuple[str, ...], path: str | None) -> tuple[str, ...]:
    """Return the ids and those of the file, each once: one a line; blank lines and what follows ``#`` do not count.

    Raises SettingsError with file, line and reason for the first line that is no account.
    """
    accounts = dict.fromkeys(ids)
    if path is not None:
        shown, lines = read_lines(path, option=_OPTION)
        for number, line in enumerate(lines, start=1):
            text = line.partition("#")[0].strip()
            if text and not is_account_id(text):
                raise SettingsError(f"{shown}:{number}: {text!r} is no account: 12 digits, one a line", option=_OPTION)
            if text:
                accounts[text] = None
        if not accounts:
            raise SettingsError(f"{_OPTION} {shown}: names no account", option=_OPTION)
    return tuple(accounts)


def active_accounts(
    members: Sequence[Member], *, excluded: Sequence[str], note: Callable[[str], None]
) -> tuple[str, ...]:
    """Choose the accounts of an organization to read; ``note`` gets those that are left out, with the reason.

    Raises SettingsError where none is left.
    """
    included = [member for member in members if member.account_id not in excluded]
    closed = [f"{member.account_id} ({member.state})" for member in included if member.state != "ACTIVE"]
    if closed:
        note(f"accounts that are not active are not read: {first_of(closed, ACCOUNTS_NAMED)}")
    if unknown := sorted(set(excluded) - {member.account_id for member in members}):
        note(f"--exclude-account names accounts that were not listed: {first_of(unknown, ACCOUNTS_NAMED)}")
    active = tuple(member.account_id for member in included if member.state == "ACTIVE")
    if not active:
        raise SettingsError(
            f"no account is left to read: {len(members)} listed, {len(closed)} of them not active,"
            f" {len(members) - len(included)} excluded",
            option="--organization",
        )
    return active


async def find_own_account(
    access: Access, regions: Sequence[str], *, selection: Selection | None = None, note: Callable[[str], None]
) -> str:
    """Return the account of the caller: as STS says it, or else that of the first ARN that a Region sends.

    Raises CredentialsError where every Region refuses the call, RunError where AWS cannot be reached.
    """
    if access.own_account is not None:
        return access.own_account
    apis = {region: await access.client(Scope(account_id="", region=region)) for region in dict.fromkeys(regions)}
    account_id = await _account_of_first_arn(apis, selection)
    note(f"the account is {account_id} by the first function's ARN")
    return account_id


async def _account_of_first_arn(apis: Mapping[str, LambdaClient], selection: Selection | None) -> str:
    for function in selection or ():
        if function.account_id:
            return function.account_id
    reasons: list[str] = []
    errors: list[ItemError] = []
    ends_at_s = current_time() + LONGEST_S
    for region, api in apis.items():
        try:
            arns = await retry(partial(_first_arns, api, selection), longest_s=max(0.0, ends_at_s - current_time()))
        except ItemError as error:
            reasons.append(f"{region}: {error}")
            errors.append(error)
            if isinstance(error, NetworkError) and current_time() > ends_at_s:
                break  # each further Region may take as long as a connection may
            continue
        for arn in arns:
            parts = arn.split(":")
            if len(parts) > 6 and is_account(parts[4]):  # noqa: PLR2004 - arn:partition:lambda:region:account:function:…
                return parts[4]
        reasons.append(f"{region}: no function")
    for failed in errors:
        if not isinstance(ends_run(failed), CredentialsError):  # no permission is missing: AWS is out of reach
            raise RunError(f"{failed}; the account is not known, and STS did not say it either")
    raise CredentialsError(
        f"the account is not known: {'; '.join(reasons[:3])}; and STS did not say either:"
        " allow sts:GetCallerIdentity or set AWS_ACCOUNT_ID"
    )


async def _first_arns(api: LambdaClient, selection: Selection | None) -> Sequence[str]:
    if selection is None:
        page = await api.call(LIST_FUNCTIONS)
        return _arns(decode_object(page.body).document.get("Functions"))
    response = await api.call(GET_FUNCTION, function_name=selection[0].text, qualifier=selection[0].qualifier)
    return _arns([decode_object(response.body).document.get("Configuration")])


def _arns(items: Any) -> Sequence[str]:
    if not isinstance(items, list):
        return ()
    arns = (item.get("FunctionArn") for item in items if isinstance(item, dict))
    return [arn for arn in arns if isinstance(arn, str)]
