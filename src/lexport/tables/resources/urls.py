"""Function URLs, from ListFunctionUrlConfigs: those of a function and of its aliases in one list."""

from __future__ import annotations

from typing import Any

from lexport.tables.arn import other_function
from lexport.tables.call import Call, Page
from lexport.tables.convert import INSTANT, JSON_ARRAY, QUALIFIER_OF_ARN
from lexport.tables.events import NEW_ALIAS_EVENTS, URL_EVENTS
from lexport.tables.functions import FUNCTIONS
from lexport.tables.resource import Resource
from lexport.tables.table import (
    BOOL,
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


def _item(path: str, type_: Type, meaning: str, unit: str = "", **more: Any) -> Column:
    return sent(path, type_, meaning, unit, above="FunctionUrlConfigs[].", **more)


FUNCTION_URLS = Table(
    "function_urls",
    "One row per function URL.",
    (
        *COMMON,
        FUNCTION_NAME,
        _item(
            "FunctionArn",
            TEXT,
            "`$LATEST` for the URL of the function itself, else its alias.",
            name="qualifier",
            convert=QUALIFIER_OF_ARN,
        ),
        _item("FunctionUrl", TEXT, "The URL."),
        _item("AuthType", TEXT, "`NONE`: Lambda asks for no signature; `AWS_IAM`."),
        _item("InvokeMode", TEXT, "`BUFFERED` or `RESPONSE_STREAM`."),
        _item("Cors.AllowCredentials", BOOL, "CORS: whether cookies and the like are allowed."),
        _item("Cors.AllowOrigins", TEXT, "CORS: JSON array of allowed origins.", convert=JSON_ARRAY),
        _item("Cors.AllowMethods", TEXT, "CORS: JSON array of allowed methods.", convert=JSON_ARRAY),
        _item("Cors.AllowHeaders", TEXT, "CORS: JSON array of allowed headers.", convert=JSON_ARRAY),
        _item("Cors.ExposeHeaders", TEXT, "CORS: JSON array of exposed headers.", convert=JSON_ARRAY),
        _item("Cors.MaxAge", INT32, "CORS: how long a browser keeps the answer.", "seconds"),
        _item("CreationTime", TIMESTAMP, "Creation, UTC.", name="creation_time_at", convert=INSTANT),
        _item("LastModifiedTime", TIMESTAMP, "Last change, UTC.", name="last_modified_time_at", convert=INSTANT),
        EXTRA_JSON,
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    (*FUNCTION_KEY, "qualifier"),
    parent=FUNCTIONS,
    title="{} URL of {}",
    plural="URLs",
)

RESOURCES = (
    Resource(
        name="urls",
        per="function",
        call=Call(
            operation="ListFunctionUrlConfigs",
            path="/2021-10-31/functions/{function_name}/urls",
            iam=("lambda:ListFunctionUrlConfigs",),
            page=Page(items="FunctionUrlConfigs"),
            function_names=r"[^.]*",  # edge replicas have no URLs, and the operation refuses their names
        ),
        tables=(FUNCTION_URLS,),
        default=False,
        carried_by=("history",),
        changed_by=(*NEW_ALIAS_EVENTS, *URL_EVENTS),
        mismatch=other_function,
    ),
)
