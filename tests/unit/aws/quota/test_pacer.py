"""Waiting, priorities and cancellation, on trio's virtual clock: hours take milliseconds."""

from __future__ import annotations

import anyio
import pytest
from trio.testing import MockClock

from lexport.aws.quota.pacer import Pacer
from lexport.errors import FunctionGoneError, ItemError, NetworkError, ThrottledError
from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA, PaceReading, Priority, Scope

SCOPE = Scope(account_id="111122223333", region="eu-west-1")
OTHER = Scope(account_id="111122223333", region="us-east-1")
GET = GET_FUNCTION_QUOTA
LIST = LIST_QUOTA

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": MockClock(autojump_threshold=0)}


def pacer(rate=1.0, share=1.0):
    return Pacer({GET: rate, LIST: rate}, share, clock=anyio.current_time)


async def call(pace, seen, name, priority=Priority.SNAPSHOT, scope=SCOPE):
    async def attempt():
        seen.append((name, anyio.current_time() - pace_start[0]))
        return name

    return await pace.call_once(scope, GET, attempt, priority)


pace_start = [0.0]


@pytest.fixture(autouse=True)
async def start(anyio_backend):
    pace_start[0] = anyio.current_time()


async def in_turn(tasks, *names, **options):
    """Start calls one after the other, so that their order of arrival is known."""
    for name in names:
        tasks.start_soon(lambda name=name: call(name=name, **options))
        await anyio.wait_all_tasks_blocked()


async def test_first_come_first_served():
    """Within one priority calls go in the order in which they came, one per token."""
    pace, seen = pacer(), []
    async with anyio.create_task_group() as tasks:
        await in_turn(tasks, "a", "b", "c", "d", pace=pace, seen=seen)

    assert seen == [("a", 0), ("b", 1), ("c", 2), ("d", 3)]


async def test_the_urgent_goes_first():
    """A more urgent call goes before all others, even the first, which already sleeps until its token arrives."""
    pace, seen = pacer(), []
    async with anyio.create_task_group() as tasks:
        await in_turn(tasks, "now", "alias 1", pace=pace, seen=seen, priority=Priority.RESOURCES)
        await in_turn(tasks, "get 1", "get 2", pace=pace, seen=seen)
        await in_turn(tasks, "list", pace=pace, seen=seen, priority=Priority.LISTING)

    assert seen == [("now", 0), ("list", 1), ("get 1", 2), ("get 2", 3), ("alias 1", 4)]


async def test_newcomers_do_not_overtake_on_the_fast_path():
    """A token that arrives while a call waits is not taken by a later call."""
    pace, seen = pacer(), []
    async with anyio.create_task_group() as tasks:
        await in_turn(tasks, "a", "b", pace=pace, seen=seen)
        await anyio.sleep(1)  # the token of "b" is there at this very moment
        tasks.start_soon(call, pace, seen, "c")

    assert [name for name, _ in seen] == ["a", "b", "c"]


async def test_a_token_that_is_there_belongs_to_who_waits():
    """Where the first of the line has not woken up for its token yet, a newcomer does not take it."""
    ahead_s = [0.0]
    pace, seen = Pacer({GET: 1.0, LIST: 1.0}, 1.0, clock=lambda: anyio.current_time() + ahead_s[0]), []
    async with anyio.create_task_group() as tasks:
        await in_turn(tasks, "a", "b", pace=pace, seen=seen)
        ahead_s[0] = 1.0  # the token of "b" is there, and "b" still sleeps
        await in_turn(tasks, "c", pace=pace, seen=seen)

    assert [name for name, _ in seen] == ["a", "b", "c"]


