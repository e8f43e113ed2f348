"""``lexport iam-policy``: print the least IAM policy that a snapshot needs."""

from __future__ import annotations

import json
import re
from typing import Any, Literal, cast, get_args

import click

from lexport.cli._options import declare_command, option
from lexport.cli._resource_options import CHANGES_FROM, which_resources

Role = Literal["reader", "writer", "pruner"]


@declare_command(
    "iam-policy",
    "lexport iam-policy --account 111122223333 --packages",
    "lexport iam-policy --for hub --account-role lexport-reader",
    "lexport iam-policy --dest s3://bucket/fleet --for reader",
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
    "Write the policy of the role that reads an account, or of the hub that assumes --account-role; with --dest, of who"
    " reads, writes or prunes the dataset.  [default: account; with --dest: writer]",
    "holder",
    type=click.Choice(["account", "hub", *get_args(Role)]),
)
@option(
    "Policy", "--account-role NAME|ARN", "Allow the hub to assume this role, as in lexport snapshot; needs --for hub."
)
@option("Policy", "--dest URL", "Write the policy for a dataset at s3://bucket/prefix instead.")
@option("Policy", "--dest-kms-key ARN", "Also allow the use of this KMS key for the objects of --dest.")
@which_resources
@CHANGES_FROM
@option("Policy", "--packages", "Also allow what --layers and --reference-packages need.")
def command(
    partition: str,
    account: str,
    holder: str | None,
    account_role: str | None,
    *,
    dest: str | None,
    dest_kms_key: str | None,
    changes_from: str | None,
    packages: bool,
    with_resources: tuple[str, ...],
    without_resources: tuple[str, ...],
) -> None:
    """Print the least IAM policy that lexport snapshot needs.

    With --for account, it is the policy of the role that reads one account; the statement Regions is needed only for
    --region all. With --for hub, it is the additional policy of the identity that reads many accounts; the statement
    Organization is needed only for --organization. With --dest, it is the additional policy for a dataset in a bucket:
    a reader runs sql, check, report and the like, a writer snapshot and packages, a pruner prune.
    """
    from lexport.aws.policy import PARTITIONS, hub_policy, iam_policy
    from lexport.settings import SnapshotSettings, role_arn, role_partition
    from lexport.tables.choice import choose_resources
    from lexport.tables.registry import resources_read

    of_role = None if account_role is None else role_partition(account_role)
    for option_name, named in (("--partition", partition), ("--account-role", of_role)):
        if named is not None and named not in PARTITIONS:
            raise click.UsageError(
                f"{option_name}: {named} is not an AWS partition; the partitions are {', '.join(PARTITIONS)}"
            )
    if dest is not None:
        others = (account_role, changes_from, packages, with_resources, without_resources)
        if any(others) or account != "*":
            raise click.UsageError("--dest goes with --for, --partition and --dest-kms-key alone")
        click.echo(json.dumps(_for_dest(dest, holder or "writer", partition, dest_kms_key), indent=2))
        return
    if holder in get_args(Role):
        raise click.UsageError(f"--for {holder} goes with --dest")
    if re.fullmatch(r"[0-9]{12}|\*", account, flags=re.ASCII) is None:
        raise click.UsageError(f"--account {account} is not 12 digits")
    if (holder == "hub") != (account_role is not None):
        raise click.UsageError("--for hub and --account-role go together")
    chosen = choose_resources(SnapshotSettings(with_resources=with_resources, without_resources=without_resources))
    resources = resources_read(chosen.for_manifest())
    policy = (
        iam_policy(
            partition,
            account,
            resources=resources,
            history=changes_from is not None,
            layers=packages,
            references=packages,
        )
        if account_role is None
        else hub_policy(role_arn(account_role, account, partition))
    )
    click.echo(json.dumps(policy, indent=2))


def _for_dest(dest: str, role: str, partition: str, kms_key: str | None) -> dict[str, Any]:
    from lexport.aws.dest_policy import dest_policy
    from lexport.dataset.address import parse_address

    if role not in get_args(Role):
        raise click.UsageError(f"--for {role} does not go with --dest; name {', '.join(get_args(Role))}")
    address = parse_address(dest)
    if address is None or address.scheme != "s3":
        raise click.UsageError(f"--dest {dest}: a policy can be written for s3://bucket/prefix alone")
    if kms_key is not None and not kms_key.startswith(f"arn:{partition}:kms:"):
        raise click.UsageError(f"--dest-kms-key is an ARN like arn:{partition}:kms:REGION:ACCOUNT:key/ID")
    return dest_policy(address.bucket, address.prefix, role=cast("Role", role), partition=partition, kms_key=kms_key)
