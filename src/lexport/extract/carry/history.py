"""Look up in CloudTrail's event history which functions of one account-region may have changed since a moment.

One look-up for each name of an event, because a look-up takes one condition, and the history has every call that reads
as well, our own among them. Where anything is missing of the answers, nothing is known: the caller reads everything.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import methodcaller
from typing import Any

from anyio import create_memory_object_stream

from lexport.aws.client import LambdaClient
from lexport.aws.quota.pacer import CallApi
from lexport.aws.waits import scaled
from lexport.errors import ItemError, WrongAnswerError
from lexport.extract.carry.changes import Changes
from lexport.extract.decode import decode_object
from lexport.extract.listing import Chain
from lexport.extract.match_response import checked
from lexport.extract.workers import pump
from lexport.model import QuotaClass, Reply
from lexport.tables.events import LOOKUP_EVENTS, Event
from lexport.tables.resource import Resource

OVERLAP = timedelta(hours=2)
"""How late an event may show: minutes nearly always, but AWS promises nothing, and 85 minutes have been seen."""
LONGEST_WINDOW = timedelta(days=85)
"""The history has 90 days; the last of them end while it is looked up."""
LOOK_UPS_AT_ONCE = 8  # with answers that take 4 s each, as in us-east-1, that is what the quota allows

assert LOOKUP_EVENTS.page is not None
_PAGE = LOOKUP_EVENTS.page
_QUOTA = LOOKUP_EVENTS.quota
_CALL = replace(LOOKUP_EVENTS, quota=QuotaClass(_QUOTA.name, _QUOTA.rate_per_s / scaled(1.0)))
"""At two a second, looking up every name is the longest wait of a test."""


async def read_changes(
    api: LambdaClient, call_api: CallApi, resources: Sequence[Resource], *, since: datetime
) -> Changes:
    """Return which functions may have changed since a moment, by resource. Raises ItemError where that is not known."""
    changes, failures = Changes(resources), list[ItemError]()
    look_ups = [(event, name) for event in changes.events() for name in event.names()]

    async def look_up(event_and_name: tuple[Event, str]) -> None:
        event, name = event_and_name
        if failures:
            return
        try:
            async for items in _pages(api, call_api, name, since):
                for item in items:
                    changes.add(event, item)
        except ItemError as error:
            failures.append(error)

    send, receive = create_memory_object_stream[Sequence[tuple[Event, str]]](1)
    send.send_nowait(look_ups)
    send.close()
    await pump(look_up, receive, lambda _look_up, error: failures.append(error), workers=LOOK_UPS_AT_ONCE)
    if failures:
        raise failures[0]
    if api.has_met_wrong_answers:  # any empty page may have been the answer to another look-up
        raise WrongAnswerError(f"{LOOKUP_EVENTS.operation}: responses were mixed up", code="wrong_answer")
    return changes


async def _pages(api: LambdaClient, call_api: CallApi, name: str, since: datetime) -> AsyncIterator[list[Any]]:
    chain, token = Chain(LOOKUP_EVENTS.operation), None
    while True:
        parameters: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
            "StartTime": math.floor(since.timestamp()),
            _PAGE.size_name: _PAGE.size,
            **({} if token is None else {_PAGE.marker: token}),
        }
        call = methodcaller("call_json", LOOKUP_EVENTS, parameters)
        reply = await call_api(_CALL, checked(api, call, decode_object, _check_events, name))
        items = _events_of(reply)
        yield items
        chain.admit([str(item.get("EventId")) for item in items if isinstance(item, dict)])
        token = chain.next_marker(reply.document.get(_PAGE.next_marker))
        if token is None:
            return


def _events_of(reply: Reply) -> list[Any]:
    items = reply.document.get(_PAGE.items)
    if not isinstance(items, list):
        raise WrongAnswerError(f"{LOOKUP_EVENTS.operation}: a page without {_PAGE.items}", code="invalid_page")
    return items


def _check_events(reply: Reply, name: str) -> bool:
    """Check that a page is about the name that was looked up; return whether it names it at all."""
    items = _events_of(reply)
    for item in items:
        other = item.get("EventName") if isinstance(item, dict) else None
        if other not in (None, name):
            raise WrongAnswerError(
                f"{LOOKUP_EVENTS.operation}: asked for {name}, the page is about {str(other)[:80]!r}",
                code="wrong_answer",
            )
    return bool(items)
