"""The bucket keeps its promises for any rate, any pattern of asking and any answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexport.aws.quota.bucket import BURST_S, LONGEST_RETRY_AFTER_S, PAUSE_S, Bucket
from lexport.aws.quota.limit import LONGEST_HOLD_S

RATES = st.floats(min_value=0.05, max_value=100_000)
SHARES = st.floats(min_value=0.05, max_value=1.0)
STARTS = st.floats(min_value=0, max_value=1e6)
RETRY_AFTER = st.one_of(st.none(), st.floats(min_value=0, max_value=1000))
# How long to wait, in tokens of the documented rate; whether AWS throttles; what it then asks for.
STEPS = st.lists(st.tuples(st.floats(min_value=0, max_value=4), st.integers(0, 9), RETRY_AFTER), max_size=120)
RECOVERY_S = LONGEST_HOLD_S + 2 * 12 + 1  # a probe doubles every 2 s, and from 4 % to a hundredfold it doubles 12 times


def play(bucket, rate, steps, start):
    """Ask for a token at every step and let some calls be throttled; return when tokens were taken, and the end."""
    now, taken = start, []
    for wait, dice, retry_after_s in steps:
        now += wait / rate
        if bucket.take(now):
            taken.append(now)
            if dice == 0:
                bucket.throttled(bucket.sent, now, now, retry_after_s)
            else:
                bucket.accepted(bucket.sent, now)
    return taken, now


@given(RATES, SHARES, STEPS, STARTS)
def test_no_window_holds_more_than_rate_and_burst(rate, share, steps, start):
    """In any window of t seconds at most cap * t + burst calls are let through, whatever AWS answers."""
    taken, _ = play(Bucket(rate, share), rate * share, steps, start)
    burst = max(1.0, rate * share * BURST_S)

    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = rate * share * (taken[last] - begin) + burst

            assert last - first + 1 <= allowed * (1 + 1e-9) + rate * start * 1e-12 + 1e-6


@given(RATES, SHARES, STEPS, STARTS)
def test_total_calls_are_bounded_by_the_rates_that_were_allowed(rate, share, steps, start):
    """No more calls than the cap allows from the first to the last, and one burst."""
    taken, end = play(Bucket(rate, share), rate, steps, start)

    assert len(taken) <= rate * share * ((end - start) + BURST_S) * (1 + 1e-9) + 1 + rate * start * 1e-12


@given(RATES, SHARES, STEPS, STARTS)
def test_the_rate_stays_between_floor_and_cap(rate, share, steps, start):
    """The rate is never above the share of the documented one, nor below a hundredth of it or half a call a second."""
    bucket = Bucket(rate, share)
    now = start
    for step in steps:
        _, now = play(bucket, rate, [step], now)
        floor = min(rate, max(0.01 * rate, 0.5))

        assert floor * share * (1 - 1e-9) <= bucket.rate_per_s <= rate * share * (1 + 1e-9)


@given(RATES, SHARES, STEPS, STARTS)
def test_never_starved(rate, share, steps, start):
    """Whoever waits as long as told gets the token, and is never told to wait longer than a token and Retry-After."""
    bucket = Bucket(rate, share)
    now = start
    for step in steps:
        _, now = play(bucket, rate, [step], now)
        wait = bucket.ready_in_s(now)

        assert wait <= LONGEST_RETRY_AFTER_S + 1 / bucket.rate_per_s * (1 + 1e-9) + start * 1e-12

        for _ in range(3):  # rounding may leave a crumb of the wait
            if bucket.take(now):
                break
            now += bucket.ready_in_s(now)
        else:
            assert bucket.take(now + 1e-9 * now)


@given(RATES, SHARES, STEPS)
def test_comes_back_to_the_cap(rate, share, steps):
    """When throttles have stopped the cap is reached again within a bounded time, and stays."""
    bucket = Bucket(rate, share)
    _, now = play(bucket, rate, steps, 0.0)
    now += bucket.ready_in_s(now) + RECOVERY_S
    bucket.take(now)

    assert bucket.rate_per_s == pytest.approx(rate * share)
    bucket.take(now + 1e6)
    assert bucket.rate_per_s == pytest.approx(rate * share)


@given(RATES, SHARES, STEPS, RETRY_AFTER)
def test_a_throttle_always_slows_down_and_at_most_to_half(rate, share, steps, retry_after_s):
    """Each round of throttles lowers the rate, by 1 to 51 % and never below the floor."""
    bucket = Bucket(rate, share)
    _, now = play(bucket, rate, steps, 0.0)
    now += bucket.ready_in_s(now) + 1.0
    assert bucket.take(now)
    before = bucket.rate_per_s
    bucket.throttled(bucket.sent, now, now, retry_after_s)
    floor = share * min(rate, max(0.01 * rate, 0.5))

    assert max(floor, before * 0.49) <= bucket.rate_per_s * (1 + 1e-9)
    assert bucket.rate_per_s <= max(floor, before * 0.99) * (1 + 1e-9)


@given(RATES, SHARES, STEPS, st.integers(2, 50))
def test_one_round_counts_once(rate, share, steps, others):
    """Calls sent before a fall and throttled after it change the rate no more, and ask for no longer wait."""
    bucket = Bucket(rate, share)
    _, now = play(bucket, rate, steps, 0.0)
    numbers = []
    for _ in range(others):
        now += bucket.ready_in_s(now) + 1e-6
        if bucket.take(now):
            numbers.append(bucket.sent)
    bucket.throttled(numbers[-1], now, now, None)
    before, ready = bucket.rate_per_s, bucket.ready_in_s(now)
    for number in numbers:
        bucket.throttled(number, now, now, None)
        bucket.accepted(number, now)

    assert (bucket.rate_per_s, bucket.ready_in_s(now)) == (before, ready)


@given(RATES, STEPS, RETRY_AFTER, st.booleans())
def test_nobody_sends_before_retry_after(rate, steps, retry_after_s, is_late):
    """After a throttle no token is there before Retry-After, 120 s at most; one then, and no burst."""
    bucket = Bucket(rate)
    _, now = play(bucket, rate, steps, 0.0)
    now += bucket.ready_in_s(now) + 1.0
    assert bucket.take(now)
    number, sent_at = bucket.sent, now
    now += 1 / bucket.rate_per_s  # so that the next token is there but for the throttle
    if is_late:  # of a round that is over: it does not slow down, but its wish counts
        bucket.throttled(number, sent_at, now, None)
    bucket.throttled(number, sent_at, now, retry_after_s)
    asked_s = min(max(PAUSE_S, retry_after_s or 0.0), LONGEST_RETRY_AFTER_S)
    opens = now + asked_s

    assert not bucket.take(now)
    assert not bucket.take(now + asked_s * 0.999)
    at = opens + 1e-9 * opens
    assert bucket.take(at)
    assert not bucket.take(at) or 1 / bucket.rate_per_s < 1e-8 * opens


@given(RATES, SHARES)
def test_starts_with_a_fifth_of_a_second_at_least_one_token(rate, share):
    """The burst is a fifth of a second of the rate, and one token at the slowest rate."""
    bucket = Bucket(rate, share)
    taken = 0
    while taken < 50_000 and bucket.take(10.0):
        taken += 1

    assert taken == pytest.approx(max(1, rate * share / 5), abs=1.0001)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_refuses_a_rate_that_is_none(rate):
    """A rate of nothing would wait for ever."""
    with pytest.raises(ValueError, match="rate"):
        Bucket(rate)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_refuses_a_share_that_is_none(share):
    """More than the whole quota is nobody's share."""
    with pytest.raises(ValueError, match="share"):
        Bucket(1.0, share)
