"""What is said while a run goes on: plain lines every ten seconds, bars on a terminal."""

from __future__ import annotations

import io
import sys
from collections import Counter

import anyio
import pytest
from trio.testing import MockClock

from lexport.extract.progress import Progress, ShardProgress, report_nothing
from lexport.extract.show_progress import Sampled, describe, report_live, report_plainly
from lexport.extract.time_left import run_totals
from lexport.model import PaceReading, Scope

SCOPE = Scope(account_id="111122223333", region="eu-west-1")


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": MockClock(autojump_threshold=0)}


def pace(throttles=0, rate=100.0, failing=0):
    why = "cannot connect" if failing else ""
    reading = PaceReading(rate_per_s=rate, calls=0, throttles=throttles, failing=failing, failing_why=why)
    return lambda: (reading, PaceReading(rate_per_s=15.0, calls=0, throttles=1))


def sampled_of(progress, rate=80.04):
    sampled = Sampled(0.0)
    sampled.rates = {shard.scope: rate for shard in progress.shards}
    sampled.totals = run_totals(progress, [sampled.left_s(shard) for shard in progress.shards])
    return sampled


def line_of(shard):
    return describe(shard, sampled_of(Progress(shards=[shard])))


def test_a_line():
    """A line says where, how far, in which phase, how fast, how often throttled, what fails, and how long still."""
    shard = ShardProgress(scope=SCOPE, listed=12345, fetched=345, is_listed=True, pace=pace(throttles=1233))

    assert line_of(shard) == (
        "111122223333 eu-west-1: 345 of 12,345 versions, 80.0/s, 1,234 throttles, about 2 min 30 s left"
    )
    shard.is_listed = False
    assert line_of(shard) == "111122223333 eu-west-1: 345 versions, listing, 80.0/s, 1,234 throttles"
    shard.versions_before = 20_000
    assert line_of(shard).startswith("111122223333 eu-west-1: 345 of about 20,000 versions, listing, 80.0/s")
    shard.is_listed, shard.fetched, shard.pace = True, 12345, pace(failing=262)
    shard.asked, shard.answered = Counter(aliases=400, policies=3), Counter(aliases=310, policies=2)
    assert line_of(shard) == (
        "111122223333 eu-west-1: 12,345 of 12,345 versions, aliases 310 of 400, 1 throttle,"
        " 262 failing: cannot connect; retrying, about 6 s left"
    )
    shard.finish()
    assert ", done" in line_of(shard)


def test_notes_are_said_once():
    """The same note twice is one note; the order stays."""
    progress = Progress()
    for text in ("b", "a", "b"):
        progress.note(text)

    assert progress.notes == ["b", "a"]


def test_idle():
    """A shard that has not begun has no throttles."""
    assert ShardProgress(scope=SCOPE).throttles == 0


@pytest.mark.anyio
async def test_plain_lines():
    """Every ten seconds there is a line per unfinished shard, with the rate since the last one."""
    progress, out = Progress(), io.StringIO()
    shard = ShardProgress(scope=SCOPE, pace=pace())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(report_plainly, progress, lambda line, _fields: print(line, file=out))
        await anyio.sleep(11)
        progress.shards.append(shard)
        shard.listed, shard.fetched = 1000, 200
        await anyio.sleep(10)
        shard.fetched, shard.is_listed = 300, True
        await anyio.sleep(10)
        shard.is_done = True
        progress.stage = "writing Parquet"
        await anyio.sleep(10)
        tasks.cancel_scope.cancel()

    name = "111122223333 eu-west-1"

    assert out.getvalue().splitlines() == [
        "choosing targets ...",
        f"{name}: 200 versions, listing, 10.0/s, 1 throttle",
        f"{name}: 300 of 1,000 versions, 10.0/s, 1 throttle, about 1 min 10 s left",
        "writing Parquet ...",
    ]


@pytest.mark.anyio
async def test_plain_lines_go_to_stderr(capsys):
    """Without a stream of its own, progress is on standard error; standard output is for data."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(report_plainly, Progress())
        await anyio.sleep(11)
        tasks.cancel_scope.cancel()

    assert capsys.readouterr() == ("", "choosing targets ...\n")


@pytest.mark.anyio
async def test_silence(capsys):
    """No report says nothing."""
    await report_nothing(Progress())

    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.anyio
async def test_bars(monkeypatch):
    """On a terminal there is a bar per shard, and when the run ends the last state stays to be read."""
    progress, screen = Progress(), io.StringIO()
    screen.isatty = lambda: True
    for name, value in (("TERM", "xterm"), ("COLUMNS", "120"), ("LINES", "40"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", screen)
    shard = ShardProgress(scope=SCOPE, pace=pace())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(report_live, progress)
        await anyio.sleep(1)
        progress.shards.append(shard)
        shard.listed, shard.fetched = 1000, 10
        await anyio.sleep(1)
        shard.fetched, shard.is_listed, shard.is_done = 1000, True, True
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    shown = screen.getvalue()

    assert "listing" in shown
    last = next(line for line in reversed(shown.splitlines()) if "eu-west-1" in line)

    assert "1,000/1,000" in last
    assert "done" in last
