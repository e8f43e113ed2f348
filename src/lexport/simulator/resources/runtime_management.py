"""When runtimes of function versions are updated; aliases are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lexport.model import LATEST, Scope
from lexport.simulator.answers import FUTURE, FUTURE_TEXT
from lexport.simulator.function_names import WITH_DOTS, existing_function, function_arn, named
from lexport.simulator.responses import ApiCall, invalid_parameter, not_found

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

NAME = "runtime-management"
IS_DEFAULT = False


def _setting(fleet: Fleet, scope: Scope, index: int, version: str) -> tuple[str, str | None, bool]:
    """Return the mode, the runtime version that is fixed, and whether the answer has a field of the future."""
    choices = fleet.choices(NAME, scope, index, version)
    mode = choices.choose(("Auto", "Auto", "Auto", "FunctionUpdate", "Manual"))
    arn = f"arn:{fleet.function(scope, index).partition}:lambda:{scope.region}::runtime:{choices.hex(64)}"
    return mode, arn if mode == "Manual" else None, choices.chance(5)


def _get(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    index, function = existing_function(fleet, scope, call, WITH_DOTS, longest=256)
    _, qualifier = named(scope, call, WITH_DOTS, longest=256)
    version = qualifier or LATEST
    if version != LATEST and not version.isdecimal():
        raise invalid_parameter("Aliases are not allowed for runtime management configuration")
    if fleet.version(scope, index, version, function) is None:
        raise not_found(function_arn(scope, function.name, version))
    mode, arn, has_future = _setting(fleet, scope, index, version)
    document = {"UpdateRuntimeOn": mode, "FunctionArn": function_arn(scope, function.name, version)}
    if arn is not None:
        document["RuntimeVersionArn"] = arn
    return document | FUTURE if has_future else document


ANSWERS = {"GetRuntimeManagementConfig": _get}


def rows(fleet: Fleet, scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the row of each version that has a runtime."""
    for index in fleet.indexes(scope):
        if fleet.function(scope, index).image is not None:
            continue
        for version in (LATEST, *map(str, fleet.published(scope, index))):
            mode, arn, has_future = _setting(fleet, scope, index, version)
            row = {
                "account_id": scope.account_id,
                "region": scope.region,
                "function_name": fleet.name(index),
                "version": version,
                "update_runtime_on": mode,
                "runtime_version_arn": arn,
                "extra_json": FUTURE_TEXT if has_future else None,
                "carried_forward": False,
            }
            yield "runtime_management_configs", row
