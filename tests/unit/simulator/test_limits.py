"""A bucket gives one second of quota at once, then the rate, and no more."""

from lexport.model import QuotaClass, Scope
from lexport.simulator.limits import Limits

HERE = Scope(account_id="111122223333", region="us-east-1")
THERE = Scope(account_id="111122223333", region="eu-west-1")


def test_depth_then_rate():
    """15 calls at once, then one more every fifteenth of a second; other scopes and GetFunction are apart."""
    now = [0.0]
    limits = Limits(None, clock=lambda: now[0])
    first = [limits.retry_after_s(HERE, "ListFunctions") for _ in range(14)]

    assert first == [None] * 14
    assert limits.retry_after_s(HERE, "ListAliases") is None
    assert limits.retry_after_s(HERE, "GetAccountSettings") == 1
    assert limits.retry_after_s(THERE, "ListFunctions") is None
    assert limits.retry_after_s(HERE, "GetFunction") is None
    now[0] = 0.07
    assert limits.retry_after_s(HERE, "ListFunctions") is None
    assert limits.retry_after_s(HERE, "ListFunctions") == 1


def test_never_more_than_a_second_of_quota():
    """A long rest saves up one second of quota."""
    now = [0.0]
    limits = Limits({QuotaClass.GET_FUNCTION: 3.0}, clock=lambda: now[0])
    limits.retry_after_s(HERE, "GetFunction")
    now[0] = 1_000.0

    assert [limits.retry_after_s(HERE, "GetFunction") for _ in range(4)] == [None, None, None, 1]
