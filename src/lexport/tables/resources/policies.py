"""Resource policies: who may do what with a function, an alias or a version. One GetPolicy call for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexport.model import GET_POLICY_QUOTA, LATEST, FunctionRef
from lexport.tables.call import Call
from lexport.tables.events import NEW_ALIAS_EVENTS, POLICY_EVENTS, UPDATE_ALIAS
from lexport.tables.functions import FUNCTIONS
from lexport.tables.policy_rows import policy_rows
from lexport.tables.resource import Expansion, Mask, Resource, Subject
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
    Column,
    Table,
    key,
    sent,
)

_QUALIFIER = key("qualifier", "`$LATEST` for the policy of the unqualified function, else the alias or the version.")
_STATEMENT = key("statement", "Index of the statement in the document, from 0.", type_=INT32)

POLICY_STATEMENTS = Table(
    "policy_statements",
    "One row per statement, principal, action and resource of a resource policy.",
    (
        *COMMON,
        FUNCTION_NAME,
        _QUALIFIER,
        key("position", "Row of the policy, in the order of the document, from 0.", type_=INT32),
        _STATEMENT,
        sent("Policy.Statement[].Sid", TEXT, "Id of the statement."),
        sent("Policy.Statement[].Effect", TEXT, "`Allow` or `Deny`."),
        sent(
            "Policy.Statement[].Principal",
            TEXT,
            "`AWS`, `Service`, `Federated`, `CanonicalUser` or `*`. NULL where the policy or the statement is not as "
            "IAM writes it, or would make more than 1,000 rows: this one row has its elements as JSON, and has to be "
            "taken for public.",
            name="principal_type",
        ),
        sent("Policy.Statement[].Principal", TEXT, "Whom it is about; with `is_not_principal`, whom it is not about."),
        sent("Policy.Statement[].Action", TEXT, "Action as written, wildcards included."),
        sent("Policy.Statement[].Resource", TEXT, "Resource as written; NULL where there is none."),
        Column("is_not_principal", BOOL, "", "Whether `principal` is of `NotPrincipal`."),
        Column("is_not_action", BOOL, "", "Whether `action` is of `NotAction`."),
        Column("is_not_resource", BOOL, "", "Whether `resource` is of `NotResource`."),
        Column(
            "is_public_principal",
            BOOL,
            "",
            "Whether the principal is everybody: `*`, any account, or an Allow with `NotPrincipal`; NULL with "
            "`principal_type`.",
        ),
        Column(
            "covers_invoke_function",
            BOOL,
            "",
            "Whether the action, or the statement's `NotAction`, covers `lambda:InvokeFunction`; NULL with "
            "`principal_type`.",
        ),
        Column(
            "covers_invoke_function_url",
            BOOL,
            "",
            "Whether it covers `lambda:InvokeFunctionUrl`; NULL with `principal_type`.",
        ),
        sent(
            "Policy.Statement[].Condition",
            TEXT,
            "The whole condition as JSON with sorted keys; a value of `lambda:EventSourceToken` as HMAC.",
            name="condition_json",
            is_hashed=True,
        ),
        Column(
            "source_arn", TEXT, "", "Value of `aws:SourceArn` under an operator that limits; several as JSON array."
        ),
        Column("source_account", TEXT, "", "Value of `aws:SourceAccount`, as `source_arn`."),
        Column("principal_org_id", TEXT, "", "Value of `aws:PrincipalOrgID`, as `source_arn`."),
        Column("function_url_auth_type", TEXT, "", "Value of `lambda:FunctionUrlAuthType`, as `source_arn`."),
        Column("invoked_via_function_url", BOOL, "", "Value of `lambda:InvokedViaFunctionUrl`, as `source_arn`."),
        sent("RevisionId", TEXT, "Changes with the function, alias or version that has the policy."),
        EXTRA_JSON,
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    (*FUNCTION_KEY, "qualifier", "position"),
    parent=FUNCTIONS,
    title="{} policy of {} row {}",
    plural="policy statements",
)

POLICY_CONDITIONS = Table(
    "policy_conditions",
    "One row per value in the condition of a policy statement.",
    (
        *COMMON,
        FUNCTION_NAME,
        _QUALIFIER,
        _STATEMENT,
        key("operator", "Operator in lower case: `stringequals`, `foranyvalue:stringlike`, ..."),
        key("key", "Condition key in lower case: `aws:sourcearn`, ..."),
        Column(
            "value",
            TEXT,
            "",
            "One value; of `lambda:EventSourceToken` the HMAC that `env_vars` has, or `[hidden]` without a key.",
            is_hashed=True,
        ),
        Column(
            "is_limiting",
            BOOL,
            "",
            "Whether the operator limits an Allow and the value is fixed; docs/reference/policies.md has the rules.",
        ),
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    (*FUNCTION_KEY, "qualifier", "statement", "operator", "key", "value"),
    parent=POLICY_STATEMENTS,
    title="{} policy of {} statement {} condition {} {} {}",
    plural="policy conditions",
)


def _expand(document: Mapping[str, Any], _subject: Subject, mask: Mask) -> Expansion:
    made = policy_rows(document, mask)
    rows = {POLICY_STATEMENTS.name: made.statements, POLICY_CONDITIONS.name: made.conditions}
    return Expansion(rows=rows, notices=made.problems)


def _is_published(ref: FunctionRef) -> bool:
    return ref.qualifier not in (None, LATEST)


_GET_POLICY = Call(
    operation="GetPolicy",
    path="/2015-03-31/functions/{function_name}/policy",
    query=("Qualifier={qualifier}",),
    quota=GET_POLICY_QUOTA,
    iam=("lambda:GetPolicy",),
    absent=frozenset({"ResourceNotFoundException"}),
)
_TABLES = (POLICY_STATEMENTS, POLICY_CONDITIONS)

# A policy is read after the row of its function: so its revision is not older than the one in that row.
RESOURCES = (
    Resource(
        name="policies",
        per="function",
        settings=("policies_for",),
        call=_GET_POLICY,
        tables=_TABLES,
        default=False,
        after_rows=True,
        carried_by=("revision",),
        changed_by=POLICY_EVENTS,
        expand=_expand,
    ),
    Resource(
        name="alias-policies",
        part_of="policies",
        per="alias",
        call=_GET_POLICY,
        tables=_TABLES,
        default=False,
        applies=lambda options: options.get("policies_for") != "functions",
        carried_by=("revision", "history"),
        changed_by=(*POLICY_EVENTS, *NEW_ALIAS_EVENTS, UPDATE_ALIAS),
        expand=_expand,
    ),
    Resource(
        name="version-policies",
        part_of="policies",
        per="version",
        call=_GET_POLICY,
        tables=_TABLES,
        default=False,
        after_rows=True,
        applies=lambda options: options.get("policies_for") == "versions",
        takes=_is_published,
        carried_by=("revision",),
        changed_by=POLICY_EVENTS,
        expand=_expand,
    ),
)
