"""The options that say which fleet is read, how and at what pace; shared by the commands that read one."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lexport.cli._options import Decorator, choose_key_file, option, say_redirection

if TYPE_CHECKING:
    from collections.abc import Callable

    from lexport.settings import SnapshotSettings

_PROFILE: tuple[Decorator, ...] = (
    option("--profile", help="Profile of ~/.aws/config."),
    option("--region", multiple=True, help="Regions to read, as a,b or repeated; or `all`."),
    option("--endpoint-url", help="Send every call to this URL.", callback=say_redirection),
    option("--account-role", metavar="NAME|ARN", help="Read other accounts through this role; {account_id} in an ARN."),
    option("--accounts", metavar="ID,…|FILE", help="The accounts: a list, or a file with one a line."),
    option("--external-id", metavar="TEXT", help="What the role's trust policy asks for as sts:ExternalId."),
)
_FLEET: tuple[Decorator, ...] = (
    option("--organization", is_flag=True, help="The accounts: every active one of the AWS organization."),
    option("--ou", multiple=True, metavar="ID", help="Only those below this unit, however deep; repeatable."),
    option("--exclude-account", multiple=True, metavar="ID", help="But not this one; repeatable."),
    option(
        "--qualifiers",
        type=click.Choice(["latest", "published", "all"]),
        default="all",
        show_default=True,
        help="Versions.",
    ),
    option("--aliases/--no-aliases", default=True, show_default=True, help="List aliases: one call per function."),
    option(
        "--env",
        type=click.Choice(["keys", "values", "none"]),
        default="keys",
        show_default=True,
        help="What to keep of environment variables: names and HMACs, values too, or nothing.",
    ),
    option(
        "--hash-key-file",
        type=click.Path(path_type=Path),
        callback=choose_key_file,
        help="Key of the HMACs; base64, as in LEXPORT_HASH_KEY.",
    ),
)
_PACE: tuple[Decorator, ...] = (
    option(
        "--get-function-rate", type=float, default=100.0, show_default=True, help="AWS's GetFunction quota, calls/s."
    ),
    option("--list-rate", type=float, default=15.0, show_default=True, help="AWS's quota of all other calls, calls/s."),
    option("--quota-share", type=float, default=0.8, show_default=True, help="How much of the quotas to use."),
)


def fleet_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declare all of them on a command."""
    return _declare(command, (*_PROFILE, *_FLEET, *_PACE))


def access_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declare on a command those that say how accounts are entered, and at what pace they are asked."""
    return _declare(command, (*_PROFILE, *_PACE))


def _declare(command: Callable[..., Any], options: tuple[Decorator, ...]) -> Callable[..., Any]:
    return reduce(lambda declared, declare: declare(declared), reversed(options), command)


def fleet_settings(options: dict[str, Any]) -> SnapshotSettings:
    """Turn a command's options, these and those it has besides, into checked settings."""
    from lexport.extract.accounts import split_accounts
    from lexport.settings import SnapshotSettings

    accounts, accounts_from = split_accounts(options.pop("accounts") or "")
    return SnapshotSettings(
        regions=options.pop("region"),
        accounts=accounts,
        accounts_from=accounts_from or None,
        organizational_units=options.pop("ou", ()),
        exclude_accounts=options.pop("exclude_account", ()),
        get_function_rate_per_s=options.pop("get_function_rate"),
        list_rate_per_s=options.pop("list_rate"),
        **options,
    )
