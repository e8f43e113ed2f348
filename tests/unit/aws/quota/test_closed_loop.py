"""Bucket against AWS's bucket, in simulated time: does it find the true limit, use it, and keep throttles few?"""

from __future__ import annotations

import heapq
import random
from collections import Counter

import anyio
import pytest
from trio.testing import MockClock

from lexport.aws.quota.bucket import Bucket
from lexport.aws.quota.pacer import Pacer
from lexport.errors import ThrottledError
from lexport.model import GET_FUNCTION_QUOTA, Scope
from lexport.simulator.quotas import Neighbour, TokenBucket
from lexport.tables.functions import GET_FUNCTION

SECONDS = 180
SCOPE = Scope(account_id="111122223333", region="eu-west-1")
FORTY_PERCENT = Neighbour(share=0.4, from_s=60, to_s=120)


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": MockClock(autojump_threshold=0)}


class Run:
    """Simulate callers with unlimited work, and a server with some latency that throttles; deterministic."""

    def __init__(self, documented, true, *neighbours, share=1.0, latency_s=0.08, retry_after_s=1.0, depth_s=1.0):
        self.served, self.throttled = Counter(), Counter()
        self.bucket = Bucket(documented, share)
        server = TokenBucket(true, 0.0, neighbours, depth_s=depth_s)
        dice = random.Random(7)
        free, now, events = 64, 0.0, []
        while now < SECONDS:
            while free and self.bucket.take(now):
                free -= 1
                there, back = (latency_s * (0.5 + dice.random() / 4) for _ in range(2))
                heapq.heappush(events, (now + there, self.bucket.sent, now, back, False))
            token_at = now + max(self.bucket.ready_in_s(now), 1e-4) if free else float("inf")
            now = min(token_at, events[0][0]) if events else token_at
            while events and events[0][0] <= now:
                at, number, sent_at, back, is_answer = heapq.heappop(events)
                if not is_answer:
                    is_throttled = server.take(at) > 0
                    (self.throttled if is_throttled else self.served)[int(at)] += 1
                    heapq.heappush(events, (at + back, number, sent_at, is_throttled, True))
                    continue
                free += 1
                if back:  # here: whether it was throttled
                    self.bucket.throttled(number, sent_at, at, retry_after_s)
                else:
                    self.bucket.accepted(number, sent_at)

    def per_s(self, begin_s, end_s):
        """Calls served a second."""
        return sum(self.served[second] for second in range(begin_s, end_s)) / (end_s - begin_s)

    @property
    def share_throttled(self):
        """Throttled calls over all."""
        return self.throttled.total() / (self.throttled.total() + self.served.total())


@pytest.mark.parametrize("documented", [100.0, 15.0])
@pytest.mark.parametrize("depth_s", [1.0, 0.25])
@pytest.mark.parametrize("latency_s", [0.004, 0.08])
def test_uses_the_documented_rate_without_a_throttle(documented, depth_s, latency_s):
    """If the documented rate is the true limit, all of it is used, even if AWS's bucket is a quarter second deep."""
    run = Run(documented, documented, latency_s=latency_s, depth_s=depth_s)

    assert run.throttled.total() == 0
    assert run.per_s(0, 180) >= 0.995 * documented


@pytest.mark.parametrize("documented", [100.0, 15.0])
@pytest.mark.parametrize("retry_after_s", [1.0, None])
@pytest.mark.parametrize("latency_s", [0.004, 0.08, 0.3])
@pytest.mark.parametrize("part", [0.9, 0.5])
def test_finds_a_lower_limit(documented, retry_after_s, latency_s, part):
    """If the true limit is lower, 95 % of it is used from 20 s on, with less than 2 % throttles."""
    run = Run(documented, documented * part, latency_s=latency_s, retry_after_s=retry_after_s)

    assert run.per_s(20, 180) >= 0.95 * documented * part
    assert run.share_throttled < 0.02


