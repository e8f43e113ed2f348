"""The options of the commands that read a fleet: which accounts and functions, and at what rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from lexport.cli._options import Decorator, choose_key_file, declare, option, print_redirection
from lexport.model import EnvMode, Qualifiers
from lexport.settings import SnapshotSettings

if TYPE_CHECKING:
    from collections.abc import Callable

_DEFAULTS = SnapshotSettings()

_ACCESS: tuple[Decorator, ...] = (
    option("--profile", group="Target", metavar="NAME", help="Use this profile of ~/.aws/config."),
    option(
        "--region",
        group="Target",
        multiple=True,
        metavar="REGION,…",
        help="Read these Regions, e.g. eu-west-1,us-east-1, or `all` (repeatable).",
    ),
    option(
        "--endpoint-url",
        group="Target",
        metavar="URL",
        callback=print_redirection,
        help="Send all AWS requests to this URL.",
    ),
    option(
        "--account-role",
        group="Accounts",
        metavar="NAME|ARN",
        help="Read other accounts through this role; an ARN contains {account_id}.",
    ),
    option(
        "--accounts",
        group="Accounts",
        metavar="ID,…|FILE",
        help="Read these accounts: a list, or a file with one id per line.",
    ),
    option(
        "--external-id",
        group="Accounts",
        metavar="TEXT",
        help="Send this sts:ExternalId, which the role's trust policy requires.",
    ),
)
_FLEET: tuple[Decorator, ...] = (
    option("--organization", group="Accounts", is_flag=True, help="Read every active account of the AWS organization."),
    option(
        "--ou",
        group="Accounts",
        multiple=True,
        metavar="ID",
        help="Read only accounts under this OU, at any depth (repeatable).",
    ),
    option("--exclude-account", group="Accounts", multiple=True, metavar="ID", help="Skip this account (repeatable)."),
    option(
        "--qualifiers",
        group="Functions",
        type=click.Choice(get_args(Qualifiers)),
        default=_DEFAULTS.qualifiers,
        show_default=True,
        help="Read these versions: $LATEST, the published ones, or all.",
    ),
    option(
        "--aliases/--no-aliases",
        group="Functions",
        default=_DEFAULTS.aliases,
        show_default=True,
        help="List aliases, which takes one call per function.",
    ),
    option(
        "--env",
        group="Environment variables",
        type=click.Choice(get_args(EnvMode)),
        default=_DEFAULTS.env,
        show_default=True,
        help="Keep names and HMACs of values (keys), also the values themselves (values), or nothing (none).",
    ),
    option(
        "--hash-key-file",
        group="Environment variables",
        type=click.Path(path_type=Path),
        metavar="FILE",
        callback=choose_key_file,
        help="Read the key of the HMACs from this file, in base64 as in LEXPORT_HASH_KEY.",
    ),
)
_QUOTA: tuple[Decorator, ...] = (
    option(
        "--get-function-rate",
        group="Quota",
        type=float,
        default=_DEFAULTS.get_function_rate_per_s,
        show_default=True,
        help="Assume this quota for GetFunction, in calls per second.",
    ),
    option(
        "--list-rate",
        group="Quota",
        type=float,
        default=_DEFAULTS.list_rate_per_s,
        show_default=True,
        help="Assume this quota for all other calls together, in calls per second.",
    ),
    option(
        "--quota-share",
        group="Quota",
        type=float,
        default=_DEFAULTS.quota_share,
        show_default=True,
        help="Use at most this share of both quotas.",
    ),
)


def fleet_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declare all options of this module on a command."""
    return declare(command, (*_ACCESS, *_FLEET, *_QUOTA))


def access_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declare on a command the options that choose accounts, Regions and rates."""
    return declare(command, (*_ACCESS, *_QUOTA))


def fleet_settings(options: dict[str, Any]) -> SnapshotSettings:
    """Make settings of all options of a command. Raises SettingsError for wrong values."""
    from lexport.extract.accounts import split_accounts

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
