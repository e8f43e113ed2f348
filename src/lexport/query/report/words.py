"""Words for the columns and values of tables, as the report shows them; the SQL beside a table keeps the names."""

from __future__ import annotations

_COLUMNS = {
    "account_id": "Account",
    "account_regions": "Account-regions",
    "action_class": "What can be done",
    "aliases_to_it": "Aliases to it",
    "aws_counts": "Functions by AWS's count",
    "block_create_date": "No new functions from",
    "block_update_date": "No updates from",
    "calls": "Calls to AWS",
    "code_bytes": "Code storage",
    "column_name": "What changed",
    "concurrency_limit": "Concurrency limit",
    "condition_json": "Condition",
    "deprecation_date": "Support ends",
    "function_name": "Function",
    "function_url": "URL",
    "gb_seconds": "GB-seconds",
    "is_any_origin": "From all web pages",
    "is_known": "Whole use known",
    "key": "Thing",
    "kind": "Change",
    "known_since": "Read since",
    "limit_bytes": "Limit",
    "memory_mb": "Memory, MB",
    "met": "What was answered",
    "new_value": "After",
    "not_judged_in": "Account-regions not judged",
    "old_value": "Before",
    "packages_bytes": "Size of packages",
    "prunable_bytes": "Can be freed",
    "prunable_versions": "Versions without an alias",
    "read_that_day": "Account-regions read",
    "references": "The same elsewhere",
    "remediation": "What to do",
    "sid": "Statement",
    "status": "State",
    "subject": "Where",
    "successor": "Move to",
    "table_name": "Part",
    "usd": "US dollars in these days",
    "usd_of_all": "US dollars in 30 days, all functions",
    "usd_per_30_days": "US dollars in 30 days",
    "used_bytes": "Used",
    "used_share": "Of the limit",
}
_ENDS = ("_bytes", "_share", "_at")
_VALUES = {
    "create_blocked": "closed to new functions",
    "update_blocked": "closed to updates",
    "soon": "ends soon",
    "complete": "whole",
    "unavailable": "switched off",
    "env_vars": "variables",
}


def column_words(name: str) -> str:
    """Return the heading of a column: words instead of its name."""
    if name in _COLUMNS:
        return _COLUMNS[name]
    end = next((end for end in _ENDS if name.endswith(end) and name != end), "")
    return name.removesuffix(end).replace("_", " ").capitalize().replace("Arm64", "arm64")


def value_words(value: str) -> str:
    """Return words for a value that lexport or a view has chosen: a state, a table, a column."""
    return _VALUES.get(value, value.replace("_", " "))
