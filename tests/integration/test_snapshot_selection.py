"""A list of functions instead of a fleet: every form of a name, and the rows it leads to."""

import json

import pytest
from aiohttp import web

import lexport
from lexport.simulator import Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

EXAMPLE = {
    "Code": {
        "Location": "https://awslambda-us-west-2-tasks.s3.us-west-2.amazonaws.com/snapshots/123456789012/"
        "my-function-e7d9d1ed-xmpl-4f79-904a-4b87f2681f30?versionId=sH3TQwBOaUy...",
        "RepositoryType": "S3",
    },
    "Configuration": {
        "CodeSha256": "YFgDgEKG3ugvF1+pX64gV6tu9qNuIYNUdgJm8nCxsm4=",
        "CodeSize": 5797206,
        "Description": "Process image objects from Amazon S3.",
        "Environment": {"Variables": {"BUCKET": "my-bucket-1xpuxmplzrlbh", "PREFIX": "inbound"}},
        "FunctionArn": "arn:aws:lambda:us-west-2:123456789012:function:my-function",
        "FunctionName": "my-function",
        "Handler": "index.handler",
        "KMSKeyArn": "arn:aws:kms:us-west-2:123456789012:key/b0844d6c-xmpl-4463-97a4-d49f50839966",
        "LastModified": "2020-04-10T19:06:32.563+0000",
        "LastUpdateStatus": "Successful",
        "MemorySize": 256,
        "RevisionId": "b75dcd81-xmpl-48a8-a75a-93ba8b5b9727",
        "Role": "arn:aws:iam::123456789012:role/lambda-role",
        "Runtime": "nodejs12.x",
        "State": "Active",
        "Timeout": 15,
        "TracingConfig": {"Mode": "Active"},
        "Version": "$LATEST",
    },
    "Tags": {"DEPARTMENT": "Assets"},
}
"""The answer that AWS's page of GetFunction shows for ``my-function``, qualifier ``1``."""


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=30, versions=3))


@pytest.fixture
def named(fleet, look):
    """A function with an alias and two published versions: its name, one alias, the other versions."""
    for index in fleet.indexes(look.scope):
        versions = list(fleet.published(look.scope, index))
        for alias in fleet.aliases(look.scope, index):
            if len(versions) > 1 and alias.function_version.isdecimal():
                return fleet.name(index), alias, [str(version) for version in versions]
    raise AssertionError("the seed makes no such function")


def keys(rows):
    """Name and version of each row of ``functions``."""
    return [(row["function_name"], row["version"]) for row in rows["functions"]]


def expected(look, fleet, wanted):
    """The oracle's rows of some (name, version)."""
    return [row for row in look.expected_rows(fleet)["functions"] if (row["function_name"], row["version"]) in wanted]


FORMS = {
    "{name}": "$LATEST",
    "{name}:$LATEST": "$LATEST",
    "{name}:{version}": "{version}",
    "function:{name}:{version}": "{version}",
    "111122223333:function:{name}": "$LATEST",
    "111122223333:function:{name}:{version}": "{version}",
    "arn:aws:lambda:us-east-1:111122223333:function:{name}": "$LATEST",
    "arn:aws:lambda:us-east-1:111122223333:function:{name}:$LATEST": "$LATEST",
    "arn:aws:lambda:us-east-1:111122223333:function:{name}:{version}": "{version}",
    "arn:aws:lambda:us-east-1:111122223333:function:{name}:{alias}": "{target}",
    "{name}:{alias}": "{target}",
}


@pytest.mark.parametrize("form", FORMS)
async def test_every_form(simulator, aws, settings, fleet, named, look, tmp_path, form):
    """Every form of a name leads to the named version, with a single call."""
    name, alias, versions = named
    words = {"name": name, "alias": alias.name, "target": alias.function_version, "version": versions[-1]}

    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, functions=(form.format(**words),)))

    rows = look.read_rows(tmp_path / "fleet")
    assert expected(look, fleet, {(name, FORMS[form].format(**words))}) == look.facts(rows["functions"])
    assert [(row["coverage"], row["status"]) for row in rows["scopes"]] == [("selection", "complete")]
    assert [call.operation for call in server.requests] == ["GetCallerIdentity", "GetFunction"]


