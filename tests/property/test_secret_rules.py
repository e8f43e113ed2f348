"""Any variable can be asked about: the answer is a rule's name or none, and hostile values take no time."""

import hmac
import importlib.util
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexport.extract.hash_key import HashKey
from lexport.extract.rows import ValueHasher, variable_columns
from lexport.extract.secret_formats import VALUE_RULES
from lexport.extract.secret_rules import RULE_NAMES, secret_rule, with_lead

PIECES = st.sampled_from(
    [hint for rule in VALUE_RULES for hint in rule.hints] + ["a", "/", ":", "@", "-", ".", "=", " "]
)
SPEC = importlib.util.spec_from_file_location("variables", Path(__file__).parents[1] / "data" / "variables.py")
LIST = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(LIST)
KNOWN = [(name, value) for _, _, name, value in LIST.variables()]
TOKENS = [
    LIST.written_out(line.partition(" ")[2], random.Random(line))
    for line in LIST.LIST.with_name("formats.txt").read_text(encoding="utf-8").splitlines()
]
KEY = b"0123456789abcdef"
RANDOM = "aB1cD2eF3gH4iJ5kL6mN"
NAMES = st.text(max_size=20) | st.sampled_from([name for name, _ in KNOWN])
VALUES = st.text(max_size=30) | PIECES | st.sampled_from([value for _, value in KNOWN])
WRAPPED = st.builds(
    "{}{}{}".format, st.text(max_size=2), st.sampled_from([value for _, value in KNOWN]), st.text(max_size=2)
)


@given(name=NAMES, value=st.text(max_size=60) | st.lists(PIECES, max_size=30).map("".join))
def test_any_variable(name, value):
    """No name and no value breaks it, and it answers the same twice."""
    found = secret_rule(name, value)

    assert found is None or found in RULE_NAMES
    assert secret_rule(name, value) == found


def test_the_whole_list_at_once():
    """Looked at together, the variables of the list are judged as each alone: those that may be secrets, too."""
    judged_together(KNOWN)
    judged_together([("SETTING", token) for token in TOKENS])
    judged_together([("STRIPE_KEY", RANDOM), ("CREDS", RANDOM), ("STAGE", RANDOM), ("DB_PASSWORD", "x1")])

    assert secret_rule("STRIPE_KEY", RANDOM) == "random_secret"


@given(variables=st.lists(st.tuples(NAMES, VALUES | WRAPPED), max_size=20))
def test_many_at_once(variables):
    """Looked at together, any variables are judged as each alone."""
    judged_together(variables)


def judged_together(variables):
    """Every column of each variable is what it is by itself, however often a value is there."""
    names, values = [name for name, _ in variables] * 2, [value for _, value in variables] * 2
    hasher = ValueHasher(HashKey(KEY))
    leads = with_lead([[value] for value in values])
    name, kept, length, digest, key, rule = variable_columns(names, values, (), hasher, leads)

    assert (name.to_pylist(), kept.null_count) == (names, len(names))
    assert length.to_pylist() == list(map(len, values))
    assert digest.to_pylist() == [hmac.digest(KEY, value.encode(), "sha256")[:16].hex() for value in values]
    assert key.to_pylist() == [hasher.key_id] * len(names)
    assert rule.to_pylist() == list(map(secret_rule, names, values))


@pytest.mark.parametrize(
    "piece",
    [
        *("eyJ-", "eyJaaaaaaaa.", "://a:", "-----BEGIN ", "a/", "SG.", ";pwd=", "xoxb-", "A1a+", "Bearer ", "Basic a"),
        *(
            '"password":',
            '"password',
            "?key=",
            "AccountKey=",
            "sk-",
            "pat",
            "dp.st.a.",
            ",a",
            "a-secret-",
            "EAAA",
            "tskey-a-",
        ),
    ],
)
def test_hostile_values(piece):
    """A value made to be searched for long costs no more than its length: squared, this one would take minutes."""
    value = piece * (400_000 // len(piece))

    assert secret_rule("DB_PASSWORD", value) in {*RULE_NAMES, None}
