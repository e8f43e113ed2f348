"""What a policy of a bucket allows, and what the requests to a tiny S3 need."""

from __future__ import annotations

import fnmatch
import re

ACTIONS = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}


def literal(pattern):
    """Return IAM's pattern as one of fnmatch."""
    return re.sub(r"\$\{([*?$])\}", r"[\1]", pattern)


def allows(statements, action, arn, prefix=None):
    """Whether a policy of allowing statements allows an action, as IAM would."""

    def patterns(value):
        return [literal(item) for item in ([value] if isinstance(value, str) else value)]

    return any(
        action in statement["Action"]
        and any(fnmatch.fnmatchcase(arn, pattern) for pattern in patterns(statement["Resource"]))
        and all(
            prefix is not None and any(fnmatch.fnmatchcase(prefix, pattern) for pattern in patterns(condition))
            for condition in [statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", ())]
            if condition
        )
        for statement in statements
        if not statement["Sid"].startswith("Key")
    )


def asked(requests, bucket="bucket"):
    """Return the actions that the requests to a bucket need, with their ARN and the prefix of a listing."""
    for method, key, query in requests:
        if method == "POST":
            yield from (("s3:DeleteObject", f"arn:aws:s3:::{bucket}/{name}", None) for name in query["deleted"])
        elif key:
            yield ACTIONS[method], f"arn:aws:s3:::{bucket}/{key}", None
        else:
            yield "s3:ListBucket", f"arn:aws:s3:::{bucket}", query["prefix"]