@pytest.mark.parametrize("lost", range(6))
async def test_the_line_stays_in_order_when_somebody_leaves_it(lost):
    """A call that is cancelled in the middle of a long queue does not change the order of the others."""
    arrivals = [Priority.LAYERS, Priority.PACKAGES, Priority.RESOURCES, Priority.SNAPSHOT]
    arrivals += [Priority.RESOURCES, Priority.RESOURCES]
    pace, seen, scopes = pacer(), [], {}

    async def cancellable(number, priority):
        with anyio.CancelScope() as scopes[number]:
            await call(pace, seen, number, priority)

    async with anyio.create_task_group() as tasks:
        await in_turn(tasks, "now", pace=pace, seen=seen)
        for number, priority in enumerate(arrivals):
            tasks.start_soon(cancellable, number, priority)
            await anyio.wait_all_tasks_blocked()
        scopes[lost].cancel()

    order = sorted((priority, number) for number, priority in enumerate(arrivals) if number != lost)
    assert [name for name, _ in seen] == ["now", *(number for _, number in order)]


@pytest.mark.parametrize("lost", ["b", "c", "d"])
async def test_a_cancelled_waiter_loses_no_token(lost):
    """A call that is cancelled while it waits, first or not, leaves its token to the next one."""
    pace, seen = pacer(), []
    scopes = {}

    async def cancellable(name):
        with anyio.CancelScope() as scopes[name]:
            await call(pace, seen, name)

    async with anyio.create_task_group() as tasks:
        for name in "abcd":
            tasks.start_soon(cancellable, name)
            await anyio.wait_all_tasks_blocked()
        await anyio.sleep(0.5)
        scopes[lost].cancel()

    left = [name for name in "abcd" if name != lost]

    assert seen == [(name, at) for at, name in enumerate(left)]
    assert not pace._queues[SCOPE][GET.name].waiting


async def test_cancelled_at_the_moment_of_the_token():
    """A waiter that is cancelled in the very tick of its token hands the turn on."""
    pace, seen = pacer(), []

    async def gives_up():
        with anyio.move_on_after(1):
            await call(pace, seen, "b")

    async with anyio.create_task_group() as tasks:
        await in_turn(tasks, "a", pace=pace, seen=seen)
        tasks.start_soon(gives_up)
        await anyio.wait_all_tasks_blocked()
        await in_turn(tasks, "c", pace=pace, seen=seen)

    assert [name for name, _ in seen if name != "b"] == ["a", "c"]
    assert seen[-1][1] <= 2


async def test_an_urgent_one_that_gives_up_delays_nobody():
    """When the newcomer that overtook is cancelled, the former first still gets the token in time."""
    pace, seen = pacer(), []

    async def gives_up():
        with anyio.move_on_after(0.4):
            await call(pace, seen, "list", Priority.LISTING)

    async with anyio.create_task_group() as tasks:
        await in_turn(tasks, "a", "b", pace=pace, seen=seen)
        tasks.start_soon(gives_up)

    assert seen == [("a", 0), ("b", 1)]


async def test_scopes_and_classes_do_not_wait_for_each_other():
    """Each account-region has its own bucket per class."""
    pace, seen = pacer(), []
    async with anyio.create_task_group() as tasks:
        await in_turn(tasks, "a", pace=pace, seen=seen)
        await in_turn(tasks, "b", pace=pace, seen=seen, scope=OTHER)
    await pace.call_once(SCOPE, LIST, anyio.lowlevel.checkpoint, Priority.LISTING)

    assert seen == [("a", 0), ("b", 0)]
    assert anyio.current_time() == pace_start[0]


async def test_the_share_bounds_a_long_run():
    """At a share of 0.8 a quota of 100/s lets 80 a second through, plus one burst of 16."""
    pace = pacer(rate=100.0, share=0.8)

    async def attempt():
        await anyio.sleep(0.1)

    async def worker():
        for _ in range(50):
            await pace.call_once(SCOPE, GET, attempt, Priority.SNAPSHOT)

    async with anyio.create_task_group() as tasks:
        for _ in range(64):
            tasks.start_soon(worker)
    took = anyio.current_time() - pace_start[0]

    assert took == pytest.approx((64 * 50 - 16) / 80, abs=0.2)
    assert pace.reading(SCOPE, GET) == PaceReading(rate_per_s=80.0, calls=3200, throttles=0)


