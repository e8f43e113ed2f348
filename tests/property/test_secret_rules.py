"""Any variable can be asked about: the answer is a rule's name or none, and hostile values take no time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexport.secret_rules import RULE_NAMES, VALUE_RULES, secret_rule

PIECES = st.sampled_from(
    [hint for rule in VALUE_RULES for hint in rule.hints] + ["a", "/", ":", "@", "-", ".", "=", " "]
)
NAMES = st.text(max_size=20) | st.sampled_from(["DB_PASSWORD", "API_KEY", "STAGE"])


@given(name=NAMES, value=st.text(max_size=60) | st.lists(PIECES, max_size=30).map("".join))
def test_any_variable(name, value):
    """No name and no value breaks it, and it answers the same twice."""
    found = secret_rule(name, value)

    assert found is None or found in RULE_NAMES
    assert secret_rule(name, value) == found


@pytest.mark.parametrize(
    "piece", ["eyJ-", "eyJaaaaaaaa.", "://a:", "-----BEGIN ", "a/", "SG.", ";pwd=", "xoxb-", "A1a+"]
)
def test_hostile_values(piece):
    """A value made to be searched for long costs no more than its length: squared, this one would take minutes."""
    value = piece * (400_000 // len(piece))

    assert secret_rule("DB_PASSWORD", value) in {*RULE_NAMES, None}
