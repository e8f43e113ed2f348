"""What changes in an account-region of a fleet in one night: a pure function of seed, night and the fleet before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from math import gcd
from typing import TYPE_CHECKING

from lexport.model import LATEST, Scope
from lexport.simulator.fleet_changes import Change
from lexport.simulator.seeded_choices import SeededChoices

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

DRIFT = 0.05
"""The share of the functions that differs after a night, if no other is given."""

_DAY = timedelta(days=1)
_LONGEST = timedelta(minutes=5)  # a deployment takes less
_TRIED = 8
"""So many functions are tried for a change that not every function can have."""
_MEMORY_MB = (128, 256, 512, 1024, 1769, 3008)
_TIMEOUTS_S = (5, 15, 60, 120, 900)
_UPGRADES = {
    "python3.8": "python3.12",
    "python3.12": "python3.13",
    "nodejs20.x": "nodejs22.x",
    "java17": "java21",
}
_TEAMS = ("payments", "platform", "growth", "data")
_MOST_TAGS = 50
_LEVELS = ("debug", "info", "warning")


_Turn = Callable[["Fleet", int, Change, SeededChoices], list[Change]]
"""Returns the changes to a function, of which the argument is the first; none where the function cannot have them."""


def changes(fleet: Fleet, scope: Scope, night: int) -> Iterator[Change]:
    """Yield the changes of a night, each to be made before the next is drawn.

    Each function is created, changed or deleted at most once. The kinds take turns, so that small fleets show all.
    """
    spec = fleet.spec
    size, functions = fleet.size(scope), fleet.account_settings(scope)["function_count"]
    count = max(1, round(spec.drift * functions)) if spec.drift and size else 0
    choices = SeededChoices("night", spec.seed, scope.account_id, scope.region, night)
    from_at = spec.first_night_at + (night - 1) * _DAY
    existing, some = _in_random_order(fleet, scope, size, choices), list[int]()
    for position in range(count):
        at = from_at + timedelta(milliseconds=choices.pick((_DAY - _LONGEST) // timedelta(milliseconds=1)))
        turn = _TURNS[((night - 1) * count + position) % len(_TURNS)]
        if turn is None:
            name = fleet.name(fleet.size(scope))
            yield Change(kind="create_function", scope=scope, function_name=name, at=at)
            continue
        some += islice(existing, _TRIED - len(some))
        yield from _first_possible(fleet, scope, at, some, (turn, _release), choices)


def _first_possible(  # noqa: PLR0917 - what a turn needs
    fleet: Fleet, scope: Scope, at: datetime, indexes: list[int], turns: tuple[_Turn, ...], choices: SeededChoices
) -> list[Change]:
    """Return the first turn's changes to the first function that can have them, and remove it; else the next turn's."""
    for turn in turns:
        for index in indexes:
            change = Change(kind="update_code", scope=scope, function_name=fleet.name(index), at=at)
            if made := turn(fleet, index, change, choices):
                indexes.remove(index)
                return made
    return []


def _in_random_order(fleet: Fleet, scope: Scope, size: int, choices: SeededChoices) -> Iterator[int]:
    """Yield the index of each function that exists, once."""
    if not size:
        return
    start, step = choices.pick(size), 1 + choices.pick(size)
    while gcd(step, size) > 1:
        step += 1
    for position in range(size):
        index = (start + position * step) % size
        if fleet.exists(scope, index):
            yield index


def _deploy(fleet: Fleet, index: int, change: Change, _choices: SeededChoices) -> list[Change]:
    """Return a release that an alias is moved to."""
    version = _next_version(fleet, change.scope, index)
    aliases = fleet.aliases(change.scope, index)[:1]
    moves = [replace(change, kind="move_alias", alias=alias.name, version=version) for alias in aliases]
    return [change, _publish(change), *moves] if moves else []


def _release(_fleet: Fleet, _index: int, change: Change, _choices: SeededChoices) -> list[Change]:
    """Return new code and a version of it."""
    return [change, _publish(change)]


def _canary(fleet: Fleet, index: int, change: Change, _choices: SeededChoices) -> list[Change]:
    """Return a deployment that sends a tenth of the requests of an alias to the new version."""
    scope, version = change.scope, _next_version(fleet, change.scope, index)
    alias = next((alias for alias in fleet.aliases(scope, index) if alias.function_version != LATEST), None)
    if alias is None:
        return []
    weights = {version: 0.1}
    move = replace(change, kind="move_alias", alias=alias.name, version=alias.function_version, weights=weights)
    return [change, _publish(change), move]


def _publish(change: Change) -> Change:
    return replace(change, kind="publish_version", at=change.at and change.at + timedelta(minutes=1))


def _next_version(fleet: Fleet, scope: Scope, index: int) -> str:
    return str(fleet.greatest_version(scope, index) + 1)


def _delete(_fleet: Fleet, _index: int, change: Change, _choices: SeededChoices) -> list[Change]:
    return [replace(change, kind="delete_function")]


def _resize(fleet: Fleet, index: int, change: Change, choices: SeededChoices) -> list[Change]:
    latest = fleet.version(change.scope, index, LATEST)
    assert latest is not None
    memory_mb = choices.choose([each for each in _MEMORY_MB if each != latest.memory_mb])
    timeout_s = choices.choose([each for each in _TIMEOUTS_S if each != latest.function.timeout_s])
    return [replace(change, kind="update_config", memory_mb=memory_mb, timeout_s=timeout_s)]


def _upgrade(fleet: Fleet, index: int, change: Change, _choices: SeededChoices) -> list[Change]:
    latest = fleet.version(change.scope, index, LATEST)
    assert latest is not None
    runtime = _UPGRADES.get(latest.function.runtime or "")
    return [replace(change, kind="update_config", runtime=runtime)] if runtime else []


def _set_variables(fleet: Fleet, index: int, change: Change, choices: SeededChoices) -> list[Change]:
    latest = fleet.version(change.scope, index, LATEST)
    assert latest is not None
    if latest.environment is None:
        return []
    level = choices.choose([level for level in _LEVELS if level != latest.environment.get("LOG_LEVEL")])
    return [replace(change, kind="update_config", environment=latest.environment | {"LOG_LEVEL": level})]


def _set_tags(fleet: Fleet, index: int, change: Change, choices: SeededChoices) -> list[Change]:
    function = fleet.function(change.scope, index)
    if function.tags_error is not None:
        return []
    team = choices.choose([team for team in _TEAMS if team != function.tags.get("team")])
    tags = function.tags | {"team": team}
    return [replace(change, kind="set_tags", tags=tags)] if len(tags) <= _MOST_TAGS else []


def _reserve(fleet: Fleet, index: int, change: Change, choices: SeededChoices) -> list[Change]:
    reserved = fleet.function(change.scope, index).reserved_concurrency
    other = choices.choose([each for each in (None, 0, 5, 50) if each != reserved])
    return [replace(change, kind="set_reserved_concurrency", reserved_concurrency=other)]


def _add_alias(fleet: Fleet, index: int, change: Change, _choices: SeededChoices) -> list[Change]:
    """Return a release under an alias of its own."""
    if any(alias.name == "stable" for alias in fleet.aliases(change.scope, index)):
        return []
    version = _next_version(fleet, change.scope, index)
    return [change, _publish(change), replace(change, kind="create_alias", alias="stable", version=version)]


def _remove_alias(fleet: Fleet, index: int, change: Change, _choices: SeededChoices) -> list[Change]:
    aliases = fleet.aliases(change.scope, index)
    return [replace(change, kind="delete_alias", alias=aliases[-1].name)] if aliases else []


_TURNS: tuple[_Turn | None, ...] = (
    *(_deploy, None, _resize, _delete, _canary, _set_tags),
    *(_upgrade, _add_alias, None, _set_variables, _deploy, _remove_alias),
    *(_delete, _reserve),
)
"""What happens in turn; None: a function is created."""
