"""Connections shared by shares: who hangs fills its own lane, shares follow the number of shares, nothing leaks."""

import anyio
import pytest

from lexport.aws.http.fair_share import MIN_SHARE, FairShares
from lexport.aws.http.transport import Request, Response

pytestmark = pytest.mark.anyio
OK = Response(200, {}, b"")


@pytest.fixture
def anyio_backend():
    """trio, so that nothing here depends on asyncio."""
    return "trio"


class Wire:
    """A server that answers at once, or never where the URL says so."""

    def __init__(self):
        self.busy = {}

    async def send(self, request):
        self.busy[request.url] = self.busy.get(request.url, 0) + 1
        try:
            if "hang" in request.url:
                await anyio.sleep_forever()
            return OK
        finally:
            self.busy[request.url] -= 1


async def test_who_hangs_fills_its_own_lane():
    """A lane whose server hangs takes its share and no more; another lane's calls pass at once."""
    wire = Wire()
    shares = FairShares(wire.send, 12)
    with shares.open_share() as sick, shares.open_share() as healthy:
        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(sick, Request("hang", {}))
            await anyio.wait_all_tasks_blocked()

            assert wire.busy == {"hang": 6}
            for _ in range(30):
                assert await healthy(Request("fine", {})) is OK
            tasks.cancel_scope.cancel()

        assert wire.busy == {"hang": 0, "fine": 0}


async def test_shares_follow_the_number_of_lanes():
    """The last lane has all connections, many shares a few each, and those who wait learn it when one closes."""
    wire = Wire()
    shares = FairShares(wire.send, 12)
    with shares.open_share() as last:
        async with anyio.create_task_group() as tasks:
            with shares.open_share():
                for _ in range(30):
                    tasks.start_soon(last, Request("hang", {}))
                await anyio.wait_all_tasks_blocked()

                assert wire.busy["hang"] == 6
            await anyio.wait_all_tasks_blocked()

            assert wire.busy["hang"] == 12
            tasks.cancel_scope.cancel()


async def test_many_lanes_have_the_least():
    """No lane is without connections, however many there are."""
    shares = FairShares(Wire().send, 12)
    opened = [shares.open_share() for _ in range(100)]
    sends = [lane.__enter__() for lane in opened]

    assert {limiter.total_tokens for limiter in shares._limiters} == {MIN_SHARE}
    assert [await send(Request("fine", {})) for send in sends] == [OK] * 100
    for lane in opened:
        lane.__exit__(None, None, None)
    assert not shares._limiters


async def test_cancelled_while_it_waits():
    """A call that is cancelled while it waits for its lane takes no place with it."""
    shares = FairShares(Wire().send, 2)
    with shares.open_share() as send:
        async with anyio.create_task_group() as tasks:
            for _ in range(9):
                tasks.start_soon(send, Request("hang", {}))
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

        assert [limiter.borrowed_tokens for limiter in shares._limiters] == [0]
        assert await send(Request("fine", {})) is OK
