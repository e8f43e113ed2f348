"""Runs whose workers are killed, stopped or cut off at a moment: the fleet, the run, and what it may have repeated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from lexport.simulator import Fleet, FleetSpec, Simulator

IS_WHOLE = os.environ.get("LEXPORT_WORKERS") == "whole"
"""Everything is run, at its full size: ``make workers``. The suite has one test of each kind."""

whole = pytest.mark.skipif(not IS_WHOLE, reason="part of make workers")
WAITS = 0.03
VARIABLES = {"LEXPORT_TEST_WAITS": str(WAITS), "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "2 s"}
REGIONS = ("us-east-1", "eu-west-1", "ap-south-1", "sa-east-1")
RATE_PER_S = 20
ON_THEIR_WAY = 16  # calls of one account-region at any moment, at this rate
SCRIPT = """
import asyncio, json, sys
from datetime import UTC, datetime
import lexport

options = {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(sys.argv[2]).items()}
settings = lexport.SnapshotSettings(**options, snapshot_at=datetime(2026, 11, 1, tzinfo=UTC))
result = asyncio.run(lexport.snapshot(sys.argv[1], settings))
print(json.dumps({"notes": result.notes, "gaps": result.manifest.gaps}))
"""


def fleet_of(functions: int) -> Fleet:
    """Four account-regions of one account, each with so many functions of four versions."""
    return Fleet(FleetSpec(functions=functions, versions=3, regions=REGIONS))


def versions_of(fleet: Fleet) -> int:
    """How many versions there are, and so how many calls of GetFunction a run needs."""
    return fleet.spec.functions * (fleet.spec.versions + 1) * len(REGIONS)


def made(server: Simulator) -> int:
    """How many calls of GetFunction the server has got."""
    return sum(count for (_, _, call), count in server.calls.items() if call == "GetFunction")


def last_minutes(regions: int) -> int:
    """How many calls may be repeated where the last minute of so many account-regions is lost."""
    return regions * (int(RATE_PER_S * 60 * WAITS) + ON_THEIR_WAY)


async def until(is_so: Callable[[], object], within_s: float = 60) -> None:
    """Wait until this is so."""
    with anyio.fail_after(within_s):
        while not is_so():  # noqa: ASYNC110 - the simulator has counters, other processes have files, none has events
            await anyio.sleep(0.01)


@asynccontextmanager
async def started_run(
    dest: object, url: str, environment: Mapping[str, str], **more: Any
) -> AsyncIterator[anyio.abc.Process]:
    """Start a snapshot of a fixed id and time, so that the bytes of two can be compared; kill it if it still runs."""
    options = {
        "endpoint_url": url,
        "regions": REGIONS,
        "get_function_rate_per_s": RATE_PER_S,
        "list_rate_per_s": 1e6,
        "snapshot_id": "01K00000000000000000000000",
    }
    command = [sys.executable, "-c", SCRIPT, str(dest), json.dumps(options | more)]
    process = await anyio.open_process(command, env=dict(environment), stdin=subprocess.DEVNULL)
    async with process:
        yield process
        if process.returncode is None:
            process.kill()


async def ended(process: anyio.abc.Process, within_s: float = 60) -> dict[str, Any]:
    """Wait until a run has ended well; return its notes and gaps."""
    with anyio.fail_after(within_s):
        assert process.stdout is not None
        assert process.stderr is not None
        out = b"".join([part async for part in process.stdout])
        err = b"".join([part async for part in process.stderr])
        assert await process.wait() == 0, err.decode()
    found: dict[str, Any] = json.loads(out)
    return found
