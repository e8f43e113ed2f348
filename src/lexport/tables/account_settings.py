"""The limits and the use of an account-region, from GetAccountSettings."""

from __future__ import annotations

from lexport.tables.table import COMMON, INT64, SCOPE_KEY, Column, Table

ACCOUNT_SETTINGS = Table(
    "account_settings",
    "One row per account-region: limits and use.",
    (
        *COMMON,
        Column("concurrent_executions_limit", INT64, "AccountLimit.ConcurrentExecutions", "Concurrency limit."),
        Column(
            "unreserved_concurrent_executions",
            INT64,
            "AccountLimit.UnreservedConcurrentExecutions",
            "What reservations leave of it.",
        ),
        Column("code_size_limit", INT64, "AccountLimit.TotalCodeSize", "Code storage limit.", "bytes"),
        Column("code_size_used", INT64, "AccountUsage.TotalCodeSize", "Code storage in use.", "bytes"),
        Column("function_count", INT64, "AccountUsage.FunctionCount", "Functions, versions not counted."),
    ),
    SCOPE_KEY,
    answer_key=2,
)
