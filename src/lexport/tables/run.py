"""What a run says of itself: what it could not read, how complete it is, what changed since the one before."""

from __future__ import annotations

from typing import Literal, get_args

from lexport.model import Coverage, ResourceStatus, ScopeStatus
from lexport.tables.table import BOOL, COMMON, INT32, INT64, SCOPE_KEY, TEXT, TIMESTAMP, Column, Table, key

RETIRED: Literal["retired"] = "retired"
"""The status of an account-region that has ended. No run reads it: ``lexport retire`` says so."""

ERRORS = Table(
    "errors",
    "One row per thing that could not be read as it should; `is_gap` says whether something is missing.",
    (
        *COMMON,
        Column("stage", TEXT, "", "Step that met it: discover, fetch, flatten, packages, inspect, changes."),
        Column("operation", TEXT, "", "AWS operation."),
        Column("function_name", TEXT, "", "Function, where it concerns one."),
        Column("qualifier", TEXT, "", "Version or alias, where it concerns one."),
        Column("error_code", TEXT, "", "AWS's code, or ours: gone, wrong_type, ..."),
        Column("http_status", INT32, "", "HTTP status, where there was an answer."),
        Column("message", TEXT, "", "What came back, secrets removed."),
        Column("is_gap", BOOL, "", "Whether something is missing from the snapshot."),
        Column("attempts", INT32, "", "Calls made in vain."),
        Column("occurred_at", TIMESTAMP, "", "When, UTC."),
    ),
    (*SCOPE_KEY, "function_name", "qualifier", "stage", "error_code", "message"),
    answer_key=0,
    tie_break=("occurred_at",),
)

SCOPES = Table(
    "scopes",
    "One row per account-region of the run: how complete it is and what it cost.",
    (
        *COMMON,
        Column("coverage", TEXT, "", "`fleet`, or `selection` for a list of functions.", values=get_args(Coverage)),
        Column(
            "status",
            TEXT,
            "",
            "`complete`, `partial`, `denied`, `unavailable` or `retired`.",
            values=(*get_args(ScopeStatus), RETIRED),
        ),
        Column("functions", INT64, "", "Distinct functions in `functions`."),
        Column("versions", INT64, "", "Rows in `functions`, `$LATEST` ones included."),
        Column("aliases", INT64, "", "Rows in `aliases`; NULL where they were not read."),
        Column("function_count_reported", INT64, "AccountUsage.FunctionCount", "AWS's own count; NULL if denied."),
        Column("get_function_calls", INT64, "", "GetFunction calls, retries included."),
        Column("list_calls", INT64, "", "All other calls, retries included."),
        Column("throttles", INT64, "", "Calls that AWS throttled."),
        Column("carried_rows", INT64, "", "Rows taken over from an earlier snapshot."),
        Column("started_at", TIMESTAMP, "", "When reading began, UTC."),
        Column("ended_at", TIMESTAMP, "", "When reading ended, UTC."),
        Column("account_name", TEXT, "", "Name of the account; NULL where the run did not list the organization."),
        Column("packages", INT64, "", "Distinct packages of its functions to fetch; NULL where the run fetched none."),
        Column("packages_stored", INT64, "", "How many of these are stored; NULL where the run fetched none."),
    ),
    SCOPE_KEY,
    answer_key=0,
)

SCOPE_RESOURCES = Table(
    "scope_resources",
    "One row per account-region and resource of the run: whether it was read, and how.",
    (
        *COMMON,
        key("resource", "Resource, as `--with` names it; `functions`, `aliases`, and parts that a run leaves out."),
        Column(
            "status",
            TEXT,
            "",
            "`complete`, `partial`, `denied`, `unavailable` (not offered in this Region) or `not_requested`.",
            values=get_args(ResourceStatus),
        ),
        Column("items", INT64, "", "Items that were read or carried over; NULL where it was not requested."),
        Column("carried_items", INT64, "", "Items taken over from an earlier snapshot."),
        Column("calls", INT64, "", "Calls made for it, retries included."),
        Column("throttles", INT64, "", "Calls that AWS throttled."),
        Column("read_at", TIMESTAMP, "", "When reading began, UTC; NULL where nothing was read."),
        Column("oldest_read_at", TIMESTAMP, "", "When the oldest item was read, UTC."),
        Column("changes_until", TIMESTAMP, "", "Up to when changes are known, UTC, where they decided what is read."),
    ),
    (*SCOPE_KEY, "resource"),
    answer_key=0,
)

SNAPSHOTS = Table(
    "snapshots",
    "One row per committed snapshot; its account and region are NULL.",
    (
        *COMMON,
        Column(
            "status",
            TEXT,
            "",
            "`complete`, or `partial` when published with gaps.",
            values=("complete", "partial"),
        ),
        Column("committed_at", TIMESTAMP, "", "When it was committed, UTC."),
        Column("lexport_version", TEXT, "", "Version of lexport that wrote it."),
        Column("schema_version", TEXT, "", "Version of these tables."),
    ),
    ("snapshot_id",),
    answer_key=0,
)

CHANGES = Table(
    "changes",
    "One row per thing that the snapshot before did not have, had besides, or had otherwise.",
    (
        *COMMON,
        Column("kind", TEXT, "", "`added`, `removed` or `changed`.", values=("added", "removed", "changed")),
        key("table_name", "Table of the thing."),
        key("key", "Its key without account and Region, parts joined by `/`: `name/$LATEST`, `name/5/VARIABLE`."),
        key("column_name", "What changed about it; NULL where it was added or removed."),
        Column("old_value", TEXT, "", "Before, as text; NULL where absent, and where it may be a secret."),
        Column("new_value", TEXT, "", "After, as text; NULL where absent, and where it may be a secret."),
        Column("previous_snapshot_id", TEXT, "", "Snapshot before: the last one that read the account-region whole."),
    ),
    (*SCOPE_KEY, "table_name", "key", "kind", "column_name"),
    answer_key=0,
)
