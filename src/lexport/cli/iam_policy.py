"""``lexport iam-policy``: the least IAM policy that a snapshot needs."""

from __future__ import annotations

import json
import re

import click

from lexport.cli.options import option


@click.command("iam-policy", short_help="Print the permissions a snapshot needs.")
@option("--partition", default="aws", show_default=True, help="aws, aws-cn, aws-us-gov, aws-eusc, ...")
@option("--account", default="*", show_default=True, help="12-digit account, or * for the role's own in any account.")
def command(partition: str, account: str) -> None:
    """Print the least IAM policy for lexport snapshot; the statement Regions serves --region all only."""
    if re.fullmatch(r"aws(-[a-z0-9]+)*", partition) is None:
        raise click.UsageError(f"--partition {partition} is not an AWS partition")
    if re.fullmatch(r"[0-9]{12}|\*", account, flags=re.ASCII) is None:
        raise click.UsageError(f"--account {account} is not 12 digits")
    from lexport.aws.policy import iam_policy

    click.echo(json.dumps(iam_policy(partition, account), indent=2))
