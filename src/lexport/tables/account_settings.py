"""The limits and the use of an account-region, from GetAccountSettings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexport.model import Priority
from lexport.tables.call import Call
from lexport.tables.resource import Resource
from lexport.tables.table import COMMON, INT64, SCOPE_KEY, Table, sent

ACCOUNT_SETTINGS = Table(
    "account_settings",
    "One row per account-region: limits and use.",
    (
        *COMMON,
        sent("AccountLimit.ConcurrentExecutions", INT64, "Concurrency limit.", name="concurrent_executions_limit"),
        sent(
            "AccountLimit.UnreservedConcurrentExecutions",
            INT64,
            "What reservations leave of it.",
            name="unreserved_concurrent_executions",
        ),
        sent("AccountLimit.TotalCodeSize", INT64, "Code storage limit.", "bytes", name="code_size_limit"),
        sent("AccountUsage.TotalCodeSize", INT64, "Code storage in use.", "bytes", name="code_size_used"),
        sent("AccountUsage.FunctionCount", INT64, "Functions, versions not counted.", name="function_count"),
    ),
    SCOPE_KEY,
    answer_key=2,
    # The other columns tell the use of the account: they differ every night.
    compared=("concurrent_executions_limit", "code_size_limit"),
    title="limit",
    plural="limits",
)


def _mismatch(document: Mapping[str, Any], _function: str) -> str | None:
    """Say which half of an answer is missing: it names no account that could be compared."""
    halves = ("AccountLimit", "AccountUsage")
    missing = [name for name in halves if not isinstance(document.get(name), dict) or not document[name]]
    return f"no {' and no '.join(missing)}" if missing else None


GET_ACCOUNT_SETTINGS = Call(
    operation="GetAccountSettings",
    path="/2016-08-19/account-settings",
    priority=Priority.LISTING,
    iam=("lambda:GetAccountSettings",),
    iam_resource="*",
)

RESOURCE = Resource(
    name="account_settings",
    per="account_region",
    call=GET_ACCOUNT_SETTINGS,
    tables=(ACCOUNT_SETTINGS,),
    mismatch=_mismatch,
    in_every_snapshot=True,
)
