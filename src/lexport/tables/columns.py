"""Every table and column, once: name, type, unit, kind, meaning and where AWS sends it.

Flattening, the Parquet schemas with their field metadata, ``lexport schema`` and the README's table are made from this
page. It knows no pyarrow. Column names keep AWS's words in snake_case.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Type(StrEnum):
    """The scalar types every warehouse has."""

    TEXT = "text"
    INT32 = "int32"
    INT64 = "int64"
    BOOL = "bool"
    DOUBLE = "double"
    TIMESTAMP = "timestamp"


TEXT, INT32, INT64, BOOL, DOUBLE, TIMESTAMP = Type

Kind = Literal["fact", "secret"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``source`` is the path in AWS's answer, empty where lexport makes the value.

    ``kind``: a ``secret`` must not be shared without thought. Which columns tell rows apart, the table says.
    ``former_names`` are the names that files of older schema versions have for it; every reader maps them to ``name``.
    """

    name: str
    type: Type
    source: str
    meaning: str
    unit: str = ""
    kind: Kind = "fact"
    former_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One table. Rows are sorted by ``key``; the first ``answer_key`` columns of it tell which answer a row is from.

    ``row_key`` tells rows of one snapshot apart: ``key`` and, where that is not enough, ``tie_break``.
    ``row_group_rows`` bounds a Parquet row group: wide tables get small ones, so that writing them takes little memory.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    answer_key: int = 4
    tie_break: tuple[str, ...] = ()
    row_group_rows: int = 32_768

    def names(self) -> tuple[str, ...]:
        """Return the column names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def row_key(self) -> tuple[str, ...]:
        """The columns that no two rows of a snapshot have the same values in; NULL is a value here."""
        return (*self.key, *self.tie_break)

    def kind_of(self, column: Column) -> Literal["key", "fact", "secret"]:
        """Return what a column of this table is, as ``lexport schema`` says."""
        return "key" if column.name in self.row_key else column.kind

    def renames(self) -> dict[str, str]:
        """Return the name of today for each former name of a column."""
        return {former: column.name for column in self.columns for former in column.former_names}

    def stored_names(self, names: Iterable[str]) -> list[str]:
        """Return the names that some columns may have in a file: those of today, then the former ones."""
        wanted = list(names)
        return [*wanted, *(former for former, name in self.renames().items() if name in wanted)]


def _key(name: str, meaning: str, *, source: str = "", type_: Type = TEXT) -> Column:
    """Declare a column that is in a key of most tables that have it."""
    return Column(name, type_, source, meaning)


COMMON = (
    _key("snapshot_id", "ULID of the snapshot; greater is newer."),
    Column("snapshot_at", TIMESTAMP, "", "Start of the run, UTC."),
    _key("account_id", "12-digit account that owns the row."),
    _key("region", "AWS Region."),
)
SCOPE_KEY = ("account_id", "region")

_FUNCTION_NAME = _key("function_name", "Name of the function, never an ARN.")
_VERSION = _key("version", "`$LATEST` or the number of a published version.")
_FUNCTION_KEY = (*SCOPE_KEY, "function_name")
VERSION_KEY = (*_FUNCTION_KEY, "version")
_EXTRA = Column(
    "extra_json", TEXT, "", "JSON object, path -> value: fields unknown to this table and raw values of wrong types."
)

_C = "Configuration."
_LMI = _C + "CapacityProviderConfig.LambdaManagedInstancesCapacityProviderConfig."

FUNCTIONS = Table(
    "functions",
    "One row per function version: `$LATEST` and every published one.",
    (
        *COMMON,
        _key("function_name", "Name of the function.", source=_C + "FunctionName"),
        _key("version", "`$LATEST` or the number of a published version.", source=_C + "Version"),
        Column("function_arn", TEXT, _C + "FunctionArn", "ARN of the function, without qualifier."),
        Column("runtime", TEXT, _C + "Runtime", "Runtime identifier; NULL for images."),
        Column("role", TEXT, _C + "Role", "ARN of the execution role."),
        Column("handler", TEXT, _C + "Handler", "Entry point; NULL for images."),
        Column("code_size", INT64, _C + "CodeSize", "Size of the deployment package; 0 for images.", "bytes"),
        Column("description", TEXT, _C + "Description", 'Description; "" when unset.'),
        Column("timeout", INT32, _C + "Timeout", "Longest run before Lambda stops it.", "seconds"),
        Column("memory_size", INT32, _C + "MemorySize", "Memory at run time.", "MB"),
        Column("last_modified", TEXT, _C + "LastModified", "Last update, as AWS sent it."),
        Column("last_modified_at", TIMESTAMP, _C + "LastModified", "Last update, parsed, UTC."),
        Column("code_sha256", TEXT, _C + "CodeSha256", "SHA-256 of the package: base64 for Zip, hex for Image."),
        Column("package_type", TEXT, _C + "PackageType", "`Zip` or `Image`."),
        Column("architecture", TEXT, _C + "Architectures[0]", "Instruction set: `x86_64` or `arm64`."),
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
        ),
        Column(
            "image_config_command",
            TEXT,
            _C + "ImageConfigResponse.ImageConfig.Command",
            "Command override of an image, a JSON array.",
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
        _EXTRA,
        Column("fetched_at", TIMESTAMP, "", "`snapshot_at` of the snapshot that really read this row."),
        Column("carried_forward", BOOL, "", "Whether the row was taken over from an earlier snapshot."),
    ),
    VERSION_KEY,
    row_group_rows=8_192,
)

ALIASES = Table(
    "aliases",
    "One row per alias.",
    (
        *COMMON,
        _FUNCTION_NAME,
        _key("alias", "Name of the alias.", source="Aliases[].Name"),
        Column("function_version", TEXT, "Aliases[].FunctionVersion", "Version that it points to first."),
        Column("description", TEXT, "Aliases[].Description", "Description."),
        Column("revision_id", TEXT, "Aliases[].RevisionId", "Changes with the alias."),
        _EXTRA,
    ),
    (*_FUNCTION_KEY, "alias"),
)

_WEIGHTS = "Aliases[].RoutingConfig.AdditionalVersionWeights{}"

ALIAS_ROUTES = Table(
    "alias_routes",
    "One row per version that an alias sends traffic to, the first one included.",
    (
        *COMMON,
        _FUNCTION_NAME,
        _key("alias", "Name of the alias."),
        _key("version", "Version that gets the traffic.", source=_WEIGHTS),
        Column("weight", DOUBLE, _WEIGHTS, "Share of the traffic; sums to 1 over an alias."),
    ),
    (*_FUNCTION_KEY, "alias", "version"),
)

TAGS = Table(
    "tags",
    "One row per tag of a function.",
    (
        *COMMON,
        _FUNCTION_NAME,
        _key("key", "Tag key.", source="Tags{}"),
        Column("value", TEXT, "Tags{}", "Tag value."),
    ),
    (*_FUNCTION_KEY, "key"),
    answer_key=3,
)

_VARIABLES = _C + "Environment.Variables{}"

ENV_VARS = Table(
    "env_vars",
    "One row per environment variable of a function version.",
    (
        *COMMON,
        _FUNCTION_NAME,
        _VERSION,
        _key("name", "Name of the variable.", source=_VARIABLES),
        Column("value", TEXT, _VARIABLES, "Its value; NULL unless `--env values`.", kind="secret"),
        Column("value_length", INT32, _VARIABLES, "Length of the value.", "characters"),
        Column("value_hmac", TEXT, _VARIABLES, "First 16 bytes of HMAC-SHA-256 over the value, hex."),
        Column("hash_key_id", TEXT, "", "Which key made `value_hmac`; compare only within one."),
        Column("secret_rule", TEXT, "", "Name of the rule that took it for a secret."),
    ),
    (*VERSION_KEY, "name"),
)

_LAYERS = _C + "Layers[]"

LAYERS = Table(
    "layers",
    "One row per layer of a function version.",
    (
        *COMMON,
        _FUNCTION_NAME,
        _VERSION,
        _key("position", "Order of the layer, from 0.", source=_LAYERS, type_=INT32),
        Column("layer_arn", TEXT, _LAYERS + ".Arn", "ARN of the layer version."),
        Column("code_size", INT64, _LAYERS + ".CodeSize", "Size of the layer's archive.", "bytes"),
        Column("signing_profile_version_arn", TEXT, _LAYERS + ".SigningProfileVersionArn", "Signing profile version."),
        Column("signing_job_arn", TEXT, _LAYERS + ".SigningJobArn", "Signing job."),
        _EXTRA,
    ),
    (*VERSION_KEY, "position"),
)

SUBNETS = Table(
    "subnets",
    "One row per subnet of a function version.",
    (
        *COMMON,
        _FUNCTION_NAME,
        _VERSION,
        _key("subnet_id", "Subnet.", source=_C + "VpcConfig.SubnetIds[]"),
    ),
    (*VERSION_KEY, "subnet_id"),
)

SECURITY_GROUPS = Table(
    "security_groups",
    "One row per security group of a function version.",
    (
        *COMMON,
        _FUNCTION_NAME,
        _VERSION,
        _key("security_group_id", "Security group.", source=_C + "VpcConfig.SecurityGroupIds[]"),
    ),
    (*VERSION_KEY, "security_group_id"),
)

_FILE_SYSTEMS = _C + "FileSystemConfigs[]"

FILE_SYSTEMS = Table(
    "file_systems",
    "One row per file system of a function version.",
    (
        *COMMON,
        _FUNCTION_NAME,
        _VERSION,
        _key("position", "Order of the file system, from 0.", source=_FILE_SYSTEMS, type_=INT32),
        Column("arn", TEXT, _FILE_SYSTEMS + ".Arn", "Access point, EFS or S3 Files."),
        Column("local_mount_path", TEXT, _FILE_SYSTEMS + ".LocalMountPath", "Where it is mounted."),
        Column(
            "s3_files_config_direct_s3_read",
            TEXT,
            _FILE_SYSTEMS + ".S3FilesConfig.DirectS3Read",
            "S3 Files: whether reads go to S3 directly.",
        ),
        _EXTRA,
    ),
    (*VERSION_KEY, "position"),
)

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
        Column("coverage", TEXT, "", "`fleet`, or `selection` for a list of functions."),
        Column("status", TEXT, "", "`complete`, `partial`, `denied` or `unavailable`."),
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
    ),
    SCOPE_KEY,
    answer_key=0,
)

SNAPSHOTS = Table(
    "snapshots",
    "One row per committed snapshot; its account and region are NULL.",
    (
        *COMMON,
        Column("status", TEXT, "", "`complete`, or `partial` when published with gaps."),
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
        Column("kind", TEXT, "", "`added`, `removed` or `changed`."),
        _key("table_name", "Table of the thing."),
        _key("key", "Its key without account and Region, parts joined by `/`: `name/$LATEST`, `name/5/VARIABLE`."),
        _key("column_name", "What changed about it; NULL where it was added or removed."),
        Column("old_value", TEXT, "", "Before, as text; NULL where absent, and where it may be a secret."),
        Column("new_value", TEXT, "", "After, as text; NULL where absent, and where it may be a secret."),
        Column("previous_snapshot_id", TEXT, "", "Snapshot before: the last one that read the account-region whole."),
    ),
    (*SCOPE_KEY, "table_name", "key", "kind", "column_name"),
    answer_key=0,
)

PACKAGES = Table(
    "packages",
    "One row per distinct package of functions, and stored one of layers: where it is; account and region are NULL.",
    (
        *COMMON,
        _key("code_sha256", "SHA-256 as AWS sends it: base64 for Zip, hex for Image."),
        Column("sha256_hex", TEXT, "", "The same in hex: the name of the stored file."),
        Column("size_bytes", INT64, "", "Size of the package; 0 for images.", "bytes"),
        Column("path", TEXT, "", "Where it is stored, relative to the destination; NULL where it is not."),
        Column("status", TEXT, "", "`stored`, `present`, `image`, `reference`, `denied`, `failed` or `skipped`."),
        Column("reason", TEXT, "", "Why it is not stored."),
        Column("verified_at", TIMESTAMP, "", "When its hash was found right, UTC; NULL where it is not stored."),
        Column(
            "dependencies_status",
            TEXT,
            "",
            "Whether `package_dependencies` has all of its libraries: `complete`, `incomplete` or `unknown`; NULL where"
            " it was not inspected.",
        ),
    ),
    ("code_sha256",),
    answer_key=1,
)

LAYER_VERSIONS = Table(
    "layer_versions",
    "One row per distinct layer version that functions use; account and region are NULL.",
    (
        *COMMON,
        _key("layer_arn", "ARN of the layer version.", source="LayerVersionArn"),
        Column("code_sha256", TEXT, "Content.CodeSha256", "SHA-256 of its archive, base64; NULL where unreadable."),
        Column("size_bytes", INT64, "Content.CodeSize", "Size of its archive.", "bytes"),
        Column("created_at", TIMESTAMP, "CreatedDate", "When it was published, UTC."),
        Column("description", TEXT, "Description", "Description."),
        Column("license_info", TEXT, "LicenseInfo", "Licence, as its publisher gave it."),
        Column("compatible_runtimes", TEXT, "CompatibleRuntimes", "JSON array of runtime identifiers."),
        Column("compatible_architectures", TEXT, "CompatibleArchitectures", "JSON array of instruction sets."),
        Column("status", TEXT, "", "`stored`, `present`, `reference`, `denied`, `failed` or `skipped`."),
        Column("reason", TEXT, "", "Why it is not stored."),
    ),
    ("layer_arn",),
    answer_key=1,
)

_SHA256_HEX = _key("sha256_hex", "SHA-256 of the package or layer, hex.")

PACKAGE_FILES = Table(
    "package_files",
    "One row per file in the directory of a stored package; account and region are NULL.",
    (
        *COMMON,
        _SHA256_HEX,
        _key("path", "Name of the file in the archive."),
        Column("size_bytes", INT64, "", "Size unpacked, as the archive says.", "bytes"),
        Column("compressed_bytes", INT64, "", "Size in the archive.", "bytes"),
        Column("crc32", INT64, "", "CRC-32 of the file, as the archive says."),
    ),
    ("sha256_hex", "path"),
    answer_key=0,
)

PACKAGE_DEPENDENCIES = Table(
    "package_dependencies",
    "One row per dependency that a manifest in a stored package names; account and region are NULL.",
    (
        *COMMON,
        _SHA256_HEX,
        _key("ecosystem", "Where the name belongs: pypi, npm, maven, golang, nuget, gem, composer or cargo."),
        _key("name", "Name of the dependency, as its ecosystem compares names."),
        _key("version", "Its version; NULL where none is told, or only a range or a place to fetch it from."),
        _key("path", "The file in the archive that says so."),
    ),
    ("sha256_hex", "ecosystem", "name", "version", "path"),
    answer_key=0,
)

PACKAGE_TABLES = (LAYER_VERSIONS, PACKAGES, PACKAGE_FILES, PACKAGE_DEPENDENCIES)
"""Tables about content, which belongs to no account. A commit holds those that its run looked at."""

TABLES = (
    FUNCTIONS,
    ALIASES,
    ALIAS_ROUTES,
    TAGS,
    ENV_VARS,
    LAYERS,
    SUBNETS,
    SECURITY_GROUPS,
    FILE_SYSTEMS,
    ACCOUNT_SETTINGS,
    CHANGES,
    ERRORS,
    SCOPES,
    SNAPSHOTS,
    *PACKAGE_TABLES,
)
BY_NAME = {table.name: table for table in TABLES}

SCHEMA_VERSION = "2"
"""Raised when a column is renamed. Version 2 shortened the three columns on capacity providers."""

NEVER_STORED = ("Code.Location", "Content.Location")
"""Paths that are dropped where the answer is parsed: a live download link is a secret."""