@pytest.mark.parametrize("documented", [100.0, 15.0])
@pytest.mark.parametrize("retry_after_s", [1.0, None])
@pytest.mark.parametrize("latency_s", [0.004, 0.08, 0.3])
def test_makes_room_for_a_neighbour_and_takes_it_back(documented, retry_after_s, latency_s):
    """From 20 s after a neighbour starts or stops, 95 % of the quota left is used, with less than 2 % throttles."""
    run = Run(documented, documented, FORTY_PERCENT, latency_s=latency_s, retry_after_s=retry_after_s)

    assert run.per_s(0, 60) >= 0.99 * documented
    assert run.per_s(80, 120) >= 0.95 * documented * 0.6
    assert run.per_s(140, 180) >= 0.95 * documented
    assert run.share_throttled < 0.02


@pytest.mark.parametrize("documented", [100.0, 15.0])
@pytest.mark.parametrize("retry_after_s", [1.0, None])
@pytest.mark.parametrize("depth_s", [1.0, 0.25])
def test_the_share_applies_to_the_limit_found(documented, retry_after_s, depth_s):
    """At a share of 0.8 about 0.8 of the true limit is used, not all of it: between probes it keeps to the share."""
    run = Run(documented, documented * 0.5, share=0.8, retry_after_s=retry_after_s, depth_s=depth_s)

    assert 0.75 <= run.per_s(20, 180) / (documented * 0.5) <= 0.92
    assert run.share_throttled < 0.02


def test_a_share_below_the_limit_is_never_throttled():
    """If 0.8 of the documented rate is below the true limit, the rate is not lowered and not probed."""
    run = Run(100.0, 85.0, share=0.8)

    assert run.throttled.total() == 0
    assert run.per_s(0, 180) == pytest.approx(80.0, rel=0.005)


@pytest.mark.parametrize("retry_after_s", [1.0, None])
def test_a_bucket_of_a_quarter_second(retry_after_s):
    """If AWS's bucket is that shallow, waiting for Retry-After loses quota; the rest is used."""
    run = Run(100.0, 50.0, retry_after_s=retry_after_s, depth_s=0.25)

    assert run.per_s(20, 180) >= (0.9 if retry_after_s else 0.95) * 50
    assert run.share_throttled < 0.02


def test_survives_a_quota_that_is_all_but_gone():
    """With a fiftieth of the quota left, calls go on; when it is back, so is the rate."""
    run = Run(100.0, 100.0, Neighbour(share=0.98, from_s=20, to_s=60))

    assert run.per_s(40, 60) >= 1.0
    assert run.per_s(110, 180) >= 0.95 * 100


@pytest.mark.slow
@pytest.mark.anyio
async def test_pacer_and_retry_find_it_together():
    """40 callers, half the documented rate: no call is lost, 95 % is used, throttles are below 2 %, tries below 8."""
    pacer = Pacer({GET_FUNCTION_QUOTA: 100.0}, 1.0, clock=anyio.current_time)
    began_s = anyio.current_time()
    server = TokenBucket(50.0, began_s)
    dice = random.Random(7)
    calls = 3000
    left = iter(range(calls))

    async def attempt():
        await anyio.sleep(0.05)
        wait_s = server.take(anyio.current_time())
        await anyio.sleep(0.05)
        if wait_s:
            raise ThrottledError("slow down", code="TooManyRequestsException", retry_after_s=1.0)

    async def worker():
        for _ in left:
            await pacer.call(SCOPE, GET_FUNCTION, attempt, random_unit=dice.random)

    async with anyio.create_task_group() as tasks:
        for _ in range(40):
            tasks.start_soon(worker)
    took_s = anyio.current_time() - began_s
    reading = pacer.reading(SCOPE, GET_FUNCTION_QUOTA)

    assert reading.calls - reading.throttles == calls
    assert took_s <= calls / 50 / 0.95
    assert reading.throttles < 0.02 * reading.calls
