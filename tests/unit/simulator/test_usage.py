"""The simulator's CloudWatch, asked by botocore: exact dimensions, pages, limits, days without a point."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from lexport.model import Scope
from lexport.simulator.resources import usage

pytestmark = pytest.mark.asyncio

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAYS = {"StartTime": TODAY - timedelta(days=30), "EndTime": TODAY}


def query(number, metric="Invocations", stat="Sum", **dimensions):
    pairs = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    measured = {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": pairs}
    return {"Id": f"q{number}", "MetricStat": {"Metric": measured, "Period": 86_400, "Stat": stat}}


async def test_cloudwatch(simulator, connect, fleet):
    """Lists and figures of botocore's client are those of the oracle, over all pages, newest first by default."""
    scope = Scope(account_id=fleet.spec.accounts[0], region="us-east-1")
    rows = [row for table, row in usage.rows(fleet, scope) if table == "function_usage"]
    async with simulator(fleet=fleet) as aws, connect(aws.url, "cloudwatch") as cloudwatch:
        listed, token = [], {}
        while not listed or token:
            page = await cloudwatch.list_metrics(Namespace="AWS/Lambda", MetricName="Invocations", **token)
            listed += page["Metrics"]
            token = {"NextToken": page["NextToken"]} if "NextToken" in page else {}
        queries = [query(number, FunctionName=name) for number, name in enumerate(fleet.names(scope))]
        found, token, pages = {}, {}, 0
        while not pages or token:
            page = await cloudwatch.get_metric_data(MetricDataQueries=queries, MaxDatapoints=400, **DAYS, **token)
            pages += 1
            for result in page["MetricDataResults"]:
                found.setdefault(result["Id"], []).extend(zip(result["Timestamps"], result["Values"], strict=True))
            token = {"NextToken": page["NextToken"]} if "NextToken" in page else {}

    assert pages > 1
    for each, name in zip(queries, fleet.names(scope), strict=True):
        of_function = [row for row in rows if row["function_name"] == name and row["dimension"] == "function"]
        expected = [(row["day"], float(row["invocations"])) for row in of_function if row["invocations"]]
        shown = [(at.astimezone(UTC).date(), value) for at, value in found[each["Id"]]]
        assert sorted(expected) == sorted(shown)
    recent = {
        (row["function_name"], row["qualifier"], row["executed_version"])
        for row in rows
        if row["invocations"] and row["day"] >= (TODAY - timedelta(days=13)).date()
    }
    assert len(recent) <= len(listed) == len({str(metric["Dimensions"]) for metric in listed})


async def test_what_is_refused_and_what_has_no_point(simulator, connect, fleet):
    """More queries than 500 are refused; a dimension too many, or another statistic of nobody, has no point."""
    scope = Scope(account_id=fleet.spec.accounts[0], region="us-east-1")
    name = next(fleet.names(scope))
    async with simulator(fleet=fleet) as aws, connect(aws.url, "cloudwatch") as cloudwatch:
        with pytest.raises(ClientError, match="500"):
            await cloudwatch.get_metric_data(
                MetricDataQueries=[query(n, FunctionName=name) for n in range(501)], **DAYS
            )
        with pytest.raises(ClientError, match="not unique"):
            await cloudwatch.get_metric_data(MetricDataQueries=[query(0), query(0)], **DAYS)
        queries = [
            query(0, FunctionName=name, Resource=f"{name}:nobody"),
            query(1, FunctionName=name, ExecutedVersion="1"),
            query(2, FunctionName="nobody"),
            query(3, "Nothing", FunctionName=name),
            query(4, FunctionName=name, Tenant="t"),
        ]
        page = await cloudwatch.get_metric_data(MetricDataQueries=queries, **DAYS)

    assert [(each["Values"], each["StatusCode"]) for each in page["MetricDataResults"]] == [([], "Complete")] * 5
