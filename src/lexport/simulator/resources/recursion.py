"""What Lambda does about recursive loops; some Regions do not have the operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lexport.model import Scope
from lexport.simulator.answers import FUTURE, FUTURE_TEXT, refuse_where_missing
from lexport.simulator.function_names import existing_function
from lexport.simulator.responses import ApiCall

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

NAME = "recursion"
IS_DEFAULT = False
NOT_OFFERED = frozenset({"mx-central-1", "ap-southeast-6", "us-gov-east-1", "us-gov-west-1"})


def _setting(fleet: Fleet, scope: Scope, index: int) -> tuple[str, bool]:
    """Return what is set, and whether the answer has a field of the future."""
    choices = fleet.choices(NAME, scope, index)
    return "Allow" if choices.chance(5) else "Terminate", choices.chance(10)


def _get(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    refuse_where_missing(scope, NOT_OFFERED)
    index, _ = existing_function(fleet, scope, call)
    recursive_loop, has_future = _setting(fleet, scope, index)
    return {"RecursiveLoop": recursive_loop} | (FUTURE if has_future else {})


ANSWERS = {"GetFunctionRecursionConfig": _get}


def rows(fleet: Fleet, scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the row of each function."""
    for index in fleet.indexes(scope) if scope.region not in NOT_OFFERED else ():
        recursive_loop, has_future = _setting(fleet, scope, index)
        row = {
            "account_id": scope.account_id,
            "region": scope.region,
            "function_name": fleet.name(index),
            "recursive_loop": recursive_loop,
            "extra_json": FUTURE_TEXT if has_future else None,
            "carried_forward": False,
        }
        yield "recursion_configs", row
