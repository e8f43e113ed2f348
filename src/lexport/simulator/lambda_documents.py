"""The JSON documents of Lambda's responses: FunctionConfiguration, GetFunction's response, alias items."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lexport.simulator.presigned import version_id_of
from lexport.simulator.spec import AliasSpec, ErrorSpec, FunctionSpec, ImageSpec, VersionSpec

_NULLED = (
    "VpcConfig",
    "DeadLetterConfig",
    "Layers",
    "KMSKeyArn",
    "FileSystemConfigs",
    "MasterArn",
    "ImageConfigResponse",
)


def configuration(version: VersionSpec, *, arn_qualifier: str | None, is_listed: bool) -> dict[str, Any]:
    """Return the FunctionConfiguration of a version; lists leave out exactly seven fields."""
    function = version.function
    document = _shared(function) | {
        "FunctionArn": f"{function.arn}:{arn_qualifier}" if arn_qualifier is not None else function.arn,
        "Version": version.version,
        "Description": version.description,
        "MemorySize": version.memory_mb,
        "CodeSha256": version.code_sha256,
        "CodeSize": version.code_size_bytes,
        "LastModified": version.last_modified,
        "RevisionId": version.revision_id,
        "SnapStart": {
            "ApplyOn": function.snap_start_apply_on,
            "OptimizationStatus": version.snap_start_optimization_status,
        },
    }
    if version.environment is not None:
        document["Environment"] = {"Variables": version.environment}
        if function.sends_nulls:
            document["Environment"]["Error"] = None
    elif function.environment_error is not None:
        document["Environment"] = {"Error": _error(function.environment_error)}
    elif function.sends_nulls:
        document["Environment"] = None
    if version.config_sha256 is not None:
        document["ConfigSha256"] = version.config_sha256
    if not is_listed:
        document |= _only_in_get(function)
        if version.runtime_version_arn is not None:
            document["RuntimeVersionConfig"] = {"RuntimeVersionArn": version.runtime_version_arn}
    return document


def get_function(version: VersionSpec, *, arn_qualifier: str | None, location: str | None) -> dict[str, Any]:
    """Return GetFunction's response; only the unqualified call returns tags and concurrency."""
    function = version.function
    document: dict[str, Any] = {
        "Configuration": configuration(version, arn_qualifier=arn_qualifier, is_listed=False),
        "Code": _code(version, location),
    } | function.extra_top
    if arn_qualifier is not None:
        return document
    if function.tags:
        document["Tags"] = function.tags
    if function.tags_error is not None:
        document["TagsError"] = _error(function.tags_error)
    if function.reserved_concurrency is not None:
        document["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved_concurrency}
    if function.sends_nulls:
        document = {"Tags": None, "TagsError": None, "Concurrency": None} | document
    return document


def alias(function: FunctionSpec, spec: AliasSpec) -> dict[str, Any]:
    """Return one item of ListAliases."""
    document: dict[str, Any] = {
        "AliasArn": f"{function.arn}:{spec.name}",
        "Name": spec.name,
        "FunctionVersion": spec.function_version,
        "RevisionId": spec.revision_id,
    }
    if spec.description is not None:
        document["Description"] = spec.description
    if spec.weights is not None:
        document["RoutingConfig"] = {"AdditionalVersionWeights": spec.weights}
    elif spec.has_null_routing:
        document["RoutingConfig"] = None
    return document | spec.extra


def has_location(version: VersionSpec) -> bool:
    """Tell whether GetFunction returns a presigned URL: not for images, self-managed code, or a denied KMS key."""
    function = version.function
    return function.image is None and function.s3_object is None and function.code_error is None


def _error(error: ErrorSpec) -> dict[str, str]:
    return {"ErrorCode": error.code, "Message": error.message}


@lru_cache(maxsize=2048)
def _shared(function: FunctionSpec) -> dict[str, Any]:
    """Return the fields that all versions share; callers copy the document and never change it."""
    document: dict[str, Any] = dict.fromkeys(_NULLED) if function.sends_nulls else {}
    document |= {
        "FunctionName": function.name,
        "Role": function.role,
        "Timeout": function.timeout_s,
        "Architectures": [function.architecture],
        "PackageType": "Zip" if function.image is None else "Image",
        "TracingConfig": {"Mode": function.tracing_mode},
        "EphemeralStorage": {"Size": function.ephemeral_storage_mb},
        "LoggingConfig": {"LogFormat": function.log_format, "LogGroup": function.log_group},
    }
    texts = {
        "Runtime": function.runtime,
        "Handler": function.handler,
        "KMSKeyArn": function.kms_key_arn,
        "MasterArn": function.master_arn,
        "SigningProfileVersionArn": function.signing_profile_version_arn,
        "SigningJobArn": function.signing_job_arn,
    }
    document |= {name: text for name, text in texts.items() if text is not None}
    if function.application_log_level is not None:
        document["LoggingConfig"]["ApplicationLogLevel"] = function.application_log_level
    if function.system_log_level is not None:
        document["LoggingConfig"]["SystemLogLevel"] = function.system_log_level
    if function.dead_letter_arn is not None:
        document["DeadLetterConfig"] = {"TargetArn": function.dead_letter_arn}
    return document | _network(function) | _lists(function) | _new_kinds(function) | function.extra_configuration


def _network(function: FunctionSpec) -> dict[str, Any]:
    vpc = function.vpc
    if vpc is None:
        return {}
    config: dict[str, Any] = {
        "VpcId": vpc.vpc_id,
        "SubnetIds": list(vpc.subnet_ids),
        "SecurityGroupIds": list(vpc.security_group_ids),
    }
    if vpc.ipv6_allowed_for_dual_stack is not None:
        config["Ipv6AllowedForDualStack"] = vpc.ipv6_allowed_for_dual_stack
    return {"VpcConfig": config | vpc.extra}


def _lists(function: FunctionSpec) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for layer in function.layers:
        item: dict[str, Any] = {"Arn": layer.arn, "CodeSize": layer.code_size_bytes}
        if layer.signing_profile_version_arn is not None:
            item["SigningProfileVersionArn"] = layer.signing_profile_version_arn
        if layer.signing_job_arn is not None:
            item["SigningJobArn"] = layer.signing_job_arn
        document.setdefault("Layers", []).append(item | layer.extra)
    for system in function.file_systems:
        item = {"Arn": system.arn, "LocalMountPath": system.local_mount_path}
        if system.direct_s3_read is not None:
            item["S3FilesConfig"] = {"DirectS3Read": system.direct_s3_read}
        document.setdefault("FileSystemConfigs", []).append(item | system.extra)
    return document


def _new_kinds(function: FunctionSpec) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if function.image is not None and (response := _image_config(function.image)):
        document["ImageConfigResponse"] = response
    if function.tenant_isolation_mode is not None:
        document["TenancyConfig"] = {"TenantIsolationMode": function.tenant_isolation_mode}
    if function.managed_instances is not None:
        document["CapacityProviderConfig"] = {
            "LambdaManagedInstancesCapacityProviderConfig": {
                "CapacityProviderArn": function.managed_instances.capacity_provider_arn,
                "PerExecutionEnvironmentMaxConcurrency": function.managed_instances.max_concurrency,
                "ExecutionEnvironmentMemoryGiBPerVCpu": function.managed_instances.memory_gib_per_vcpu,
            }
        }
    if function.durable is not None:
        document["DurableConfig"] = {
            "KMSKeyArn": function.durable.kms_key_arn,
            "RetentionPeriodInDays": function.durable.retention_days,
            "ExecutionTimeout": function.durable.timeout_s,
        }
    if function.runtime_arn is not None:
        document["RuntimeConfig"] = {"RuntimeArn": function.runtime_arn, "RuntimeAlias": function.runtime_alias}
    if function.accelerator_memory is not None:
        document["AcceleratorConfig"] = {"AcceleratorMemorySize": function.accelerator_memory}
    return document


def _image_config(image: ImageSpec) -> dict[str, Any]:
    response: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    if image.entry_point is not None:
        overrides["EntryPoint"] = list(image.entry_point)
    if image.command is not None:
        overrides["Command"] = list(image.command)
    if image.working_directory is not None:
        overrides["WorkingDirectory"] = image.working_directory
    if overrides:
        response["ImageConfig"] = overrides
    if image.error is not None:
        response["Error"] = _error(image.error)
    return response


@lru_cache(maxsize=2048)
def _only_in_get(function: FunctionSpec) -> dict[str, Any]:
    """Return the fields that lists leave out, except the runtime version, which differs between versions."""
    reasons = {
        "StateReason": function.state_reason,
        "StateReasonCode": function.state_reason_code,
        "LastUpdateStatus": function.last_update_status,
        "LastUpdateStatusReason": function.last_update_status_reason,
        "LastUpdateStatusReasonCode": function.last_update_status_reason_code,
    }
    document: dict[str, Any] = {"State": function.state}
    document |= {name: text for name, text in reasons.items() if text is not None or function.sends_nulls}
    if function.runtime_version_error is not None:
        document["RuntimeVersionConfig"] = {"Error": _error(function.runtime_version_error)}
    return document


def _code(version: VersionSpec, location: str | None) -> dict[str, Any]:
    function = version.function
    if function.image is not None:
        return {
            "RepositoryType": "ECR",
            "ImageUri": f"{function.image.repository}:{function.image.tag}",
            "ResolvedImageUri": f"{function.image.repository}@sha256:{version.code_sha256}",
        }
    code: dict[str, Any] = {"RepositoryType": "S3"}
    if location is not None:
        code["Location"] = location
    if function.s3_object is not None:
        code["ResolvedS3Object"] = {
            "S3Bucket": function.s3_object.bucket,
            "S3Key": function.s3_object.key,
            "S3ObjectVersion": version_id_of(version.package_key),
        }
    if function.code_source_kms_key_arn is not None:
        code["SourceKMSKeyArn"] = function.code_source_kms_key_arn
    if function.code_error is not None:
        code["Error"] = _error(function.code_error)
    return code
