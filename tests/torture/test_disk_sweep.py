"""Every call of a snapshot to the disk fails once, and the run is resumed: nothing is lost, nothing is there twice.

Sampled here; ``make torture`` (LEXPORT_TORTURE=whole) takes every call, and goes on where it was stopped.
"""

from __future__ import annotations

import errno
import os

import pytest
from points import chosen, commit_of, steps
from progress import IS_WHOLE, STRIDE, Progress
from recovery import Folder, Loss, look

from disk import KILL

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

SHARDS = max(1, 8 // STRIDE)
FAULTS = {
    "kill": {"error": KILL},
    "EIO": {"error": errno.EIO},
    "EIO from then on": {"error": errno.EIO, "sticky": True},
    "ENOSPC": {"error": errno.ENOSPC},
    "ENOSPC from then on": {"error": errno.ENOSPC, "sticky": True},
    "EROFS from then on": {"error": errno.EROFS, "sticky": True},
    "answer lost": {"error": errno.EIO, "lost": True},
}


RARELY = {"EROFS from then on": 4, "answer lost": 4}
"""Of these faults, every so many points are tried: an hour is not enough for all."""
PARTS = [(fault, shard) for fault in FAULTS for shard in range(SHARDS)] if IS_WHOLE else [("some", 0)]


def points(calls, part, shard, earlier):
    """Choose which calls fail how: all, or a sample of each kind of step with some of the faults."""
    if IS_WHOLE:
        return [(part, at) for at in chosen(calls)[:: STRIDE * RARELY.get(part, 1)][shard::SHARDS]]
    commit = commit_of(calls, earlier)
    result = next(
        number for number, (call, _, other) in enumerate(calls, 1) if call == "link" and "shard.json" in other
    )
    spec = next(number for number, (call, _, other) in enumerate(calls, 1) if call == "link" and "run.json" in other)
    placed = next(number for number, (call, _, other) in enumerate(calls, 1) if call == "link" and "tags/" in other)
    return [
        ("kill", result),
        ("kill", commit + 1),
        ("EIO", spec),
        ("EIO", commit + 1),
        ("EIO from then on", placed),
        ("ENOSPC", result - 1),
        ("EROFS from then on", 3),
        ("answer lost", commit),
    ]


@pytest.mark.timeout(3600 if IS_WHOLE else 120)
@pytest.mark.parametrize(("part", "shard"), PARTS)
async def test_every_call_to_the_disk(simulator, five_regions, recovery, torture_disk, tmp_path, part, shard):
    """Whatever call fails, the snapshot is there whole or not at all, and a resumed run publishes the same bytes."""
    async with simulator(fleet=five_regions, verify=False) as aws:
        runs = recovery(aws, Folder(tmp_path / "fleet"))
        await runs.prepare()
        calls = await unbroken(runs, torture_disk)
        progress = Progress("disk", len(calls))
        failed = []
        for fault, at in points(calls, part, shard, runs.earlier):
            if progress.is_done(fault, at):
                continue
            loss = Loss()
            runs.place.reset()
            with torture_disk.failing(runs.place.path, at, **FAULTS[fault]):
                done = await runs.run(*runs.arguments())
            own = torture_disk.calls
            await judge(runs, done, own, at, fault, loss)
            await runs.resume(loss)
            progress.record(fault, at, lost=loss.lost, doubled=loss.doubled, wrong=loss.wrong)
            if loss.lost or loss.doubled or loss.wrong:
                failed.append(f"{fault} at {at} {own[at - 1 : at]}: {loss}\n{done.err}")
        after = await unbroken(runs, torture_disk)

    assert not failed, "\n\n".join(failed)
    assert len(after) == len(calls)
    assert steps(after) == steps(calls)


async def unbroken(runs, disk):
    """Run once without a fault; return its calls."""
    runs.place.reset()
    with disk.failing(runs.place.path):
        done = await runs.run(*runs.arguments())
    assert done.code == 0, done.err
    runs.place.reset()
    return disk.calls


async def judge(runs, done, calls, at, fault, loss):
    """Say what is wrong with how a run ended, and with what it left for readers."""
    options = FAULTS[fault]
    error, is_sticky, is_lost = options["error"], options.get("sticky", False), options.get("lost", False)
    commit = commit_of(calls, runs.earlier)
    is_refused = commit is not None and (commit == at or (is_sticky and commit > at)) and not is_lost
    is_published = commit is not None and not is_refused
    expected = [runs.earlier, *([runs.first] if is_published else [])]
    found = look(runs.place)
    loss.check(sorted(found.commits) == expected, f"commits {sorted(found.commits)}, not {expected}")
    if is_published and runs.first in found.commits:
        runs.compare((runs.earlier, runs.first), found.commits[runs.first], loss)
    loss.check(not runs.place.changed(), "files of the earlier snapshot have changed")
    await runs.verify(loss)
    if not IS_WHOLE or (commit is not None and abs(at - commit) < 20):
        await runs.ask(loss)
    if error != KILL and not is_sticky and calls[at - 1][0] not in ("unlink", "rmdir"):
        loss.check(not strays(runs, found), f"left behind: {strays(runs, found)}")
    loss.check("Traceback" not in done.err, "a traceback")
    if error == KILL:
        loss.check(done.code == -9, f"exit code {done.code}")
    elif is_published:
        loss.check(done.code == 0, f"exit code {done.code}")
        durable = next((number for number, call in enumerate(calls, 1) if call[:2] == ("fsync", "_runs")), at)
        is_unsure = commit < at <= durable
        loss.check(("warning: " in done.err) is is_unsure, "the warning of a commit that may not be durable")
        loss.check(not is_unsure or ("lexport verify" in done.err and os.strerror(error) in done.err), "no reason")
    else:
        _judge_message(done, calls, at, error, loss)


def _judge_message(done, calls, at, error, loss):
    is_found_first = (
        error == errno.EROFS and ".probe-" in calls[at - 1][1] and calls[at - 1][:2] != ("unlink", calls[0][1])
    )
    wanted = 2 if is_found_first else 1  # the last of the probe is cleared away after all is tried
    loss.check(done.code == wanted, f"exit code {done.code}, not {wanted}")
    lines = done.err.splitlines()
    loss.check(len(lines) == 1 and lines[0].startswith("lexport: "), "not one line")
    loss.check(os.strerror(error) in done.err, "no reason")
    loss.check(error != errno.ENOSPC or "bytes are free there" in done.err, "no free space")
    loss.check("/fleet" in done.err, "no path")


def strays(runs, found):
    """Files that no commit names and no unpublished run needs."""
    named = {path for run in found.commits for path in runs.files_of(run)}
    kept = {f"_staging/{run}" for run in found.staged}
    return [
        path
        for path in runs.place.paths()
        if path not in named and path != "_latest.json"
        if not any(path.startswith(f"{folder}/") and "/.work-" not in path for folder in kept)
        if not (path.startswith("snapshots/") and path[-39:-13] in found.commits)
        if not (path.startswith("_runs/") and path[6:-5] in found.commits)
    ]
