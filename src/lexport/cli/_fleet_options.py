"""The options of the commands that read a fleet: which accounts and functions, and at what rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from lexport.cli._options import Decorator, choose_key_file, declare_options, duration, option, print_redirection
from lexport.cli._resource_options import WITH, WITHOUT
from lexport.settings import EnvMode, Qualifiers, SnapshotSettings

_DEFAULTS = SnapshotSettings()

_ACCESS: tuple[Decorator, ...] = (
    option("Target", "--profile NAME", "Use this profile of ~/.aws/config."),
    option("Target", "--region REGION,…", "Read these Regions, e.g. eu-west-1,us-east-1, or `all`.", multiple=True),
    option("Target", "--endpoint-url URL", "Send all AWS requests to this URL.", callback=print_redirection),
    option(
        "Accounts", "--account-role NAME|ARN", "Read other accounts through this role; an ARN contains {account_id}."
    ),
    option("Accounts", "--accounts ID,…|FILE", "Read these accounts: a list, or a file with one id per line."),
    option("Accounts", "--external-id TEXT", "Send this sts:ExternalId, which the role's trust policy requires."),
)
_FLEET: tuple[Decorator, ...] = (
    option("Accounts", "--organization", "Read every active account of the AWS organization."),
    option("Accounts", "--ou ID", "Read only accounts under this OU, at any depth.", multiple=True),
    option("Accounts", "--exclude-account ID", "Skip this account.", multiple=True),
    option(
        "Functions",
        "--qualifiers",
        "Read these versions: $LATEST, the published ones, or all.",
        type=click.Choice(get_args(Qualifiers)),
        default=_DEFAULTS.qualifiers,
    ),
    option(
        "Functions",
        "--aliases/--no-aliases",
        "List aliases, which takes one call per function.",
        default=_DEFAULTS.aliases,
    ),
    WITH,
    WITHOUT,
    option(
        "Environment variables",
        "--env",
        "Keep names and HMACs of values (keys), also the values themselves (values), or nothing (none).",
        type=click.Choice(get_args(EnvMode)),
        default=_DEFAULTS.env,
    ),
    option(
        "Environment variables",
        "--hash-key-file FILE",
        "Read the key of the HMACs from this file, in base64 as in LEXPORT_HASH_KEY.",
        type=click.Path(path_type=Path),
        callback=choose_key_file,
    ),
)
_QUOTA: tuple[Decorator, ...] = (
    option(
        "Quota",
        "--get-function-rate",
        "Assume this quota for GetFunction, in calls per second.",
        type=float,
        default=_DEFAULTS.get_function_rate_per_s,
    ),
    option(
        "Quota",
        "--list-rate",
        "Assume this quota for all other calls together, in calls per second; GetPolicy has as much again.",
        type=float,
        default=_DEFAULTS.list_rate_per_s,
    ),
    option(
        "Quota", "--quota-share", "Use at most this share of both quotas.", type=float, default=_DEFAULTS.quota_share
    ),
)

_READING: tuple[Decorator, ...] = (
    option(
        "Functions", "--function NAME|ARN", "Read only this function: a name, name:qualifier or ARN.", multiple=True
    ),
    option(
        "Functions",
        "--functions-from FILE|-",
        "Read only the functions listed in this file: one per line, or CSV or a table with a header such as"
        " function_name.",
    ),
    option(
        "Incremental snapshots",
        "--incremental",
        "Carry unchanged published versions over from the last snapshot instead of fetching them.",
    ),
    option(
        "Incremental snapshots",
        "--refresh-after AGE",
        "Refetch carried-over versions older than this, e.g. 7d.",
        type=duration,
    ),
)
_CLUSTER: tuple[Decorator, ...] = (
    option(
        "Several processes", "--dask URL", "Use the workers of the dask scheduler at this address, tls://host:port."
    ),
    option("Several processes", "--processes N", "Use so many processes of this machine.", type=int),
    option(
        "Several processes",
        "--shard-retries",
        "Try an account-region, or some packages, again this often if their worker fails.",
        type=int,
        default=_DEFAULTS.shard_retries,
    ),
)
allow_partial_option = option(
    "Publication", "--allow-partial", "Publish even if something could not be read, and exit 3."
)
group_readable_option = option(
    "Publication", "--group-readable", "Let the group read the dataset: modes 0640 and 0750 instead of 0600 and 0700."
)

access_options = declare_options((*_ACCESS, *_QUOTA))
"""Declare on a command the options that choose accounts, Regions and rates."""

fleet_options = declare_options((*_ACCESS, *_FLEET, *_QUOTA))
"""Declare on a command all options that choose what is read of a fleet, and at what rate."""

reading_options = declare_options(_READING)
"""Declare on a command the options that read less than the whole fleet."""

cluster_options = declare_options(_CLUSTER)
"""Declare on a command the options that read on several processes."""

publication_options = declare_options((allow_partial_option, group_readable_option))
"""Declare on a command the options of publishing."""


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
        functions=options.pop("function", ()),
        get_function_rate_per_s=options.pop("get_function_rate"),
        list_rate_per_s=options.pop("list_rate"),
        **options,
    )