async def test_counts_calls_and_throttles():
    """A reading tells what was called and what AWS throttled; other errors are calls too."""
    pace = pacer(rate=100.0)

    async def throttled():
        raise ThrottledError("slow down", code="TooManyRequestsException")

    async def broken():
        raise ZeroDivisionError

    for attempt, kind in ((throttled, ThrottledError), (broken, ZeroDivisionError)):
        with pytest.raises(kind):
            await pace.call_once(SCOPE, GET, attempt, Priority.SNAPSHOT)

    assert pace.reading(SCOPE, GET) == PaceReading(rate_per_s=pytest.approx(49.5), calls=2, throttles=1)
    assert pace.reading(OTHER, GET) == PaceReading(rate_per_s=100.0, calls=0, throttles=0)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
async def test_refuses_a_share_that_is_none(share):
    """A share above 1 is refused."""
    with pytest.raises(ValueError, match="share"):
        await call(pacer(share=share), [], "a")


async def throttled_once(pace, scope=SCOPE, retry_after_s=None):
    """Make one call that AWS throttles."""

    async def attempt():
        raise ThrottledError("slow down", code="TooManyRequestsException", retry_after_s=retry_after_s)

    with pytest.raises(ThrottledError):
        await pace.call_once(scope, GET, attempt, Priority.SNAPSHOT)


@pytest.mark.parametrize(("asked_s", "waited_s"), [(None, 0.25), (0.1, 0.25), (3.0, 3.0), (900.0, 120.0)])
async def test_all_wait_for_what_one_was_asked(asked_s, waited_s):
    """After a throttle no call is sent for Retry-After, at least 0.25 s and at most two minutes."""
    pace, seen = pacer(rate=100.0), []
    await throttled_once(pace, retry_after_s=asked_s)
    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(call, pace, seen, name)

    assert [at for _, at in seen] == pytest.approx([waited_s, waited_s + 1 / 49.5, waited_s + 2 / 49.5])


async def test_calls_in_flight_are_one_signal():
    """Many calls that were sent together and come back throttled together make the rate fall once."""
    pace = pacer(rate=1000.0)
    go_on = anyio.Event()

    async def attempt():
        await go_on.wait()
        raise ThrottledError("slow down", code="TooManyRequestsException")

    async def one():
        with pytest.raises(ThrottledError):
            await pace.call_once(SCOPE, GET, attempt, Priority.SNAPSHOT)

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        go_on.set()

    assert pace.reading(SCOPE, GET) == PaceReading(rate_per_s=pytest.approx(495.0), calls=100, throttles=100)


async def test_one_throttled_scope_holds_no_other_back():
    """While one account-region waits for a minute, another and the other class go on."""
    pace, seen = pacer(rate=100.0), []
    await throttled_once(pace, retry_after_s=60.0)
    await call(pace, seen, "other", scope=OTHER)
    await pace.call_once(SCOPE, LIST, anyio.lowlevel.checkpoint, Priority.LISTING)

    assert seen == [("other", 0)]
    assert anyio.current_time() == pace_start[0]


async def test_a_refusal_was_let_through():
    """Denied and gone count as accepted: they were paid for. A broken network tells nothing."""

    async def rate_after(make):
        pace = pacer(rate=10.0)

        async def attempt():
            raise make()

        for _ in range(100):
            with pytest.raises(ItemError):
                await pace.call_once(SCOPE, GET, attempt, Priority.SNAPSHOT)
        await throttled_once(pace)
        return pace.reading(SCOPE, GET).rate_per_s

    assert await rate_after(lambda: FunctionGoneError("gone", code="x", http_status=404)) > 9.0
    assert await rate_after(lambda: NetworkError("down", code="x")) < 5.0
