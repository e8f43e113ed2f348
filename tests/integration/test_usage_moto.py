"""CloudWatch as moto wrote it is asked in the JSON protocol, and its figures are those that were put there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aiobotocore.session import get_session

import lexport

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("aws")]

ROLE = {"Version": "2012-10-17", "Statement": []}


async def fill(url, region):
    """Make a function that was called twice yesterday, and one that was not; return their names."""
    session, keys = get_session(), {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    given = {"region_name": region, "endpoint_url": url, **keys}
    async with session.create_client("iam", **given) as iam:
        role = await iam.create_role(RoleName="lambda", AssumeRolePolicyDocument="{}")
    async with session.create_client("lambda", **given) as functions:
        for name in ("called", "idle"):
            await functions.create_function(
                FunctionName=name,
                Runtime="python3.13",
                Role=role["Role"]["Arn"],
                Handler="app.handler",
                Code={"ZipFile": b"code"},
            )
    at = datetime.now(UTC) - timedelta(days=1)
    async with session.create_client("cloudwatch", **given) as metrics:
        for metric, values in (("Invocations", [1.0, 1.0]), ("Duration", [20.0, 30.5]), ("Errors", [1.0, 0.0])):
            data = [
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": "FunctionName", "Value": "called"}],
                    "Timestamp": at,
                    "Value": value,
                }
                for value in values
            ]
            await metrics.put_metric_data(Namespace="AWS/Lambda", MetricData=data)
    return at.date()


async def test_moto(moto, settings, look, tmp_path):
    """Calls, errors and durations of a day are the sums and the greatest value of what was put there."""
    day = await fill(moto, look.region)
    await lexport.snapshot(tmp_path / "fleet", settings(moto, with_resources=("usage",)))

    rows = look.read_rows(tmp_path / "fleet")
    (row,) = rows["function_usage"]
    shown = {name: row[name] for name in ("function_name", "qualifier", "dimension", "day", "invocations", "errors")}
    assert shown == {
        "function_name": "called",
        "qualifier": "$LATEST",
        "dimension": "function",
        "day": day,
        "invocations": 2,
        "errors": 1,
    }
    assert (row["duration_ms"], row["duration_max_ms"], row["throttles"]) == (50.5, 30.5, None)
    assert [each for each in rows["errors"] if each["operation"] in {"ListMetrics", "GetMetricData"}] == []
