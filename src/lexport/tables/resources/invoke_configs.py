"""Settings of asynchronous invocations of functions, aliases and versions, from ListFunctionEventInvokeConfigs."""

from __future__ import annotations

from lexport.tables.arn import other_function
from lexport.tables.call import Call, Page
from lexport.tables.convert import INSTANT_OR_EPOCH, QUALIFIER_OF_ARN
from lexport.tables.events import INVOKE_CONFIG_EVENTS, NEW_QUALIFIER_EVENTS
from lexport.tables.functions import FUNCTIONS
from lexport.tables.resource import Resource
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
    Table,
    sent,
)

_ITEM = "FunctionEventInvokeConfigs[]."

EVENT_INVOKE_CONFIGS = Table(
    "event_invoke_configs",
    "One row per function, alias or version that has settings of its own for asynchronous invocations.",
    (
        *COMMON,
        FUNCTION_NAME,
        sent(
            "FunctionArn",
            TEXT,
            "`$LATEST` for the function itself, else the alias or version.",
            above=_ITEM,
            name="qualifier",
            convert=QUALIFIER_OF_ARN,
        ),
        sent("MaximumRetryAttempts", INT32, "Retries after an error; Lambda's default is 2.", above=_ITEM),
        sent("MaximumEventAgeInSeconds", INT32, "How long an event is kept.", "seconds", above=_ITEM),
        sent(
            "DestinationConfig.OnSuccess.Destination",
            TEXT,
            "ARN that results are sent to.",
            above=_ITEM,
            name="on_success_destination",
        ),
        sent(
            "DestinationConfig.OnFailure.Destination",
            TEXT,
            "ARN that failed events are sent to.",
            above=_ITEM,
            name="on_failure_destination",
        ),
        sent(
            "LastModified",
            TIMESTAMP,
            "Last change, UTC.",
            above=_ITEM,
            name="last_modified_at",
            convert=INSTANT_OR_EPOCH,
        ),
        EXTRA_JSON,
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    (*FUNCTION_KEY, "qualifier"),
    parent=FUNCTIONS,
    title="{} asynchronous invocation of {}",
    plural="settings of asynchronous invocations",
)

RESOURCES = (
    Resource(
        name="invoke-configs",
        per="function",
        call=Call(
            operation="ListFunctionEventInvokeConfigs",
            path="/2019-09-25/functions/{function_name}/event-invoke-config/list",
            iam=("lambda:ListFunctionEventInvokeConfigs",),
            page=Page(items="FunctionEventInvokeConfigs"),
        ),
        tables=(EVENT_INVOKE_CONFIGS,),
        default=False,
        carried_by=("history",),
        changed_by=(*NEW_QUALIFIER_EVENTS, *INVOKE_CONFIG_EVENTS),
        mismatch=other_function,
    ),
)
