"""Provisioned concurrency of aliases and versions, in every state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from lexport.model import LATEST, Scope
from lexport.simulator.answers import FUTURE, FUTURE_TEXT
from lexport.simulator.function_names import existing_function
from lexport.simulator.pagination import page_of_list
from lexport.simulator.responses import ApiCall, invalid_parameter

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

NAME = "provisioned-concurrency"
IS_DEFAULT = False
_SINCE = datetime(2023, 1, 1, tzinfo=UTC)
_FAILED = "FUNCTION_ERROR_INIT_FAILURE: the function could not be initialized"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedConcurrency:
    """One configuration; ``has_future``: its document has an unknown field."""

    qualifier: str
    requested: int
    allocated: int
    status: str
    reason: str | None
    modified_at: datetime
    has_future: bool


def configs_of(fleet: Fleet, scope: Scope, index: int) -> list[ProvisionedConcurrency]:
    """Return the configurations of an existing function: of aliases of published versions, and of versions."""
    choices = fleet.choices(NAME, scope, index)
    aliases = [alias.name for alias in fleet.aliases(scope, index) if alias.function_version != LATEST]
    qualifiers = [name for name in aliases if choices.chance(15)]
    qualifiers += [str(number) for number in islice(fleet.published(scope, index), 1) if choices.chance(10)]
    made: list[ProvisionedConcurrency] = []
    for qualifier in qualifiers:
        requested = choices.choose((1, 5, 100))
        status = choices.choose(("READY", "READY", "IN_PROGRESS", "FAILED"))
        made.append(
            ProvisionedConcurrency(
                qualifier=qualifier,
                requested=requested,
                allocated={"READY": requested, "IN_PROGRESS": requested // 2, "FAILED": 0}[status],
                status=status,
                reason=_FAILED if status == "FAILED" else None,
                modified_at=_SINCE + timedelta(seconds=choices.pick(50_000_000)),
                has_future=choices.chance(20),
            )
        )
    return made


# --- answers ----------------------------------------------------------------------------------------------------------


def _list(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    index, function = existing_function(fleet, scope, call)
    if call.query.get("List") != "ALL":
        raise invalid_parameter("List must be ALL")
    documents = [_document(function.arn, config) for config in configs_of(fleet, scope, index)]
    return page_of_list(call, "ProvisionedConcurrencyConfigs", documents)


def _document(arn: str, config: ProvisionedConcurrency) -> dict[str, Any]:
    document: dict[str, Any] = {
        "FunctionArn": f"{arn}:{config.qualifier}",
        "RequestedProvisionedConcurrentExecutions": config.requested,
        "AvailableProvisionedConcurrentExecutions": config.allocated,
        "AllocatedProvisionedConcurrentExecutions": config.allocated,
        "Status": config.status,
        "LastModified": f"{config.modified_at:%Y-%m-%dT%H:%M:%S}+0000",
    }
    if config.reason is not None:
        document["StatusReason"] = config.reason
    return document | FUTURE if config.has_future else document


ANSWERS = {"ListProvisionedConcurrencyConfigs": _list}


# --- the oracle -------------------------------------------------------------------------------------------------------


def rows(fleet: Fleet, scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the row of each configuration."""
    for index in fleet.indexes(scope):
        for config in configs_of(fleet, scope, index):
            yield (
                "provisioned_concurrency_configs",
                {
                    "account_id": scope.account_id,
                    "region": scope.region,
                    "function_name": fleet.name(index),
                    "qualifier": config.qualifier,
                    "requested_provisioned_concurrent_executions": config.requested,
                    "allocated_provisioned_concurrent_executions": config.allocated,
                    "available_provisioned_concurrent_executions": config.allocated,
                    "status": config.status,
                    "status_reason": config.reason,
                    "last_modified_at": config.modified_at,
                    "extra_json": FUTURE_TEXT if config.has_future else None,
                    "carried_forward": False,
                },
            )
