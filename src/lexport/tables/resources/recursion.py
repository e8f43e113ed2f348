"""What Lambda does about recursive loops, from GetFunctionRecursionConfig."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexport.tables.call import Call
from lexport.tables.functions import FUNCTIONS
from lexport.tables.resource import Resource
from lexport.tables.table import (
    CARRIED_FORWARD,
    COMMON,
    EXTRA_JSON,
    FETCHED_AT,
    FUNCTION_KEY,
    FUNCTION_NAME,
    TEXT,
    Table,
    sent,
)

RECURSION_CONFIGS = Table(
    "recursion_configs",
    "One row per function: whether Lambda stops recursive loops.",
    (
        *COMMON,
        FUNCTION_NAME,
        sent("RecursiveLoop", TEXT, "`Terminate`, the default, or `Allow`."),
        EXTRA_JSON,
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    FUNCTION_KEY,
    answer_key=3,
    parent=FUNCTIONS,
    title="{} recursion",
)


def _mismatch(document: Mapping[str, Any], _function: str) -> str | None:
    """Say that an answer is none: it names no function that could be compared."""
    return None if document.get("RecursiveLoop") else "no RecursiveLoop"


RESOURCES = (
    Resource(
        name="recursion",
        per="function",
        call=Call(
            operation="GetFunctionRecursionConfig",
            path="/2024-08-31/functions/{function_name}/recursion-config",
            iam=("lambda:GetFunctionRecursionConfig",),
            function_names=r"[^.]*",  # the operation refuses the names of edge replicas
        ),
        tables=(RECURSION_CONFIGS,),
        default=False,
        mismatch=_mismatch,
    ),
)
