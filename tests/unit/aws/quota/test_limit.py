"""The estimate of the limit uses the right calls."""

from __future__ import annotations

import pytest

from lexport.aws.quota.bucket import Bucket
from lexport.aws.quota.limit import JUST_UNDER, Limit


def test_a_busy_time_before_a_fall_says_nothing_after_it():
    """Calls that were accepted before a throttle do not count after it."""
    limit = Limit(100.0)
    for call in range(1000):
        limit.accepted(call / 100)
    limit.lower(10.0, 10.0)
    held_per_s = limit.at(10.0)
    limit.lower(10.5, 10.5)  # nothing was accepted in between

    assert limit.at(10.5) == pytest.approx(JUST_UNDER * held_per_s / 1.5)


def test_calls_sent_before_a_fall_say_nothing_of_the_limit_after_it():
    """Answers that were on their way when the limit fell do not raise the estimate."""

    def second_fall(*, late_answers):
        bucket = Bucket(100.0)
        for call in range(100):
            assert bucket.take(call / 100)
        bucket.throttled(100, 0.99, 1.0, None)
        for number in range(1, 100 if late_answers else 1):
            bucket.accepted(number, number / 100)
        assert bucket.take(3.0)
        bucket.throttled(bucket.sent, 3.0, 3.0, None)
        return bucket.rate_per_s

    assert second_fall(late_answers=True) == second_fall(late_answers=False)
