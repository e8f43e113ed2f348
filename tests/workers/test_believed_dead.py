"""Workers that stand still, are cut off or have no room: others read their shards, with the bytes of a run without.

What is said of a minute is said of the settings of the tests: see ``worker_runs.py``.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
from contextlib import asynccontextmanager, contextmanager, suppress
from urllib.parse import urlsplit

import anyio
import pytest
import pytest_asyncio
from worker_runs import VARIABLES, ended, fleet_of, last_minutes, made, started_run, until, versions_of, whole

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

HERE, THERE = "169.254.213.1", "169.254.213.2"


@pytest_asyncio.fixture
async def fleet(simulator, environment, is_whole, tmp_path):
    """A fleet, and its tables as one process writes them, in ``one``."""
    environment |= VARIABLES
    fleet = fleet_of(50 if is_whole else 15)
    async with simulator(fleet=fleet) as server, started_run(tmp_path / "one", server.url, environment) as run:
        await ended(run)
    return fleet


def check(look, tmp_path, fleet, server, *, minutes):
    """The bytes are those of one process; so many last minutes of both account-regions of one worker are repeated."""
    assert look.table_bytes(tmp_path / "fleet") == look.table_bytes(tmp_path / "one")
    assert 0 <= made(server) - versions_of(fleet) <= minutes * last_minutes(2)
    assert not list((tmp_path / "fleet" / "_staging").iterdir())


def is_given_up(running):
    """The scheduler has removed a worker whose heartbeat is missing."""
    return "Removing worker" in running.said("scheduler") or "Remove worker" in running.said("scheduler")


async def test_one_that_stands_still_and_wakes(simulator, environment, dask, look, fleet, tmp_path):
    """Awake again, it sees that a later attempt has begun, and stops: two minutes at most are repeated."""
    async with simulator(fleet=fleet) as server:
        with dask(2) as running:
            await until(running.are_registered)
            async with started_run(tmp_path / "fleet", server.url, environment, dask=running.url) as run:
                await until(lambda: made(server) > versions_of(fleet) * 0.4)
                os.kill(running.workers[0].pid, signal.SIGSTOP)
                await until(lambda: is_given_up(running))
                os.kill(running.workers[0].pid, signal.SIGCONT)
                assert (await ended(run))["gaps"] == 0
    check(look, tmp_path, fleet, server, minutes=2)


@whole
async def test_one_without_room(simulator, environment, dask, disk, look, fleet, tmp_path):
    """A worker whose disk is full for its rows leaves its account-regions to the other one."""
    async with simulator(fleet=fleet) as server:
        with dask(1) as running, disk.failing(tmp_path / "fleet", 1, errno.ENOSPC, sticky=True, only=".run"):
            running.start_workers(1, **disk.variables())
            await until(running.are_registered)
            async with started_run(tmp_path / "fleet", server.url, environment, dask=running.url) as run:
                found = await ended(run)
        assert disk.calls
    check(look, tmp_path, fleet, server, minutes=1)
    assert any("No space left" in note for note in found["notes"]), found


@whole
async def test_one_that_is_cut_off(simulator, environment, dask, look, fleet, tmp_path):
    """A worker whose network is gone, in a namespace of its own, is given up; another one reads the rest."""
    async with simulator(fleet=fleet) as server:
        with other_network() as inside, dask(1, host=HERE) as running:
            async with relay(HERE, urlsplit(server.url).port) as url:
                running.start_workers(1, "--host", THERE, prefix=inside)
                await until(running.are_registered)
                async with started_run(tmp_path / "fleet", url, environment, dask=running.url) as run:
                    await until(lambda: made(server) > versions_of(fleet) * 0.4)
                    await anyio.run_process(["ip", "link", "set", "lexport-test", "down"])
                    assert (await ended(run))["gaps"] == 0
                assert is_given_up(running)
    check(look, tmp_path, fleet, server, minutes=2)


@contextmanager
def other_network():
    """Make a network namespace that reaches this one by one link; yield the words that run a command in it."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace takes root")
    steps = [
        "netns add lexport-test",
        "link add lexport-test type veth peer name inside netns lexport-test",
        f"address add {HERE}/30 dev lexport-test",
        "link set lexport-test up",
        f"-n lexport-test address add {THERE}/30 dev inside",
        "-n lexport-test link set inside up",
        "-n lexport-test link set lo up",
    ]
    try:
        for step in steps:
            try:
                done = subprocess.run(["ip", *step.split()], capture_output=True, check=False)
            except FileNotFoundError:
                pytest.skip("needs the Debian package iproute2")
            if done.returncode:
                pytest.skip(f"this machine makes no network namespace: {done.stderr.decode()}")
        yield ["ip", "netns", "exec", "lexport-test"]
    finally:
        with suppress(FileNotFoundError):
            subprocess.run(["ip", "netns", "del", "lexport-test"], capture_output=True, check=False)


@asynccontextmanager
async def relay(host, port):
    """Pass connections to an address of this machine on to a port of loopback; yield the URL."""

    async def copy(reader, writer):
        with suppress(OSError):
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        writer.close()

    async def serve(reader, writer):
        behind = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, behind[1]), copy(behind[0], writer))

    server = await asyncio.start_server(serve, host, 0)
    try:
        yield f"http://{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
