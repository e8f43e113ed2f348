"""The Lambda calls, as lambda-api.md says: listing, GetFunction in every form, and AWS's very error bodies."""

import json
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from lexport.model import GET_FUNCTION_QUOTA, LATEST, LIST_QUOTA, Scope
from lexport.simulator import Change, Fleet, FleetSpec, open_simulator

pytestmark = pytest.mark.asyncio
SCOPE = Scope(account_id="111122223333", region="us-east-1")
OMITTED = {
    "State",
    "StateReason",
    "StateReasonCode",
    "LastUpdateStatus",
    "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode",
    "RuntimeVersionConfig",
}
ARN = "arn:aws:lambda:us-east-1:111122223333:function:"


async def pages(call, **arguments):
    while True:
        page = await call(**arguments)
        yield page
        if "NextMarker" not in page:
            return
        arguments["Marker"] = page["NextMarker"]


async def error_of(http, url):
    async with http.get(url) as response:
        return response.status, response.headers.get("x-amzn-errortype"), await response.json()


async def test_all_versions_in_pages_of_fifty(fleet, connect):
    """ListFunctions(ALL) lists each version once, by function, `$LATEST` first, with qualified ARNs, 50 at a time."""
    async with open_simulator(fleet, quotas=False) as simulator, connect(simulator.url) as client:
        found = [page["Functions"] async for page in pages(client.list_functions, FunctionVersion="ALL", MaxItems=9999)]
    wanted = [
        (fleet.name(index), version)
        for index in fleet.indexes(SCOPE)
        for version in (LATEST, *map(str, fleet.published(SCOPE, index)))
    ]

    assert [len(page) for page in found] == [50, 50, 50, 50, 40]
    assert [(item["FunctionName"], item["Version"]) for page in found for item in page] == wanted
    assert all(item["FunctionArn"] == f"{ARN}{item['FunctionName']}:{item['Version']}" for item in found[0])


async def test_plain_listing_is_one_entry_per_function(fleet, connect):
    """Without FunctionVersion there is one unqualified entry per function."""
    async with open_simulator(fleet, quotas=False) as simulator, connect(simulator.url) as client:
        found = [item async for page in pages(client.list_functions) for item in page["Functions"]]

    assert [item["FunctionArn"] for item in found] == [ARN + name for name in fleet.names(SCOPE)]


async def test_lists_omit_exactly_seven_fields(fleet, http):
    """A listed configuration is GetFunction's less seven fields and nothing else."""
    async with open_simulator(fleet, quotas=False, verify=False) as simulator:
        base = f"{simulator.url}/2015-03-31/functions"
        async with http.get(base) as response:
            listed = (await response.json())["Functions"]
        for item in listed:
            async with http.get(f"{base}/{item['FunctionName']}") as response:
                got = (await response.json())["Configuration"]

            assert {name: value for name, value in got.items() if name not in OMITTED} == item
            assert set(got) - set(item) <= OMITTED


async def test_versions_and_aliases(fleet, connect):
    """ListVersionsByFunction and ListAliases list the versions and aliases of the fleet."""
    index = max(fleet.indexes(SCOPE), key=lambda i: len(fleet.aliases(SCOPE, i)))
    async with open_simulator(fleet) as simulator, connect(simulator.url) as client:
        versions = (await client.list_versions_by_function(FunctionName=fleet.name(index)))["Versions"]
        aliases = [
            page["Aliases"] async for page in pages(client.list_aliases, FunctionName=fleet.name(index), MaxItems=1)
        ]

    assert [item["Version"] for item in versions] == [LATEST, *map(str, fleet.published(SCOPE, index))]
    assert [page[0]["Name"] for page in aliases] == [alias.name for alias in fleet.aliases(SCOPE, index)]


