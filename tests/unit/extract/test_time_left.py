"""What is left of a run: totals and seconds from counters, and nothing where nothing is known."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexport.extract.progress import KeptRun, Progress, ShardProgress
from lexport.extract.time_left import LEAST_LEFT_S, phase_of, run_totals, shard_left_s, versions_total
from lexport.model import PaceReading, Scope

SCOPE = Scope(account_id="111122223333", region="eu-west-1")
COUNTS = st.integers(min_value=0, max_value=100_000)


def pace(rate=100.0, failing=0):
    reading = PaceReading(rate_per_s=rate, calls=0, throttles=0, failing=failing, failing_why="cannot connect")
    return lambda: (reading, PaceReading(rate_per_s=10.0, calls=0, throttles=0))


def shard(scope=SCOPE, asked=0, answered=0, failing=0, **fields):
    calls = {"asked": Counter(aliases=asked), "answered": Counter(aliases=answered)}
    return ShardProgress(scope=scope, pace=pace(failing=failing), **calls, **fields)


@pytest.mark.parametrize(
    ("fields", "rate", "total", "phase", "left_s"),
    [
        ({"listed": 100, "fetched": 20}, 10.0, None, "listing", None),
        ({"listed": 100, "fetched": 20, "is_listed": True}, 10.0, 100, "versions", 8.0),
        ({"listed": 100, "fetched": 20, "is_listed": True, "asked": 300}, 10.0, 100, "versions", 30.0),
        (
            {"listed": 100, "fetched": 100, "is_listed": True, "asked": 300, "answered": 250},
            0.0,
            100,
            "other resources",
            5.0,
        ),
        (
            {"listed": 100, "fetched": 100, "is_listed": True, "asked": 3, "answered": 2},
            0.0,
            100,
            "other resources",
            1.0,
        ),
        ({"listed": 100, "fetched": 100, "is_listed": True}, 0.0, 100, "finishing", None),
        ({"listed": 100, "fetched": 100, "is_listed": True, "is_done": True}, 0.0, 100, "done", 0.0),
        ({"listed": 100, "fetched": 0, "is_listed": True}, 0.0, 100, "versions", 10.0),
        ({"listed": 100, "fetched": 0, "is_listed": True, "failing": 9}, 0.0, 100, "versions", None),
        ({"versions_before": 1000}, 0.0, 1000, "listing", 100.0),
        ({"listed": 1200, "versions_before": 1000, "fetched": 1100}, 100.0, 1200, "listing", 1.0),
        ({"listed": 200, "functions_listed": 50, "functions_counted": 400}, 100.0, 1600, "listing", 16.0),
        ({"functions_counted": 400}, 0.0, None, "listing", None),
        ({"listed": 0, "functions_counted": 0, "is_listed": True}, 0.0, 0, "finishing", None),
    ],
)
def test_shard(fields, rate, total, phase, left_s):
    """The longer of the two quota classes decides; what nobody can know, and a standstill, have no time."""
    one = shard(**fields)

    assert (versions_total(one), phase_of(one)) == (total, phase)
    assert shard_left_s(one, rate) == (None if left_s is None else pytest.approx(left_s))


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.booleans(), st.none() | COUNTS, st.none() | COUNTS, st.floats(0, 1e6))
def test_never_nothing_left_while_work_waits(listed, fetched, asked, answered, is_listed, before, counted, rate):
    """An estimate is never negative and never below a second while an account-region is not done."""
    one = shard(
        listed=listed,
        fetched=min(fetched, listed),
        asked=asked,
        answered=min(answered, asked),
        is_listed=is_listed,
        versions_before=before,
        functions_counted=counted,
        functions_listed=listed // 3,
    )
    left_s = shard_left_s(one, rate)

    assert left_s is None or left_s >= LEAST_LEFT_S
    total = versions_total(one)
    assert total is None or total >= listed
    totals = run_totals(Progress(shards=[one], kept=KeptRun(shards=3)), [left_s])
    assert totals.left_s is None


def of_run(*shards, waiting=0, before=(), accounts_left=0):
    done = sum(one.is_done for one in shards)
    kept = KeptRun(shards=len(shards) + waiting, shards_done=done)
    sizes = {Scope(account_id=f"{number:012}", region="us-east-1"): size for number, size in enumerate(before)}
    return Progress(shards=list(shards), kept=kept, versions_before=sizes, accounts_left=accounts_left)


def finished(seconds):
    began = datetime(2026, 11, 30, tzinfo=UTC)
    one = shard(listed=100, fetched=100, started_at=began)
    one.finish()
    one.ended_at = began + timedelta(seconds=seconds)
    return one


def test_run():
    """Account-regions that have not begun count in, by the mean of those that are done or by the last snapshot."""
    running = [shard(listed=100, fetched=50, is_listed=True) for _ in range(2)]

    assert run_totals(of_run(*running), [5.0, 8.0]).left_s == 8.0
    assert run_totals(of_run(*running), [5.0, None]).left_s is None
    assert run_totals(of_run(*running, waiting=4), [5.0, 8.0]).left_s is None
    assert run_totals(of_run(*running, accounts_left=1), [5.0, 8.0]).left_s is None
    totals = run_totals(of_run(finished(30), *running, waiting=4), [0.0, 5.0, 8.0])
    assert (totals.done, totals.shards, totals.waiting, totals.fetched) == (1, 7, 4, 200)
    assert (totals.versions, totals.left_s) == (None, (13.0 + 4 * 30) / 2)
    totals = run_totals(of_run(*running, waiting=2, before=(1000, 3000)), [5.0, 8.0])
    assert (totals.versions, totals.left_s) == (4200, (13.0 + 40) / 2)
    assert run_totals(of_run(finished(3)), [0.0]).left_s is None
    assert run_totals(Progress(), []).versions == 0
