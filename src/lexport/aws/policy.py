"""What a run may do, as the least IAM policy. Pure; made from the operations that the flow can ask for."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from lexport.tables.api import QUOTA_CLASSES

PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f")
"""Those that exist. Source: botocore's endpoints, 2026; a test compares them."""

_WITHOUT_RESOURCE = {"ListFunctions", "GetAccountSettings"}
"""Operations that have no resource type. Source: Service Authorization Reference, AWS Lambda."""

_BESIDE = {"GetFunction": ("ListTags",)}
"""What an operation needs besides its own action: without ListTags, GetFunction answers with a TagsError."""

_ACTIONS = {"GetLayerVersionByArn": "GetLayerVersion"}
"""Operations whose action has another name. Source: the same."""

_OF_LAYERS = {"GetLayerVersionByArn"}
"""Operations on layer versions, of any account that shares them and of AWS itself: so on any resource."""

_OF_SNAPSHOTS = tuple(operation for operation in QUOTA_CLASSES if operation not in _OF_LAYERS)

_FOR_ALL_REGIONS = ["account:ListRegions", "ec2:DescribeRegions"]


_OF_REFERENCES = ["s3:GetObject", "s3:GetObjectVersion"]

_OF_THE_HUB = ["ListAccounts", "ListAccountsForParent", "ListOrganizationalUnitsForParent"]

LONGEST_SESSION_POLICY = 2048
"""Characters. Source: STS AssumeRole, Policy."""


def iam_policy(
    partition: str = "aws",
    account_id: str = "*",
    *,
    operations: Collection[str] = _OF_SNAPSHOTS,
    all_regions: bool = True,
    layers: bool = False,
    references: bool = False,
) -> dict[str, Any]:
    """Write the least policy for a snapshot of one account, or of any.

    The statement ``Regions`` is needed for ``--region all`` only, ``Layers`` for ``--layers``, ``References`` for
    ``--reference-packages``; links to packages need nothing besides ``lambda:GetFunction``.
    Source: facts, lambda-api.md, section 8.1.
    """
    needed = [name for operation in operations for name in (operation, *_BESIDE.get(operation, ()))]

    def actions(*, with_resource: bool) -> list[str]:
        return [f"lambda:{name}" for name in needed if (name not in _WITHOUT_RESOURCE) == with_resource]

    functions = f"arn:{partition}:lambda:*:{account_id}:function:*"
    statements: list[dict[str, Any]] = [
        {"Sid": "List", "Effect": "Allow", "Action": actions(with_resource=False), "Resource": "*"},
        {"Sid": "Read", "Effect": "Allow", "Action": actions(with_resource=True), "Resource": functions},
    ]
    if all_regions:
        statements.append({"Sid": "Regions", "Effect": "Allow", "Action": _FOR_ALL_REGIONS, "Resource": "*"})
    if layers:
        granted = [f"lambda:{_ACTIONS[name]}" for name in sorted(_OF_LAYERS)]
        statements.append({"Sid": "Layers", "Effect": "Allow", "Action": granted, "Resource": "*"})
    if references:
        objects = f"arn:{partition}:s3:::*"
        statements.append({"Sid": "References", "Effect": "Allow", "Action": _OF_REFERENCES, "Resource": objects})
    return {"Version": "2012-10-17", "Statement": statements}


def session_policy(
    partition: str, account_id: str, *, aliases: bool, all_regions: bool, layers: bool = False, references: bool = False
) -> str:
    """Write what narrows an assumed role to the calls of this run in this account.

    It grants nothing that the role does not have. ``kms:Decrypt`` by way of Lambda stays with the role: without it
    AWS would hide the environment of functions whose key the role may use.
    """
    operations = [name for name in _OF_SNAPSHOTS if aliases or name != "ListAliases"]
    policy = iam_policy(
        partition, account_id, operations=operations, all_regions=all_regions, layers=layers, references=references
    )
    policy["Statement"].append(
        {
            "Sid": "Values",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Condition": {"StringLike": {"kms:ViaService": ["lambda.*", "s3.*"] if references else "lambda.*"}},
        }
    )
    text = json.dumps(policy, separators=(",", ":"))
    assert len(text) <= LONGEST_SESSION_POLICY
    return text


def hub_policy(role_arn: str) -> dict[str, Any]:
    """Write what the caller of a run over many accounts needs besides ``iam_policy`` for its own account.

    The statement ``Organization`` is needed for ``--organization`` only; ``*`` in the ARN stands for any account.
    """
    listed = [f"organizations:{name}" for name in _OF_THE_HUB]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Enter", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role_arn},
            {"Sid": "Organization", "Effect": "Allow", "Action": listed, "Resource": "*"},
        ],
    }
