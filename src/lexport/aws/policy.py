"""What a run may do, as the least IAM policy. Pure; made from the calls of the resources that are read."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from lexport.tables.events import LOOKUP_EVENTS
from lexport.tables.layer_versions import GET_LAYER_VERSION
from lexport.tables.registry import resources_read
from lexport.tables.resource import Resource

PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f")
"""Those that exist. Source: botocore's endpoints, 2026; a test compares them."""

LONGEST_SESSION_POLICY = 2048
"""Characters. Source: STS AssumeRole, Policy."""


def iam_policy(
    partition: str = "aws",
    account_id: str = "*",
    *,
    resources: Collection[Resource] | None = None,
    all_regions: bool = True,
    history: bool = False,
    layers: bool = False,
    references: bool = False,
) -> dict[str, Any]:
    """Write the least policy for a snapshot of one account, or of any.

    ``resources`` are those that the snapshot reads, by default those of every run. The statement ``Regions`` is needed
    for ``--region all`` only, ``History`` for ``--changes-from``, ``Layers`` for ``--layers``, ``References`` for
    ``--reference-packages``; links to packages need nothing besides ``lambda:GetFunction``.
    Source: facts, lambda-api.md, section 8.1.
    """
    read = resources_read({}) if resources is None else resources
    calls = [call for resource in read for call in (resource.call, *resource.lists)]

    def actions(iam_resource: str) -> list[str]:
        return list(dict.fromkeys(action for call in calls if call.iam_resource == iam_resource for action in call.iam))

    statements = [allow("List", actions("*"))]
    for kind in dict.fromkeys(("function", *(call.iam_resource for call in calls if call.iam_resource != "*"))):
        of_others = "" if kind == "function" else kind.title().replace("-", "")
        statements.append(allow(f"Read{of_others}", actions(kind), f"arn:{partition}:lambda:*:{account_id}:{kind}:*"))
    if all_regions:
        statements.append(allow("Regions", ["account:ListRegions", "ec2:DescribeRegions"]))
    if history:
        statements.append(allow("History", list(LOOKUP_EVENTS.iam)))
    if layers:
        statements.append(allow("Layers", list(GET_LAYER_VERSION.iam)))
    if references:
        statements.append(allow("References", ["s3:GetObject", "s3:GetObjectVersion"], f"arn:{partition}:s3:::*"))
    return {"Version": "2012-10-17", "Statement": statements}


def session_policy(
    partition: str,
    account_id: str,
    *,
    resources: Collection[Resource],
    all_regions: bool,
    history: bool = False,
    layers: bool = False,
    references: bool = False,
) -> str:
    """Write what narrows an assumed role to the calls of this run in this account.

    It grants nothing that the role does not have. ``kms:Decrypt`` by way of Lambda stays with the role: without it
    AWS would hide the environment of functions whose key the role may use.
    """
    policy = iam_policy(
        partition,
        account_id,
        resources=resources,
        all_regions=all_regions,
        history=history,
        layers=layers,
        references=references,
    )
    services = ["lambda.*", "s3.*"] if references else "lambda.*"
    condition = {"StringLike": {"kms:ViaService": services}}
    policy["Statement"].append(allow("Values", "kms:Decrypt") | {"Condition": condition})
    text = json.dumps(policy, separators=(",", ":"))
    assert len(text) <= LONGEST_SESSION_POLICY
    return text


def hub_policy(role_arn: str) -> dict[str, Any]:
    """Write what the caller of a run over many accounts needs besides ``iam_policy`` for its own account.

    The statement ``Organization`` is needed for ``--organization`` only; ``*`` in the ARN stands for any account.
    """
    names = ("ListAccounts", "ListAccountsForParent", "ListOrganizationalUnitsForParent")
    listed = [f"organizations:{name}" for name in names]
    statements = [allow("Enter", "sts:AssumeRole", role_arn), allow("Organization", listed)]
    return {"Version": "2012-10-17", "Statement": statements}


def allow(sid: str, actions: str | list[str], resource: str | list[str] = "*") -> dict[str, Any]:
    """Write one statement."""
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
