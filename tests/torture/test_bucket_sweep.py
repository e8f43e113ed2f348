"""A run into a bucket is killed at every request to it, and resumed: nothing is lost, nothing is there twice.

It is killed before the server gets the request, and when the server has carried it out. Sampled here; ``make torture``
(LEXPORT_TORTURE=whole) takes every request, and goes on where it was stopped.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest
from anyio import to_thread
from breakers import AtRequests, first
from fault_proxy import fault, open_fault_proxy
from progress import IS_WHOLE, STRIDE, Progress
from recovery import Loss, Prefix, look

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

SHARDS = max(1, 8 // STRIDE)
KINDS = ("killed before the request", "killed after the request")


def requests(lines):
    """The requests without their order and without what differs between processes."""
    return Counter(re.sub(r"[0-9a-f]{64}", "#", line) for line in lines)


def points(lines, shard):
    """Choose the requests at which a run is killed: all, or some of each kind."""
    if IS_WHOLE:
        return [(kind, at) for kind in KINDS for at in range(1, len(lines) + 1, STRIDE)[shard::SHARDS]]

    return [
        (KINDS[0], first(lines, r"PUT .*/shard\.json")),
        (KINDS[1], first(lines, r"PUT .*/functions/")),
        (KINDS[1], first(lines, r"PUT .*/_runs/0")),
    ]


@pytest.mark.timeout(3600 if IS_WHOLE else 120)
@pytest.mark.parametrize("shard", range(SHARDS if IS_WHOLE else 1))
async def test_every_request_to_a_bucket(simulator, five_regions, recovery, bucket, shard):
    """Wherever a run is killed, the snapshot is there whole or not at all, and the resumed run publishes the same."""
    killer = AtRequests()
    async with (
        simulator(fleet=five_regions, verify=False) as aws,
        open_fault_proxy(bucket.endpoint, fault("any", killer.act, times=None)) as proxy,
    ):
        runs = recovery(aws, Prefix(bucket), AWS_ENDPOINT_URL_S3=proxy.url)
        await runs.prepare()
        lines = await unbroken(runs, killer)
        progress = Progress("bucket", len(lines))
        failed = []
        for kind, at in points(lines, shard):
            if progress.is_done(kind, at):
                continue
            loss = Loss()
            await to_thread.run_sync(runs.place.reset)
            killer.arm(at, "kill after" if kind == KINDS[1] else "kill")
            killer.pid = runs.start(*runs.arguments())
            done = await runs.wait(killer.pid)
            own = killer.lines
            killer.disarm()
            await judge(runs, done, own, at, kind, loss)
            await runs.resume(loss)
            progress.record(kind, at, lost=loss.lost, doubled=loss.doubled, wrong=loss.wrong)
            if loss.lost or loss.doubled or loss.wrong:
                failed.append(f"{kind} {at} {own[at - 1 : at]}: {loss}\n{done.err}")
        after = await unbroken(runs, killer)

    assert not failed, "\n\n".join(failed)
    assert len(after) == len(lines)
    assert requests(after) == requests(lines)
    assert bucket.uploads() == []


async def unbroken(runs, killer):
    """Run once to its end; return its requests."""
    await to_thread.run_sync(runs.place.reset)
    killer.arm()
    done = await runs.run(*runs.arguments())
    assert done.code == 0, done.err
    lines = killer.lines
    await to_thread.run_sync(runs.place.reset)
    return lines


async def judge(runs, done, lines, at, kind, loss):
    """Say what is wrong with how a run ended, and with what it left for readers."""
    loss.check(done.code == -9, f"exit code {done.code}")
    sent = lines if kind == KINDS[1] else lines[: at - 1]
    is_published = any(line.endswith(f"/_runs/{runs.first}.json") and line.startswith("PUT") for line in sent)
    expected = [runs.earlier, *([runs.first] if is_published else [])]
    found = await to_thread.run_sync(look, runs.place)
    loss.check(sorted(found.commits) == expected, f"commits {sorted(found.commits)}, not {expected}")
    if is_published and runs.first in found.commits:
        runs.compare((runs.earlier, runs.first), found.commits[runs.first], loss)
    await runs.verify(loss)
    if not IS_WHOLE:
        await runs.ask(loss)
