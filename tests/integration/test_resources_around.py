"""The resources around functions: what a run reads of them, row by row, and what each kind of failure becomes."""

from __future__ import annotations

import pytest

from lexport.simulator import Fleet, FleetSpec
from lexport.tables.resources import RESOURCES

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

NAMES = sorted({resource.option for resource in RESOURCES})
TABLES = [table.name for resource in RESOURCES for table in resource.tables]


async def test_every_resource(simulator, run_lexport, flags, look, tmp_path):
    """With every resource, the rows of every table are those of the fleet; without, none of them is called."""
    fleet = Fleet(FleetSpec(functions=120, versions=2))
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url), "--with", ",".join(NAMES))

    assert (done.code, done.out) == (0, ""), done.err
    rows = look.read_rows(tmp_path / "fleet")
    expected = look.expected_rows(fleet, with_resources=NAMES)
    for table in TABLES:
        assert expected[table]
        for row, right in zip(look.facts(rows[table]), expected[table], strict=True):
            assert row == right, table
    assert rows["errors"] == []
