"""The JSON documents of Lambda's responses: FunctionConfiguration, GetFunction's response, alias items."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lexport.simulator.presigned import version_id_of
from lexport.simulator.spec import AliasSpec, ErrorSpec, FileSystemSpec, FunctionSpec, ImageSpec, LayerSpec, VersionSpec

_NULLED = (
    *("VpcConfig", "DeadLetterConfig", "Layers", "KMSKeyArn"),
    *("FileSystemConfigs", "MasterArn", "ImageConfigResponse"),
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
    reserved = function.reserved_concurrency
    concurrency = None if reserved is None else {"ReservedConcurrentExecutions": reserved}
    fields = {"Tags": function.tags or None, "TagsError": _error(function.tags_error), "Concurrency": concurrency}
    return document | (fields if function.sends_nulls else _given(**fields))


def alias(function: FunctionSpec, spec: AliasSpec) -> dict[str, Any]:
    """Return one item of ListAliases."""
    document = {
        "AliasArn": f"{function.arn}:{spec.name}",
        "Name": spec.name,
        "FunctionVersion": spec.function_version,
        "RevisionId": spec.revision_id,
    } | _given(Description=spec.description)
    if spec.weights is not None or spec.has_null_routing:
        document["RoutingConfig"] = None if spec.weights is None else {"AdditionalVersionWeights": spec.weights}
    return document | spec.extra


def has_location(version: VersionSpec) -> bool:
    """Return whether GetFunction returns a presigned URL: not for images, self-managed code, or a denied KMS key."""
    function = version.function
    return function.image is None and function.s3_object is None and function.code_error is None


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _error(error: ErrorSpec | None) -> dict[str, str] | None:
    return None if error is None else {"ErrorCode": error.code, "Message": error.message}


@lru_cache(maxsize=2048)
def _shared(function: FunctionSpec) -> dict[str, Any]:
    """Return the fields that all versions share; callers copy the document and never change it."""
    image = function.image
    return (
        (dict.fromkeys(_NULLED) if function.sends_nulls else {})
        | {
            "FunctionName": function.name,
            "Role": function.role,
            "Timeout": function.timeout_s,
            "Architectures": [function.architecture],
            "PackageType": "Zip" if image is None else "Image",
            "TracingConfig": {"Mode": function.tracing_mode},
            "EphemeralStorage": {"Size": function.ephemeral_storage_mb},
            "LoggingConfig": _given(
                LogFormat=function.log_format,
                LogGroup=function.log_group,
                ApplicationLogLevel=function.application_log_level,
                SystemLogLevel=function.system_log_level,
            ),
        }
        | _given(
            Runtime=function.runtime,
            Handler=function.handler,
            KMSKeyArn=function.kms_key_arn,
            MasterArn=function.master_arn,
            SigningProfileVersionArn=function.signing_profile_version_arn,
            SigningJobArn=function.signing_job_arn,
            DeadLetterConfig=_given(TargetArn=function.dead_letter_arn) or None,
            ImageConfigResponse=None if image is None else _image_config(image) or None,
            TenancyConfig=_given(TenantIsolationMode=function.tenant_isolation_mode) or None,
            RuntimeConfig=_given(RuntimeArn=function.runtime_arn, RuntimeAlias=function.runtime_alias) or None,
            AcceleratorConfig=_given(AcceleratorMemorySize=function.accelerator_memory) or None,
        )
        | _parts(function)
        | function.extra_configuration
    )


def _parts(function: FunctionSpec) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if (vpc := function.vpc) is not None:
        document["VpcConfig"] = {
            "VpcId": vpc.vpc_id,
            "SubnetIds": list(vpc.subnet_ids),
            "SecurityGroupIds": list(vpc.security_group_ids),
        }
        document["VpcConfig"] |= _given(Ipv6AllowedForDualStack=vpc.ipv6_allowed_for_dual_stack) | vpc.extra
    if function.layers:
        document["Layers"] = [_layer(layer) for layer in function.layers]
    if function.file_systems:
        document["FileSystemConfigs"] = [_file_system(system) for system in function.file_systems]
    if (managed := function.managed_instances) is not None:
        document["CapacityProviderConfig"] = {
            "LambdaManagedInstancesCapacityProviderConfig": {
                "CapacityProviderArn": managed.capacity_provider_arn,
                "PerExecutionEnvironmentMaxConcurrency": managed.max_concurrency,
                "ExecutionEnvironmentMemoryGiBPerVCpu": managed.memory_gib_per_vcpu,
            }
        }
    if (durable := function.durable) is not None:
        document["DurableConfig"] = {
            "KMSKeyArn": durable.kms_key_arn,
            "RetentionPeriodInDays": durable.retention_days,
            "ExecutionTimeout": durable.timeout_s,
        }
    return document


def _layer(layer: LayerSpec) -> dict[str, Any]:
    signing = _given(SigningProfileVersionArn=layer.signing_profile_version_arn, SigningJobArn=layer.signing_job_arn)
    return {"Arn": layer.arn, "CodeSize": layer.code_size_bytes} | signing | layer.extra


def _file_system(system: FileSystemSpec) -> dict[str, Any]:
    config = _given(S3FilesConfig=_given(DirectS3Read=system.direct_s3_read) or None)
    return {"Arn": system.arn, "LocalMountPath": system.local_mount_path} | config | system.extra


def _image_config(image: ImageSpec) -> dict[str, Any]:
    overrides = _given(EntryPoint=image.entry_point, Command=image.command, WorkingDirectory=image.working_directory)
    return _given(ImageConfig=overrides or None, Error=_error(image.error))


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
    document |= reasons if function.sends_nulls else _given(**reasons)
    if function.runtime_version_error is not None:
        document["RuntimeVersionConfig"] = {"Error": _error(function.runtime_version_error)}
    return document


def _code(version: VersionSpec, location: str | None) -> dict[str, Any]:
    function, image, s3_object = version.function, version.function.image, version.function.s3_object
    if image is not None:
        return {
            "RepositoryType": "ECR",
            "ImageUri": f"{image.repository}:{image.tag}",
            "ResolvedImageUri": f"{image.repository}@sha256:{version.code_sha256}",
        }
    code = _given(
        RepositoryType="S3",
        Location=location,
        SourceKMSKeyArn=function.code_source_kms_key_arn,
        Error=_error(function.code_error),
    )
    if s3_object is not None:
        code["ResolvedS3Object"] = {
            "S3Bucket": s3_object.bucket,
            "S3Key": s3_object.key,
            "S3ObjectVersion": version_id_of(version.package_key),
        }
    return code
