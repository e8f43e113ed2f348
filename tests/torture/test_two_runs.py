"""Two runs at once into one destination: each snapshot is whole, of one run alone, and there once.

Sampled here; ``make torture`` (LEXPORT_TORTURE=whole) takes 200 rounds, and stops a run at every call and request.
"""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager

import anyio
import pytest
from breakers import AtCalls, AtRequests, first, stopped
from fault_proxy import fault, open_fault_proxy
from progress import IS_WHOLE, STRIDE, Progress
from recovery import FIRST, SECOND, Folder, Loss, Prefix, look

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.timeout(3600 if IS_WHOLE else 120)]

ROUNDS = 200 // STRIDE if IS_WHOLE else 3


@pytest.fixture(params=["folder", "bucket"])
def opened(request, simulator, five_regions, recovery, torture_disk, tmp_path):
    """Serve a fleet, and open a folder or a prefix of a bucket with an earlier snapshot in it, and what breaks runs."""
    bucket = request.getfixturevalue("bucket") if request.param == "bucket" else None

    @asynccontextmanager
    async def start(**how):
        async with simulator(fleet=five_regions, verify=False) as aws:
            if bucket is None:
                breaker = AtCalls(torture_disk, tmp_path / "fleet")
                runs = recovery(aws, Folder(tmp_path / "fleet"))
                await runs.prepare(**how)
                yield runs, breaker
                return
            breaker = AtRequests()
            async with open_fault_proxy(bucket.endpoint, fault("any", breaker.act, times=None)) as proxy:
                runs = recovery(aws, Prefix(bucket), AWS_ENDPOINT_URL_S3=proxy.url)
                await runs.prepare(**how)
                yield runs, breaker

    return request.param, start


async def log(runs, breaker):
    """Return the calls or requests of an unbroken run."""
    await anyio.to_thread.run_sync(runs.place.reset)
    breaker.arm()
    done = await runs.run(*runs.arguments())
    assert done.code == 0, done.err
    breaker.disarm()
    return breaker.lines


async def both(runs, second_forks, first, second):
    """Run two commands at the same time; return how they ended."""
    ended = []

    async def run(arguments, when, forks):
        ended.append(await runs.run(*arguments, when=when, forks=forks))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, *first, runs.forks)
        tasks.start_soon(run, *second, second_forks)
    return sorted(ended, key=lambda each: each.code)


async def test_two_at_once(opened, second_forks):
    """Of two new runs both publish; of two of one id or two resumes of one run, one does and the other exits with 6."""
    name, start = opened
    async with start() as (runs, breaker):
        lines = await log(runs, breaker)
        read = first(lines, r"(PUT|link) .*/shard\.json") + 1
        new, resume = runs.arguments(), runs.arguments("--resume", runs.first)
        progress = Progress(f"two at once, {name}", ROUNDS)
        for number in range(ROUNDS):
            loss, kind = Loss(), ("two new runs", "two of one id", "two resumes")[number % 3]
            if progress.is_done(kind, number):
                continue
            await anyio.to_thread.run_sync(runs.place.reset)
            if kind == "two new runs":
                ended = await both(runs, second_forks, (new, FIRST), (new, SECOND))
                loss.check([each.code for each in ended] == [0, 0], f"exit codes of {ended}")
                expected = [runs.earlier, runs.first, runs.second]
            else:
                if kind == "two resumes":
                    breaker.arm(read)
                    breaker.pid = runs.start(*runs.arguments())
                    await runs.wait(breaker.pid)
                    breaker.disarm()
                again = new if kind == "two of one id" else resume
                ended = await both(runs, second_forks, (again, FIRST), (again, FIRST))
                is_late = "no unfinished run of this id" in ended[1].err + ended[0].err
                loss.check([each.code for each in ended] == [0, 2 if is_late else 6], f"exit codes of {ended}")
                expected = [runs.earlier, runs.first]
            found = await anyio.to_thread.run_sync(look, runs.place)
            loss.check(sorted(found.commits) == expected, f"commits {sorted(found.commits)}, not {expected}")
            for run, other in zip(expected[1:], ("", runs.first), strict=False):
                compare_any(runs, run, other, found.commits.get(run, {}), loss)
            loss.check(not runs.place.changed(), "files of the earlier snapshot have changed")
            await runs.verify(loss)
            await runs.ask(loss)
            progress.record(kind, number, lost=loss.lost, doubled=loss.doubled, wrong=loss.wrong)
            assert loss == Loss(), (kind, number)


