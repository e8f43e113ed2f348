"""Function versions and what belongs to them, from GetFunction."""

from __future__ import annotations

from typing import Any

from lexport.model import GET_FUNCTION_QUOTA, Priority
from lexport.tables.call import Call, Page
from lexport.tables.convert import FUNCTION_ARN, INSTANT, JSON_ARRAY, SINGLE_TEXT
from lexport.tables.resource import Resource
from lexport.tables.table import (
    BOOL,
    CARRIED_FORWARD,
    COMMON,
    DOUBLE,
    EXTRA_JSON,
    FETCHED_AT,
    FUNCTION_KEY,
    FUNCTION_NAME,
    INT32,
    INT64,
    TEXT,
    TIMESTAMP,
    VERSION,
    VERSION_KEY,
    Column,
    Table,
    Type,
    key,
    sent,
)

_C = "Configuration."
_LMI = "CapacityProviderConfig.LambdaManagedInstancesCapacityProviderConfig."


def _config(path: str, type_: Type, meaning: str, unit: str = "", **more: Any) -> Column:
    return sent(path, type_, meaning, unit, above=_C, **more)


FUNCTIONS = Table(
    "functions",
    "One row per function version: `$LATEST` and every published one.",
    (
        *COMMON,
        key("function_name", "Name of the function.", source=_C + "FunctionName"),
        key("version", "`$LATEST` or the number of a published version.", source=_C + "Version"),
        _config("FunctionArn", TEXT, "ARN of the function, without qualifier.", convert=FUNCTION_ARN),
        _config("Runtime", TEXT, "Runtime identifier; NULL for images."),
        _config("Role", TEXT, "ARN of the execution role."),
        _config("Handler", TEXT, "Entry point; NULL for images."),
        _config("CodeSize", INT64, "Size of the deployment package; 0 for images.", "bytes"),
        _config("Description", TEXT, 'Description; "" when unset.'),
        _config("Timeout", INT32, "Longest run before Lambda stops it.", "seconds"),
        _config("MemorySize", INT32, "Memory at run time.", "MB"),
        _config("LastModified", TEXT, "Last update, as AWS sent it."),
        _config("LastModified", TIMESTAMP, "Last update, parsed, UTC.", name="last_modified_at", convert=INSTANT),
        _config("CodeSha256", TEXT, "SHA-256 of the package: base64 for Zip, hex for Image."),
        _config("PackageType", TEXT, "`Zip` or `Image`."),
        _config(
            "Architectures[0]", TEXT, "Instruction set: `x86_64` or `arm64`.", name="architecture", convert=SINGLE_TEXT
        ),
        _config("RevisionId", TEXT, "Changes with code, configuration, tags and policy."),
        _config("State", TEXT, "Current state."),
        _config("StateReason", TEXT, "Why it is in this state."),
        _config("StateReasonCode", TEXT, "Code of that reason."),
        _config("LastUpdateStatus", TEXT, "Outcome of the last update."),
        _config("LastUpdateStatusReason", TEXT, "Why."),
        _config("LastUpdateStatusReasonCode", TEXT, "Code of that reason."),
        _config("EphemeralStorage.Size", INT32, "Size of /tmp.", "MB"),
        _config("TracingConfig.Mode", TEXT, "X-Ray: `Active` or `PassThrough`."),
        _config("KMSKeyArn", TEXT, "Customer key of the environment."),
        _config("Environment.Error.ErrorCode", TEXT, "Why variables are unreadable."),
        _config("Environment.Error.Message", TEXT, "The same in words."),
        _config("VpcConfig.VpcId", TEXT, 'VPC; "" after detaching.'),
        _config("VpcConfig.Ipv6AllowedForDualStack", BOOL, "Whether IPv6 may leave through dual-stack subnets."),
        _config("DeadLetterConfig.TargetArn", TEXT, "Queue or topic."),
        _config("MasterArn", TEXT, "Lambda@Edge: ARN of the main function."),
        _config("SigningProfileVersionArn", TEXT, "Signing profile version."),
        _config("SigningJobArn", TEXT, "Signing job."),
        _config(
            "ImageConfigResponse.ImageConfig.EntryPoint",
            TEXT,
            "Entry point override of an image, a JSON array.",
            name="image_config_entry_point",
            convert=JSON_ARRAY,
        ),
        _config(
            "ImageConfigResponse.ImageConfig.Command",
            TEXT,
            "Command override of an image, a JSON array.",
            name="image_config_command",
            convert=JSON_ARRAY,
        ),
        _config(
            "ImageConfigResponse.ImageConfig.WorkingDirectory",
            TEXT,
            "Working directory override of an image.",
            name="image_config_working_directory",
        ),
        _config("ImageConfigResponse.Error.ErrorCode", TEXT, "Why it is unreadable.", name="image_config_error_code"),
        _config("ImageConfigResponse.Error.Message", TEXT, "The same in words.", name="image_config_error_message"),
        _config("SnapStart.ApplyOn", TEXT, "`PublishedVersions` or `None`."),
        _config("SnapStart.OptimizationStatus", TEXT, "`On` or `Off`."),
        _config("RuntimeVersionConfig.RuntimeVersionArn", TEXT, "The very build of the runtime."),
        _config("RuntimeVersionConfig.Error.ErrorCode", TEXT, "Why the runtime version is unknown."),
        _config("RuntimeVersionConfig.Error.Message", TEXT, "The same in words."),
        _config("LoggingConfig.LogFormat", TEXT, "`Text` or `JSON`."),
        _config("LoggingConfig.ApplicationLogLevel", TEXT, "Least level of application logs; JSON only."),
        _config("LoggingConfig.SystemLogLevel", TEXT, "Least level of system logs; JSON only."),
        _config("LoggingConfig.LogGroup", TEXT, "CloudWatch log group."),
        _config("TenancyConfig.TenantIsolationMode", TEXT, "Isolation."),
        _config(
            _LMI + "CapacityProviderArn",
            TEXT,
            "Managed Instances: the provider.",
            name="capacity_provider_arn",
            former_names=("capacity_provider_config_capacity_provider_arn",),
        ),
        _config(
            _LMI + "PerExecutionEnvironmentMaxConcurrency",
            INT32,
            "Managed Instances: requests at once in one environment.",
            name="capacity_provider_per_environment_max_concurrency",
            former_names=("capacity_provider_config_per_execution_environment_max_concurrency",),
        ),
        _config(
            _LMI + "ExecutionEnvironmentMemoryGiBPerVCpu",
            DOUBLE,
            "Managed Instances: memory per vCPU.",
            "GiB",
            name="capacity_provider_environment_memory_gib_per_vcpu",
            former_names=("capacity_provider_config_execution_environment_memory_gib_per_vcpu",),
        ),
        _config("ConfigSha256", TEXT, "SHA-256 of the configuration."),
        _config("DurableConfig.KMSKeyArn", TEXT, "Durable: customer key."),
        _config("DurableConfig.RetentionPeriodInDays", INT32, "Durable: how long executions are kept.", "days"),
        _config("DurableConfig.ExecutionTimeout", INT32, "Durable: longest execution.", "seconds"),
        _config("RuntimeConfig.RuntimeArn", TEXT, "Customer-managed runtime."),
        _config("RuntimeConfig.RuntimeAlias", TEXT, "Its alias."),
        _config("AcceleratorConfig.AcceleratorMemorySize", INT32, "Accelerator memory, as AWS sends it."),
        sent("Code.RepositoryType", TEXT, "`S3` or `ECR`."),
        sent("Code.ImageUri", TEXT, "Image as deployed, with its tag."),
        sent("Code.ResolvedImageUri", TEXT, "Image by digest."),
        sent(
            "Code.ResolvedS3Object.S3Bucket", TEXT, "Self-managed code: bucket.", name="code_resolved_s3_object_bucket"
        ),
        sent("Code.ResolvedS3Object.S3Key", TEXT, "Self-managed code: key.", name="code_resolved_s3_object_key"),
        sent(
            "Code.ResolvedS3Object.S3ObjectVersion",
            TEXT,
            "Self-managed code: object version.",
            name="code_resolved_s3_object_version",
        ),
        sent("Code.SourceKMSKeyArn", TEXT, "Customer key of the package."),
        sent("Code.Error.ErrorCode", TEXT, "Why the package is unreadable."),
        sent("Code.Error.Message", TEXT, "The same in words."),
        sent("TagsError.ErrorCode", TEXT, "Why tags are unreadable: denied, not absent."),
        sent("TagsError.Message", TEXT, "The same in words."),
        sent(
            "Concurrency.ReservedConcurrentExecutions",
            INT32,
            "Reserved concurrency of the function, on its `$LATEST` row; 0 blocks every invocation.",
            name="reserved_concurrent_executions",
        ),
        EXTRA_JSON,
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    VERSION_KEY,
    row_group_rows=8_192,
    title="{}:{}",
    plural="versions",
)

TAGS = Table(
    "tags",
    "One row per tag of a function.",
    (
        *COMMON,
        FUNCTION_NAME,
        key("key", "Tag key.", source="Tags{}"),
        Column("value", TEXT, "Tags{}", "Tag value."),
    ),
    (*FUNCTION_KEY, "key"),
    answer_key=3,
    parent=FUNCTIONS,
    title="{} tag {}",
    main_column="value",
)

_VARIABLES = _C + "Environment.Variables{}"

ENV_VARS = Table(
    "env_vars",
    "One row per environment variable of a function version.",
    (
        *COMMON,
        FUNCTION_NAME,
        VERSION,
        key("name", "Name of the variable.", source=_VARIABLES),
        Column("value", TEXT, _VARIABLES, "Its value; NULL unless `--env values`.", kind="secret"),
        Column("value_length", INT32, _VARIABLES, "Length of the value.", "characters"),
        Column("value_hmac", TEXT, _VARIABLES, "First 16 bytes of HMAC-SHA-256 over the value, hex.", is_hashed=True),
        Column("hash_key_id", TEXT, "", "Which key made `value_hmac`; compare only within one."),
        Column("secret_rule", TEXT, "", "Name of the rule that took it for a secret."),
    ),
    (*VERSION_KEY, "name"),
    parent=FUNCTIONS,
    title="{}:{} variable {}",
    plural="variables",
)

_LAYERS = _C + "Layers[]"

LAYERS = Table(
    "layers",
    "One row per layer of a function version.",
    (
        *COMMON,
        FUNCTION_NAME,
        VERSION,
        key("position", "Order of the layer, from 0.", source=_LAYERS, type_=INT32),
        sent(_LAYERS + ".Arn", TEXT, "ARN of the layer version.", name="layer_arn"),
        sent(_LAYERS + ".CodeSize", INT64, "Size of the layer's archive.", "bytes"),
        sent(_LAYERS + ".SigningProfileVersionArn", TEXT, "Signing profile version."),
        sent(_LAYERS + ".SigningJobArn", TEXT, "Signing job."),
        EXTRA_JSON,
    ),
    (*VERSION_KEY, "position"),
    parent=FUNCTIONS,
    title="{}:{} layer {}",
)

SUBNETS = Table(
    "subnets",
    "One row per subnet of a function version.",
    (
        *COMMON,
        FUNCTION_NAME,
        VERSION,
        key("subnet_id", "Subnet.", source=_C + "VpcConfig.SubnetIds[]"),
    ),
    (*VERSION_KEY, "subnet_id"),
    parent=FUNCTIONS,
    title="{}:{} subnet {}",
)

SECURITY_GROUPS = Table(
    "security_groups",
    "One row per security group of a function version.",
    (
        *COMMON,
        FUNCTION_NAME,
        VERSION,
        key("security_group_id", "Security group.", source=_C + "VpcConfig.SecurityGroupIds[]"),
    ),
    (*VERSION_KEY, "security_group_id"),
    parent=FUNCTIONS,
    title="{}:{} security group {}",
)

_FILE_SYSTEMS = _C + "FileSystemConfigs[]"

FILE_SYSTEMS = Table(
    "file_systems",
    "One row per file system of a function version.",
    (
        *COMMON,
        FUNCTION_NAME,
        VERSION,
        key("position", "Order of the file system, from 0.", source=_FILE_SYSTEMS, type_=INT32),
        sent(_FILE_SYSTEMS + ".Arn", TEXT, "Access point, EFS or S3 Files."),
        sent(_FILE_SYSTEMS + ".LocalMountPath", TEXT, "Where it is mounted."),
        sent(_FILE_SYSTEMS + ".S3FilesConfig.DirectS3Read", TEXT, "S3 Files: whether reads go to S3 directly."),
        EXTRA_JSON,
    ),
    (*VERSION_KEY, "position"),
    parent=FUNCTIONS,
    title="{}:{} file system {}",
)

GET_FUNCTION = Call(
    operation="GetFunction",
    path="/2015-03-31/functions/{function_name}",
    query=("Qualifier={qualifier}",),
    quota=GET_FUNCTION_QUOTA,
    priority=Priority.SNAPSHOT,
    iam=("lambda:GetFunction", "lambda:ListTags"),  # without ListTags the response has a TagsError
)
"""One version. Tags and Concurrency come with ``qualifier=None`` only. The name may be a partial or a full ARN."""
LIST_FUNCTIONS = Call(
    operation="ListFunctions",
    path="/2015-03-31/functions",
    query=("FunctionVersion={versions}",),
    priority=Priority.LISTING,
    iam=("lambda:ListFunctions",),
    iam_resource="*",
    page=Page(items="Functions"),
)
LIST_VERSIONS = Call(
    operation="ListVersionsByFunction",
    path="/2015-03-31/functions/{function_name}/versions",
    priority=Priority.LISTING,
    iam=("lambda:ListVersionsByFunction",),
    page=Page(items="Versions"),
)

RESOURCE = Resource(
    name="functions",
    per="version",
    call=GET_FUNCTION,
    lists=(LIST_FUNCTIONS, LIST_VERSIONS),
    tables=(FUNCTIONS, TAGS, ENV_VARS, LAYERS, SUBNETS, SECURITY_GROUPS, FILE_SYSTEMS),
    is_gap=True,
    in_every_snapshot=True,
)
