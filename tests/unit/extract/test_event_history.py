"""Looking up what has changed in the event history: whole answers, or an error that says why there are none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from lexport.aws.client import LambdaClient
from lexport.aws.endpoints import Endpoints
from lexport.aws.http.pool import open_pool
from lexport.aws.quota.pacer import Pacer
from lexport.aws.session import open_session
from lexport.errors import ItemError
from lexport.extract.carry.changes import Changes
from lexport.extract.carry.history import read_changes
from lexport.model import Scope
from lexport.simulator import Change, Fault, Fleet, FleetSpec, open_simulator
from lexport.tables.aliases import RESOURCE as ALIASES
from lexport.tables.events import LOOKUP_EVENTS

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("aws", "fast_retries")]
SCOPE = Scope(account_id="111122223333", region="us-east-1")


@pytest.fixture
def look_up() -> Callable[..., Awaitable[tuple[Changes, int]]]:
    """Look up the changes of aliases in a fleet's history; return them and the number of calls."""

    async def look_up(
        fleet: Fleet, *faults: Fault, quotas: bool = False, since: timedelta = timedelta(hours=3)
    ) -> tuple[Changes, int]:
        async with (
            open_simulator(fleet, faults=faults, quotas=quotas) as server,
            open_session(profile=None, endpoint_url=server.url) as session,
            open_pool(ca_bundle=None, connections=4) as send,
        ):
            endpoints = Endpoints(session)
            api = LambdaClient(
                region=SCOPE.region,
                endpoint=await endpoints.url(SCOPE.region),
                find_endpoint=partial(endpoints.url, SCOPE.region),
                credentials=session.credentials,
                renew=session.renew,
                send=send,
                clock=partial(datetime.now, UTC),
            )
            pacer = Pacer({} if quotas else {LOOKUP_EVENTS.quota: 1e6}, 1.0)
            changes = await read_changes(api, partial(pacer.call, SCOPE), [ALIASES], since=datetime.now(UTC) - since)
            return changes, server.calls[SCOPE.account_id, SCOPE.region, "LookupEvents"]

    return look_up


def deployed(count: int) -> tuple[Fleet, list[str], str]:
    """Return a fleet in which an alias of each of some functions was moved, their names, and that of another one."""
    fleet = Fleet(FleetSpec(functions=150, versions=2))
    *aliased, other = (index for index in fleet.indexes(SCOPE) if fleet.aliases(SCOPE, index))
    for index in aliased[:count]:
        alias = fleet.aliases(SCOPE, index)[0].name
        fleet.apply(
            Change(kind="move_alias", scope=SCOPE, function_name=fleet.name(index), alias=alias, version="$LATEST")
        )
    return fleet, [fleet.name(index) for index in aliased[:count]], fleet.name(other)


async def test_every_page_of_every_name_is_read(look_up):
    """Changes on the second page count, a function without one does not, and each name costs a call for each page."""
    fleet, names, other = deployed(70)
    changes, calls = await look_up(fleet)
    assert calls == len([name for event in changes.events() for name in event.names()]) + 1
    assert all(changes.may_concern(ALIASES, name) for name in names)
    assert not changes.may_concern(ALIASES, other)
    assert not changes.concerns_all(ALIASES)


async def test_a_change_before_the_window_is_none(look_up):
    """Only events since the given moment count."""
    fleet, names, _ = deployed(1)
    changes, _ = await look_up(fleet, since=-timedelta(minutes=1))
    assert not changes.may_concern(ALIASES, names[0])


def page(change: dict[str, Any]) -> Fault:
    return Fault(operation="LookupEvents", kind="replace_body", patch=change, times=None)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(operation="LookupEvents", kind="denied", after=3), "LookupEvents"),
        (Fault(operation="LookupEvents", kind="error", status=500, times=None, after=3), "LookupEvents"),
        (page({"Events": None}), "a page without Events"),
        (page({"Events": [{"EventId": "1", "EventName": "GetFunction20150331v2"}]}), "the page is about"),
        (page({"NextToken": "again"}), "InvalidNextToken"),
        (page({"NextToken": 7}), "is no text"),
    ],
)
async def test_an_answer_that_is_not_whole_is_an_error(look_up, fault, words):
    """A refusal, a page that fails, is about other events or never ends: nothing is taken for "no change"."""
    with pytest.raises(ItemError, match=words):
        await look_up(deployed(1)[0], fault)


async def test_a_throttled_look_up_is_made_again(look_up):
    """CloudTrail's own way to throttle is one that a look-up waits for."""
    fleet, names, _ = deployed(1)
    changes, _ = await look_up(fleet, Fault(operation="LookupEvents", kind="throttle", times=2))
    assert changes.may_concern(ALIASES, names[0])
