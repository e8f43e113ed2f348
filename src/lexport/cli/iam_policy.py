"""``lexport iam-policy``: print the least IAM policy that a snapshot needs."""

from __future__ import annotations

import json
import re

import click

from lexport.cli._options import declare_command, option


@declare_command(
    "iam-policy",
    "lexport iam-policy --account 111122223333 --packages",
    "lexport iam-policy --for hub --account-role lexport-reader",
    with_group="Policy",
)
@option(
    "Policy",
    "--partition NAME",
    "Write ARNs of this partition: aws, aws-cn, aws-us-gov, aws-eusc and so on.",
    default="aws",
)
@option("Policy", "--account ID", "Limit the policy to this 12-digit account; * is any account.", default="*")
@option(
    "Policy",
    "--for",
    "Write the policy of the role that reads an account, or of the hub that assumes --account-role.",
    "holder",
    type=click.Choice(["account", "hub"]),
    default="account",
)
@option(
    "Policy", "--account-role NAME|ARN", "Allow the hub to assume this role, as in lexport snapshot; needs --for hub."
)
@option("Policy", "--packages", "Also allow what --layers and --reference-packages need.")
def command(
    partition: str,
    account: str,
    holder: str,
    account_role: str | None,
    *,
    packages: bool,
    with_resources: tuple[str, ...] = (),
) -> None:
    """Print the least IAM policy that lexport snapshot needs.

    With --for account, it is the policy of the role that reads one account; the statement Regions is needed only for
    --region all. With --for hub, it is the additional policy of the identity that reads many accounts; the statement
    Organization is needed only for --organization.
    """
    from lexport.aws.policy import PARTITIONS, hub_policy, iam_policy
    from lexport.settings import role_arn, role_partition
    from lexport.tables.registry import resources_read

    of_role = None if account_role is None else role_partition(account_role)
    for option_name, named in (("--partition", partition), ("--account-role", of_role)):
        if named is not None and named not in PARTITIONS:
            raise click.UsageError(
                f"{option_name}: {named} is not an AWS partition; the partitions are {', '.join(PARTITIONS)}"
            )
    if re.fullmatch(r"[0-9]{12}|\*", account, flags=re.ASCII) is None:
        raise click.UsageError(f"--account {account} is not 12 digits")
    if (holder == "hub") != (account_role is not None):
        raise click.UsageError("--for hub and --account-role go together")
    policy = (
        iam_policy(
            partition, account, resources=resources_read({"with": with_resources}), layers=packages, references=packages
        )
        if account_role is None
        else hub_policy(role_arn(account_role, account, partition))
    )
    click.echo(json.dumps(policy, indent=2))
