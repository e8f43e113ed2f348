"""The use of functions is read from CloudWatch: every figure, for what it costs, and never zero for what is unread."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

import lexport
from lexport.errors import IncompleteError
from lexport.extract.usage.window import usage_cost
from lexport.model import Scope
from lexport.query.sql import open_result
from lexport.simulator import Fault, Fleet, FleetSpec
from lexport.simulator.fleet_changes import Change
from lexport.simulator.resources import usage

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("aws", "fast_retries")]

FORGET = {"Timestamps": [], "Values": []}


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=30, versions=2))


@pytest.fixture
def read(settings, look, tmp_path):
    """Read a fleet with its use; return the result and the rows."""

    async def run(aws, **more):
        given = {"with_resources": ("usage",)} | more
        result = await lexport.snapshot(tmp_path / "fleet", settings(aws.url, **given))
        return result, look.read_rows(tmp_path / "fleet")

    return run


@pytest.fixture
def ask(tmp_path):
    """Query the dataset."""

    def run(query):
        with open_result(tmp_path / "fleet", query) as result:
            return [tuple(row.values()) for row in result.reader.read_all().to_pylist()]

    return run


def asked(aws):
    """Return the metrics that were asked for, each with its dimensions; a query counts once, however often it came."""
    requests = [call.parameters for call in aws.requests if call.operation == "GetMetricData"]
    queries = {query["Id"]: query for each in requests for query in each["MetricDataQueries"]}
    return [query["MetricStat"]["Metric"] for query in queries.values()]


def scope_of(look):
    return Scope(account_id=look.account, region=look.region)


def expected(look, fleet, **more):
    """Return the rows that the oracle of the fleet expects, in order."""
    found = [row for table, row in usage.rows(fleet, scope_of(look), **more) if table == "function_usage"]
    key = ("function_name", "qualifier", "dimension", "executed_version", "day")
    return sorted(found, key=lambda row: [str(row[name] or "") for name in key])


def without_first(status):
    """Make the calls of the first series of each page a result that is not complete."""

    def patch(document):
        for result in document["MetricDataResults"]:
            if result["Label"] == "Invocations" and result["Id"].endswith("q0"):
                result |= {**FORGET, "StatusCode": status}

    return patch


async def test_many_pages(simulator, read, look):
    """Lists and figures of several pages are read whole, through throttles and a result that fails once, at the cost
    that was foretold."""
    fleet = Fleet(FleetSpec(functions=270, versions=1))
    faults = [Fault(operation=name, kind="throttle", times=2) for name in ("ListMetrics", "GetMetricData")]
    faults.append(Fault(operation="GetMetricData", kind="replace_body", patch=without_first("InternalError"), after=2))
    async with simulator(*faults, fleet=fleet) as aws:
        _, rows = await read(aws)

    assert expected(look, fleet) == look.facts(rows["function_usage"])
    (window,) = rows["usage_windows"]
    counts = {name: window[name] for name in ("functions", "aliases", "versions", "executed_versions")}
    cost = usage_cost(30, **counts)
    calls = {name: aws.calls[look.account, look.region, name] - 2 for name in ("ListMetrics", "GetMetricData")}
    assert cost.metrics[0] < window["metrics"] == len(asked(aws)) <= cost.metrics[1]
    assert 2 < calls["ListMetrics"] <= cost.list_requests[1]
    assert calls["GetMetricData"] > cost.requests[0]  # the pages of the simulator are short ones
    assert (window["unread"], rows["errors"]) == (0, [])


async def test_a_short_window(simulator, read, fleet, look):
    """Of a window that ListMetrics covers, only what it lists is asked for; the rows are those of these days."""
    async with simulator(fleet=fleet) as aws:
        result, rows = await read(aws, usage_days=5)

    (window,) = rows["usage_windows"]
    today = datetime.now(UTC).date()
    series = {str(metric["Dimensions"]) for metric in asked(aws)}
    assert expected(look, fleet, days=5) == look.facts(rows["function_usage"])
    assert [today - timedelta(days=5), today - timedelta(days=1)] == [window["first_day"], window["last_day"]]
    assert 0 < len(series) < window["functions"] + window["aliases"] + window["executed_versions"]
    assert result.manifest.options["usage_days"] == 5


async def test_a_result_that_stays_incomplete(simulator, read, fleet, look, ask):
    """What is missing is named in ``errors`` and unknown in the views; the rest is there, and the fleet is whole."""
    fault = Fault(operation="GetMetricData", kind="replace_body", times=None, patch=without_first("PartialData"))
    async with simulator(fault, fleet=fleet) as aws:
        result, rows = await read(aws)

    lost = {row["function_name"] for row in rows["errors"]}
    found = look.facts(rows["function_usage"])
    verdicts = ask("SELECT function_name, verdict, why_unknown FROM unused_functions WHERE verdict = 'unknown'")
    assert lost
    assert result.manifest.status == "complete"
    assert {(row["operation"], row["is_gap"], "PartialData" in row["message"]) for row in rows["errors"]} == {
        ("GetMetricData", False, True)
    }
    assert rows["usage_windows"][0]["unread"] == len(rows["errors"])
    assert {row["function_name"] for row in expected(look, fleet) if row not in found} <= lost
    assert {name for name, *_ in verdicts} <= lost
    assert all(rest == ["unknown", "failed"] for _, *rest in verdicts)
    assert {name for (name,) in ask("SELECT DISTINCT function_name FROM usage_unread")} == lost


async def test_denied(simulator, read, fleet, look, ask):
    """Without permission the use of every function is unknown, and of none it is zero; --require makes it a gap."""
    fault = Fault(operation="GetMetricData", kind="denied", times=None)
    async with simulator(fault, fleet=fleet) as aws:
        result, rows = await read(aws)
        denied = aws.calls[look.account, look.region, "GetMetricData"]
        with pytest.raises(IncompleteError, match="could not be read"):
            await read(aws, require=("usage",))

    (error,) = rows["errors"]
    assert denied <= 4  # those that were under way; nothing is asked for after the first refusal
    assert result.manifest.status == "complete"
    assert (error["operation"], error["function_name"], error["is_gap"]) == ("GetMetricData", None, False)
    assert rows["function_usage"] == rows["usage_windows"] == []
    assert ask("SELECT COUNT(*) FROM unused_functions WHERE why_unknown = 'not_read'") == [(30,)]
    assert ask("SELECT COUNT(*) FROM unused_versions WHERE verdict <> 'unknown' OR is_prunable") == [(0,)]
    assert ask("SELECT COUNT(*) FROM cost_estimate WHERE usd IS NULL AND NOT is_known") == [(30,)]


async def test_cloudwatch_that_fails(simulator, read, fleet, look, ask):
    """CloudWatch that is down ends the reading of the use, not that of the fleet."""
    fault = Fault(operation="GetMetricData", kind="error", times=None)
    async with simulator(fault, fleet=fleet) as aws:
        result, rows = await read(aws)

    assert result.manifest.status == "complete"
    assert {row["operation"] for row in rows["errors"]} == {"GetMetricData"}
    assert ask("SELECT COUNT(*) FROM usage_unread") == [(30,)]


async def test_listing_denied(simulator, read, fleet, look, ask):
    """Without the list everything that is known is asked for; which versions ran for aliases before is unknown."""
    async with simulator(Fault(operation="ListMetrics", kind="denied", times=None), fleet=fleet) as aws:
        _, rows = await read(aws, usage_days=5)

    assert expected(look, fleet, days=5) == look.facts(rows["function_usage"])
    assert [row["operation"] for row in rows["errors"]] == ["ListMetrics"]
    assert ask("SELECT DISTINCT why_unknown FROM unused_versions") == [("not_listed",)]
    assert ask("SELECT COUNT(*) FROM unused_functions WHERE why_unknown IN ('failed', 'not_read')") == [(0,)]


async def test_routes_of_earlier_nights(simulator, read, look):
    """A version that an alias led to on an earlier night is asked for, though it leads to another one tonight."""
    scope, fleet = scope_of(look), Fleet(FleetSpec(functions=8, versions=2))
    index, alias = next(
        (index, alias)
        for index in fleet.indexes(scope)
        for alias in fleet.aliases(scope, index)
        if alias.function_version.isdecimal() and not alias.weights
    )
    name = fleet.name(index)
    async with simulator(fleet=fleet) as aws:
        await read(aws, with_resources=())
        fleet.apply(Change(kind="move_alias", scope=scope, function_name=name, alias=alias.name, version="$LATEST"))
        await read(aws)

    values = [tuple(pair["Value"] for pair in metric["Dimensions"]) for metric in asked(aws)]
    resource = f"{name}:{alias.name}"
    assert {(name, resource, alias.function_version), (name, resource, "$LATEST"), (name, resource)} <= set(values)
    assert Counter(values)[name, resource, alias.function_version] == 1  # no call, so nothing else is asked for
