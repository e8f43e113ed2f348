"""Shares of the connections: a server that hangs uses up its own share, and no slot is lost."""

import anyio
import pytest

from lexport.aws.http.message import Request, Response
from lexport.aws.http.pool import MIN_SHARE, FairShares

pytestmark = pytest.mark.anyio
OK = Response(200, {}, b"")


@pytest.fixture
def anyio_backend():
    """trio, so that nothing here depends on asyncio."""
    return "trio"


class Wire:
    """A server that responds at once, or never if the URL says "hang"."""

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


async def test_a_server_that_hangs_uses_up_its_own_share():
    """Calls to a server that hangs use one share and no more; calls through another share pass at once."""
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


async def test_shares_follow_their_number():
    """The last share has all connections, and waiting calls start when another share is closed."""
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


async def test_the_smallest_share():
    """No share is without connections, however many shares there are."""
    shares = FairShares(Wire().send, 12)
    opened = [shares.open_share() for _ in range(100)]
    sends = [share.__enter__() for share in opened]

    assert {limiter.total_tokens for limiter in shares._limiters} == {MIN_SHARE}
    assert [await send(Request("fine", {})) for send in sends] == [OK] * 100
    for share in opened:
        share.__exit__(None, None, None)
    assert not shares._limiters


async def test_cancelled_while_it_waits():
    """A call that is cancelled while it waits takes no slot."""
    shares = FairShares(Wire().send, 2)
    with shares.open_share() as send:
        async with anyio.create_task_group() as tasks:
            for _ in range(9):
                tasks.start_soon(send, Request("hang", {}))
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

        assert [limiter.borrowed_tokens for limiter in shares._limiters] == [0]
        assert await send(Request("fine", {})) is OK