async def test_get_function_in_every_form(fleet, http):
    """Name, partial ARN, full ARN, each with or without qualifier, percent-encoded or not, reach the same function."""
    index = next(i for i in fleet.indexes(SCOPE) if any(True for _ in fleet.published(SCOPE, i)))
    name, version = fleet.name(index), str(next(fleet.published(SCOPE, index)))
    forms = (name, f"111122223333:function:{name}", ARN + name)
    async with open_simulator(fleet, verify=False) as simulator:
        base = f"{simulator.url}/2015-03-31/functions/"
        for form in (*forms, *(quote(form, safe="") for form in forms)):
            for tail, arn in (("", ""), (f":{version}", f":{version}"), (f"?Qualifier={version}", f":{version}")):
                async with http.get(base + form + tail) as response:
                    configuration = (await response.json())["Configuration"]

                assert configuration["FunctionArn"] == f"{ARN}{name}{arn}"
    assert {request.function_name for request in simulator.requests} == {name}
    assert {request.qualifier for request in simulator.requests} == {None, version}


async def test_tags_and_concurrency_come_unqualified_only(fleet, connect):
    """Tags and Concurrency come with the unqualified call alone, not even with `$LATEST`."""
    fleet.apply(Change(kind="set_tags", scope=SCOPE, function_name=fleet.name(0), tags={"a": "b"}))
    fleet.apply(
        Change(kind="set_reserved_concurrency", scope=SCOPE, function_name=fleet.name(0), reserved_concurrency=0)
    )
    async with open_simulator(fleet) as simulator, connect(simulator.url) as client:
        bare = await client.get_function(FunctionName=fleet.name(0))
        latest = await client.get_function(FunctionName=fleet.name(0), Qualifier=LATEST)

    assert (bare["Tags"], bare["Concurrency"]) == ({"a": "b"}, {"ReservedConcurrentExecutions": 0})
    assert {"Tags", "Concurrency"} & set(latest) == set()
    assert latest["Configuration"]["FunctionArn"] == f"{ARN}{fleet.name(0)}:$LATEST"


async def test_alias_call_returns_the_numeric_version(fleet, connect):
    """GetFunction by alias is the target version's answer, but for the ARN."""
    index, alias = next(
        (i, a) for i in fleet.indexes(SCOPE) for a in fleet.aliases(SCOPE, i) if a.function_version.isdecimal()
    )
    async with open_simulator(fleet) as simulator, connect(simulator.url) as client:
        by_alias = (await client.get_function(FunctionName=fleet.name(index), Qualifier=alias.name))["Configuration"]
        by_version = (await client.get_function(FunctionName=f"{fleet.name(index)}:{alias.function_version}"))[
            "Configuration"
        ]

    assert by_alias["FunctionArn"] == f"{ARN}{fleet.name(index)}:{alias.name}"
    assert by_alias | {"FunctionArn": by_version["FunctionArn"]} == by_version


async def test_errors_have_the_bodies_of_aws(fleet, http):
    """Each way to ask wrongly gets AWS's status, x-amzn-errortype and casing of the message."""
    name = fleet.name(0)
    unknown = ("ResourceNotFoundException", {"Type": "User", "Message": f"Function not found: {ARN}{{}}"})
    cases = (
        (f"{name}?Qualifier=999", 404, unknown, f"{name}:999"),
        (f"{name}?Qualifier=%24latest", 404, unknown, f"{name}:$latest"),
        (f"{name}:no-alias", 404, unknown, f"{name}:no-alias"),
        ("nobody", 404, unknown, "nobody"),
        ("a" * 65, 404, unknown, "a" * 65),
    )
    async with open_simulator(fleet, verify=False) as simulator:
        base = f"{simulator.url}/2015-03-31/functions"
        for path, status, (code, body), arn in cases:
            wanted = {key: value.format(arn) for key, value in body.items()}

            assert await error_of(http, f"{base}/{path}") == (status, code, wanted)
        assert await error_of(http, f"{base}/arn:aws:lambda:eu-west-1:111122223333:function:{name}") == (
            404,
            "ResourceNotFoundException",
            {"Type": "User", "Message": "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"},
        )
        assert await error_of(http, f"{base}/999999999999:function:{name}") == (
            403,
            "AccessDeniedException",
            {"Message": None},
        )
        assert await error_of(http, f"{base}/{name}:1?Qualifier=2") == (
            400,
            "InvalidParameterValueException",
            {
                "Type": "User",
                "message": "The derived qualifier from the function name does not match the specified qualifier.",
            },
        )
        for path in (
            "/a%20b",
            f"/{name}?Qualifier=a%20b",
            "?FunctionVersion=LATEST",
            "?MaxItems=0",
            "/us-east-1.edge/aliases",
        ):
            status, code, body = await error_of(http, base + path)

            assert (status, code, list(body)) == (400, "ValidationException", ["message"])
        for path in ("?MasterRegion=ALL", "?Marker=bogus"):
            status, code, body = await error_of(http, base + path)

            assert (status, code, sorted(body)) == (400, "InvalidParameterValueException", ["Type", "message"])


