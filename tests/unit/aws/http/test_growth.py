"""A pool opens more connections only while calls wait for connections, and not for the CPU."""

from __future__ import annotations

import asyncio
import time

import pytest

from lexport.aws.http.growth import BUSY, FIRST_CONNECTIONS, busy_s, connections_allowed
from lexport.aws.http.message import Request
from lexport.aws.http.pool import open_pool

CALLS = 600


def test_more_are_allowed_while_there_is_time_for_their_responses():
    """Connections double while the thread has time to spare, up to the most, and stay as they are while it has none."""
    idle = [FIRST_CONNECTIONS]
    while idle[-1] < 500:
        idle.append(connections_allowed(idle[-1], 500, busy=0.1))

    assert idle == [32, 64, 128, 256, 500]
    assert connections_allowed(64, 500, busy=BUSY) == 64
    assert connections_allowed(64, 500, busy=1.0) == 64
    assert connections_allowed(4, 4, busy=0.0) == 4


def test_a_thread_is_busy_while_it_works():
    """A thread that works is busy all the time, also where others take its CPU; one that sleeps is not."""
    busy_before_s, since_s = busy_s(), time.perf_counter()
    while time.perf_counter() < since_s + 0.1:
        pass
    worked = (busy_s() - busy_before_s) / (time.perf_counter() - since_s)
    busy_before_s = busy_s()
    time.sleep(0.1)

    assert worked > 0.6
    assert busy_s() - busy_before_s < 0.05


async def _most_at_once(servers, calls, *, latency_s=0.0, work_s=0.0, connections=400):
    """Send calls to a server that responds after ``latency_s``, and work on each response; return the connections."""
    seen = set()

    async def talk(reader, writer):
        seen.add(writer)
        while await reader.readuntil(servers.HEAD_END):
            await asyncio.sleep(latency_s)
            writer.write(servers.OK)

    async def call(url):
        await send(Request(url, {}))
        end_s = time.thread_time() + work_s
        while time.thread_time() < end_s:
            pass

    async with servers.served(talk) as url, open_pool(ca_bundle=None, connections=connections) as send:
        await asyncio.gather(*(call(url) for _ in range(calls)))
    return len(seen)


@pytest.mark.asyncio
async def test_a_slow_server_gets_all_the_connections_that_calls_wait_for(servers):
    """Where a response takes long and the CPU is free, calls soon use every connection that they may have."""
    assert await _most_at_once(servers, CALLS, latency_s=0.25, connections=150) == 150


@pytest.mark.asyncio
async def test_a_busy_process_opens_no_connections_that_do_not_help(servers):
    """Where the CPU is what takes the time, calls wait and no more connections are opened."""
    assert await _most_at_once(servers, CALLS, work_s=0.001) == FIRST_CONNECTIONS


@pytest.mark.asyncio
async def test_calls_that_hang_do_not_keep_others_waiting(servers):
    """If the first connections all hang, those of other calls are opened a moment later."""
    hanging, is_over = 0, asyncio.Event()

    async def talk(reader, writer):
        nonlocal hanging
        while head := await reader.readuntil(servers.HEAD_END):
            if b"/hangs" in head:
                hanging += 1
                await is_over.wait()
            writer.write(servers.OK)

    async with servers.served(talk) as url, open_pool(ca_bundle=None, connections=2 * FIRST_CONNECTIONS) as send:
        stuck = [asyncio.ensure_future(send(Request(f"{url}/hangs", {}))) for _ in range(FIRST_CONNECTIONS)]
        async with asyncio.timeout(5):
            assert (await send(Request(f"{url}/works", {}))).status == 200
        is_over.set()
        await asyncio.gather(*stuck)

    assert hanging == FIRST_CONNECTIONS
