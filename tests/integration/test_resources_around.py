"""The resources around functions: what a run reads of them, row by row, and what each kind of failure becomes."""

from __future__ import annotations

import json

import pytest

import lexport
from lexport.simulator import Fault, Fleet, FleetSpec
from lexport.tables.resources import RESOURCES

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

NAMES = sorted({resource.option for resource in RESOURCES})
TABLES = [table.name for resource in RESOURCES for table in resource.tables]


async def test_every_resource(simulator, run_lexport, flags, look, tmp_path):
    """With every resource, the rows of every table are those of the fleet; without, none of them is called."""
    fleet = Fleet(FleetSpec(functions=120, versions=2))
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url), "--with", ",".join(NAMES))

    assert (done.code, done.out) == (0, ""), done.err
    rows = look.read_rows(tmp_path / "fleet")
    expected = look.expected_rows(fleet, with_resources=NAMES)
    for table in TABLES:
        assert expected[table]
        for row, right in zip(look.facts(rows[table]), expected[table], strict=True):
            assert row == right, table
    assert rows["errors"] == []


OF_LAMBDA = [resource for resource in RESOURCES if not resource.costs_money]
OPERATIONS = sorted({resource.call.operation for resource in OF_LAMBDA})
ASKED = sorted({resource.option for resource in OF_LAMBDA})
NOT_OFFERED = "Unable to determine service/operation name to be authorized"


@pytest.mark.parametrize(
    ("kind", "more", "status", "codes"),
    [
        ("denied", {}, "denied", {"AccessDeniedException"}),
        ("error", {"status": 403, "code": "AccessDeniedException", "message": NOT_OFFERED}, "unavailable", set()),
        (None, {}, "complete", set()),
    ],
    ids=["denied", "not_offered", "none"],
)
async def test_what_is_not_there(simulator, settings, look, aws, tmp_path, kind, more, status, codes):
    """Denied, not offered in the Region, and none are three things for each resource, and none of them is a gap."""
    faults = [Fault(operation=each, kind=kind, times=None, **more) for each in OPERATIONS if kind]
    async with simulator(*faults, functions=8 if kind else 0, versions=1) as server:
        taken = await lexport.snapshot(tmp_path, settings(server.url, with_resources=ASKED))

    rows = look.read_rows(tmp_path)
    assert taken.manifest.status == "complete"
    assert {row["resource"]: row["status"] for row in rows["scope_resources"] if row["resource"] in ASKED} == (
        dict.fromkeys(ASKED, status)
    )
    assert {(row["error_code"], row["is_gap"]) for row in rows["errors"]} == {(code, False) for code in codes}
    assert [table.name for resource in OF_LAMBDA for table in resource.tables if rows[table.name]] == []


async def test_a_single_refusal(simulator, settings, look, aws, tmp_path):
    """One refusal as if the Region did not have an operation loses that call, and nothing else of the resource."""
    refusal = {"status": 403, "code": "AccessDeniedException", "message": NOT_OFFERED}
    operations = ("ListFunctionUrlConfigs", "GetPolicy")
    faults = [Fault(operation=each, kind="error", times=1, **refusal) for each in operations]
    async with simulator(*faults, functions=30, versions=1) as server:
        await lexport.snapshot(tmp_path, settings(server.url, with_resources=("urls", "policies")))
        urls = server.calls[look.scope.account_id, look.scope.region, "ListFunctionUrlConfigs"]

    rows = look.read_rows(tmp_path)
    status = {row["resource"]: row["status"] for row in rows["scope_resources"]}
    lost = {(row["operation"], row["error_code"]) for row in rows["errors"] if row["operation"] in operations}
    assert (status["urls"], status["policies"], urls) == ("partial", "partial", 30)
    assert lost == {(each, "not_offered") for each in operations}


async def test_a_function_that_is_gone(simulator, settings, look, aws, tmp_path):
    """A function that was deleted while resources are read is gone for each of them, and nothing of the others is."""
    fleet = Fleet(FleetSpec(functions=20, versions=1))
    name = next(
        name for index, name in enumerate(fleet.names(look.scope)) if fleet.function(look.scope, index).image is None
    )
    single = [each for each in OF_LAMBDA if each.per in ("function", "published_function", "version")]
    faults = [Fault(operation=each.call.operation, kind="gone", function_name=name, times=None) for each in single]
    async with simulator(*faults, fleet=fleet) as server:
        taken = await lexport.snapshot(tmp_path, settings(server.url, with_resources=ASKED))

    rows = look.read_rows(tmp_path)
    errors = [row for row in rows["errors"] if row["operation"] != "GetPolicy"]  # whose 404 means no policy, too
    assert taken.manifest.status == "complete"
    assert {(row["function_name"], row["error_code"], row["is_gap"]) for row in errors} == {(name, "gone", False)}
    assert {row["operation"] for row in errors} == {each.call.operation for each in single} - {"GetPolicy"}
    assert {row["status"] for row in rows["scope_resources"] if row["resource"] in ASKED} == {"complete"}


async def test_hostile_mappings(simulator, settings, look, aws, tmp_path):
    """Wrong types, a UUID twice and an item without a function become rows of `errors` and `extra_json`."""

    def spoil(document):
        first, second, third, *rest = document["EventSourceMappings"]
        first["BatchSize"], first["Topics"], first["FilterCriteria"] = "many", {"a": 1}, 7
        second["UUID"] = first["UUID"]
        third["FunctionArn"] = "arn:aws:s3:::bucket"
        document["EventSourceMappings"] = [first, second, third, "text", {"UUID": None}, *rest]

    fault = Fault(operation="ListEventSourceMappings", kind="replace_body", patch=spoil, times=None)
    async with simulator(fault, functions=40, versions=1) as server:
        taken = await lexport.snapshot(tmp_path, settings(server.url))

    rows = look.read_rows(tmp_path)
    mappings, errors = rows["event_source_mappings"], [row for row in rows["errors"] if row["operation"]]
    spoiled = next(row for row in mappings if row["batch_size"] is None and row["extra_json"])
    lost = next(row for row in mappings if row["function_name"] is None)
    assert taken.manifest.status == "complete"
    wrong = {"BatchSize": "many", "FilterCriteria": 7, "Topics": {"a": 1}}
    assert wrong.items() <= json.loads(spoiled["extra_json"]).items()
    assert json.loads(lost["extra_json"])["FunctionArn"] == "arn:aws:s3:::bucket"
    assert len({row["uuid"] for row in mappings}) == len(mappings)
    assert {row["error_code"] for row in errors} == {"wrong_type", "invalid_item"}
    assert not any(row["is_gap"] for row in errors)


async def test_mappings_of_another_account(simulator, settings, look, aws, tmp_path):
    """A page about functions of another account is refused, and no row of it is kept."""
    arn = "arn:aws:lambda:us-east-1:444455556666:function:other"
    patch = {"EventSourceMappings": [{"UUID": "u", "FunctionArn": arn}]}
    fault = Fault(operation="ListEventSourceMappings", kind="replace_body", patch=patch, times=None)
    async with simulator(fault, functions=2, versions=0) as server:
        await lexport.snapshot(tmp_path, settings(server.url))

    rows = look.read_rows(tmp_path)
    assert rows["event_source_mappings"] == []
    assert [(row["error_code"], row["is_gap"]) for row in rows["errors"]] == [("wrong_answer", False)]
