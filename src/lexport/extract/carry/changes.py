"""Events of CloudTrail's history -> which resources of which functions may have changed. Pure.

Everything that is not understood leads to more reading: an event whose function is not named changes every function.
Who made a call does not matter, so CloudFormation's and CodeDeploy's events are like those of people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lexport.aws.json import parse_document
from lexport.errors import SettingsError
from lexport.extract.selection import parse_function
from lexport.tables.events import EVENT_SOURCE, FUNCTION_EVENTS, Event
from lexport.tables.resource import Resource

MOST_NAMES = 100_000
"""Names of changed functions that are kept of one resource, some 10 MB; beyond that, every function is read."""

_NAMES_A_FUNCTION = ("functionname", "functionarn", "resource", "resourcearn", "aliasarn")
_FAILED_INSIDE = frozenset({"ServiceException", "InternalFailure", "InternalError", "InternalServerError"})
"""Error codes of calls that AWS did not refuse: they may have taken effect."""


class Changes:
    """What the events of one account-region may have changed, by resource.

    An event that comes twice, as from pages that overlap, changes nothing more.
    """

    def __init__(self, resources: Iterable[Resource], *, most_names: int = MOST_NAMES) -> None:
        self._resources = tuple(resource for resource in resources if resource.changed_by)
        self._functions: dict[str, set[str]] = defaultdict(set)
        self._all: set[str] = set()
        self._most_names = most_names

    def events(self) -> tuple[Event, ...]:
        """Return every event to look up."""
        own = (event for resource in self._resources for event in resource.changed_by)
        return tuple(dict.fromkeys((*FUNCTION_EVENTS, *own))) if self._resources else ()

    def add(self, event: Event, item: Any) -> None:
        """Add an item that a look-up of this event lists."""
        names = changed_functions(event, item)
        if names is not None and not names:
            return
        for resource in self._resources:
            if event in FUNCTION_EVENTS or event in resource.changed_by:
                self._add(resource.name, names)

    def _add(self, resource: str, names: frozenset[str] | None) -> None:
        known = self._functions[resource]
        if names is not None and resource not in self._all:
            known |= names
        if names is None or len(known) > self._most_names:
            self._all.add(resource)
            known.clear()

    def may_concern(self, resource: Resource, function_name: str) -> bool:
        """Return whether what is read of a function may have changed."""
        return resource.name in self._all or function_name in self._functions[resource.name]

    def concerns_all(self, resource: Resource) -> bool:
        """Return whether an event may have changed what is read of any function."""
        return resource.name in self._all


def changed_functions(event: Event, item: Any) -> frozenset[str] | None:
    """Return the functions that an event may have changed: none if it changed nothing, None if it may be any."""
    if not isinstance(item, dict):
        return None
    detail = _detail(item)
    source = item.get("EventSource") or detail.get("eventSource")
    name = item.get("EventName") or detail.get("eventName")
    if (source or EVENT_SOURCE) != EVENT_SOURCE or not (name is None or event.is_named(name)):
        return frozenset()  # other services have CreateAlias and PutResourcePolicy too
    code = detail.get("errorCode")
    if code and code not in _FAILED_INSIDE:
        return frozenset()
    request = _mapping(detail.get("requestParameters"))
    if any(key.lower() == "dryrun" and value in (True, "true") for key, value in request.items()):
        return frozenset()
    texts = (*_named_in(request), *_named_in(_mapping(detail.get("responseElements"))), *_resources(item, detail))
    names = frozenset(name for text in texts if (name := _function_name(text)) is not None)
    return names or None


def _detail(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event itself, which is sent as JSON in a text; empty where it cannot be read."""
    text = item.get("CloudTrailEvent")
    if not isinstance(text, str):
        return {}
    try:
        return _mapping(parse_document(text.encode("utf-8", "surrogatepass"))[0])
    except ValueError:
        return {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _named_in(parameters: Mapping[str, Any]) -> Iterator[object]:
    """Yield what may name a function: CloudTrail writes a parameter's name with a small first letter."""
    for key, value in parameters.items():
        if key.lower() in _NAMES_A_FUNCTION:
            yield value


def _resources(item: Mapping[str, Any], detail: Mapping[str, Any]) -> Iterator[object]:
    """Yield the resources of an event that can be functions: ARNs, and the bare names that are said to be of one."""
    for listed in (item.get("Resources"), detail.get("resources")):
        for each in listed if isinstance(listed, list) else ():
            resource = _mapping(each)
            kind = resource.get("ResourceType") or resource.get("type")
            for text in (resource.get("ResourceName"), resource.get("ARN"), resource.get("arn")):
                if isinstance(text, str) and (kind == "AWS::Lambda::Function" or text.startswith("arn:")):
                    yield text


def _function_name(text: object) -> str | None:
    """Return the name of the function in any form that ``--functions-from`` takes, None where there is none."""
    if not isinstance(text, str):
        return None
    try:
        return parse_function(text, where="event history").name
    except SettingsError:
        return None
