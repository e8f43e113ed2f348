"""Rare traits of functions: with one for each of 60 slots, 60 functions show every field of GetFunction's response.

``changed_fields`` are those in which a function with a trait differs from a usual one.
"""

from __future__ import annotations

from typing import Any

from lexport.model import Scope
from lexport.simulator.package_files import package
from lexport.simulator.seeded_choices import SeededChoices
from lexport.simulator.spec import (
    DurableSpec,
    ErrorSpec,
    FileSystemSpec,
    ImageSpec,
    LayerSpec,
    ManagedInstancesSpec,
    S3ObjectSpec,
    VpcSpec,
)

SLOTS = 60

_TRAITS = (
    *("image_full", "image_entry", "image_plain", "image_error", "pending", "updating", "failed", "inactive"),
    *("custom_runtime", "accelerator", "managed", "durable", "tenancy", "s3_files", "efs", "s3_code"),
    *("kms_code", "code_error", "tags_error", "environment_error", "runtime_error", "replica", "signed", "detached"),
    *("ipv6", "snap_start", "big", "blocked", "reserved", "no_tags", "unicode", "empty_value", "empty_environment"),
    *("nulls", "extra_configuration", "extra_layer", "extra_top", "extra_nested", "extra_items", "much"),
    *("config_sha256", "json_logs", "empty_texts", "no_environment", "kms_environment", "aws_layer", "bare"),
)

_KMS_DENIED = (
    "Lambda was unable to decrypt your environment variables because the KMS access was denied. Please check your "
    "KMS permissions. KMS Exception: AccessDeniedException KMS Message: The caller is not authorized to perform: "
    "kms:Decrypt"
)
_TAGS_DENIED = (
    "User is not authorized to perform: lambda:ListTags on this resource because no identity-based policy allows the "
    "lambda:ListTags action"
)
_FUTURE: dict[str, Any] = {"Mode": "New", "Levels": [1, 2.5, None, True], "Größe": "ü"}


def trait_of(seed: int, scope: Scope, index: int) -> str:
    """Return the rare trait of a function, or "" if it has none."""
    shift = SeededChoices("slot", seed, scope.account_id, scope.region).pick(SLOTS)
    slot = (index + shift) % SLOTS
    return _TRAITS[slot] if slot < len(_TRAITS) else ""


def description(trait: str, version: str, choices: SeededChoices) -> str:
    """Return a version's description."""
    if trait == "unicode":
        return "Größenprüfung für 東京 🚀"
    if trait == "big":
        return "long " * 51 + "x"
    return choices.choose(("", "", "Handles the daily batch", f"Release {version}", "Managed by Terraform"))


def _key_arn(fields: dict[str, Any], choices: SeededChoices) -> str:
    scope = fields["scope"]
    return f"arn:{fields['partition']}:kms:{scope.region}:{scope.account_id}:key/{choices.hex(8)}-{choices.hex(12)}"


def changed_fields(seed: int, trait: str, fields: dict[str, Any], choices: SeededChoices) -> dict[str, Any]:  # noqa: PLR0911 - one case for each kind of trait
    """Return the fields that a rare trait changes in those of a usual function."""
    scope = fields["scope"]
    lambda_arn = f"arn:{fields['partition']}:lambda:{scope.region}:{scope.account_id}"
    match trait:
        case "image_full" | "image_entry" | "image_plain" | "image_error":
            return _image(trait, fields)
        case "s3_files" | "efs" | "extra_items":
            return _file_system(trait, fields, choices)
        case "signed":
            return _signed(seed, lambda_arn, fields, choices)
        case "extra_layer" | "aws_layer":
            return _rare_layer(seed, trait, fields)
        case "custom_runtime":
            arn = f"{lambda_arn}:runtime/acme-rust/version/{choices.hex(8)}"
            return {"runtime": "custom", "runtime_arn": arn, "runtime_alias": "stable"}
        case "durable":
            durable = DurableSpec(kms_key_arn=_key_arn(fields, choices), retention_days=14, timeout_s=31_622_400)
            return {"durable": durable}
        case "code_error":
            denied = ErrorSpec(code="AccessDeniedException", message="KMS access was denied: kms:Decrypt")
            return {"code_source_kms_key_arn": _key_arn(fields, choices), "code_error": denied}
        case "ipv6" | "extra_nested":
            return {"vpc": _vpc(trait, choices)}
        case _:
            return _simple(trait, lambda_arn, fields, choices)


