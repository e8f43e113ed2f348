"""Every account-region has a row for every resource, whatever became of its shard."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lexport.dataset.resource_rows import resource_rows
from lexport.model import FunctionRef, ResourceResult, Scope, Shard, ShardResult
from lexport.tables.registry import fleet_resources, resources_read
from lexport.tables.run import SCOPE_RESOURCES

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
SHARD = Shard(scope=Scope(account_id="111122223333", region="eu-west-1"))
READ = ShardResult(
    shard=SHARD,
    status="complete",
    is_answering=True,
    calls={"ListFunctions": 2, "GetFunction": 7, "ListAliases": 3},
    rows={"functions": 7, "aliases": 2},
    started_at=AT,
    ended_at=AT,
)
NAMES = list(dict.fromkeys(resource.option for resource in fleet_resources()))


def statuses(result, options=None):
    """The status of each resource."""
    rows = [*resource_rows(result, options or {})]
    assert {len(row) for row in rows} == {len(SCOPE_RESOURCES.columns) - 2 + 1}
    assert [row[2] for row in rows] == NAMES
    return {row[2]: row[3] for row in rows}


@pytest.mark.parametrize("status", ["complete", "partial", "denied", "unavailable"])
def test_a_shard_that_says_nothing_of_its_resources(status):
    """A shard that failed as a whole, or that an older release has read, has a row for every resource."""
    read = {resource.option for resource in resources_read({})}

    assert statuses(replace(READ, status=status)) == {
        name: status if name in read else "not_requested" for name in NAMES
    }


def test_what_is_known_of_an_older_result():
    """What an older release has counted is in the rows: calls, items, and when."""
    rows = {row[2]: row[4:] for row in resource_rows(READ, {})}

    assert rows["functions"] == (7, 0, 9, 0, AT, AT, None, "")
    assert rows["aliases"] == (2, 0, 3, 0, AT, AT, None, "")


def test_what_was_not_requested_has_no_counts():
    """A resource that was not requested has no count, so that it is not mistaken for one without items."""
    rows = {row[2]: row[3:] for row in resource_rows(READ, {"aliases": False})}

    assert rows["aliases"] == ("not_requested", None, None, None, None, None, None, None, "")


def test_a_list_of_functions():
    """Of functions that the user listed, nothing but the functions themselves is read."""
    listed = replace(READ, shard=replace(SHARD, refs=(FunctionRef(function_name="f"),)))

    assert statuses(listed) == {name: "complete" if name == "functions" else "not_requested" for name in NAMES}


@pytest.mark.parametrize("status", ["denied", "unavailable"])
def test_a_region_that_never_accepted_the_credentials(status):
    """Where the Region refused everything, no resource is complete."""
    empty = tuple(ResourceResult(resource=name, status="complete") for name in NAMES)
    refused = replace(READ, status=status, is_answering=False, resources=empty)

    assert set(statuses(refused).values()) <= {status, "not_requested"}
