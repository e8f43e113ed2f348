"""When the runtime of a function version is updated, from GetRuntimeManagementConfig; images have no runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexport.tables.arn import other_function
from lexport.tables.call import Call
from lexport.tables.events import RUNTIME_MANAGEMENT_EVENTS, UPDATE_CONFIGURATION
from lexport.tables.functions import FUNCTIONS
from lexport.tables.resource import Resource
from lexport.tables.table import (
    CARRIED_FORWARD,
    COMMON,
    EXTRA_JSON,
    FETCHED_AT,
    FUNCTION_NAME,
    TEXT,
    VERSION,
    VERSION_KEY,
    Table,
    sent,
)

RUNTIME_MANAGEMENT_CONFIGS = Table(
    "runtime_management_configs",
    "One row per function version whose package is a ZIP file: when its runtime is updated.",
    (
        *COMMON,
        FUNCTION_NAME,
        VERSION,
        sent("UpdateRuntimeOn", TEXT, "`Auto`, `FunctionUpdate` or `Manual`."),
        sent("RuntimeVersionArn", TEXT, "Runtime version that `Manual` has fixed."),
        EXTRA_JSON,
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    VERSION_KEY,
    parent=FUNCTIONS,
    title="{}:{} runtime management",
)


def _mismatch(document: Mapping[str, Any], function: str) -> str | None:
    """Say what an answer is about if it is of another function, or none at all."""
    return other_function(document, function) if document.get("UpdateRuntimeOn") else "no UpdateRuntimeOn"


RESOURCES = (
    Resource(
        name="runtime-management",
        per="version",
        call=Call(
            operation="GetRuntimeManagementConfig",
            path="/2021-07-20/functions/{function_name}/runtime-management-config",
            query=("Qualifier={qualifier}",),
            iam=("lambda:GetRuntimeManagementConfig",),
        ),
        tables=(RUNTIME_MANAGEMENT_CONFIGS,),
        default=False,
        dropped=("FunctionArn",),  # account, region, function and version, which the key has already
        takes=lambda ref: not ref.is_image,
        carried_by=("history",),
        changed_by=(*RUNTIME_MANAGEMENT_EVENTS, UPDATE_CONFIGURATION),
        mismatch=_mismatch,
    ),
)
