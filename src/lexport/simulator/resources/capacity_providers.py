"""Capacity providers of managed instances; some Regions do not have the operation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lexport.model import Scope
from lexport.simulator import known_regions
from lexport.simulator.answers import FUTURE, FUTURE_TEXT, Leaves, nested, refuse_where_missing
from lexport.simulator.pagination import page_of_list
from lexport.simulator.responses import ApiCall

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

NAME = "capacity-providers"
IS_DEFAULT = False
NOT_OFFERED = frozenset({"il-central-1", "me-south-1", "me-central-1", "ap-southeast-6"})
_LEAST_FUNCTIONS = 20  # small fleets have none
_MODIFIED_AT = datetime(2026, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)


def _providers(fleet: Fleet, scope: Scope) -> list[Leaves]:
    """Return the leaves of each provider by path."""
    if fleet.size(scope) < _LEAST_FUNCTIONS or scope.region in NOT_OFFERED:
        return []
    partition, here = known_regions.partition(scope.region), f"{scope.region}:{scope.account_id}"
    arn = f"arn:{partition}:lambda:{here}:capacity-provider:"
    shared: Leaves = {
        "State": "Active",
        "VpcConfig.SubnetIds": ["subnet-0a1b2c3d4e5f60718", "subnet-1a1b2c3d4e5f60718"],
        "VpcConfig.SecurityGroupIds": ["sg-0a1b2c3d4e5f60718"],
        "PermissionsConfig.CapacityProviderOperatorRoleArn": f"arn:{partition}:iam::{scope.account_id}:role/instances",
        "LastModified": "2026-02-03T04:05:06.789+0000",
    }
    scaling = "CapacityProviderScalingConfig."
    full = {
        "InstanceRequirements.Architectures": ["arm64"],
        "InstanceRequirements.AllowedInstanceTypes": ["m8g.large"],
        "InstanceRequirements.ExcludedInstanceTypes": [],
        scaling + "MaxVCpuCount": 400,
        scaling + "ScalingMode": "Manual",
        scaling + "ScalingPolicies": [
            {"PredefinedMetricType": "LambdaCapacityProviderAverageCPUUtilization", "TargetValue": 70.5}
        ],
        "KmsKeyArn": f"arn:{partition}:kms:{here}:key/11111111-2222-3333-4444-555555555555",
        "PropagateTags.Mode": "Explicit",
        "PropagateTags.ExplicitTags": {"team": "platform"},
        "TelemetryConfig.LoggingConfig.SystemLogLevel": "INFO",
        "TelemetryConfig.LoggingConfig.LogGroup": "/acme/instances",
        **FUTURE,
    }
    return [
        {"CapacityProviderArn": arn + "main-pool", **shared, **full},
        {"CapacityProviderArn": arn + "spare-pool", **shared, "State": "Failed"},
    ]


def _list(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    refuse_where_missing(scope, NOT_OFFERED)
    return page_of_list(call, "CapacityProviders", [nested(leaves) for leaves in _providers(fleet, scope)])


ANSWERS = {"ListCapacityProviders": _list}

_AS_SENT = {
    "CapacityProviderArn": "capacity_provider_arn",
    "State": "state",
    "PermissionsConfig.CapacityProviderOperatorRoleArn": "operator_role_arn",
    "CapacityProviderScalingConfig.MaxVCpuCount": "scaling_config_max_vcpu_count",
    "CapacityProviderScalingConfig.ScalingMode": "scaling_config_scaling_mode",
    "KmsKeyArn": "kms_key_arn",
    "PropagateTags.Mode": "propagate_tags_mode",
    "TelemetryConfig.LoggingConfig.SystemLogLevel": "logging_config_system_log_level",
    "TelemetryConfig.LoggingConfig.LogGroup": "logging_config_log_group",
}
_AS_JSON = {
    "VpcConfig.SubnetIds": "vpc_config_subnet_ids",
    "VpcConfig.SecurityGroupIds": "vpc_config_security_group_ids",
    "InstanceRequirements.Architectures": "instance_requirements_architectures",
    "InstanceRequirements.AllowedInstanceTypes": "instance_requirements_allowed_instance_types",
    "InstanceRequirements.ExcludedInstanceTypes": "instance_requirements_excluded_instance_types",
    "CapacityProviderScalingConfig.ScalingPolicies": "scaling_config_scaling_policies",
    "PropagateTags.ExplicitTags": "propagate_tags_explicit_tags",
}


def rows(fleet: Fleet, scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the row of each provider."""
    for leaves in _providers(fleet, scope):
        row = {"account_id": scope.account_id, "region": scope.region, "last_modified_at": _MODIFIED_AT}
        row |= {column: leaves.get(path) for path, column in _AS_SENT.items()}
        row |= {column: _compact(leaves.get(path)) for path, column in _AS_JSON.items()}
        yield (
            "capacity_providers",
            row | {"extra_json": FUTURE_TEXT if "FutureField" in leaves else None, "carried_forward": False},
        )


def _compact(value: Any) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))
