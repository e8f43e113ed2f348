"""An incremental snapshot is a full one that cost less."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

import lexport
from lexport.model import Scope
from lexport.simulator import Change, Fault, Fleet, FleetSpec
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import tables_of_every_snapshot

SCOPE = Scope(account_id="111122223333", region="us-east-1")
GET_FUNCTION = (SCOPE.account_id, SCOPE.region, "GetFunction")
OWN = {"snapshot_id", "snapshot_at", "fetched_at", "carried_forward"}
TABLES = [table for table in tables_of_every_snapshot() if table.name not in ("errors", "scopes")]


def rows(dest, result, table, without=OWN):
    """The rows of one snapshot, in the order of the file."""
    (path,) = (dest / table).rglob(f"{result.snapshot_id}-*.parquet")
    return [
        {name: value for name, value in row.items() if name not in without}
        for row in pq.ParquetFile(path).read().to_pylist()
    ]


def carried(dest, result):
    """How many rows were taken over, as the table and as ``scopes`` says."""
    return (
        sum(row["carried_forward"] for row in rows(dest, result, "functions", without=())),
        rows(dest, result, "scopes")[0]["carried_rows"],
    )


@pytest.mark.slow
@pytest.mark.asyncio
async def test_an_incremental_snapshot_equals_a_full_one_of_the_same_moment(aws, simulator, settings, tmp_path):
    """After every kind of change, an incremental run and a full run differ in the documented columns only.

    And it fetches $LATEST and what is new, nothing else.
    """
    fleet = Fleet(FleetSpec(functions=120, versions=4))
    names = list(fleet.names(SCOPE))
    aliased = next(index for index in range(20, 120) if fleet.aliases(SCOPE, index))
    published = [index for index in range(40, 120) if next(fleet.published(SCOPE, index), None) is not None]
    deleted = next(
        (index, str(version))
        for index in published
        for version in fleet.published(SCOPE, index)
        if str(version) not in {alias.function_version for alias in fleet.aliases(SCOPE, index)}
        and not any(alias.weights for alias in fleet.aliases(SCOPE, index))
    )
    dest = tmp_path / "fleet"
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(dest, settings(server.url))
        for change in (
            Change(kind="publish_version", scope=SCOPE, function_name=names[0]),
            Change(kind="update_code", scope=SCOPE, function_name=names[1]),
            Change(kind="publish_version", scope=SCOPE, function_name=names[1]),
            Change(kind="update_config", scope=SCOPE, function_name=names[2], memory_mb=3008, description="new"),
            Change(kind="set_tags", scope=SCOPE, function_name=names[3], tags={"team": "blue"}),
            Change(kind="set_tags", scope=SCOPE, function_name=names[4], tags={}),
            Change(kind="set_reserved_concurrency", scope=SCOPE, function_name=names[5], reserved_concurrency=0),
            Change(kind="delete_function", scope=SCOPE, function_name=names[6]),
            Change(kind="recreate_function", scope=SCOPE, function_name=names[7]),
            Change(kind="publish_version", scope=SCOPE, function_name=names[7]),
            Change(kind="delete_version", scope=SCOPE, function_name=names[deleted[0]], version=deleted[1]),
            Change(
                kind="move_alias",
                scope=SCOPE,
                function_name=names[aliased],
                alias=fleet.aliases(SCOPE, aliased)[0].name,
                version="$LATEST",
            ),
        ):
            fleet.apply(change)
        before = server.calls[GET_FUNCTION]
        incremental = await lexport.snapshot(dest, settings(server.url, incremental=True))
        calls = server.calls[GET_FUNCTION] - before
        full = await lexport.snapshot(dest, settings(server.url))

    for table in TABLES:
        assert rows(dest, full, table.name) == rows(dest, incremental, table.name), table.name
    versions = incremental.manifest.scopes[0].versions
    functions = incremental.manifest.scopes[0].functions
    assert calls == functions + 3
    assert carried(dest, incremental) == (versions - functions - 3,) * 2


@pytest.mark.slow
@pytest.mark.asyncio
async def test_carried_rows_keep_the_time_they_were_fetched(aws, simulator, settings, tmp_path):
    """``fetched_at`` of a carried row is the start of the run that fetched it, over many nights."""
    nights = [datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2, 3)]
    async with simulator(functions=4, versions=2) as server:
        for night in nights:
            result = await lexport.snapshot(tmp_path, settings(server.url, incremental=True, snapshot_at=night))

    fetched = {
        (row["version"] == "$LATEST", row["carried_forward"], row["fetched_at"])
        for row in rows(tmp_path, result, "functions", without=())
    }
    assert fetched == {(True, False, nights[2]), (False, True, nights[0])}


@pytest.mark.slow
@pytest.mark.asyncio
async def test_what_was_carried_too_long_is_fetched_again(aws, simulator, settings, tmp_path):
    """``refresh_after`` refetches older versions and carries the others over."""
    start = datetime(2026, 11, 1, tzinfo=UTC)
    async with simulator(functions=4, versions=2) as server:
        await lexport.snapshot(tmp_path, settings(server.url, snapshot_at=start))
        more = {"incremental": True, "refresh_after": timedelta(days=7)}
        young = await lexport.snapshot(tmp_path, settings(server.url, snapshot_at=start + timedelta(days=7), **more))
        old = await lexport.snapshot(tmp_path, settings(server.url, snapshot_at=start + timedelta(days=8), **more))

    assert carried(tmp_path, young) == (8, 8)
    assert carried(tmp_path, old) == (0, 0)


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize("difference", ["another key", "values", "partial", "selection", "none before"])
async def test_what_cannot_be_built_on_is_read_anew(aws, simulator, settings, tmp_path, difference):
    """Another HMAC key, another --env, a partial snapshot or a selection is nothing to carry from; the run says so."""
    async with simulator(functions=4, versions=2) as server:
        if difference == "selection":
            name = next(server.fleet.names(SCOPE))
            await lexport.snapshot(tmp_path, settings(server.url, functions=(name,)))
        elif difference == "partial":
            server.inject(Fault(operation="ListAliases", kind="denied"))
            await lexport.snapshot(tmp_path, settings(server.url, allow_partial=True))
        elif difference != "none before":
            await lexport.snapshot(tmp_path, settings(server.url))
        if difference == "another key":
            aws.setenv("LEXPORT_HASH_KEY", base64.b64encode(b"another key of 32 bytes, or more").decode())
        env = "values" if difference == "values" else "keys"
        result = await lexport.snapshot(tmp_path, settings(server.url, incremental=True, env=env))

    assert carried(tmp_path, result) == (0, 0)
    assert any("every version is fetched" in note for note in result.notes)


@pytest.mark.slow
@pytest.mark.asyncio
async def test_a_damaged_last_snapshot_is_read_anew(aws, simulator, settings, tmp_path):
    """Versions that a damaged last snapshot cannot provide are fetched, with a note, and no row is missing."""
    async with simulator(functions=4, versions=2) as server:
        first = await lexport.snapshot(tmp_path, settings(server.url))
        (path,) = (tmp_path / "functions").rglob(f"{first.snapshot_id}-*.parquet")
        body = bytearray(path.read_bytes())
        group = pq.read_metadata(path).row_group(0)
        names = group.column(FUNCTIONS.names().index("function_name"))
        body[names.dictionary_page_offset + 40] ^= 0xFF
        path.write_bytes(body)
        incremental = await lexport.snapshot(tmp_path, settings(server.url, incremental=True))
        full = await lexport.snapshot(tmp_path, settings(server.url))

    assert carried(tmp_path, incremental) == (0, 0)
    said = f"{SCOPE.account_id} {SCOPE.region}: the last snapshot is damaged: "
    assert any(note.startswith(said) for note in incremental.notes)
    for table in TABLES:
        assert rows(tmp_path, full, table.name) == rows(tmp_path, incremental, table.name), table.name


@pytest.mark.asyncio
async def test_incremental_refuses_what_makes_no_sense(run_lexport, tmp_path):
    """A list of functions is never incremental, and --refresh-after is nothing without --incremental: exit 2."""
    listed = await run_lexport("snapshot", "fleet", "--incremental", "--function", "f", "--region", "us-east-1")
    alone = await run_lexport("snapshot", "fleet", "--refresh-after", "7d", "--region", "us-east-1")

    assert (listed.code, listed.err) == (2, "lexport: --incremental reads a fleet, not a list of functions\n")
    assert (alone.code, alone.err) == (2, "lexport: --refresh-after goes with --incremental\n")
