"""``lexport iam-policy``: the least IAM policy that a snapshot needs."""

from __future__ import annotations

import json
import re

import click

from lexport.cli._options import option


@click.command("iam-policy", short_help="Print the permissions a snapshot needs.")
@option("--partition", default="aws", show_default=True, help="aws, aws-cn, aws-us-gov, aws-eusc, ...")
@option("--account", default="*", show_default=True, help="12-digit account, or * for the role's own in any account.")
@option(
    "--for",
    "whom",
    type=click.Choice(["account", "hub"]),
    default="account",
    show_default=True,
    help="Whoever reads an account, or whoever enters many through --account-role.",
)
@option("--account-role", metavar="NAME|ARN", help="With --for hub: the role to enter, as in lexport snapshot.")
@option("--packages", is_flag=True, help="What --layers and --reference-packages need besides.")
def command(partition: str, account: str, whom: str, account_role: str | None, packages: bool) -> None:  # noqa: FBT001 - click's way
    """Print the least IAM policy for lexport snapshot.

    For an account: the role that reads it; the statement Regions serves --region all only. For the hub: whoever runs
    lexport over many accounts, besides the policy for its own account; Organization serves --organization only.
    """
    from lexport.aws.policy import PARTITIONS, hub_policy, iam_policy
    from lexport.settings import role_arn, role_partition

    of_role = None if account_role is None else role_partition(account_role)
    for option_name, named in (("--partition", partition), ("--account-role", of_role)):
        if named is not None and named not in PARTITIONS:
            raise click.UsageError(f"{option_name}: {named} is no partition of AWS; there are {', '.join(PARTITIONS)}")
    if re.fullmatch(r"[0-9]{12}|\*", account, flags=re.ASCII) is None:
        raise click.UsageError(f"--account {account} is not 12 digits")
    if (whom == "hub") != (account_role is not None):
        raise click.UsageError("--for hub and --account-role go together")
    policy = (
        iam_policy(partition, account, layers=packages, references=packages)
        if account_role is None
        else hub_policy(role_arn(account_role, account, partition))
    )
    click.echo(json.dumps(policy, indent=2))
