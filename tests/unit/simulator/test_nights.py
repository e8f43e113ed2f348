"""The fleet of a later night: what differs from the night before, when it changed, and that the oracle knows it."""

from collections import defaultdict
from datetime import timedelta
from itertools import pairwise

import pytest

from lexport.model import LATEST, Scope
from lexport.simulator import Fleet, FleetSpec, nights

SCOPE = Scope(account_id="111122223333", region="us-east-1")
OTHER = Scope(account_id="111122223333", region="eu-west-1")


def at_night(night, **options):
    return Fleet(FleetSpec(**{"functions": 100, "versions": 3, "night": night} | options))


def rows_of(fleet, scope=SCOPE):
    """Return the rows by function and table, sorted as texts."""
    rows = defaultdict(list)
    for table, row in fleet.expected(scope, value_hmac=lambda value: f"h{value}", hash_key_id="key"):
        rows[row.get("function_name")].append(f"{table} {row}")
    return {name: sorted(texts) for name, texts in rows.items() if name}


def difference(before, after):
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_a_night_is_a_function_of_seed_and_number():
    """The same seed and night make the same fleet, in whatever order it is read; night 0 is the seed's."""
    first, second = at_night(3), at_night(3)
    other = rows_of(second, OTHER)

    assert rows_of(first) == rows_of(second)
    assert rows_of(first, OTHER) == other
    assert rows_of(at_night(3, seed=2)) != rows_of(first)
    assert rows_of(at_night(0)) == rows_of(Fleet(FleetSpec(functions=100, versions=3)))


@pytest.mark.parametrize("drift", [0, 0.01, 0.1, 1])
def test_a_night_differs_by_the_drift(drift):
    """Of the functions, the share of the drift differs from the night before, at any night."""
    fleets = [rows_of(at_night(night, drift=drift)) for night in (0, 1, 2)]

    for before, after in pairwise(fleets):
        assert len(difference(before, after)) == pytest.approx(drift * len(before), rel=0.1, abs=1)


@pytest.mark.parametrize("functions", [0, 1])
def test_the_smallest_fleets_have_nights(functions):
    """A fleet of no function stays empty, and one of a single function changes."""
    before, after = (rows_of(at_night(night, functions=functions)) for night in (0, 1))

    assert len(difference(before, after)) == functions


def test_all_kinds_of_changes_happen():
    """A few nights show functions, versions and aliases that come and go, deployments, canaries, and configuration."""
    wanted = {"weights", "memory_mb", "timeout_s", "runtime", "environment"}
    fleet, kinds, fields = at_night(0), set(), set()
    for night in range(1, 6):
        for change in nights.changes(fleet, SCOPE, night):
            kinds.add(change.kind)
            fields |= {name for name in wanted if getattr(change, name)}
            fleet.apply(change)

    assert kinds == {
        *("create_function", "delete_function", "publish_version", "create_alias", "move_alias", "delete_alias"),
        *("set_tags", "set_reserved_concurrency", "update_config", "update_code"),
    }
    assert fields == wanted
    assert rows_of(fleet) == rows_of(at_night(5))


def latest_and_published(fleet, name):
    index = fleet.index(SCOPE, name)
    numbers = list(map(str, fleet.published(SCOPE, index)))
    return {number: fleet.version(SCOPE, index, number) for number in (LATEST, *numbers)}


def test_what_changed_was_modified_in_that_night():
    """LastModified of a new function, version or code is between the two nights; nothing else gets another one."""
    nights_later, found = 4, set()
    before, after = at_night(nights_later - 1), at_night(nights_later)
    until = after.spec.first_night_at + timedelta(days=nights_later)
    for name in after.names(SCOPE):
        old = latest_and_published(before, name) if before.index(SCOPE, name) is not None else {}
        for number, version in latest_and_published(after, name).items():
            is_new = number not in old
            if is_new or version.last_modified_at != old[number].last_modified_at:
                assert until - timedelta(days=1) <= version.last_modified_at < until
                assert version.revision_id not in {each.revision_id for each in old.values()}
                found.add("new version" if is_new and number != LATEST else "new function" if is_new else "update")
            else:
                same = ("code_sha256", "memory_mb", "environment", "config_sha256")
                assert [getattr(version, f) for f in same] == [getattr(old[number], f) for f in same]
                assert version.function.runtime == old[number].function.runtime

    assert found == {"new version", "new function", "update"}


def test_a_deployment():
    """It changes $LATEST's code, publishes it, and moves an alias, whole or with a weight; older versions stay."""
    fleet = at_night(0)
    made, canaries = [], []
    for change in nights.changes(fleet, SCOPE, 1):
        fleet.apply(change)
        if change.kind == "move_alias":
            (canaries if change.weights else made).append(change)
    for change in (*made, *canaries):
        (new,) = change.weights or (change.version,)
        versions = latest_and_published(fleet, change.function_name)
        alias = {each.name: each for each in fleet.aliases(SCOPE, fleet.index(SCOPE, change.function_name))}

        assert list(versions)[-1] == new
        assert versions[new].code_sha256 == versions[LATEST].code_sha256
        assert alias[change.alias].function_version == change.version
        assert alias[change.alias].weights == change.weights

    assert made
    assert canaries


def test_a_million_functions_store_the_changes_alone():
    """A night of a large fleet stores what changed and no more."""
    fleet = at_night(1, functions=1_000_000, drift=0.0001)
    created = fleet.size(SCOPE) - 1_000_000

    assert 0 < created < 100
    assert fleet.account_settings(SCOPE)["function_count"] == pytest.approx(1_000_000, abs=100)
