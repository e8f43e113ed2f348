"""Waivers: the findings they match, their last day, and invalid ones."""

from datetime import UTC, date, datetime, timedelta

import pytest

from lexport.errors import SettingsError
from lexport.query.checks.waivers import Waiver, parse_waivers

DAY = date(2027, 1, 31)
GOOD = {"check": "untagged", "reason": "legacy", "expires": DAY}


@pytest.mark.parametrize(
    ("patterns", "is_covered"),
    [
        ({}, True),
        ({"account_id": "111122223333", "region": "eu-*", "function_name": "app-?"}, True),
        ({"function_name": "app-"}, False),
        ({"function_name": "APP-*"}, False),
        ({"function_name": "[a]pp-1"}, False),
        ({"region": "us-*"}, False),
        ({"account_id": "1111"}, False),
    ],
)
def test_covers(patterns, is_covered):
    """Every pattern must match, with case; ``[`` is a plain character."""
    waiver = Waiver(check="untagged", reason="x", expires=DAY, **patterns)
    finding = {"account_id": "111122223333", "region": "eu-west-1", "function_name": "app-1"}

    assert waiver.covers(check="untagged", **finding) is is_covered
    assert not waiver.covers(check="tracing_off", **finding)


def test_findings_without_a_function():
    """A finding that is not about a function is waived by account and Region only."""
    finding = {"check": "shared_role", "account_id": "1", "region": "r", "function_name": None}

    assert Waiver(check="shared_role", reason="x", expires=DAY).covers(**finding)
    assert not Waiver(check="shared_role", reason="x", expires=DAY, function_name="a*").covers(**finding)


def test_expiry():
    """A waiver is valid until the end of its last day."""
    waiver = Waiver(check="untagged", reason="x", expires=DAY)

    assert waiver.holds(DAY)
    assert not waiver.holds(DAY + timedelta(days=1))


def test_parse():
    """A day is a TOML date or a text; patterns are optional."""
    raw = [GOOD, {**GOOD, "expires": "2027-01-31", "region": "eu-*"}]

    first = Waiver(check="untagged", reason="legacy", expires=DAY)
    second = Waiver(check="untagged", reason="legacy", expires=DAY, region="eu-*")
    assert parse_waivers(raw, checks=["untagged"]) == (first, second)
    assert str(second) == "untagged, region eu-*"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "check.waivers: write each as a table of its own"),
        ([3], "check.waivers[1]: write it as a table"),
        ([GOOD, {**GOOD, "reason": " "}], "check.waivers[2].reason: must be text"),
        ([{"check": "untagged", "expires": DAY}], "check.waivers[1].reason: is missing"),
        ([{"check": "untagged", "reason": "x"}], "check.waivers[1].expires: is missing"),
        ([{"reason": "x", "expires": DAY}], "check.waivers[1].check: is missing"),
        ([{**GOOD, "check": "nope"}], "check.waivers[1].check: no check is named 'nope'"),
        ([{**GOOD, "account_id": 111122223333}], "check.waivers[1].account_id: must be text in quotes"),
        ([{**GOOD, "expires": "soon"}], "check.waivers[1].expires: must be a day like 2027-01-31"),
        ([{**GOOD, "expires": 20270131}], "check.waivers[1].expires: must be a day"),
        ([{**GOOD, "expires": datetime(2027, 1, 31, 1, 2, tzinfo=UTC)}], "check.waivers[1].expires: must be a day"),
        ([{**GOOD, "function": "x"}], "check.waivers[1].function: no such key"),
    ],
)
def test_refused(raw, message):
    """A malformed waiver is rejected with the name of its key."""
    with pytest.raises(SettingsError) as caught:
        parse_waivers(raw, checks=["untagged"])

    assert message in str(caught.value)