async def test_stopped_and_taken_over(opened, second_forks):
    """A run that stood still while another took it over ends with 6 when it goes on, and the snapshot stays whole."""
    name, start = opened
    async with start(has_other_runs=False) as (runs, breaker):
        lines = await log(runs, breaker)
        progress = Progress(f"stopped and taken over, {name}", len(lines))
        failed = []
        for at in moments(lines):
            if progress.is_done("stop", at):
                continue
            loss = await take_over(runs, second_forks, breaker, at)
            progress.record("stop", at, lost=loss.lost, doubled=loss.doubled, wrong=loss.wrong)
            if loss != Loss():
                failed.append(f"{at} {lines[at - 1]}: {loss}")

    assert not failed, "\n\n".join(failed)


def moments(lines):
    """Choose where a run is stopped: with one account-region read, and right before its commit."""
    if IS_WHOLE:
        calls = [at for at in range(1, len(lines) + 1) if not lines[at - 1].startswith("write")]
        return calls[:: 2 * STRIDE]  # an hour is not enough for all
    return [first(lines, r"(PUT|link) .*/shard\.json"), first(lines, r"(PUT|link) .*_runs/0")]


async def take_over(runs, second_forks, breaker, at):
    """Stop a run, let another one take it over, let the first one go on; say what is wrong."""
    loss = Loss()
    await anyio.to_thread.run_sync(runs.place.reset)
    breaker.arm(at, "stop")
    breaker.pid = pid = runs.start(*runs.arguments())
    if await stopped(pid):
        before = await anyio.to_thread.run_sync(look, runs.place)
        is_begun, is_published = runs.first in before.staged, runs.first in before.commits
        second = await runs.run(
            *runs.arguments("--resume", runs.first), when=runs.in_eleven_minutes(), forks=second_forks
        )
        loss.check(second.code == (0 if is_begun else 2), f"the second ended with {second.code}: {second.err}")
        breaker.disarm()
        os.kill(pid, signal.SIGCONT)
        done = await runs.wait(pid)
        loss.check(done.code == (6 if is_begun else 0), f"the first ended with {done.code}: {done.err}")
        loss.check(not is_published or done.code == 0, "it was published")
    else:
        loss.wrong.append("it was not stopped")
        await runs.wait(pid)
        breaker.disarm()
    found = await anyio.to_thread.run_sync(look, runs.place)
    loss.check(sorted(found.commits) == [runs.earlier, runs.first], f"commits {sorted(found.commits)}")
    runs.compare((runs.earlier, runs.first), found.commits.get(runs.first, {}), loss)
    loss.check(not runs.place.changed(), "files of the earlier snapshot have changed")
    await runs.verify(loss)
    await runs.ask(loss)
    return loss


def compare_any(runs, run, other, found, loss):
    """Compare a commit with the references: ``changes`` depends on whether the other one was published before it."""
    losses = []
    for commits in [(runs.earlier, run), (runs.earlier, other, run)] if other else [(runs.earlier, run)]:
        own = Loss()
        runs.compare(commits, found, own)
        losses.append(own)
    best = min(losses, key=lambda each: (each.lost, each.doubled, len(each.wrong)))
    loss.lost, loss.doubled, loss.wrong = loss.lost + best.lost, loss.doubled + best.doubled, loss.wrong + best.wrong
