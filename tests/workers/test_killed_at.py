"""``kill -9`` of a worker at twelve moments of its work: the bytes are those of a run without."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import dataclass

import pytest
from worker_runs import VARIABLES, ended, fleet_of, last_minutes, made, started_run, until, versions_of

from disk import KILL
from lexport.simulator import Fault

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


@dataclass(frozen=True)
class Moment:
    """A worker is killed before its call number ``at`` that changes a file of a name with ``only`` in it.

    Without ``only``, it is killed as soon as the server has got so large a ``share`` of the calls.
    """

    only: str = ""
    at: int = 1
    share: float = 0.0
    faults: tuple[Fault, ...] = ()


MOMENTS = {
    "middle": Moment(share=0.5),
    "before shard.json": Moment("shard.json"),
    "opening the run": Moment("/.work-"),
    "before begun.json": Moment("begun.json"),
    "after begun.json": Moment("begun.json", at=4),
    "listing": Moment(share=0.0, faults=(Fault(operation="ListFunctions", kind="slow", delay_s=0.3, times=None),)),
    "first responses": Moment(share=0.02),
    "a quarter": Moment(share=0.25),
    "before the first rows are kept": Moment("/0001/0000-"),
    "when the first rows are kept": Moment("/0001/0001-"),
    "last responses": Moment(share=0.9),
    "after shard.json": Moment("shard.json", at=4),
}


SAMPLE = 1  # the first ones; all of them by ``make workers``


@pytest.mark.timeout(1800)
async def test_a_worker_is_killed_at(simulator, environment, dask, disk, look, is_whole, tmp_path):
    """Another worker reads the rest, no row comes twice, and at most the calls of the last minute are repeated."""
    environment |= VARIABLES
    fleet, one = fleet_of(50 if is_whole else 15), tmp_path / "one"
    async with simulator(fleet=fleet) as server, started_run(one, server.url, environment) as run:
        await ended(run)
    with dask(1) as running:
        for number, name in enumerate(list(MOMENTS)[: None if is_whole else SAMPLE]):
            dest = tmp_path / f"fleet-{number}"
            (victim,) = running.start_workers(1, **disk.variables())
            await until(running.are_registered)
            async with (
                simulator(*MOMENTS[name].faults, fleet=fleet) as server,
                started_run(dest, server.url, environment, dask=running.url) as run,
            ):
                await kill_at(MOMENTS[name], victim, disk, dest, server)
                assert (await ended(run))["gaps"] == 0
            assert look.table_bytes(dest) == look.table_bytes(one), name
            assert 0 <= made(server) - versions_of(fleet) <= last_minutes(2), name
            assert not list((dest / "_staging").iterdir())
            shutil.rmtree(dest)


async def kill_at(moment, victim, disk, dest, server):
    """Wait until a worker was killed at its moment."""
    with disk.failing(dest, at=moment.at, error=KILL, only=moment.only) if moment.only else nullcontext():
        if not moment.only:
            await until(lambda: count_calls(server) > moment.share * versions_of(server.fleet))
            victim.kill()
        await until(lambda: victim.poll() is not None)
        assert victim.poll() == -9


def count_calls(server):
    """The calls of GetFunction; before the first, those of ListFunctions."""
    return made(server) or sum(count for (_, _, call), count in server.calls.items() if call == "ListFunctions") / 1e6
