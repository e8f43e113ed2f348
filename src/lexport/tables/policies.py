"""Resource policies: who may do what with a function, an alias or a version. One GetPolicy call for each."""

from __future__ import annotations

from lexport.tables.functions import FUNCTIONS
from lexport.tables.table import (
    BOOL,
    COMMON,
    EXTRA_JSON,
    FUNCTION_KEY,
    FUNCTION_NAME,
    INT32,
    TEXT,
    TIMESTAMP,
    Column,
    Table,
    key,
    sent,
)

_QUALIFIER = key("qualifier", "`$LATEST` for the policy of the unqualified function, else the alias or the version.")
_STATEMENT = key("statement", "Index of the statement in the document, from 0.", type_=INT32)
_FETCHED_AT = Column("fetched_at", TIMESTAMP, "", "`snapshot_at` of the snapshot that read this row from AWS.")
_CARRIED_FORWARD = Column("carried_forward", BOOL, "", "Whether the row is from an earlier snapshot, unchanged since.")

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
        _FETCHED_AT,
        _CARRIED_FORWARD,
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
        key(
            "value",
            "One value; of `lambda:EventSourceToken` the HMAC that `env_vars` has, or `[hidden]` without a key.",
        ),
        Column(
            "is_limiting",
            BOOL,
            "",
            "Whether the operator limits an Allow and the value is fixed; docs/guides/exposure.md has the rules.",
        ),
        _FETCHED_AT,
        _CARRIED_FORWARD,
    ),
    (*FUNCTION_KEY, "qualifier", "statement", "operator", "key", "value"),
    parent=POLICY_STATEMENTS,
    title="{} policy of {} statement {} condition {} {} {}",
    plural="policy conditions",
)
