"""The rows of a correct snapshot, by specification. Written by hand, so that it shares no mistake with the product.

Left out: ``snapshot_id``, ``snapshot_at``, ``fetched_at``, which only a run knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from lexport.model import LATEST
from lexport.settings import EnvMode
from lexport.simulator.canaries import secret_rule
from lexport.simulator.presigned import version_id_of
from lexport.simulator.spec import AliasSpec, ErrorSpec, FunctionSpec, VersionSpec

Row = dict[str, object]


def version_rows(
    version: VersionSpec, *, env: EnvMode, value_hmac: Callable[[str], str], hash_key_id: str
) -> Iterator[tuple[str, Row]]:
    """Yield the rows of one version, except tags."""
    yield "functions", function_row(version)
    function = version.function
    key: Row = _function_key(function) | {"version": version.version}
    variables = version.environment or {}
    for name, value in variables.items() if env != "none" else ():
        row: Row = {
            "name": name,
            "value": value if env == "values" else None,
            "value_length": len(value),
            "value_hmac": value_hmac(value),
            "hash_key_id": hash_key_id,
            "secret_rule": secret_rule(name, value),
        }
        yield "env_vars", key | row
    for position, layer in enumerate(function.layers):
        row = {
            "position": position,
            "layer_arn": layer.arn,
            "code_size": layer.code_size_bytes,
            "signing_profile_version_arn": layer.signing_profile_version_arn,
            "signing_job_arn": layer.signing_job_arn,
            "extra_json": _extra(layer.extra),
        }
        yield "layers", key | row
    for position, system in enumerate(function.file_systems):
        row = {
            "position": position,
            "arn": system.arn,
            "local_mount_path": system.local_mount_path,
            "s3_files_config_direct_s3_read": system.direct_s3_read,
            "extra_json": _extra(system.extra),
        }
        yield "file_systems", key | row
    if function.vpc is not None:
        for subnet_id in function.vpc.subnet_ids:
            yield "subnets", key | {"subnet_id": subnet_id}
        for group_id in function.vpc.security_group_ids:
            yield "security_groups", key | {"security_group_id": group_id}


def function_row(version: VersionSpec) -> Row:
    """Return the row of ``functions``."""
    function = version.function
    is_latest = version.version == LATEST
    vpc, image, durable, managed = function.vpc, function.image, function.durable, function.managed_instances
    s3_object = function.s3_object
    return _function_key(function) | {
        "version": version.version,
        "function_arn": function.arn,
        "runtime": function.runtime,
        "role": function.role,
        "handler": function.handler,
        "code_size": version.code_size_bytes,
        "description": version.description,
        "timeout": function.timeout_s,
        "memory_size": version.memory_mb,
        "last_modified": version.last_modified,
        "last_modified_at": version.last_modified_at,
        "code_sha256": version.code_sha256,
        "package_type": "Image" if image else "Zip",
        "architecture": function.architecture,
        "revision_id": version.revision_id,
        "state": function.state,
        "state_reason": function.state_reason,
        "state_reason_code": function.state_reason_code,
        "last_update_status": function.last_update_status,
        "last_update_status_reason": function.last_update_status_reason,
        "last_update_status_reason_code": function.last_update_status_reason_code,
        "ephemeral_storage_size": function.ephemeral_storage_mb,
        "tracing_config_mode": function.tracing_mode,
        "kms_key_arn": function.kms_key_arn,
        **_error("environment_error", function.environment_error),
        "vpc_config_vpc_id": vpc.vpc_id if vpc else None,
        "vpc_config_ipv6_allowed_for_dual_stack": vpc.ipv6_allowed_for_dual_stack if vpc else None,
        "dead_letter_config_target_arn": function.dead_letter_arn,
        "master_arn": function.master_arn,
        "signing_profile_version_arn": function.signing_profile_version_arn,
        "signing_job_arn": function.signing_job_arn,
        "image_config_entry_point": _json_list(image.entry_point) if image else None,
        "image_config_command": _json_list(image.command) if image else None,
        "image_config_working_directory": image.working_directory if image else None,
        **_error("image_config_error", image.error if image else None),
        "snap_start_apply_on": function.snap_start_apply_on,
        "snap_start_optimization_status": version.snap_start_optimization_status,
        "runtime_version_config_runtime_version_arn": version.runtime_version_arn,
        **_error("runtime_version_config_error", function.runtime_version_error),
        "logging_config_log_format": function.log_format,
        "logging_config_application_log_level": function.application_log_level,
        "logging_config_system_log_level": function.system_log_level,
        "logging_config_log_group": function.log_group,
        "tenancy_config_tenant_isolation_mode": function.tenant_isolation_mode,
        "capacity_provider_arn": managed.capacity_provider_arn if managed else None,
        "capacity_provider_per_environment_max_concurrency": managed.max_concurrency if managed else None,
        "capacity_provider_environment_memory_gib_per_vcpu": managed.memory_gib_per_vcpu if managed else None,
        "config_sha256": version.config_sha256,
        "durable_config_kms_key_arn": durable.kms_key_arn if durable else None,
        "durable_config_retention_period_in_days": durable.retention_days if durable else None,
        "durable_config_execution_timeout": durable.timeout_s if durable else None,
        "runtime_config_runtime_arn": function.runtime_arn,
        "runtime_config_runtime_alias": function.runtime_alias,
        "accelerator_config_accelerator_memory_size": function.accelerator_memory,
        "code_repository_type": "ECR" if image else "S3",
        "code_image_uri": f"{image.repository}:{image.tag}" if image else None,
        "code_resolved_image_uri": f"{image.repository}@sha256:{version.code_sha256}" if image else None,
        "code_resolved_s3_object_bucket": s3_object.bucket if s3_object else None,
        "code_resolved_s3_object_key": s3_object.key if s3_object else None,
        "code_resolved_s3_object_version": version_id_of(version.package_key) if s3_object else None,
        "code_source_kms_key_arn": function.code_source_kms_key_arn,
        **_error("code_error", function.code_error),
        **_error("tags_error", function.tags_error if is_latest else None),
        "reserved_concurrent_executions": function.reserved_concurrency if is_latest else None,
        "extra_json": _extra(_extra_of_function(function)),
        "carried_forward": False,
    }


def tag_rows(function: FunctionSpec) -> Iterator[tuple[str, Row]]:
    """Yield the rows of ``tags``."""
    for key, value in function.tags.items():
        yield "tags", _function_key(function) | {"key": key, "value": value}


def alias_rows(function: FunctionSpec, alias: AliasSpec) -> Iterator[tuple[str, Row]]:
    """Yield the row of ``aliases`` and its routes; a version with weight 0 has a row too."""
    key: Row = _function_key(function) | {"alias": alias.name}
    row: Row = {
        "function_version": alias.function_version,
        "description": alias.description,
        "revision_id": alias.revision_id,
        "extra_json": _extra(alias.extra),
    }
    key["carried_forward"] = False
    yield "aliases", key | row
    additional = alias.weights or {}
    primary = round(1.0 - sum(additional.values()), 12)
    yield "alias_routes", key | {"version": alias.function_version, "weight": primary}
    for version, weight in additional.items():
        yield "alias_routes", key | {"version": version, "weight": weight}


def _function_key(function: FunctionSpec) -> Row:
    return {"account_id": function.scope.account_id, "region": function.scope.region, "function_name": function.name}


def _error(column: str, error: ErrorSpec | None) -> Row:
    return {f"{column}_code": error.code if error else None, f"{column}_message": error.message if error else None}


def _extra_of_function(function: FunctionSpec) -> dict[str, Any]:
    paths = {f"Configuration.{name}": value for name, value in function.extra_configuration.items()}
    if function.vpc is not None:
        paths |= {f"Configuration.VpcConfig.{name}": value for name, value in function.vpc.extra.items()}
    return paths | function.extra_top


def _extra(paths: dict[str, Any]) -> str | None:
    if not paths:
        return None
    return json.dumps(paths, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _json_list(items: tuple[str, ...] | None) -> str | None:
    return None if items is None else json.dumps(items, separators=(",", ":"), ensure_ascii=False)
