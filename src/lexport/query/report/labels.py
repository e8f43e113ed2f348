"""What the report calls accounts, functions and owners, and where the AWS console shows a function. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from lexport.query.checks.finding import FunctionKey

NO_OWNER = "no owner"
UNREAD_OWNER = "tags not readable"

_REGION = re.compile(r"(?:[a-z]{2,5}-)+[0-9]{1,2}")
_CONSOLES = {  # by partition; others have no console in the open internet
    "aws": "https://{region}.console.aws.amazon.com",
    "aws-cn": "https://{region}.console.amazonaws.cn",
    "aws-us-gov": "https://console.amazonaws-us-gov.com",
}
_PREFIXES = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso": "", "eu-iso": "", "eusc-": ""}


def console_url(region: str, function_name: str, version: str | None = None) -> str | None:
    """Return the page of a function in the AWS console; None where its partition has none that is known."""
    if _REGION.fullmatch(region) is None:
        return None
    partition = next((found for prefix, found in _PREFIXES.items() if region.startswith(prefix)), "aws")
    if partition not in _CONSOLES:
        return None
    place = f"{_CONSOLES[partition].format(region=region)}/lambda/home?region={region}#/functions/"
    name = quote(function_name, safe="", errors="replace")
    return f"{place}{name}" + (f"/versions/{version}" if version is not None and version.isdecimal() else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Names of accounts by id, titles of checks by name, and owners of functions, if the user chose a tag for them."""

    accounts: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[FunctionKey, str] | None = None

    def account(self, account_id: str) -> str:
        """Write an account: its name, if there is one; its id too, where another account has that name."""
        name = self.accounts.get(account_id)
        if not name:
            return account_id
        return f"{name} ({account_id})" if [*self.accounts.values()].count(name) > 1 else name

    def place(self, account_id: str, region: str) -> str:
        """Write an account-region in as little space as possible."""
        return f"{self.account(account_id)} · {region}"

    def owner(self, key: FunctionKey) -> str:
        """Return the owner of a function."""
        return (self.owners or {}).get(key, NO_OWNER)
