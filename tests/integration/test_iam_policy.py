"""The printed policy allows exactly the calls that a snapshot makes."""

from __future__ import annotations

import json

import pytest

import lexport
from lexport.simulator import Fault

SERVICES = {"ListRegions": "account", "DescribeRegions": "ec2", "GetCallerIdentity": "sts"}
IMPLIED = {"lambda:ListTags"}  # GetFunction brings tags only to who may list them. Source: GetFunction, API reference


@pytest.mark.slow
@pytest.mark.asyncio
async def test_the_policy_is_what_a_snapshot_calls(aws, simulator, settings, run_lexport, tmp_path):
    """Every operation of a run over all Regions, of one that falls back, and of a denied ListRegions is allowed.

    GetCallerIdentity needs no permission. Nothing else stands in the policy.
    """
    async with simulator(functions=2, versions=1) as server:
        await lexport.snapshot(tmp_path / "all", settings(server.url, regions=("all",)))
        server.inject(Fault(operation="ListFunctions", kind="unqualified_all", times=None))
        server.inject(Fault(operation="ListRegions", kind="denied"))
        await lexport.snapshot(tmp_path / "fallback", settings(server.url, regions=("all",)))
        called = {operation for _, _, operation in server.calls}
    printed = await run_lexport("iam-policy")

    statements = json.loads(printed.out)["Statement"]
    allowed = {action for statement in statements for action in statement["Action"]}
    needed = {f"{SERVICES.get(operation, 'lambda')}:{operation}" for operation in called} - {"sts:GetCallerIdentity"}
    assert needed | IMPLIED == allowed


@pytest.mark.asyncio
async def test_the_policy_for_packages(run_lexport):
    """--packages adds only the permissions for layers and for packages in the customer's buckets."""
    plain, more = [
        json.loads((await run_lexport("iam-policy", *flags)).out)["Statement"] for flags in ((), ("--packages",))
    ]

    assert more[: len(plain)] == plain
    assert more[len(plain) :] == [
        {
            "Sid": "Layers",
            "Effect": "Allow",
            "Action": ["lambda:GetLayerVersion"],
            "Resource": "*",
        },
        {
            "Sid": "References",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": "arn:aws:s3:::*",
        },
    ]


@pytest.mark.asyncio
async def test_partitions_that_aws_does_not_have(run_lexport):
    """A partition that does not exist is wrong use, in --partition and in the role's ARN; each that exists is taken."""
    for arguments in (
        ("--partition", "aws-moon"),
        ("--for", "hub", "--account-role", "arn:aws-moon:iam::{account_id}:role/reader"),
    ):
        done = await run_lexport("iam-policy", *arguments)

        assert (done.code, done.out) == (2, "")
        assert "aws-moon is not an AWS partition; the partitions are aws, aws-cn, " in done.last
