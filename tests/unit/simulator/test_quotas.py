"""A bucket gives one second of quota at once, then the rate, and no more."""

import pytest

from lexport.model import GET_FUNCTION_QUOTA, Scope
from lexport.simulator.quotas import Neighbour, Quotas

HERE = Scope(account_id="111122223333", region="us-east-1")
THERE = Scope(account_id="111122223333", region="eu-west-1")


def test_depth_then_rate():
    """15 calls at once, then one more every fifteenth of a second; other scopes and GetFunction are apart."""
    now = [0.0]
    quotas = Quotas(None, clock=lambda: now[0])
    first = [quotas.retry_after_s(HERE, "ListFunctions") for _ in range(14)]

    assert first == [None] * 14
    assert quotas.retry_after_s(HERE, "ListAliases") is None
    assert quotas.retry_after_s(HERE, "GetAccountSettings") == 1
    assert quotas.retry_after_s(THERE, "ListFunctions") is None
    assert quotas.retry_after_s(HERE, "GetFunction") is None
    now[0] = 0.07
    assert quotas.retry_after_s(HERE, "ListFunctions") is None
    assert quotas.retry_after_s(HERE, "ListFunctions") == 1


def test_never_more_than_a_second_of_quota():
    """A long rest saves up one second of quota."""
    now = [0.0]
    quotas = Quotas({GET_FUNCTION_QUOTA: 3.0}, clock=lambda: now[0])
    quotas.retry_after_s(HERE, "GetFunction")
    now[0] = 1_000.0

    assert [quotas.retry_after_s(HERE, "GetFunction") for _ in range(4)] == [None, None, None, 1]


def test_a_neighbour_takes_a_share_for_a_while():
    """Between two seconds after the first call 40 % of both quotas are gone; before and after they are whole."""
    now = [1_000.0]
    quotas = Quotas(None, lambda: now[0], [Neighbour(share=0.4, from_s=10, to_s=20)])
    served = {}
    for operation, rate in (("GetFunction", 100), ("ListAliases", 15)):
        now[0] = 1_000.0
        for second in range(30):
            asked = [quotas.retry_after_s(HERE, operation) for _ in range(2 * rate) if advance(now, 1 / (2 * rate))]
            served[operation, second] = asked.count(None) / rate

    for operation in ("GetFunction", "ListAliases"):
        assert served[operation, 8] == pytest.approx(1.0, abs=0.1)
        assert served[operation, 15] == pytest.approx(0.6, abs=0.1)
        assert served[operation, 25] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("wrong", [{"share": 1.1}, {"share": -0.1}, {"share": 0.5, "from_s": 2, "to_s": 1}])
def test_refuses_a_neighbour_who_cannot_be(wrong):
    """A share above 1, and an end before the beginning, are refused."""
    with pytest.raises(ValueError, match="neighbour"):
        Neighbour(**wrong)


def advance(now, seconds):
    now[0] += seconds
    return True
