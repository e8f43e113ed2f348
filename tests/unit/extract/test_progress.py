"""What is said while a run goes on: plain lines every ten seconds, bars on a terminal."""

from __future__ import annotations

import io
import sys

import anyio
import pytest
from trio.testing import MockClock

from lexport.extract.progress import (
    Progress,
    ShardProgress,
    describe,
    report_live,
    report_nothing,
    report_plainly,
)
from lexport.model import PaceReading, Scope

SCOPE = Scope(account_id="111122223333", region="eu-west-1")


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": MockClock(autojump_threshold=0)}


def pace(throttles=0, rate=100.0):
    reading = PaceReading(rate_per_s=rate, calls=0, throttles=throttles)
    return lambda: (reading, PaceReading(rate_per_s=15.0, calls=0, throttles=1))


@pytest.mark.parametrize(
    ("fields", "rate", "left_s"),
    [
        ({"listed": 100, "fetched": 20}, 10.0, None),
        ({"listed": 100, "fetched": 20, "is_listed": True}, 10.0, 8.0),
        ({"listed": 100, "fetched": 20, "is_listed": True, "calls_due": 300}, 10.0, 20.0),
        ({"listed": 100, "fetched": 100, "is_listed": True, "is_done": True}, 0.0, 0.0),
        ({"listed": 100, "fetched": 0, "is_listed": True}, 0.0, 10.0),
    ],
)
def test_time_left(fields, rate, left_s):
    """Time left is that of the longer of the two works, unknown while listing, and never divided by a standstill."""
    assert ShardProgress(scope=SCOPE, pace=pace(), **fields).left_s(rate) == left_s


def test_a_line():
    """A line says who, how far, how fast, how often throttled, and how long still."""
    shard = ShardProgress(scope=SCOPE, listed=12345, fetched=345, is_listed=True, pace=pace(throttles=1233))

    assert describe(shard, 80.04) == (
        "111122223333 eu-west-1: 345 of 12,345 listed fetched, 80.0/s, 1,234 throttles, about 2 min 30 s left"
    )
    shard.is_listed = False
    assert describe(shard, 0.0).endswith(", listing")
    shard.is_listed = shard.is_done = True
    assert describe(shard, 0.0).endswith(", done")


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
        f"{name}: 200 of 1,000 listed fetched, 10.0/s, 1 throttles, listing",
        f"{name}: 300 of 1,000 listed fetched, 10.0/s, 1 throttles, about 1 min 10 s left",
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

    assert "1000/1000" in last
    assert "done" in last
