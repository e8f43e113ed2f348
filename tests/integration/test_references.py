"""Versions listed or named = rows + gone + gaps, for every kind of snapshot."""

from __future__ import annotations

import pytest

import lexport
from lexport.model import Scope
from lexport.simulator import Change, Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

TWO = ("111122223333", "111122223334")
REGIONS = ("eu-west-1", "us-east-1")


def lost(rows, scope):
    return [
        row
        for row in rows["errors"]
        if (row["account_id"], row["region"]) == (scope.account_id, scope.region)
        and row["operation"] == "GetFunction"
        and (row["is_gap"] or row["error_code"] == "gone")
    ]


async def adds_up(dest, look):
    """Compare the counts of the newest commit with its rows; return them by account-region."""
    rows, commit, counts = look.read_rows(dest), look.newest(dest), {}
    for entry in commit.scopes:
        mine = [
            row for row in rows["functions"] if (row["account_id"], row["region"]) == (entry.account_id, entry.region)
        ]
        assert entry.references == len(mine) + len(lost(rows, entry.scope)), entry
        counts[entry.account_id, entry.region] = entry.references
    assert await lexport.verify(dest) == ()
    return counts


async def test_several_accounts(simulator, aws, settings, look, tmp_path):
    """Each account-region has its own counts: versions that are gone or denied in one do not count in another."""
    fleet = Fleet(FleetSpec(functions=5, versions=2, accounts=TWO, regions=REGIONS))
    scopes = [Scope(account_id=account, region=region) for account in TWO for region in REGIONS]
    gone, denied = fleet.name(1), fleet.name(3)
    faults = (
        Fault(
            operation="GetFunction", function_name=gone, account_id=TWO[1], region=REGIONS[0], kind="gone", times=None
        ),
        Fault(operation="GetFunction", function_name=denied, account_id=TWO[0], kind="denied", times=None),
    )
    async with simulator(*faults, fleet=fleet) as server:
        await lexport.snapshot(
            tmp_path / "fleet",
            settings(
                server.url, accounts=TWO, account_role="lexport", regions=REGIONS, allow_partial=True, aliases=False
            ),
        )
    counts = await adds_up(tmp_path / "fleet", look)

    expected = look.expected_rows(fleet, *scopes)["functions"]
    assert counts == {
        (scope.account_id, scope.region): sum(
            (row["account_id"], row["region"]) == (scope.account_id, scope.region) for row in expected
        )
        for scope in scopes
    }
    assert {entry.status for entry in look.newest(tmp_path / "fleet").scopes} == {"complete", "partial"}


@pytest.mark.parametrize("qualifiers", ["latest", "published", "all"])
async def test_qualifiers(simulator, aws, settings, look, tmp_path, qualifiers):
    """Only versions that are kept are counted, and $LATEST is not one of them under --qualifiers published."""
    async with simulator(
        Fault(operation="GetFunction", kind="gone", qualifier="1", times=None),
        Fault(operation="ListFunctions", kind="duplicate_page", times=2),
        functions=4,
        versions=2,
    ) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, qualifiers=qualifiers, aliases=False))
    (count,) = (await adds_up(tmp_path / "fleet", look)).values()

    assert count > 0


async def test_what_is_carried_forward(simulator, aws, settings, look, tmp_path):
    """A version that an incremental run takes over is accounted for as one that it fetches."""
    fleet = Fleet(FleetSpec(functions=5, versions=3))
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, aliases=False))
        fleet.apply(Change(kind="publish_version", scope=look.scope, function_name=fleet.name(0)))
        result = await lexport.snapshot(tmp_path / "fleet", settings(server.url, aliases=False, incremental=True))
    (count,) = (await adds_up(tmp_path / "fleet", look)).values()

    assert count == len(look.expected_rows(fleet)["functions"]) == result.manifest.scopes[0].versions


async def test_named_functions(simulator, aws, settings, look, tmp_path):
    """Two names of one version are one reference: an alias beside the version it leads to, and one of $LATEST."""
    fleet = Fleet(FleetSpec(functions=60, versions=3))
    (name, alias), (other, moved), *_ = (
        (fleet.name(index), aliases[0])
        for index in fleet.indexes(look.scope)
        if (aliases := [each for each in fleet.aliases(look.scope, index) if each.function_version != "$LATEST"])
    )
    fleet.apply(Change(kind="move_alias", scope=look.scope, function_name=other, alias=moved.name, version="$LATEST"))
    named = (name, f"{name}:{alias.name}", f"{name}:{alias.function_version}", f"{other}:{moved.name}", f"{name}:9999")
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, functions=named, allow_partial=True))
    rows = look.read_rows(tmp_path / "fleet")
    counts = await adds_up(tmp_path / "fleet", look)

    assert [(row["function_name"], row["version"]) for row in rows["functions"]] == sorted(
        [(name, "$LATEST"), (name, alias.function_version), (other, "$LATEST")]
    )
    assert [row["qualifier"] for row in lost(rows, look.scope)] == ["9999"]
    assert list(counts.values()) == [4]
