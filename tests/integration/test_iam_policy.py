"""The printed policy allows exactly the calls that a snapshot makes."""

from __future__ import annotations

import json

import pytest

import lexport
from lexport.simulator import Fault
from lexport.tables.choice import choices
from lexport.tables.registry import fleet_resources

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
async def test_the_policy_for_options(run_lexport):
    """--packages adds only the permissions for layers and for packages in the customer's buckets, --changes-from that
    for the event history."""
    plain, packages, history = [
        json.loads((await run_lexport("iam-policy", *flags)).out)["Statement"]
        for flags in ((), ("--packages",), ("--changes-from", "cloudtrail"))
    ]

    assert packages == [
        *plain,
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
    assert history == [
        *plain,
        {"Sid": "History", "Effect": "Allow", "Action": ["cloudtrail:LookupEvents"], "Resource": "*"},
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


@pytest.mark.slow
@pytest.mark.asyncio
async def test_the_policy_for_resources(simulator, run_lexport, flags, tmp_path):
    """With every resource, the policy is what a run calls, limited to what each action can be limited to.

    `lexport doctor` tries each of these calls. What a Region does not offer needs no permission.
    """
    named = ("--with", ",".join(choices()))
    not_offered = Fault(
        operation="ListCapacityProviders",
        kind="error",
        status=403,
        code="AccessDeniedException",
        message="Unable to determine service/operation name to be authorized",
        times=None,
    )
    denied = Fault(operation="ListFunctionUrlConfigs", kind="denied", times=None)
    async with simulator(functions=12, versions=2) as server:
        await run_lexport("snapshot", tmp_path / "fleet", *flags(server.url, *named))
        called = {operation for _, _, operation in server.calls} - {"GetCallerIdentity"}
        server.inject(not_offered)
        server.inject(denied)
        examined = await run_lexport("doctor", *flags(server.url, *named), "--output", "json")
    printed = await run_lexport("iam-policy", *named, "--account", "111122223333")

    statements = {each["Sid"]: each for each in json.loads(printed.out)["Statement"]}
    del statements["Regions"]
    allowed = [action for statement in statements.values() for action in statement["Action"]]
    assert len(allowed) == len(set(allowed))
    once_more = {"lambda:ListVersionsByFunction"}  # where the listing of all versions fails
    assert {action.partition(":")[2] for action in {*allowed} - IMPLIED - once_more} == called
    for resource in fleet_resources():
        kind, action = resource.call.iam_resource, resource.call.iam[0]
        (statement,) = [each for each in statements.values() if action in each["Action"]]
        assert statement["Resource"] == ("*" if kind == "*" else f"arn:aws:lambda:*:111122223333:{kind}:*")

    outcomes = {row["subject"]: (row["level"], row["outcome"], row["actions"]) for row in json.loads(examined.out)}
    assert called <= outcomes.keys()
    assert outcomes["ListCapacityProviders"] == ("ok", "absent", [])
    assert outcomes["ListFunctionUrlConfigs"] == ("warning", "denied", ["lambda:ListFunctionUrlConfigs"])
    assert {outcomes[operation][1] for operation in called} <= {"ok", "absent", "denied", "not_tried"}
    assert examined.code == 0
