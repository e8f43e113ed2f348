"""Progress of many account-regions stays on one screen: a total, and those that will take longest."""

from __future__ import annotations

import io

import anyio
import pytest
from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import TextColumn
from trio.testing import MockClock

from lexport.extract import progress as module
from lexport.extract.progress import MOST_LINES, Progress, ShardProgress, report_plainly, slowest
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
    return Progress(shards=shards, accounts_left=3)


def test_slowest_first():
    """Those that still list come first, then those with the most left; what is done is not shown."""
    progress = many(50)
    rates = {shard.scope: 1.0 for shard in progress.shards}
    shown = [int(shard.scope.account_id) for shard in slowest(progress, rates, 4)]

    assert shown == [1, 49, 48, 47]
    assert len(slowest(progress, rates, 100)) == 49


@pytest.mark.anyio
async def test_plain_lines_are_few():
    """Of two hundred account-regions there is a total line and ten others every ten seconds."""
    out = io.StringIO()
    with anyio.move_on_after(15):
        await report_plainly(many(200), lambda line, _fields: print(line, file=out))
    lines = out.getvalue().splitlines()

    assert len(lines) == 1 + MOST_LINES
    assert lines[0].startswith("1 of 200 account-regions done, 3 accounts to enter: 180,100 of 200,000 listed fetched")


@pytest.mark.parametrize(("count", "rows"), [(3, 3), (20, 20), (200, 6)])
def test_bars_fit_the_screen(count, rows):
    """With room for all, each account-region has its bar; without, the rows are as many as fit, the total first."""
    progress = many(count)
    rates = {shard.scope: 1.0 for shard in progress.shards}
    bars = Bars(TextColumn("{task.description}"), console=Console(file=io.StringIO()), auto_refresh=False)
    most = 5 if count > 20 else 20
    for _ in range(2):  # rows are made once
        module._draw(bars, progress, rates, most=most)
    shown = [task for task in bars.tasks if task.visible]

    assert len(shown) == rows
    assert (shown[0].description == "total") == (count > most)
    for shard in progress.shards:
        shard.is_done = True
    module._draw(bars, progress, rates, most=most)

    assert len([task for task in bars.tasks if task.visible]) == (1 if count > most else rows)
