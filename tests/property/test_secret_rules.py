"""Any variable can be asked about: the answer is a rule's name or none, and hostile values take no time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexport.environment import env_vars
from lexport.hashing import HashKey, ValueHasher
from lexport.secret_rules import RULE_NAMES, VALUE_RULES, secret_rule

PIECES = st.sampled_from(
    [hint for rule in VALUE_RULES for hint in rule.hints] + ["a", "/", ":", "@", "-", ".", "=", " "]
)
KNOWN = ["postgres://user:s3cret@db/x", "ghp_" + "a1B2" * 9, "AKIA" + "ABCD" * 4, "Server=x;Password=hunter22"]
NAMES = st.text(max_size=20) | st.sampled_from(["DB_PASSWORD", "API_KEY", "STAGE"])


@given(name=NAMES, value=st.text(max_size=60) | st.lists(PIECES, max_size=30).map("".join))
def test_any_variable(name, value):
    """No name and no value breaks it, and it answers the same twice."""
    found = secret_rule(name, value)

    assert found is None or found in RULE_NAMES
    assert secret_rule(name, value) == found


@given(variables=st.lists(st.tuples(NAMES, st.text(max_size=30) | PIECES | st.sampled_from(KNOWN)), max_size=20))
def test_many_at_once(variables):
    """Looked at together, variables are judged as each alone."""
    names, values = [name for name, _ in variables], [value for _, value in variables]
    *_, rules = env_vars(names, values, (), ValueHasher(HashKey(b"0123456789abcdef")))

    assert rules.to_pylist() == [secret_rule(name, value) for name, value in variables]


@pytest.mark.parametrize(
    "piece", ["eyJ-", "eyJaaaaaaaa.", "://a:", "-----BEGIN ", "a/", "SG.", ";pwd=", "xoxb-", "A1a+"]
)
def test_hostile_values(piece):
    """A value made to be searched for long costs no more than its length: squared, this one would take minutes."""
    value = piece * (400_000 // len(piece))

    assert secret_rule("DB_PASSWORD", value) in {*RULE_NAMES, None}