async def test_alias(simulator, run_lexport, flags, fleet, named, look, tmp_path):
    """An alias is called as written; its row merges with its version's, and unknown columns of the alias are NULL."""
    name, alias, _ = named
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport(
            *("snapshot", tmp_path / "fleet", *flags(aws.url)),
            *("--function", f"{name}:{alias.name}", "--function", f"{name}:{alias.function_version}"),
        )

    assert done.code == 0, done.err
    rows = look.read_rows(tmp_path / "fleet")
    assert expected(look, fleet, {(name, alias.function_version)}) == look.facts(rows["functions"])
    assert [
        {
            "account_id": look.account,
            "region": look.region,
            "function_name": name,
            "alias": alias.name,
            "function_version": alias.function_version,
            "description": None,
            "revision_id": None,
            "extra_json": None,
            "carried_forward": False,
        }
    ] == look.facts(rows["aliases"])
    assert rows["alias_routes"] == []
    assert {alias.name, alias.function_version} == {
        call.qualifier for call in aws.requests if call.operation == "GetFunction"
    }


@pytest.mark.parametrize("source", ["lines", "csv", "stdin"])
async def test_list(simulator, run_lexport, flags, fleet, named, look, tmp_path, source):
    """A list comes from a file, a line or a CSV row each, or from standard input; nothing is read twice."""
    name, alias, versions = named
    other = fleet.name(0)
    lines = f"# the shop\n{name}:{versions[0]}\n\n{other}\n{other}:$LATEST\n{name}:{alias.name}\n"
    table = f"team,alias,function_name\nshop,{versions[0]},{name}\nshop,,{other}\nshop,{alias.name},{name}\n"
    (tmp_path / "list").write_text(table if source == "csv" else lines, encoding="utf-8-sig")

    async with simulator(fleet=fleet) as aws:
        done = await run_lexport(
            *("snapshot", tmp_path / "fleet", *flags(aws.url), "--functions-from"),
            "-" if source == "stdin" else tmp_path / "list",
            stdin=lines if source == "stdin" else "",
        )

    assert done.code == 0, done.err
    rows = look.read_rows(tmp_path / "fleet")
    wanted = {(name, versions[0]), (name, alias.function_version), (other, "$LATEST")}
    assert expected(look, fleet, wanted) == look.facts(rows["functions"])
    assert [(name, alias.name)] == [(row["function_name"], row["alias"]) for row in rows["aliases"]]
    assert [row for row in look.expected_rows(fleet)["tags"] if row["function_name"] == other] == look.facts(
        rows["tags"]
    )
    assert aws.calls[look.account, look.region, "GetFunction"] == 3


async def test_unknown_name(simulator, run_lexport, flags, fleet, look, tmp_path):
    """A function that the user named and that does not exist is a gap."""
    async with simulator(fleet=fleet) as aws:
        named = ("--function", "no-such-function", "--function", fleet.name(0))
        refused = await run_lexport("snapshot", tmp_path / "a", *flags(aws.url), *named)
        done = await run_lexport("snapshot", tmp_path / "b", *flags(aws.url), *named, "--allow-partial")

    assert (refused.code, done.code) == (1, 3), done.err
    assert not (tmp_path / "a" / "_runs").exists()
    rows = look.read_rows(tmp_path / "b")
    assert [(row["function_name"], row["error_code"], row["is_gap"]) for row in rows["errors"]] == [
        ("no-such-function", "ResourceNotFoundException", True)
    ]
    assert [(fleet.name(0), "$LATEST")] == keys(rows)


