"""The values of a function, a version and an alias of the fleet, independent of responses and rows.

``lambda_documents.py`` and ``oracle.py`` each read these values by hand and share no code. None means absent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lexport.model import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSpec:
    """An ``Error`` object inside a 200."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """One layer of a function."""

    arn: str
    code_size_bytes: int
    signing_profile_version_arn: str | None = None
    signing_job_arn: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystemSpec:
    """One file system of a function."""

    arn: str
    local_mount_path: str
    direct_s3_read: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VpcSpec:
    """``VpcConfig``; all empty after detaching."""

    vpc_id: str
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    ipv6_allowed_for_dual_stack: bool | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """What only functions of package type Image have; overrides that are None are not sent."""

    repository: str
    tag: str
    entry_point: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    working_directory: str | None = None
    error: ErrorSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedInstancesSpec:
    """``CapacityProviderConfig``."""

    capacity_provider_arn: str
    max_concurrency: int
    memory_gib_per_vcpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableSpec:
    """``DurableConfig``."""

    kms_key_arn: str
    retention_days: int
    timeout_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class S3ObjectSpec:
    """Self-managed code storage; each version of the function has a version of the object."""

    bucket: str
    key: str


# eq=False: compared and hashed by identity, so that a function can be the key of a cache.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FunctionSpec:
    """One function: all that its versions share."""

    scope: Scope
    partition: str
    index: int
    generation: int
    name: str
    role: str
    runtime: str | None
    handler: str | None
    timeout_s: int
    architecture: str
    tracing_mode: str
    ephemeral_storage_mb: int
    image: ImageSpec | None = None
    vpc: VpcSpec | None = None
    layers: tuple[LayerSpec, ...] = ()
    file_systems: tuple[FileSystemSpec, ...] = ()
    dead_letter_arn: str | None = None
    kms_key_arn: str | None = None
    master_arn: str | None = None
    signing_profile_version_arn: str | None = None
    signing_job_arn: str | None = None
    snap_start_apply_on: str = "None"
    log_format: str = "Text"
    application_log_level: str | None = None
    system_log_level: str | None = None
    log_group: str
    tenant_isolation_mode: str | None = None
    managed_instances: ManagedInstancesSpec | None = None
    durable: DurableSpec | None = None
    runtime_arn: str | None = None
    runtime_alias: str | None = None
    accelerator_memory: int | None = None
    has_config_sha256: bool = False
    state: str = "Active"
    state_reason: str | None = None
    state_reason_code: str | None = None
    last_update_status: str | None = "Successful"
    last_update_status_reason: str | None = None
    last_update_status_reason_code: str | None = None
    runtime_version_error: ErrorSpec | None = None
    environment_error: ErrorSpec | None = None
    code_source_kms_key_arn: str | None = None
    code_error: ErrorSpec | None = None
    s3_object: S3ObjectSpec | None = None
    tags: dict[str, str]
    tags_error: ErrorSpec | None = None
    reserved_concurrency: int | None = None
    extra_configuration: dict[str, Any] = field(default_factory=dict)
    extra_top: dict[str, Any] = field(default_factory=dict)
    sends_nulls: bool = False

    @property
    def arn(self) -> str:
        """The ARN without qualifier."""
        return f"arn:{self.partition}:lambda:{self.scope.region}:{self.scope.account_id}:function:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VersionSpec:
    """One version: what differs between the versions of a function."""

    function: FunctionSpec
    version: str
    description: str
    memory_mb: int
    environment: dict[str, str] | None
    package_key: str
    code_sha256: str
    code_size_bytes: int
    last_modified: str
    last_modified_at: datetime
    revision_id: str
    config_sha256: str | None
    snap_start_optimization_status: str
    runtime_version_arn: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasSpec:
    """One alias. ``weights`` None: no RoutingConfig; ``has_null_routing``: it is sent as null."""

    name: str
    function_version: str
    description: str | None
    weights: dict[str, float] | None
    revision_id: str
    has_null_routing: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
