"""How much functions, aliases and versions are used, from CloudWatch's metrics. AWS bills what is asked for."""

from __future__ import annotations

from lexport.model import QuotaClass
from lexport.tables.call import JsonCall
from lexport.tables.resource import Resource
from lexport.tables.table import (
    COMMON,
    DATE,
    DOUBLE,
    FUNCTION_KEY,
    FUNCTION_NAME,
    INT64,
    SCOPE_KEY,
    Column,
    Table,
    key,
)

FUNCTION_USAGE = Table(
    "function_usage",
    "One row per function, alias or version and day with a call.",
    (
        *COMMON,
        FUNCTION_NAME,
        key("qualifier", "`$LATEST` for the function as a whole, else the alias or version that was called."),
        key("dimension", "`function`, `alias`, `version`, or `executed_version`: what an alias led to."),
        key("executed_version", "Version that ran for the alias; NULL but for `executed_version`."),
        key("day", "Day, UTC.", type_=DATE),
        Column("invocations", INT64, "", "Calls that ran."),
        Column("errors", INT64, "", "Calls that failed."),
        Column("throttles", INT64, "", "Calls that were throttled, which did not run."),
        Column("duration_ms", DOUBLE, "", "Time that all calls ran.", "ms"),
        Column("duration_max_ms", DOUBLE, "", "Time that the longest call ran.", "ms"),
    ),
    (*FUNCTION_KEY, "qualifier", "dimension", "executed_version", "day"),
    answer_key=7,
    is_state=False,
)

USAGE_WINDOWS = Table(
    "usage_windows",
    "One row per account-region whose use was read: the days, and what was asked for.",
    (
        *COMMON,
        Column("first_day", DATE, "", "First day of the window, UTC."),
        Column("last_day", DATE, "", "Last day of the window, UTC: the last whole day before the run."),
        Column("functions", INT64, "", "Functions whose calls were asked for or known to be none."),
        Column("aliases", INT64, "", "Aliases, likewise."),
        Column("versions", INT64, "", "Versions, likewise."),
        Column("executed_versions", INT64, "", "Versions that ran for aliases, likewise."),
        Column("metrics", INT64, "", "Metrics asked for, which AWS bills."),
        Column("unread", INT64, "", "Functions, aliases and versions whose use could not be read."),
    ),
    SCOPE_KEY,
    answer_key=2,
    is_state=False,
)

NAMESPACE = "AWS/Lambda"
CLOUDWATCH_TARGET = "GraniteServiceVersion20100801"

LIST_METRICS = JsonCall(
    operation="ListMetrics",
    service="monitoring",
    target=CLOUDWATCH_TARGET,
    version="1.0",
    quota=QuotaClass("list_metrics", 25.0),
    iam=("cloudwatch:ListMetrics",),
    trial={"Namespace": NAMESPACE, "MetricName": "Invocations"},
)
GET_METRIC_DATA = JsonCall(
    operation="GetMetricData",
    service="monitoring",
    target=CLOUDWATCH_TARGET,
    version="1.0",
    quota=QuotaClass("get_metric_data", 50.0),  # 500 by the quotas page, 50 in older ones
    iam=("cloudwatch:GetMetricData",),
    trial={
        "StartTime": 1_760_000_000,
        "EndTime": 1_760_086_400,
        "MetricDataQueries": [
            {
                "Id": "trial",
                "MetricStat": {
                    "Metric": {"Namespace": NAMESPACE, "MetricName": "Invocations", "Dimensions": []},
                    "Period": 86_400,
                    "Stat": "Sum",
                },
            }
        ],
    },
)
"""Sources: Amazon CloudWatch endpoints and quotas; botocore's model, 2026."""

USAGE = Resource(
    name="usage",
    per="fleet",
    call=GET_METRIC_DATA,
    tables=(FUNCTION_USAGE,),
    default=False,
    costs_money=True,
    settings=("usage_days",),
)

RESOURCES = (
    USAGE,
    Resource(
        name="usage-windows",
        part_of="usage",
        per="fleet",
        call=LIST_METRICS,
        tables=(USAGE_WINDOWS,),
        default=False,
        costs_money=True,
    ),
)
