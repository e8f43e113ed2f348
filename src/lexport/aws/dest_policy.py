"""What a dataset in a bucket needs, as the least IAM policy of who reads, writes or prunes it. Pure."""

from __future__ import annotations

import re
from typing import Any, Literal

from lexport.aws.policy import allow

Role = Literal["reader", "writer", "pruner"]

_WILD = re.compile(r"[*?$]")


def dest_policy(
    bucket: str, prefix: str, *, role: Role, partition: str = "aws", kms_key: str | None = None
) -> dict[str, Any]:
    """Write the policy for ``s3://bucket/prefix``, and for the key where objects are encrypted with one.

    A writer may not delete commits, stored packages or marks of ``prune``; a pruner may not create commits or data
    files. Nobody needs permissions for multipart uploads: an object is written with one request.
    """
    below = f"{_literal(prefix)}/" if prefix else ""
    arn = f"arn:{partition}:s3:::{bucket}"

    def objects(*names: str) -> list[str]:
        return [f"{arn}/{below}{name}" for name in names]

    listing = allow("List", ["s3:ListBucket"], arn)
    if prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": f"{below}*"}}
    statements = [listing, allow("Get", ["s3:GetObject"], objects("*"))]
    if role == "writer":
        statements.append(allow("Put", ["s3:PutObject"], objects("*")))
        statements.append(allow("Delete", ["s3:DeleteObject"], objects("_staging/*", "*/snapshot_date=*")))
    elif role == "pruner":
        statements.append(allow("Put", ["s3:PutObject"], objects("_pruned/*", "_latest.json", "_staging/*/claim-*")))
        statements.append(allow("Delete", ["s3:DeleteObject"], objects("*")))
    if kms_key is not None:
        actions = ["kms:Decrypt"] if role == "reader" else ["kms:Decrypt", "kms:GenerateDataKey"]
        statements.append(allow("Key", actions, kms_key) | {"Condition": {"StringLike": {"kms:ViaService": "s3.*"}}})
    return {"Version": "2012-10-17", "Statement": statements}


def _literal(text: str) -> str:
    """Return a text in which IAM finds no wildcard and no variable."""
    return _WILD.sub(lambda match: f"${{{match[0]}}}", text)
