"""Code signing configurations and the functions that use them; two chains of pages instead of a call per function."""

from __future__ import annotations

from lexport.tables.arn import other_function
from lexport.tables.call import Call, Page
from lexport.tables.convert import INSTANT, JSON_ARRAY, NAME_OF_ARN
from lexport.tables.functions import FUNCTIONS
from lexport.tables.resource import Resource
from lexport.tables.table import (
    CARRIED_FORWARD,
    COMMON,
    EXTRA_JSON,
    FETCHED_AT,
    FUNCTION_KEY,
    SCOPE_KEY,
    TEXT,
    TIMESTAMP,
    Table,
    key,
    sent,
)

_CONFIG = "CodeSigningConfigs[]."
_ARN = "code_signing_config_arn"

CODE_SIGNING_CONFIGS = Table(
    "code_signing_configs",
    "One row per code signing configuration.",
    (
        *COMMON,
        key(_ARN, "ARN.", source=_CONFIG + "CodeSigningConfigArn"),
        sent("Description", TEXT, "Description.", above=_CONFIG),
        sent(
            "AllowedPublishers.SigningProfileVersionArns",
            TEXT,
            "JSON array of the signing profile versions that may sign.",
            above=_CONFIG,
            name="signing_profile_version_arns",
            convert=JSON_ARRAY,
        ),
        sent(
            "CodeSigningPolicies.UntrustedArtifactOnDeployment",
            TEXT,
            "What happens to other code: `Warn` or `Enforce`.",
            above=_CONFIG,
            name="untrusted_artifact_on_deployment",
        ),
        sent("LastModified", TIMESTAMP, "Last change, UTC.", above=_CONFIG, name="last_modified_at", convert=INSTANT),
        EXTRA_JSON,
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    (*SCOPE_KEY, _ARN),
    answer_key=3,
    title="code signing configuration {}",
)

FUNCTION_CODE_SIGNING = Table(
    "function_code_signing",
    "One row per function with a code signing configuration.",
    (
        *COMMON,
        sent(
            "FunctionArn",
            TEXT,
            "Name of the function, never an ARN.",
            above="FunctionArns[].",
            name="function_name",
            convert=NAME_OF_ARN,
        ),
        key(_ARN, "Configuration that it uses."),
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    (*FUNCTION_KEY, _ARN),
    parent=FUNCTIONS,
    title="{} code signing by {}",
    plural="code signing configurations of functions",
)

_CONFIGS = Resource(
    name="code-signing",
    per="account_region",
    call=Call(
        operation="ListCodeSigningConfigs",
        path="/2020-04-22/code-signing-configs",
        iam=("lambda:ListCodeSigningConfigs",),
        iam_resource="*",
        page=Page(items="CodeSigningConfigs", size=10_000),
    ),
    tables=(CODE_SIGNING_CONFIGS,),
    dropped=("CodeSigningConfigs[].CodeSigningConfigId",),  # the end of the ARN
)

RESOURCES = (
    _CONFIGS,
    Resource(
        name="function_code_signing",
        part_of="code-signing",
        per="item",
        of=_CONFIGS,
        call=Call(
            operation="ListFunctionsByCodeSigningConfig",
            path="/2020-04-22/code-signing-configs/{item}/functions",
            iam=("lambda:ListFunctionsByCodeSigningConfig",),
            iam_resource="code-signing-config",
            page=Page(items="FunctionArns", item_name="FunctionArn", size=10_000),
        ),
        tables=(FUNCTION_CODE_SIGNING,),
        mismatch=other_function,
    ),
)