def _simple(trait: str, lambda_arn: str, fields: dict[str, Any], choices: SeededChoices) -> dict[str, Any]:
    creating = "The function is being created."
    no_subnet = "The Lambda function could not be placed: the subnet is gone."
    simple: dict[str, dict[str, Any]] = {
        "pending": {
            "state": "Pending",
            "state_reason": creating,
            "state_reason_code": "Creating",
            "last_update_status": None,
        },
        "updating": {
            "last_update_status": "InProgress",
            "last_update_status_reason": creating,
            "last_update_status_reason_code": "Creating",  # recorded, though the model's enum lacks it
        },
        "failed": {
            "state": "Failed",
            "state_reason": no_subnet,
            "state_reason_code": "InvalidSubnet",
            "last_update_status": "Failed",
            "last_update_status_reason": no_subnet,
            "last_update_status_reason_code": "InvalidSubnet",
        },
        "inactive": {"state": "Inactive", "state_reason": "The function is idle.", "state_reason_code": "Idle"},
        "managed": {
            "managed_instances": ManagedInstancesSpec(
                capacity_provider_arn=f"{lambda_arn}:capacity-provider:main-pool",
                max_concurrency=16,
                memory_gib_per_vcpu=2.5,
            ),
            "state": "ActiveNonInvocable",
        },
        "s3_code": {"s3_object": S3ObjectSpec(bucket="acme-artifacts", key=f"lambda/{fields['name']}.zip")},
        "detached": {"vpc": VpcSpec(vpc_id="", subnet_ids=(), security_group_ids=())},
        "much": {"tags": {f"tag-{number:02d}": f"value {number}" for number in range(50)}, "timeout_s": 5400},
        "unicode": {"tags": {"équipe": "Größe 東京", "emoji🚀": "✓", "aws:cloudformation:stack-name": "stäck"}},
        "accelerator": {"accelerator_memory": 24_576},
        "tenancy": {"tenant_isolation_mode": "PER_TENANT"},
        "kms_code": {"code_source_kms_key_arn": _key_arn(fields, choices)},
        "tags_error": {"tags": {}, "tags_error": ErrorSpec(code="AccessDeniedException", message=_TAGS_DENIED)},
        "environment_error": {
            "environment_error": ErrorSpec(code="AccessDeniedException", message=_KMS_DENIED),
            "kms_key_arn": _key_arn(fields, choices),
        },
        "runtime_error": {
            "runtime_version_error": ErrorSpec(code="InternalError", message="The runtime version is not known.")
        },
        "replica": {"master_arn": f"{lambda_arn}:function:edge-{fields['name']}:7"},
        "snap_start": {"snap_start_apply_on": "PublishedVersions"},
        "big": {"ephemeral_storage_mb": 32_768, "architecture": "arm64"},
        "blocked": {"reserved_concurrency": 0},
        "reserved": {"reserved_concurrency": 25},
        "no_tags": {"tags": {}},
        "nulls": {"sends_nulls": True, "vpc": None, "layers": (), "tags": {}, "dead_letter_arn": None},
        "extra_configuration": {"extra_configuration": {"FutureField": _FUTURE, "AnotherFutureField": "text"}},
        "extra_top": {"extra_top": {"FutureField": _FUTURE}},
        "config_sha256": {"has_config_sha256": True},
        "json_logs": {
            "log_format": "JSON",
            "application_log_level": "INFO",
            "system_log_level": "WARN",
            "log_group": "/acme/shared-logs",
            "role": f"arn:{fields['partition']}:iam::{fields['scope'].account_id}:role/acme-shared",
        },
        "empty_texts": {"kms_key_arn": "", "dead_letter_arn": ""},
        "kms_environment": {"kms_key_arn": _key_arn(fields, choices)},
        "bare": {"vpc": None, "layers": (), "tags": {}, "dead_letter_arn": None},
    }
    return simple.get(trait, {})


