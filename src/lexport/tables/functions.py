"""Function versions and what belongs to them, from GetFunction."""

from __future__ import annotations

from lexport.model import GET_FUNCTION_QUOTA, Priority
from lexport.tables.call import Call, Page
from lexport.tables.convert import FUNCTION_ARN, INSTANT, JSON_ARRAY, SINGLE_TEXT
from lexport.tables.resource import Resource
from lexport.tables.table import (
    BOOL,
    COMMON,
    DOUBLE,
    EXTRA_JSON,
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
    key,
)

_C = "Configuration."
_LMI = _C + "CapacityProviderConfig.LambdaManagedInstancesCapacityProviderConfig."

FUNCTIONS = Table(
    "functions",
    "One row per function version: `$LATEST` and every published one.",
    (
        *COMMON,
        key("function_name", "Name of the function.", source=_C + "FunctionName"),
        key("version", "`$LATEST` or the number of a published version.", source=_C + "Version"),
        Column(
            "function_arn", TEXT, _C + "FunctionArn", "ARN of the function, without qualifier.", convert=FUNCTION_ARN
        ),
        Column("runtime", TEXT, _C + "Runtime", "Runtime identifier; NULL for images."),
        Column("role", TEXT, _C + "Role", "ARN of the execution role."),
        Column("handler", TEXT, _C + "Handler", "Entry point; NULL for images."),
        Column("code_size", INT64, _C + "CodeSize", "Size of the deployment package; 0 for images.", "bytes"),
        Column("description", TEXT, _C + "Description", 'Description; "" when unset.'),
        Column("timeout", INT32, _C + "Timeout", "Longest run before Lambda stops it.", "seconds"),
        Column("memory_size", INT32, _C + "MemorySize", "Memory at run time.", "MB"),
        Column("last_modified", TEXT, _C + "LastModified", "Last update, as AWS sent it."),
        Column("last_modified_at", TIMESTAMP, _C + "LastModified", "Last update, parsed, UTC.", convert=INSTANT),
        Column("code_sha256", TEXT, _C + "CodeSha256", "SHA-256 of the package: base64 for Zip, hex for Image."),
        Column("package_type", TEXT, _C + "PackageType", "`Zip` or `Image`."),
        Column(
            "architecture", TEXT, _C + "Architectures[0]", "Instruction set: `x86_64` or `arm64`.", convert=SINGLE_TEXT
        ),
        Column("revision_id", TEXT, _C + "RevisionId", "Changes with code, configuration, tags and policy."),
        Column("state", TEXT, _C + "State", "Current state."),
        Column("state_reason", TEXT, _C + "StateReason", "Why it is in this state."),
        Column("state_reason_code", TEXT, _C + "StateReasonCode", "Code of that reason."),
        Column("last_update_status", TEXT, _C + "LastUpdateStatus", "Outcome of the last update."),
        Column("last_update_status_reason", TEXT, _C + "LastUpdateStatusReason", "Why."),
        Column("last_update_status_reason_code", TEXT, _C + "LastUpdateStatusReasonCode", "Code of that reason."),
        Column("ephemeral_storage_size", INT32, _C + "EphemeralStorage.Size", "Size of /tmp.", "MB"),
        Column("tracing_config_mode", TEXT, _C + "TracingConfig.Mode", "X-Ray: `Active` or `PassThrough`."),
        Column("kms_key_arn", TEXT, _C + "KMSKeyArn", "Customer key of the environment."),
        Column("environment_error_code", TEXT, _C + "Environment.Error.ErrorCode", "Why variables are unreadable."),
        Column("environment_error_message", TEXT, _C + "Environment.Error.Message", "The same in words."),
        Column("vpc_config_vpc_id", TEXT, _C + "VpcConfig.VpcId", 'VPC; "" after detaching.'),
        Column(
            "vpc_config_ipv6_allowed_for_dual_stack",
            BOOL,
            _C + "VpcConfig.Ipv6AllowedForDualStack",
            "Whether IPv6 may leave through dual-stack subnets.",
        ),
        Column("dead_letter_config_target_arn", TEXT, _C + "DeadLetterConfig.TargetArn", "Queue or topic."),
        Column("master_arn", TEXT, _C + "MasterArn", "Lambda@Edge: ARN of the main function."),
        Column("signing_profile_version_arn", TEXT, _C + "SigningProfileVersionArn", "Signing profile version."),
        Column("signing_job_arn", TEXT, _C + "SigningJobArn", "Signing job."),
        Column(
            "image_config_entry_point",
            TEXT,
            _C + "ImageConfigResponse.ImageConfig.EntryPoint",
            "Entry point override of an image, a JSON array.",
            convert=JSON_ARRAY,
        ),
        Column(
            "image_config_command",
            TEXT,
            _C + "ImageConfigResponse.ImageConfig.Command",
            "Command override of an image, a JSON array.",
            convert=JSON_ARRAY,
        ),
        Column(
            "image_config_working_directory",
            TEXT,
            _C + "ImageConfigResponse.ImageConfig.WorkingDirectory",
            "Working directory override of an image.",
        ),
        Column("image_config_error_code", TEXT, _C + "ImageConfigResponse.Error.ErrorCode", "Why it is unreadable."),
        Column("image_config_error_message", TEXT, _C + "ImageConfigResponse.Error.Message", "The same in words."),
        Column("snap_start_apply_on", TEXT, _C + "SnapStart.ApplyOn", "`PublishedVersions` or `None`."),
        Column("snap_start_optimization_status", TEXT, _C + "SnapStart.OptimizationStatus", "`On` or `Off`."),
        Column(
            "runtime_version_config_runtime_version_arn",
            TEXT,
            _C + "RuntimeVersionConfig.RuntimeVersionArn",
            "The very build of the runtime.",
        ),
        Column(
            "runtime_version_config_error_code",
            TEXT,
            _C + "RuntimeVersionConfig.Error.ErrorCode",
            "Why the runtime version is unknown.",
        ),
        Column(
            "runtime_version_config_error_message",
            TEXT,
            _C + "RuntimeVersionConfig.Error.Message",
            "The same in words.",
        ),
        Column("logging_config_log_format", TEXT, _C + "LoggingConfig.LogFormat", "`Text` or `JSON`."),
        Column(
            "logging_config_application_log_level",
            TEXT,
            _C + "LoggingConfig.ApplicationLogLevel",
            "Least level of application logs; JSON only.",
        ),
        Column(
            "logging_config_system_log_level",
            TEXT,
            _C + "LoggingConfig.SystemLogLevel",
            "Least level of system logs; JSON only.",
        ),
        Column("logging_config_log_group", TEXT, _C + "LoggingConfig.LogGroup", "CloudWatch log group."),
        Column("tenancy_config_tenant_isolation_mode", TEXT, _C + "TenancyConfig.TenantIsolationMode", "Isolation."),
        Column(
            "capacity_provider_arn",
            TEXT,
            _LMI + "CapacityProviderArn",
            "Managed Instances: the provider.",
            former_names=("capacity_provider_config_capacity_provider_arn",),
        ),
        Column(
            "capacity_provider_per_environment_max_concurrency",
            INT32,
            _LMI + "PerExecutionEnvironmentMaxConcurrency",
            "Managed Instances: requests at once in one environment.",
            former_names=("capacity_provider_config_per_execution_environment_max_concurrency",),
        ),
        Column(
            "capacity_provider_environment_memory_gib_per_vcpu",
            DOUBLE,
            _LMI + "ExecutionEnvironmentMemoryGiBPerVCpu",
            "Managed Instances: memory per vCPU.",
            "GiB",
            former_names=("capacity_provider_config_execution_environment_memory_gib_per_vcpu",),
        ),
        Column("config_sha256", TEXT, _C + "ConfigSha256", "SHA-256 of the configuration."),
        Column("durable_config_kms_key_arn", TEXT, _C + "DurableConfig.KMSKeyArn", "Durable: customer key."),
        Column(
            "durable_config_retention_period_in_days",
            INT32,
            _C + "DurableConfig.RetentionPeriodInDays",
            "Durable: how long executions are kept.",
            "days",
        ),
        Column(
            "durable_config_execution_timeout",
            INT32,
            _C + "DurableConfig.ExecutionTimeout",
            "Durable: longest execution.",
            "seconds",
        ),
        Column("runtime_config_runtime_arn", TEXT, _C + "RuntimeConfig.RuntimeArn", "Customer-managed runtime."),
        Column("runtime_config_runtime_alias", TEXT, _C + "RuntimeConfig.RuntimeAlias", "Its alias."),
        Column(
            "accelerator_config_accelerator_memory_size",
            INT32,
            _C + "AcceleratorConfig.AcceleratorMemorySize",
            "Accelerator memory, as AWS sends it.",
        ),
        Column("code_repository_type", TEXT, "Code.RepositoryType", "`S3` or `ECR`."),
        Column("code_image_uri", TEXT, "Code.ImageUri", "Image as deployed, with its tag."),
        Column("code_resolved_image_uri", TEXT, "Code.ResolvedImageUri", "Image by digest."),
        Column("code_resolved_s3_object_bucket", TEXT, "Code.ResolvedS3Object.S3Bucket", "Self-managed code: bucket."),
        Column("code_resolved_s3_object_key", TEXT, "Code.ResolvedS3Object.S3Key", "Self-managed code: key."),
        Column(
            "code_resolved_s3_object_version",
            TEXT,
            "Code.ResolvedS3Object.S3ObjectVersion",
            "Self-managed code: object version.",
        ),
        Column("code_source_kms_key_arn", TEXT, "Code.SourceKMSKeyArn", "Customer key of the package."),
        Column("code_error_code", TEXT, "Code.Error.ErrorCode", "Why the package is unreadable."),
        Column("code_error_message", TEXT, "Code.Error.Message", "The same in words."),
        Column("tags_error_code", TEXT, "TagsError.ErrorCode", "Why tags are unreadable: denied, not absent."),
        Column("tags_error_message", TEXT, "TagsError.Message", "The same in words."),
        Column(
            "reserved_concurrent_executions",
            INT32,
            "Concurrency.ReservedConcurrentExecutions",
            "Reserved concurrency of the function, on its `$LATEST` row; 0 blocks every invocation.",
        ),
        EXTRA_JSON,
        Column("fetched_at", TIMESTAMP, "", "`snapshot_at` of the snapshot that really read this row."),
        Column("carried_forward", BOOL, "", "Whether the row was taken over from an earlier snapshot."),
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
        Column("value_hmac", TEXT, _VARIABLES, "First 16 bytes of HMAC-SHA-256 over the value, hex."),
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
        Column("layer_arn", TEXT, _LAYERS + ".Arn", "ARN of the layer version."),
        Column("code_size", INT64, _LAYERS + ".CodeSize", "Size of the layer's archive.", "bytes"),
        Column("signing_profile_version_arn", TEXT, _LAYERS + ".SigningProfileVersionArn", "Signing profile version."),
        Column("signing_job_arn", TEXT, _LAYERS + ".SigningJobArn", "Signing job."),
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
        Column("arn", TEXT, _FILE_SYSTEMS + ".Arn", "Access point, EFS or S3 Files."),
        Column("local_mount_path", TEXT, _FILE_SYSTEMS + ".LocalMountPath", "Where it is mounted."),
        Column(
            "s3_files_config_direct_s3_read",
            TEXT,
            _FILE_SYSTEMS + ".S3FilesConfig.DirectS3Read",
            "S3 Files: whether reads go to S3 directly.",
        ),
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
    iam=("lambda:GetFunction", "lambda:ListTags"),  # without ListTags the answer has a TagsError
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
    in_every_snapshot=True,
)