async def test_marker_belongs_to_its_listing(fleet, connect):
    """A marker is refused with another FunctionVersion than it was made for."""
    async with open_simulator(fleet) as simulator, connect(simulator.url) as client:
        marker = (await client.list_functions(FunctionVersion="ALL"))["NextMarker"]

        with pytest.raises(ClientError, match="InvalidParameterValueException"):
            await client.list_functions(Marker=marker)


async def test_listing_survives_changes(fleet, connect):
    """A function deleted between two pages shifts nothing."""
    async with open_simulator(fleet) as simulator, connect(simulator.url) as client:
        first = await client.list_functions()
        fleet.apply(Change(kind="delete_function", scope=SCOPE, function_name=fleet.name(3)))
        second = await client.list_functions(Marker=first["NextMarker"])

    assert [item["FunctionName"] for item in second["Functions"]] == [fleet.name(index) for index in range(50, 60)]


async def test_quotas_throttle_per_class(fleet, http):
    """The call beyond a bucket gets AWS's 429 with Retry-After; the other bucket is untouched."""
    rates = {LIST_QUOTA: 2.0, GET_FUNCTION_QUOTA: 1.0}
    async with open_simulator(fleet, verify=False, rates=rates) as simulator:
        base = f"{simulator.url}/2015-03-31/functions"
        answers = []
        for path in ("", "", "", f"/{fleet.name(0)}"):
            async with http.get(base + path) as response:
                answers.append((response.status, response.headers.get("Retry-After"), await response.read()))

    assert [status for status, _, _ in answers] == [200, 200, 429, 200]
    assert answers[2][1] == "1"
    assert json.loads(answers[2][2]) == {
        "Reason": "CallerRateLimitExceeded",
        "Type": "User",
        "message": "Rate exceeded",
    }
    assert simulator.throttles == {("111122223333", "us-east-1", "ListFunctions"): 1}
    assert simulator.calls["111122223333", "us-east-1", "ListFunctions"] == 3


async def test_account_settings_and_layers(fleet, connect):
    """GetAccountSettings counts functions, not versions; a layer is found by its ARN, its size true."""
    layer = next(layer for i in fleet.indexes(SCOPE) for layer in fleet.function(SCOPE, i).layers)
    async with open_simulator(fleet) as simulator, connect(simulator.url) as client:
        settings = await client.get_account_settings()
        found = await client.get_layer_version_by_arn(Arn=layer.arn)

    assert settings["AccountUsage"]["FunctionCount"] == 60
    assert settings["AccountLimit"]["TotalCodeSize"] == 322_122_547_200
    assert (found["LayerVersionArn"], found["Content"]["CodeSize"]) == (layer.arn, layer.code_size_bytes)


async def test_edge_replicas_by_master_region(connect):
    """MasterRegion lists the replicas of that Region only."""
    fleet = Fleet(FleetSpec(functions=60, versions=1))
    async with open_simulator(fleet) as simulator, connect(simulator.url) as client:
        found = (await client.list_functions(FunctionVersion="ALL", MasterRegion="us-east-1"))["Functions"]

    assert found
    assert all(":us-east-1:" in item["MasterArn"] for item in found)
