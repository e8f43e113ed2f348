"""The token bucket keeps its promise for any rate and any pattern of asking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexport.quota.bucket import Bucket

RATES = st.floats(min_value=0.05, max_value=100_000)
STEPS = st.lists(st.floats(min_value=0, max_value=3), min_size=1, max_size=150)


@given(RATES, STEPS, st.floats(min_value=0, max_value=1e9))
def test_no_window_holds_more_than_rate_and_burst(rate, steps, start):
    """In any window of t seconds at most rate * t + burst calls are let through."""
    bucket = Bucket(rate)
    now, taken = start, []
    for step in steps:
        now += step / rate
        if bucket.take(now):
            taken.append(now)

    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = rate * (taken[last] - begin) + bucket.burst

            assert last - first + 1 <= allowed * (1 + 1e-9) + rate * start * 1e-13 + 1e-6


@given(RATES, STEPS, st.floats(min_value=0, max_value=1e9))
def test_never_starved(rate, steps, start):
    """Whoever waits as long as told gets the token, and is never told to wait longer than one token takes."""
    bucket = Bucket(rate)
    now = start
    for step in steps:
        now += step / rate / 10
        while not bucket.take(now):
            wait = bucket.ready_in_s(now)

            assert 0 < wait <= 1 / rate * (1 + 1e-9) + start * 1e-12
            now += wait


@given(RATES)
def test_starts_with_a_quarter_second_at_least_one_token(rate):
    """The burst is a quarter second of the rate, and one token at the slowest rate."""
    bucket = Bucket(rate)
    taken = 0
    while taken < 50_000 and bucket.take(10.0):
        taken += 1

    assert taken == pytest.approx(max(1, rate / 4), abs=1.0001)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_refuses_a_rate_that_is_none(rate):
    """A rate of nothing would wait for ever."""
    with pytest.raises(ValueError, match="rate"):
        Bucket(rate)
