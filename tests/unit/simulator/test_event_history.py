"""The simulator's event history answers as CloudTrail does, to botocore's own client."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lexport.model import Scope
from lexport.simulator import Change, Fleet, FleetSpec, open_simulator
from lexport.simulator.fleet_changes import ChangeKind

pytestmark = pytest.mark.asyncio
SCOPE = Scope(account_id="111122223333", region="us-east-1")


def named(name: str) -> dict[str, Any]:
    return {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}]}


def details(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(event["CloudTrailEvent"]) for event in page["Events"]]


async def test_the_history_shows_each_change_as_cloudtrail_names_it(connect):
    """Names have their dates, functions are named as they were typed, services and refusals are told apart; calls
    that only read are events too, and an event shows once its delay is over."""
    fleet = Fleet(FleetSpec(functions=12, versions=2))
    index = next(index for index in fleet.indexes(SCOPE) if fleet.aliases(SCOPE, index))
    name, alias = fleet.name(index), fleet.aliases(SCOPE, index)[0].name
    arn = f"arn:aws:lambda:us-east-1:111122223333:function:{name}"
    move = Change(kind="move_alias", scope=SCOPE, function_name=name, alias=alias, version="$LATEST")
    fleet.apply(move)
    fleet.apply(replace(move, named_as="arn", caller="cloudformation"))
    fleet.apply(replace(move, named_as="qualified", caller="codedeploy"))
    fleet.apply(replace(move, error_code="AccessDenied"))
    fleet.apply(replace(move, event_delay=timedelta(hours=1)))
    fleet.apply(replace(move, has_dated_event=False))
    fleet.apply(Change(kind="set_tags", scope=SCOPE, function_name=name, tags={"a": "b"}))
    fleet.apply(Change(kind="recreate_function", scope=SCOPE, function_name=name))
    async with open_simulator(fleet, quotas=False) as server:
        async with connect(server.url, "lambda") as api:
            await api.get_function(FunctionName=arn)
        async with connect(server.url, "cloudtrail") as api:
            moved = details(await api.lookup_events(**named("UpdateAlias20150331")))
            undated = await api.lookup_events(**named("UpdateAlias"))
            tagged = details(await api.lookup_events(**named("TagResource20170331v2")))
            read = await api.lookup_events(**named("GetFunction20150331v2"))
            changes = await api.lookup_events(
                LookupAttributes=[{"AttributeKey": "ReadOnly", "AttributeValue": "false"}],
                StartTime=datetime.now(UTC) - timedelta(minutes=1),
            )
            earlier = await api.lookup_events(EndTime=datetime.now(UTC) - timedelta(hours=1))

    refused, by_codedeploy, by_cloudformation, by_user = moved
    assert (refused["errorCode"], refused["requestParameters"]) == ("AccessDenied", None)
    assert by_codedeploy["requestParameters"]["functionName"] == f"{arn}:{alias}"
    assert by_codedeploy["userAgent"] == "codedeploy.amazonaws.com"
    assert by_cloudformation["requestParameters"]["functionName"] == arn
    assert by_cloudformation["sourceIPAddress"] == "cloudformation.amazonaws.com"
    assert by_user["requestParameters"] == {"functionName": name, "name": alias, "functionVersion": "$LATEST"}
    assert len(undated["Events"]) == 1
    assert tagged[0]["requestParameters"]["resource"] == arn
    assert [event["ReadOnly"] for event in read["Events"]] == ["true"]
    assert [event["EventName"] for event in changes["Events"]][:2] == [
        "CreateFunction20150331",
        "DeleteFunction20150331",
    ]
    assert earlier["Events"] == []


async def test_pages_of_the_history_are_newest_first_and_their_tokens_go_with_the_same_question(connect):
    """A page has 50 events at most, a token continues only the look-up that it was made for, and AWS refuses what is
    no look-up."""
    fleet = Fleet(FleetSpec(functions=3, versions=1))
    kind: ChangeKind = "set_reserved_concurrency"
    name = fleet.name(0)
    for number in range(120):
        fleet.apply(Change(kind=kind, scope=SCOPE, function_name=name, reserved_concurrency=number))
    question = named("PutFunctionConcurrency20171031")
    async with open_simulator(fleet, quotas=False) as server, connect(server.url, "cloudtrail") as api:
        pages = [await api.lookup_events(**question)]
        while token := pages[-1].get("NextToken"):
            pages.append(await api.lookup_events(**question, NextToken=token))
        for wrong, code in (
            ({**named("CreateAlias"), "NextToken": pages[0]["NextToken"]}, "InvalidNextTokenException"),
            ({"MaxResults": 51}, "InvalidMaxResultsException"),
            ({"LookupAttributes": 2 * question["LookupAttributes"]}, "InvalidLookupAttributesException"),
            (
                {"StartTime": datetime(2026, 2, 2, tzinfo=UTC), "EndTime": datetime(2026, 2, 1, tzinfo=UTC)},
                "InvalidTimeRangeException",
            ),
        ):
            with pytest.raises(ClientError, match=code):
                await api.lookup_events(**wrong)

    times = [event["EventTime"] for page in pages for event in page["Events"]]
    assert [len(page["Events"]) for page in pages] == [50, 50, 20]
    assert times == sorted(times, reverse=True)
    assert len({event["EventId"] for page in pages for event in page["Events"]}) == 120


async def test_two_look_ups_a_second_are_allowed(connect):
    """More than two look-ups in a second are throttled, with CloudTrail's own code."""
    async with (
        open_simulator(Fleet(FleetSpec(functions=1, versions=0))) as server,
        connect(server.url, "cloudtrail") as api,
    ):
        with pytest.raises(ClientError, match="ThrottlingException"):
            await asyncio.gather(*(api.lookup_events() for _ in range(6)))
