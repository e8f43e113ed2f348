"""What each table is in a fed warehouse."""

from __future__ import annotations

import pytest

from lexport.tables.content import CONTENT_RULES
from lexport.tables.fed import FedTable, fed_tables
from lexport.tables.registry import tables
from lexport.tables.run import CHANGES, ERRORS, SCOPE_RESOURCES, SCOPES, SNAPSHOTS

FED = {fed.name: fed for fed in fed_tables()}


def test_every_table_is_fed() -> None:
    """No table of a dataset is missing from a fed warehouse, and each is of one kind."""
    assert [*FED] == [table.name for table in tables()]
    assert {fed.table for fed in FED.values() if fed.kind == "run"} == {
        CHANGES,
        ERRORS,
        SCOPES,
        SCOPE_RESOURCES,
        SNAPSHOTS,
    }
    assert {fed.table for fed in FED.values() if fed.kind == "content"} == set(CONTENT_RULES)


@pytest.mark.parametrize("fed", FED.values(), ids=list(FED))
def test_keys(fed: FedTable) -> None:
    """A key has columns of the fed row; it names a snapshot only where rows of several snapshots are kept."""
    assert {*fed.key, *fed.delete_by} <= set(fed.names)
    assert ("snapshot_id" in fed.key) == (fed.kind == "run")
    assert ("snapshot_id" in fed.names) == (fed.kind != "state")
    assert set(fed.delete_by) <= set(fed.key)
    assert not all(map(fed.may_be_null, fed.names))