def _vpc(trait: str, choices: SeededChoices) -> VpcSpec:
    return VpcSpec(
        vpc_id=f"vpc-{choices.hex(17)}",
        subnet_ids=tuple(f"subnet-{choices.hex(17)}" for _ in range(1 if trait == "extra_nested" else 2)),
        security_group_ids=(f"sg-{choices.hex(17)}",),
        ipv6_allowed_for_dual_stack=True,
        extra={"FutureField": ["a", {"b": 1}]} if trait == "extra_nested" else {},
    )


def _image(trait: str, fields: dict[str, Any]) -> dict[str, Any]:
    scope = fields["scope"]
    repository = f"{scope.account_id}.dkr.ecr.{scope.region}.amazonaws.com/{fields['name'].lower()}"
    overrides: dict[str, dict[str, Any]] = {
        "image_full": {
            "entry_point": ("/lambda-entrypoint.sh", "--größe"),
            "command": ("app.handler",),
            "working_directory": "/var/task",
        },
        "image_entry": {"entry_point": ("python", '-c "x, y"'), "command": ()},
        "image_error": {"error": ErrorSpec(code="AccessDenied", message="The image configuration is not readable.")},
    }
    image = ImageSpec(repository=repository, tag="2026-11", **overrides.get(trait, {}))
    return {"image": image, "runtime": None, "handler": None, "layers": ()}


def _file_system(trait: str, fields: dict[str, Any], choices: SeededChoices) -> dict[str, Any]:
    scope = fields["scope"]
    service = "s3files" if trait == "s3_files" else "elasticfilesystem"
    arn = f"arn:{fields['partition']}:{service}:{scope.region}:{scope.account_id}:access-point/fsap-{choices.hex(17)}"
    file_system = FileSystemSpec(
        arn=arn,
        local_mount_path="/mnt/data",
        direct_s3_read="AUTO" if trait == "s3_files" else None,
        extra={"FutureField": {"Depth": 2}} if trait == "extra_items" else {},
    )
    return {"file_systems": (file_system,)}


def _signed(seed: int, lambda_arn: str, fields: dict[str, Any], choices: SeededChoices) -> dict[str, Any]:
    scope = fields["scope"]
    signer = f"arn:{fields['partition']}:signer:{scope.region}:{scope.account_id}:"
    signing: dict[str, Any] = {
        "signing_profile_version_arn": f"{signer}/signing-profiles/acme/{choices.hex(10)}",
        "signing_job_arn": f"{signer}/signing-jobs/{choices.hex(12)}",
    }
    arn = f"{lambda_arn}:layer:signed-libs:3"
    size_bytes = package(seed, f"layer/{arn}").code_size
    return signing | {"layers": (LayerSpec(arn=arn, code_size_bytes=size_bytes, **signing),)}


def _rare_layer(seed: int, trait: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return a layer with an ARN of AWS's own kind; with ``extra_layer`` it has an unknown field."""
    arn = f"arn:{fields['partition']}:lambda:::awslayer:AmazonLinux2023"
    size_bytes = package(seed, f"layer/{arn}").code_size
    extra = {"FutureField": {"Scanned": True}} if trait == "extra_layer" else {}
    return {"layers": (LayerSpec(arn=arn, code_size_bytes=size_bytes, extra=extra), *fields["layers"])}