async def test_list_hides_nothing(simulator, run_lexport, flags, fleet, named, look, tmp_path):
    """After a list, `lexport sql` still shows the whole fleet under the plain name."""
    name, _, versions = named
    dest = tmp_path / "fleet"
    async with simulator(fleet=fleet) as aws:
        await run_lexport("snapshot", dest, *flags(aws.url))
        whole = len(look.read_rows(dest)["functions"])
        done = await run_lexport("snapshot", dest, *flags(aws.url), "--function", f"{name}:{versions[0]}")

    assert done.code == 0, done.err
    query = "SELECT (FROM functions SELECT count(*)) AS a, (FROM snapshot.functions SELECT count(*)) AS b"
    asked = await run_lexport("sql", dest, query, "--output", "json")
    assert [{"a": whole, "b": 1}] == json.loads(asked.out)


async def test_other_account_and_region(simulator, run_lexport, flags, fleet, look, tmp_path):
    """An ARN brings its own Region; one of another account is called as written, and denied is a gap there."""
    name = fleet.name(0)
    own = f"arn:aws:lambda:eu-west-1:{look.account}:function:{name}"
    foreign = f"arn:aws:lambda:us-east-1:444455556666:function:{name}"
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport(
            *("snapshot", tmp_path / "fleet", *flags(aws.url), "--allow-partial"),
            *("--function", own, "--function", foreign),
        )

    assert done.code == 3, done.err
    rows = look.read_rows(tmp_path / "fleet")
    assert [(look.account, "eu-west-1", name)] == [
        (row["account_id"], row["region"], row["function_name"]) for row in rows["functions"]
    ]
    assert [(row["account_id"], row["region"], row["error_code"], row["is_gap"]) for row in rows["errors"]] == [
        ("444455556666", "us-east-1", "AccessDeniedException", True)
    ]
    assert [row["status"] for row in rows["scopes"]] == ["complete", "denied"]


async def test_example_of_the_page(run_lexport, look, tmp_path):
    """The example answer of AWS's page comes through whole, from a server that knows nothing but GetFunction."""
    asked = []

    async def answer(request):
        asked.append(request.rel_url)
        if request.path == "/2015-03-31/functions/my-function":
            return web.json_response(EXAMPLE)
        return web.Response(status=404, text="<html>not here</html>", content_type="text/html")

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        done = await run_lexport(
            *(
                "snapshot",
                tmp_path / "fleet",
                "--region",
                "us-west-2",
                "--function",
                "my-function",
                "--env",
                "values",
            ),
            *("--endpoint-url", f"http://127.0.0.1:{runner.addresses[0][1]}"),
        )
    finally:
        await runner.cleanup()

    assert done.code == 0, done.err
    assert "the account is 123456789012 by the first function's ARN" in done.err
    assert dict(asked[-1].query) == {}
    rows = look.read_rows(tmp_path / "fleet")
    sent, key = EXAMPLE["Configuration"], {"account_id": "123456789012", "region": "us-west-2"}
    (row,) = rows["functions"]
    filled = {name: value for name, value in row.items() if value is not None}
    for name in ("snapshot_id", "snapshot_at", "fetched_at", "last_modified_at"):
        filled.pop(name)
    assert filled == key | {
        "function_name": "my-function",
        "version": "$LATEST",
        "function_arn": sent["FunctionArn"],
        "runtime": "nodejs12.x",
        "role": sent["Role"],
        "handler": "index.handler",
        "code_size": 5797206,
        "description": sent["Description"],
        "timeout": 15,
        "memory_size": 256,
        "last_modified": sent["LastModified"],
        "code_sha256": sent["CodeSha256"],
        "revision_id": sent["RevisionId"],
        "state": "Active",
        "last_update_status": "Successful",
        "tracing_config_mode": "Active",
        "kms_key_arn": sent["KMSKeyArn"],
        "code_repository_type": "S3",
        "carried_forward": False,
    }
    assert row["last_modified_at"].isoformat() == "2020-04-10T19:06:32.563000+00:00"
    assert [(row["function_name"], row["key"], row["value"]) for row in rows["tags"]] == [
        ("my-function", "DEPARTMENT", "Assets")
    ]
    assert sent["Environment"]["Variables"] == {row["name"]: row["value"] for row in rows["env_vars"]}
    assert rows["errors"] == []
