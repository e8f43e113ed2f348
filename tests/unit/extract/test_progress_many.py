"""Progress of many account-regions stays on one screen: a total, and those that will take longest."""

from __future__ import annotations

import io

import anyio
import pytest
from rich.console import Console
from trio.testing import MockClock

from lexport.extract import show_progress as module
from lexport.extract.progress import KeptRun, Progress, ShardProgress
from lexport.extract.show_progress import MOST_LINES, Sampled, report_plainly, slowest
from lexport.extract.time_left import run_totals
from lexport.model import Scope


@pytest.fixture
def anyio_backend():
    """trio with a clock that jumps: ten seconds of waiting take none."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


def many(count):
    """So many account-regions: the first is done, the second still lists, of the others each has more left."""
    shards = []
    for number in range(count):
        scope = Scope(account_id=f"{number:012}", region="us-east-1")
        shards.append(ShardProgress(scope=scope, listed=1000, fetched=1000 - number, is_listed=number != 1))
    shards[0].is_done = True
    return Progress(shards=shards, accounts_left=3, kept=KeptRun(shards=count))


def sampled_of(progress):
    """Every account-region reads one version a second."""
    sampled = Sampled(0.0)
    sampled.rates = {shard.scope: 1.0 for shard in progress.shards}
    sampled.totals = run_totals(progress, [sampled.left_s(shard) for shard in progress.shards])
    return sampled


def test_slowest_first():
    """Those that still list come first, then those with the most left; what is done is not shown."""
    progress = many(50)
    sampled = sampled_of(progress)
    shown = [int(shard.scope.account_id) for shard in slowest(progress, sampled, 4)]

    assert shown == [1, 49, 48, 47]
    assert len(slowest(progress, sampled, 100)) == 49


@pytest.mark.anyio
async def test_plain_lines_are_few():
    """Of two hundred account-regions there is a total line and ten others every ten seconds."""
    out = io.StringIO()
    with anyio.move_on_after(15):
        await report_plainly(many(200), lambda line, _fields: print(line, file=out))
    lines = out.getvalue().splitlines()

    assert len(lines) == 1 + MOST_LINES
    assert lines[0].startswith("1 of 200 account-regions done: 180,100 versions, 3 accounts to enter, ")


@pytest.mark.parametrize(("count", "rows"), [(3, 4), (20, 21), (200, 6)])
def test_bars_fit_the_screen(count, rows):
    """With room for all, each account-region has its bar; without, the rows are as many as fit, the total first."""
    progress = many(count)
    bars = module._bars(Console(file=io.StringIO()))
    most = 5 if count > 20 else 20
    for _ in range(2):  # rows are made once
        module.draw(bars, progress, sampled_of(progress), most=most)
    shown = [task for task in bars.tasks if task.visible]

    assert len(shown) == rows
    assert shown[0].description == "total"
    for shard in progress.shards:
        shard.is_done = True
    module.draw(bars, progress, sampled_of(progress), most=most)

    assert len([task for task in bars.tasks if task.visible]) == (1 if count > most else rows)
