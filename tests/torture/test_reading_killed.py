"""A run is killed while it reads, at each request to AWS, and resumed: what was staged is not fetched again.

Sampled here; ``make torture`` (LEXPORT_TORTURE=whole) takes every request, and goes on where it was stopped.
"""

from __future__ import annotations

import time

import anyio
import pytest
from breakers import AtRequests
from fault_proxy import fault, open_fault_proxy
from progress import IS_WHOLE, STRIDE, Progress
from recovery import FIRST, REGIONS, Folder, Loss, look

from lexport.dataset.runs import read_sections

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.timeout(3600 if IS_WHOLE else 120)]

SHARDS = max(1, 4 // STRIDE)
SCRIPT = """
import asyncio, lexport
asyncio.run(lexport.snapshot({dest!r}, lexport.SnapshotSettings(**{settings!r})))
"""
FLUSH_AFTER_S = 0.02


def script(runs, flush_after_s, rate_per_s=1e6):
    """A run that stages its rows more often than the command does."""
    settings = {
        "endpoint_url": runs.endpoint_url,
        "regions": REGIONS,
        "get_function_rate_per_s": rate_per_s,
        "list_rate_per_s": 1e6,
        "flush_after_s": flush_after_s,
    }
    return SCRIPT.format(dest=runs.place.url, settings=settings)


async def read_and_die(runs, breaker, proxy, at, text):
    """Run until the request ``at``; return the process's end, once none of its requests is under way."""
    runs.place.reset()
    breaker.arm(at)
    breaker.pid = runs.forks.start(at=runs.at(FIRST), script=text)
    done = await runs.wait(breaker.pid)
    breaker.disarm()
    while proxy.open:  # noqa: ASYNC110 - it has no event
        await anyio.sleep(0.01)
    return done


def staged(runs):
    """The versions with a staged row, by Region."""
    found: dict[str, set[tuple[str, str]]] = {}
    for path in (runs.place.path / "_staging" / runs.first).rglob("*-*.run"):
        if ".work-" in str(path):
            continue
        versions = found.setdefault(path.parts[-3][13:], set())
        for section in read_sections(path):
            for block in section.blocks() if section.table == "functions" else ():
                rows = block.select(["function_name", "version"]).to_pylist()
                versions.update((row["function_name"], row["version"]) for row in rows)
    return found


async def go_on(runs, loss):
    """Resume; return how many versions were staged, and how many calls of GetFunction came on top of the others."""
    kept = staged(runs)
    finished = look(runs.place).staged.get(runs.first, set())
    count = sum(map(len, kept.values()))
    await runs.resume(loss)
    calls = sum(number for (_, _, name), number in runs.aws.calls.items() if name == "GetFunction")
    loss.check(calls == runs.versions - count, f"{calls} calls of GetFunction, {count} versions were staged")
    return count, finished


@pytest.mark.parametrize("shard", range(SHARDS if IS_WHOLE else 1))
async def test_killed_while_reading(simulator, five_regions, recovery, tmp_path, shard):
    """Wherever the reading is killed, the next run fetches exactly what was not staged, and the bytes are the same."""
    breaker = AtRequests()
    async with (
        simulator(fleet=five_regions, verify=False) as aws,
        open_fault_proxy(aws.url, fault("any", breaker.act, times=None)) as proxy,
    ):
        runs = recovery(aws, Folder(tmp_path / "fleet"))
        runs.endpoint_url = proxy.url
        await runs.prepare(has_other_runs=IS_WHOLE)
        await read_and_die(runs, breaker, proxy, 0, script(runs, FLUSH_AFTER_S))
        lines = breaker.lines
        progress = Progress("reading", len(lines))
        points = (
            range(1, len(lines) + 1)[::STRIDE][shard::SHARDS] if IS_WHOLE else [len(lines) // 2, len(lines) * 9 // 10]
        )
        failed = []
        for at in points:
            if progress.is_done("kill", at):
                continue
            loss = Loss()
            done = await read_and_die(runs, breaker, proxy, at, script(runs, FLUSH_AFTER_S))
            loss.check(done.code == -9, f"exit code {done.code}")
            await go_on(runs, loss)
            progress.record("kill", at, lost=loss.lost, doubled=loss.doubled, wrong=loss.wrong)
            if loss != Loss():
                failed.append(f"{at}: {loss}\n{done.err}")

    assert not failed, "\n\n".join(failed)


async def test_killed_at_nine_tenths(simulator, five_regions, recovery, tmp_path):
    """Of a run that is killed at 90 %, only what was read after its last flush is read again."""
    breaker, times = AtRequests(), []
    flush_after_s = 0.3

    async def act(exchange):
        if "/functions/" in exchange.request.target and exchange.request.target.count("/") == 3:
            times.append(time.monotonic())
        await breaker.act(exchange)

    async with (
        simulator(fleet=five_regions, verify=False) as aws,
        open_fault_proxy(aws.url, fault("any", act, times=None)) as proxy,
    ):
        runs = recovery(aws, Folder(tmp_path / "fleet"))
        runs.endpoint_url = proxy.url
        await runs.prepare(has_other_runs=False)
        await read_and_die(runs, breaker, proxy, 0, script(runs, flush_after_s))
        at = len(breaker.lines) * 9 // 10
        times.clear()
        loss = Loss()
        await read_and_die(runs, breaker, proxy, at, script(runs, flush_after_s, rate_per_s=8.0))
        killed = time.monotonic()
        asked = len(times)
        late = sum(moment > killed - flush_after_s - 2.0 for moment in times)
        count, _ = await go_on(runs, loss)

    assert loss == Loss()
    assert asked - count <= late, (asked, count, late)
    assert count > 0
