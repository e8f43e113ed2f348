"""Capacity providers of managed instances, from ListCapacityProviders."""

from __future__ import annotations

from typing import Any

from lexport.tables.call import Call, Page
from lexport.tables.convert import INSTANT, JSON, JSON_ARRAY
from lexport.tables.resource import Resource
from lexport.tables.table import (
    CARRIED_FORWARD,
    COMMON,
    EXTRA_JSON,
    FETCHED_AT,
    INT32,
    SCOPE_KEY,
    TEXT,
    TIMESTAMP,
    Column,
    Table,
    Type,
    key,
    sent,
)


def _item(path: str, type_: Type, meaning: str, **more: Any) -> Column:
    return sent(path, type_, meaning, above="CapacityProviders[].", **more)


_SCALING = "CapacityProviderScalingConfig."

CAPACITY_PROVIDERS = Table(
    "capacity_providers",
    "One row per capacity provider of managed instances.",
    (
        *COMMON,
        key("capacity_provider_arn", "ARN.", source="CapacityProviders[].CapacityProviderArn"),
        _item("State", TEXT, "`Pending`, `Active`, `Failed` or `Deleting`."),
        _item("VpcConfig.SubnetIds", TEXT, "JSON array of its subnets.", convert=JSON_ARRAY),
        _item("VpcConfig.SecurityGroupIds", TEXT, "JSON array of its security groups.", convert=JSON_ARRAY),
        _item(
            "PermissionsConfig.CapacityProviderOperatorRoleArn",
            TEXT,
            "Role that starts the instances.",
            name="operator_role_arn",
        ),
        _item("InstanceRequirements.Architectures", TEXT, "JSON array of the architectures.", convert=JSON_ARRAY),
        _item("InstanceRequirements.AllowedInstanceTypes", TEXT, "JSON array; NULL: all.", convert=JSON_ARRAY),
        _item("InstanceRequirements.ExcludedInstanceTypes", TEXT, "JSON array of those left out.", convert=JSON_ARRAY),
        _item(_SCALING + "MaxVCpuCount", INT32, "Most vCPUs.", name="scaling_config_max_vcpu_count"),
        _item(_SCALING + "ScalingMode", TEXT, "`Auto` or `Manual`.", name="scaling_config_scaling_mode"),
        _item(
            _SCALING + "ScalingPolicies",
            TEXT,
            "JSON array of objects: metric and target.",
            name="scaling_config_scaling_policies",
            convert=JSON,
        ),
        _item("KmsKeyArn", TEXT, "Customer key of the instances' disks."),
        _item("PropagateTags.Mode", TEXT, "Which tags the instances get."),
        _item("PropagateTags.ExplicitTags", TEXT, "JSON object of those tags.", convert=JSON),
        _item(
            "TelemetryConfig.LoggingConfig.SystemLogLevel",
            TEXT,
            "Level of the provider's own logs.",
            name="logging_config_system_log_level",
        ),
        _item(
            "TelemetryConfig.LoggingConfig.LogGroup", TEXT, "Log group of these logs.", name="logging_config_log_group"
        ),
        _item("LastModified", TIMESTAMP, "Last change, UTC.", name="last_modified_at", convert=INSTANT),
        EXTRA_JSON,
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    (*SCOPE_KEY, "capacity_provider_arn"),
    answer_key=3,
    title="capacity provider {}",
)

RESOURCES = (
    Resource(
        name="capacity-providers",
        per="account_region",
        call=Call(
            operation="ListCapacityProviders",
            path="/2025-11-30/capacity-providers",
            iam=("lambda:ListCapacityProviders",),
            iam_resource="*",
            page=Page(items="CapacityProviders"),
        ),
        tables=(CAPACITY_PROVIDERS,),
        default=False,
    ),
)
