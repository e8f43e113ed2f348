"""Provisioned concurrency, from ListProvisionedConcurrencyConfigs: of the aliases and versions of a function."""

from __future__ import annotations

from typing import Any

from lexport.tables.arn import other_function
from lexport.tables.call import Call, Page
from lexport.tables.convert import INSTANT, QUALIFIER_OF_ARN
from lexport.tables.events import NEW_QUALIFIER_EVENTS, PROVISIONED_CONCURRENCY_EVENTS, UPDATE_ALIAS
from lexport.tables.functions import FUNCTIONS
from lexport.tables.resource import Resource, Row
from lexport.tables.table import (
    CARRIED_FORWARD,
    COMMON,
    EXTRA_JSON,
    FETCHED_AT,
    FUNCTION_KEY,
    FUNCTION_NAME,
    INT32,
    TEXT,
    TIMESTAMP,
    Column,
    Table,
    Type,
    sent,
)


def _item(path: str, type_: Type, meaning: str, **more: Any) -> Column:
    return sent(path, type_, meaning, above="ProvisionedConcurrencyConfigs[].", **more)


PROVISIONED_CONCURRENCY_CONFIGS = Table(
    "provisioned_concurrency_configs",
    "One row per alias or version with provisioned concurrency.",
    (
        *COMMON,
        FUNCTION_NAME,
        _item("FunctionArn", TEXT, "Alias or version.", name="qualifier", convert=QUALIFIER_OF_ARN),
        _item("RequestedProvisionedConcurrentExecutions", INT32, "What was asked for."),
        _item("AllocatedProvisionedConcurrentExecutions", INT32, "What there is."),
        _item("AvailableProvisionedConcurrentExecutions", INT32, "What of it can be used now."),
        _item("Status", TEXT, "`READY`, `IN_PROGRESS` or `FAILED`."),
        _item("StatusReason", TEXT, "Why it failed."),
        _item("LastModified", TIMESTAMP, "Last change, UTC.", name="last_modified_at", convert=INSTANT),
        EXTRA_JSON,
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    (*FUNCTION_KEY, "qualifier"),
    parent=FUNCTIONS,
    title="{} provisioned concurrency of {}",
    plural="settings of provisioned concurrency",
)


def _is_settled(row: Row) -> bool:
    """Return whether nothing is under way: AWS goes on without an event to what was requested."""
    requested, allocated = (row[f"{each}_provisioned_concurrent_executions"] for each in ("requested", "allocated"))
    return bool(row["status"] == "READY" and requested == allocated)


RESOURCES = (
    Resource(
        name="provisioned-concurrency",
        per="published_function",
        call=Call(
            operation="ListProvisionedConcurrencyConfigs",
            path="/2019-09-30/functions/{function_name}/provisioned-concurrency",
            query=("List=ALL",),
            iam=("lambda:ListProvisionedConcurrencyConfigs",),
            page=Page(items="ProvisionedConcurrencyConfigs"),
            function_names=r"[^.]*",  # the operation refuses the names of edge replicas
        ),
        tables=(PROVISIONED_CONCURRENCY_CONFIGS,),
        default=False,
        carried_by=("history",),
        changed_by=(*NEW_QUALIFIER_EVENTS, UPDATE_ALIAS, *PROVISIONED_CONCURRENCY_EVENTS),
        is_settled=_is_settled,
        mismatch=other_function,
    ),
)
