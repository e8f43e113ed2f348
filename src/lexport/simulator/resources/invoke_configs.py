"""Settings of asynchronous invocations, with every kind of destination, of functions, aliases and versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from lexport.model import LATEST, Scope
from lexport.simulator import known_regions
from lexport.simulator.answers import FUTURE, FUTURE_TEXT
from lexport.simulator.function_names import WITH_DOTS, existing_function
from lexport.simulator.pagination import page_of_list
from lexport.simulator.responses import ApiCall

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

NAME = "invoke-configs"
IS_DEFAULT = False
_SINCE = datetime(2022, 1, 1, tzinfo=UTC)
_FAILURES = ("sqs:{}:async-failures", "sns:{}:failed", "s3:::acme-failed-events", "lambda:{}:function:failed-events")
_RESULTS = ("events:{}:event-bus/acme", "lambda:{}:function:next-step:live", "sqs:{}:results")


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeConfig:
    """One configuration; ``qualifier`` is None for that of the function itself. ``sends_empty``: empty objects."""

    qualifier: str | None
    retries: int | None
    age_s: int | None
    on_success: str | None
    on_failure: str | None
    modified_at: datetime
    sends_empty: bool
    has_future: bool


def configs_of(fleet: Fleet, scope: Scope, index: int) -> list[InvokeConfig]:
    """Return the configurations of an existing function; most functions have none."""
    choices = fleet.choices(NAME, scope, index)
    qualifiers: list[str | None] = [None] if choices.chance(20) else []
    qualifiers += [alias.name for alias in fleet.aliases(scope, index) if choices.chance(15)]
    qualifiers += [str(number) for number in islice(fleet.published(scope, index), 1) if choices.chance(5)]
    here = f"{scope.region}:{scope.account_id}"
    partition = known_regions.partition(scope.region)
    made: list[InvokeConfig] = []
    for qualifier in qualifiers:
        on_failure = choices.choose((None, *_FAILURES))
        on_success = choices.choose((None, None, *_RESULTS))
        made.append(
            InvokeConfig(
                qualifier=qualifier,
                retries=choices.choose((None, 0, 1, 2)),
                age_s=choices.choose((None, 60, 21_600)),
                on_success=on_success and f"arn:{partition}:{on_success.format(here)}",
                on_failure=on_failure and f"arn:{partition}:{on_failure.format(here)}",
                modified_at=_SINCE + timedelta(seconds=choices.pick(80_000_000), milliseconds=choices.pick(1_000)),
                sends_empty=choices.chance(50),
                has_future=choices.chance(20),
            )
        )
    return made


# --- answers ----------------------------------------------------------------------------------------------------------


def _list(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    index, function = existing_function(fleet, scope, call, WITH_DOTS, longest=256)
    documents = [_document(function.arn, config) for config in configs_of(fleet, scope, index)]
    return page_of_list(call, "FunctionEventInvokeConfigs", documents)


def _document(arn: str, config: InvokeConfig) -> dict[str, Any]:
    document: dict[str, Any] = (FUTURE if config.has_future else {}) | {
        "FunctionArn": f"{arn}:{config.qualifier or LATEST}",
        "LastModified": config.modified_at.timestamp(),
    }
    if config.retries is not None:
        document["MaximumRetryAttempts"] = config.retries
    if config.age_s is not None:
        document["MaximumEventAgeInSeconds"] = config.age_s
    destinations = {"OnSuccess": config.on_success, "OnFailure": config.on_failure}
    sent = {name: {"Destination": destination} for name, destination in destinations.items() if destination}
    if config.sends_empty:
        sent = {name: sent.get(name, {}) for name in destinations}
    return {**document, "DestinationConfig": sent} if sent else document


ANSWERS = {"ListFunctionEventInvokeConfigs": _list}


# --- the oracle -------------------------------------------------------------------------------------------------------


def rows(fleet: Fleet, scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the row of each configuration."""
    for index in fleet.indexes(scope):
        for config in configs_of(fleet, scope, index):
            yield (
                "event_invoke_configs",
                {
                    "account_id": scope.account_id,
                    "region": scope.region,
                    "function_name": fleet.name(index),
                    "qualifier": config.qualifier or LATEST,
                    "maximum_retry_attempts": config.retries,
                    "maximum_event_age_in_seconds": config.age_s,
                    "on_success_destination": config.on_success,
                    "on_failure_destination": config.on_failure,
                    "last_modified_at": config.modified_at,
                    "extra_json": FUTURE_TEXT if config.has_future else None,
                    "carried_forward": False,
                },
            )
