"""Every call of a snapshot to the disk fails once: before the commit nothing is published, after it everything is.

Sampled here; ``make sweep`` (LEXPORT_SWEEP=whole) takes every call.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

IS_WHOLE = os.environ.get("LEXPORT_SWEEP") == "whole"
SHARDS = 48
VERSIONS = 4
FAULTS = {
    "EIO": {"error": "EIO"},
    "ENOSPC": {"error": "ENOSPC"},
    "KILL": {"error": "KILL"},
    "EROFS": {"error": "EROFS", "sticky": True},
    "lost": {"error": "EIO", "lost": True},
}


GROUPS = [(fault,) for fault in FAULTS] if IS_WHOLE else [("EIO", "lost"), ("ENOSPC", "KILL", "EROFS")]


def points(faults, calls, shard):
    """Choose which calls fail: all of them, or all around the commit for one fault and a spread for the others."""
    for fault in faults:
        for at in range(1 + shard, len(calls) + 1, SHARDS) if IS_WHOLE else sampled(fault, calls):
            yield fault, at


def sampled(fault, calls):
    """Choose the calls that fail in the sample: all around the commit for one fault, a spread for the others."""
    place = commit_of(calls)
    began = next(number for number, (call, path, _) in enumerate(calls, 1) if (call, path) == ("fsync", "_staging"))
    row = next(number for number, (call, _, other) in enumerate(calls, 1) if call == "link" and "snapshots/s" in other)
    hint = next(
        number for number, (call, _, other) in enumerate(calls, 1) if (call, other) == ("rename", "_latest.json")
    )
    return {
        "EIO": [began, place // 2, place - 3, place - 1, place, place + 1, place + 2, row, hint],
        "ENOSPC": [place // 3, place],
        "KILL": [place - 9, place, place + 1],
        "EROFS": [place // 2, place + 1],
        "lost": [place],
    }[fault]


def commit_of(calls):
    """The number of the call that makes the commit, or None where it did not come so far."""
    return next(
        (number for number, (call, _, other) in enumerate(calls, 1) if call == "link" and other.startswith("_runs/0")),
        None,
    )


@pytest.mark.timeout(1800 if IS_WHOLE else 300)
@pytest.mark.parametrize("shard", range(SHARDS if IS_WHOLE else 1))
@pytest.mark.parametrize("faults", GROUPS, ids="+".join)
async def test_publish(simulator, environment, disk, tmp_path, faults, shard):
    """Whatever call fails, the snapshot is there whole or not at all, and the exit code says which of both."""
    async with simulator(functions=2, versions=1) as aws, started(environment, disk, tmp_path, aws.url) as ask:
        unfaulted = await ask(at=0)
        calls = unfaulted["calls"]
        (earlier, _) = unfaulted["commits"]
        judge(unfaulted, {}, earlier)
        for fault, at in points(faults, calls, shard):
            point = {"at": at, **FAULTS[fault]}
            result = await ask(**point, thorough=IS_WHOLE)
            done = steps(result["calls"][: at - 1])
            assert done == steps(calls)[: len(done)]
            try:
                judge(result, point, earlier)
            except AssertionError as error:
                raise AssertionError(f"{point}, {result['calls'][at - 1]}: {error}\n{result['said']}") from error


def steps(calls):
    """The calls in order, consecutive writes as one: how many a file takes depends on how well its bytes compress."""
    groups = groupby(call for call, _, _ in calls)
    return [call for name, group in groups for call in ((name,) if name == "write" else group)]


def started(environment, disk, tmp_path, url):
    """Start sweep.py; yields a function that asks for one run and returns what came of it."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def start():
        script = Path(__file__).with_name("sweep.py")
        process = await anyio.open_process(
            [sys.executable, str(script), str(tmp_path), url],
            env={**environment, **disk.variables()},
            stdin=subprocess.PIPE,
            stderr=None,
        )
        async with process:
            said = BufferedByteReceiveStream(process.stdout)

            async def ask(**point):
                await process.stdin.send(json.dumps(point).encode() + b"\n")
                return json.loads(await said.receive_until(b"\n", 10_000_000))

            yield ask
            await process.stdin.aclose()

    return start()


def judge(result, point, earlier):
    """Say what is wrong with how a run ended, with what it left, and with what readers and the next run make of it."""
    code, said, calls = result["code"], result["said"], result["calls"]
    at, error = point.get("at", 0), point.get("error")
    commit = commit_of(calls)
    failed, is_sticky = calls[at - 1], point.get("sticky", False)
    is_refused = commit is not None and (commit == at or (is_sticky and commit > at)) and not point.get("lost")
    is_published = commit is not None and not is_refused
    ids = [earlier, *(calls[commit - 1][2][len("_runs/") : -len(".json")],)] if is_published else [earlier]

    # what is there
    assert result["commits"] == ids
    assert result["is_as_before"]
    assert result["read"]["rows"] == [*(["history", each, VERSIONS] for each in ids), ["plain", ids[-1], VERSIONS]]
    assert not [path for _, path, is_note in result["read"]["damages"] if not is_note]
    if error not in (None, "KILL") and not is_sticky and failed[0] not in ("unlink", "rmdir"):
        assert result["strays"] == []

    # what was said of it
    assert "Traceback" not in said
    if error == "KILL":
        assert code == -9
    elif is_published:
        assert code == 0
        durable = next((number for number, call in enumerate(calls, 1) if call[:2] == ["fsync", "_runs"]), at)
        is_unsure = commit < at <= durable
        assert ("warning: " in said) is is_unsure
        assert not is_unsure or ("lexport verify" in said and os.strerror(getattr(errno, error)) in said)
    else:
        is_found_first = error == "EROFS" and ".probe-" in failed[1] and failed[:2] != ["unlink", calls[0][1]]
        assert code == (2 if is_found_first else 1)  # the last of the probe is cleared away after all is tried
        line = said.strip()
        assert line.startswith("lexport: ")
        assert "\n" not in line
        assert os.strerror(getattr(errno, error)) in line
        assert error != "ENOSPC" or "bytes are free there" in line
        assert "/fleet" in line

    # what comes after it
    after = result["next"]
    assert (after["code"], after["commits"][:-1]) == (0, ids), after["said"]
    if after["read"]:
        ids = after["commits"]
        assert after["read"]["rows"] == [*(["history", each, VERSIONS] for each in ids), ["plain", ids[-1], VERSIONS]]
        assert not [path for _, path, is_note in after["read"]["damages"] if not is_note]
