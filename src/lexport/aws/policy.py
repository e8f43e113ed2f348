"""What a run may do, as the least IAM policy. Pure; made from the operations that the flow can ask for."""

from __future__ import annotations

from typing import Any

from lexport.aws.api import QUOTA_CLASSES

_WITHOUT_RESOURCE = {"ListFunctions", "GetAccountSettings"}
"""Operations that have no resource type. Source: Service Authorization Reference, AWS Lambda."""

_BESIDE = {"GetFunction": ("ListTags",)}
"""What an operation needs besides its own action: without ListTags, GetFunction answers with a TagsError."""

_FOR_ALL_REGIONS = ["account:ListRegions", "ec2:DescribeRegions"]


def iam_policy(partition: str = "aws", account_id: str = "*") -> dict[str, Any]:
    """Write the least policy for a snapshot of one account, or of any.

    The statement ``Regions`` is needed for ``--region all`` only. Source: facts, lambda-api.md, section 8.1.
    """
    needed = [name for operation in QUOTA_CLASSES for name in (operation, *_BESIDE.get(operation, ()))]

    def actions(*, with_resource: bool) -> list[str]:
        return [f"lambda:{name}" for name in needed if (name not in _WITHOUT_RESOURCE) == with_resource]

    functions = f"arn:{partition}:lambda:*:{account_id}:function:*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "List", "Effect": "Allow", "Action": actions(with_resource=False), "Resource": "*"},
            {"Sid": "Read", "Effect": "Allow", "Action": actions(with_resource=True), "Resource": functions},
            {"Sid": "Regions", "Effect": "Allow", "Action": _FOR_ALL_REGIONS, "Resource": "*"},
        ],
    }
