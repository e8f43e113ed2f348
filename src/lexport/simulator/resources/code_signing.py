"""Code signing configurations and the functions that use them; some Regions do not have the operations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lexport.model import Scope
from lexport.simulator import known_regions
from lexport.simulator.answers import FUTURE, FUTURE_TEXT, refuse_where_missing
from lexport.simulator.function_names import existing_function
from lexport.simulator.pagination import page_of_list
from lexport.simulator.responses import ApiCall, AwsError, invalid_parameter

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

NAME = "code-signing"
IS_DEFAULT = True
NOT_OFFERED = frozenset({"mx-central-1", "ap-southeast-7"})
PAGE_SIZE = 100  # of the functions of a configuration; AWS does not document it
_MODIFIED_AT = datetime(2024, 5, 6, 7, 8, 9, 120_000, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Config:
    """One configuration; ``every`` says how often a function uses it."""

    arn: str
    description: str | None
    profiles: list[str]
    on_untrusted: str
    every: int
    has_future: bool = False


def _configs(fleet: Fleet, scope: Scope) -> list[_Config]:
    """Return the configurations; no function uses the last one."""
    if not fleet.size(scope) or scope.region in NOT_OFFERED:
        return []
    partition, here = known_regions.partition(scope.region), f"{scope.region}:{scope.account_id}"
    arn, profile = (
        f"arn:{partition}:lambda:{here}:code-signing-config:csc-",
        f"arn:{partition}:signer:{here}:/signing-profiles/",
    )
    return [
        _Config(
            arn=arn + "0a1b2c3d4e5f60718",
            description="Signed by the release pipeline",
            profiles=[profile + "acme/1a2b3c4d5e", profile + "acme_old/9a8b7c6d5e"],
            on_untrusted="Enforce",
            every=8,
        ),
        _Config(
            arn=arn + "1a1b2c3d4e5f60718",
            description=None,
            profiles=[profile + "acme/1a2b3c4d5e"],
            on_untrusted="Warn",
            every=0,
            has_future=True,
        ),
    ]


def _uses(fleet: Fleet, scope: Scope, index: int, config: _Config) -> bool:
    if not config.every or fleet.function(scope, index).image is not None:  # images cannot be signed
        return False
    return fleet.choices(NAME, scope, index).pick(config.every) == 0


# --- answers ----------------------------------------------------------------------------------------------------------


def _list(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    refuse_where_missing(scope, NOT_OFFERED)
    documents = [_document(config) for config in _configs(fleet, scope)]
    return page_of_list(call, "CodeSigningConfigs", documents, page_size=10_000, most=10_000)


def _document(config: _Config) -> dict[str, Any]:
    document: dict[str, Any] = {
        "CodeSigningConfigId": config.arn.rpartition(":")[2],
        "CodeSigningConfigArn": config.arn,
        "AllowedPublishers": {"SigningProfileVersionArns": config.profiles},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": config.on_untrusted},
        "LastModified": "2024-05-06T07:08:09.120+0000",
    }
    if config.description is not None:
        document["Description"] = config.description
    return document | FUTURE if config.has_future else document


def _list_functions(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    refuse_where_missing(scope, NOT_OFFERED)
    arn = call.parameters["item"]
    config = next((config for config in _configs(fleet, scope) if config.arn == arn), None)
    if config is None:
        message = "The code signing configuration cannot be found."
        raise AwsError(404, "ResourceNotFoundException", message, more={"Type": "User"})
    arns = [fleet.function(scope, index).arn for index in fleet.indexes(scope) if _uses(fleet, scope, index, config)]
    return page_of_list(call, "FunctionArns", arns, page_size=PAGE_SIZE, most=10_000)


def _get(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    """Answer for one function; without a configuration, the answer has only its name."""
    refuse_where_missing(scope, NOT_OFFERED)
    index, function = existing_function(fleet, scope, call)
    if function.image is not None:
        raise invalid_parameter("Code signing is not supported for functions with PackageType Image")
    used = [config.arn for config in _configs(fleet, scope) if _uses(fleet, scope, index, config)]
    return {"FunctionName": function.name} | ({"CodeSigningConfigArn": used[0]} if used else {})


ANSWERS = {
    "ListCodeSigningConfigs": _list,
    "ListFunctionsByCodeSigningConfig": _list_functions,
    "GetFunctionCodeSigningConfig": _get,
}


# --- the oracle -------------------------------------------------------------------------------------------------------


def rows(fleet: Fleet, scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the row of each configuration, and those of the functions that use it."""
    key: dict[str, Any] = {"account_id": scope.account_id, "region": scope.region, "carried_forward": False}
    for config in _configs(fleet, scope):
        row = {
            "code_signing_config_arn": config.arn,
            "description": config.description,
            "signing_profile_version_arns": json.dumps(config.profiles, separators=(",", ":")),
            "untrusted_artifact_on_deployment": config.on_untrusted,
            "last_modified_at": _MODIFIED_AT,
            "extra_json": FUTURE_TEXT if config.has_future else None,
        }
        yield "code_signing_configs", key | row
        for index in fleet.indexes(scope):
            if _uses(fleet, scope, index, config):
                own = {"function_name": fleet.name(index), "code_signing_config_arn": config.arn}
                yield "function_code_signing", key | own
