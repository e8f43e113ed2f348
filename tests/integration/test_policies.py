"""Policies of functions through the command: hostile ones, tokens, what is asked for, and moto's."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from aiobotocore.session import get_session
from policy_documents import HOSTILE, TOKEN, document, statement, token_condition

from lexport.model import LATEST
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

JUDGED = {"a lone surrogate", "a huge number", "an infinite number", "not a number"}
SIGNED_URL = "https://bucket.s3.amazonaws.com/key?X-Amz-" + "Signature=c0ffee"


def with_policy(fleet, look):
    """The functions of a fleet that have a policy of their own, in order."""
    rows = look.expected_rows(fleet, with_resources=["policies"])["policy_statements"]
    return sorted({row["function_name"] for row in rows if row["qualifier"] == LATEST})


def replaced(function_name, policy, **more):
    """The fault that gives a function a policy."""
    text = policy if isinstance(policy, str) else json.dumps(policy)
    patch = {"Policy": text, **more}
    return Fault(
        operation="GetPolicy",
        function_name=function_name,
        qualifier=LATEST,
        kind="replace_body",
        times=None,
        patch=patch,
    )


def assert_nothing_leaked(done, dest, look):
    """No file of a dataset and no line of a run has a token or a signature."""
    texts = {**look.tree(dest), "out": done.out.encode(), "err": done.err.encode()}
    for secret in (TOKEN.encode(), b"c0ffee"):
        assert [name for name, content in texts.items() if secret in content] == []


async def test_hostile_policies(simulator, run_lexport, flags, look, tmp_path):
    """Each is visible and nothing of it leaks: in staged files, in a published snapshot, in errors and in logs."""
    fleet = Fleet(FleetSpec(functions=90, versions=0))
    denied, linked, *others = with_policy(fleet, look)
    hostile = dict(zip(HOSTILE, others, strict=False))
    assert len(hostile) == len(HOSTILE)
    faults = [replaced(function, HOSTILE[name]) for name, function in hostile.items()]
    sid = statement(Sid=f"see {SIGNED_URL}", Link=SIGNED_URL, Condition=token_condition())
    faults.append(replaced(linked, document(sid), RevisionId=7, NewField=[1]))
    faults.append(Fault(operation="GetPolicy", function_name=denied, qualifier=LATEST, kind="denied", times=None))
    command = ("snapshot", "fleet", "--with", "policies", "-v")
    async with simulator(*faults, fleet=fleet) as aws:
        refused = await run_lexport(*command, *flags(aws.url), "--require", "policies")
        assert refused.code == 1, refused.err
        assert_nothing_leaked(refused, tmp_path / "fleet", look)
        done = await run_lexport(*command, *flags(aws.url))

    assert done.code == 0, done.err
    assert_nothing_leaked(done, tmp_path / "fleet", look)
    rows = look.read_rows(tmp_path / "fleet")
    of_function = {name: [] for name in (denied, linked, *hostile.values())}
    for row in rows["policy_statements"]:
        if row["qualifier"] == LATEST and row["function_name"] in of_function:
            of_function[row["function_name"]].append(row)
    codes = {
        name: {row["error_code"] for row in rows["errors"] if row["function_name"] == name} for name in of_function
    }
    for name, function in hostile.items():
        assert of_function[function], name
        assert any(row["principal_type"] is None for row in of_function[function]) or name in JUDGED
        assert codes[function] or name in JUDGED
    query = "SELECT function_name, verdict FROM function_exposure WHERE qualifier = '$LATEST'"
    judged = await run_lexport("sql", "fleet", query, "--output", "json")
    verdicts = {row["function_name"]: row["verdict"] for row in json.loads(judged.out)}
    assert {verdicts[function] for name, function in hostile.items() if name not in JUDGED} == {"public?"}
    assert verdicts[denied] == "unread"
    assert of_function[denied] == []
    assert codes[denied] == {"AccessDeniedException"}
    (link,) = of_function[linked]
    assert (link["sid"], link["revision_id"]) == ("see [signed link removed]", None)
    extra = json.loads(link["extra_json"])
    assert extra["Policy.Statement[0].Link"] == "[signed link removed]"
    assert (extra["RevisionId"], extra["NewField"]) == (7, [1])
    (condition,) = (row for row in rows["policy_conditions"] if row["function_name"] == linked)
    assert condition["value"] == look.hash_of(TOKEN)
    assert {row["is_gap"] for row in rows["errors"]} == {False}


async def test_what_is_asked_for(simulator, run_lexport, flags, look, tmp_path):
    """There is a policy of each function, alias and version that --policies-for names, read after its function."""
    fleet = Fleet(FleetSpec(functions=6, versions=2))
    name = with_policy(fleet, look)[0]
    asked = {}
    values = {}
    for kind, env in (("functions", "none"), ("versions", "none"), ("versions", "keys")):
        async with simulator(replaced(name, document(statement(Condition=token_condition()))), fleet=fleet) as aws:
            options = ("--with", "policies", "--policies-for", kind, "--env", env)
            done = await run_lexport("snapshot", "fleet", *options, *flags(aws.url))
        assert done.code == 0, done.err
        calls = [call for call in aws.requests if call.operation in {"GetFunction", "GetPolicy"}]
        asked[kind] = {(call.function_name, call.qualifier) for call in calls if call.operation == "GetPolicy"}
        for position, call in enumerate(calls):
            if call.operation == "GetPolicy" and (call.qualifier or "1").isdigit():
                before = [each for each in calls[:position] if each.operation == "GetFunction"]
                assert call.function_name in {each.function_name for each in before}
        tables = look.read_rows(tmp_path / "fleet")
        (row,) = (
            row for row in tables["policy_conditions"] if (row["function_name"], row["qualifier"]) == (name, LATEST)
        )
        assert row["is_limiting"]
        values[env] = row["value"]
        assert tables["changes"] == []  # other settings of a run are no changes of a policy
    assert values == {"none": "[hidden]", "keys": look.hash_of(TOKEN)}
    assert_nothing_leaked(done, tmp_path / "fleet", look)

    rows = look.expected_rows(fleet)
    functions = {(row["function_name"], None) for row in rows["functions"]}
    aliases = {(row["function_name"], row["alias"]) for row in rows["aliases"]}
    versions = {(row["function_name"], row["version"]) for row in rows["functions"] if row["version"] != LATEST}
    assert asked == {"functions": functions, "versions": functions | aliases | versions}


async def test_policies_in_moto(moto, run_lexport, look, tmp_path):
    """What AddPermission has granted in moto is in the rows, and a function without a policy has none."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", "")
    options = {"region_name": "eu-west-1", "endpoint_url": moto}
    options |= {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    session = get_session()
    async with session.create_client("iam", **options) as iam:
        role = (await iam.create_role(RoleName="runner", AssumeRolePolicyDocument="{}"))["Role"]["Arn"]
    async with session.create_client("lambda", **options) as aws:
        for name in ("orders", "quiet"):
            await aws.create_function(
                FunctionName=name, Role=role, Runtime="python3.12", Handler="a.b", Code={"ZipFile": packed.getvalue()}
            )
        bucket = "arn:aws:s3:::uploads"
        usual = {"FunctionName": "orders", "Action": "lambda:InvokeFunction"}
        grants = (
            {
                "StatementId": "s3",
                "Principal": "s3.amazonaws.com",
                "SourceArn": bucket,
                "SourceAccount": "444455556666",
            },
            {"StatementId": "all", "Principal": "*"},
            {"StatementId": "other", "Principal": "arn:aws:iam::444455556666:root", "Action": "lambda:*"},
        )
        for grant in grants:
            await aws.add_permission(**usual | grant)

    done = await run_lexport(
        *("snapshot", tmp_path / "fleet", "--endpoint-url", moto, "--region", "eu-west-1", "--with", "policies"),
        *("--get-function-rate", "1000", "--list-rate", "1000"),
        *("--without", "code-signing"),  # moto has no list of code signing configurations
    )

    assert done.code == 0, done.err
    rows = look.read_rows(tmp_path / "fleet")
    names = ("function_name", "qualifier", "sid", "principal_type", "principal", "source_arn", "source_account")
    names += ("is_public_principal", "covers_invoke_function", "covers_invoke_function_url")
    service = ("Service", "s3.amazonaws.com", bucket, "444455556666", False, True, False)
    own = [tuple(row[name] for name in names) for row in rows["policy_statements"]]
    assert own == [
        ("orders", LATEST, "s3", *service),
        ("orders", LATEST, "all", "*", "*", None, None, True, True, False),
        ("orders", LATEST, "other", "AWS", "arn:aws:iam::444455556666:root", None, None, False, True, True),
    ]
    assert {row["operation"] for row in rows["errors"]} == {"GetAccountSettings"}
