"""A plan predicts the calls of the snapshot that follows it."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

import lexport
from lexport.extract.estimate import minimum_s
from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA, Scope
from lexport.simulator import Change, Fault, Fleet, FleetSpec
from lexport.tables.choice import choices
from lexport.tables.registry import fleet_resources

SCOPE = Scope(account_id="111122223333", region="us-east-1")
RATES = {GET_FUNCTION_QUOTA: 100.0, LIST_QUOTA: 15.0}


@pytest.mark.parametrize(
    ("functions", "versions", "pages", "expected"),
    [
        (1_000, 11_000, 220, 110.0),  # GetFunction-bound
        (10_000, 10_000, 200, 680.0),  # ListAliases is the long pole
        (500, 2_000, 40, 36.0),
    ],
)
def test_the_minimum_is_the_formula(functions, versions, pages, expected):
    """max((L + Al) / 15, F(1 + V) / 100, L * t_list), as AWS's two quotas give it."""
    calls = {GET_FUNCTION_QUOTA: versions, LIST_QUOTA: pages + functions}
    planned = minimum_s(calls, RATES, listing_s=pages * 0.1)

    assert planned == expected


@pytest.mark.slow
@pytest.mark.asyncio
async def test_a_plan_is_what_the_snapshot_then_calls(aws, simulator, settings, tmp_path):
    """The plan's calls by class equal those of the run, full and incremental; planning itself fetches nothing."""
    fleet = Fleet(FleetSpec(functions=60, versions=3))
    names = list(fleet.names(SCOPE))
    async with simulator(fleet=fleet) as server:
        full = await lexport.plan(settings=settings(server.url))
        fetched = server.calls[(SCOPE.account_id, SCOPE.region, "GetFunction")]
        taken = await lexport.snapshot(tmp_path, settings(server.url))
        of_configs = server.calls[(SCOPE.account_id, SCOPE.region, "ListFunctionsByCodeSigningConfig")]
        fleet.apply(Change(kind="publish_version", scope=SCOPE, function_name=names[0]))
        fleet.apply(Change(kind="recreate_function", scope=SCOPE, function_name=names[1]))
        nightly = await lexport.plan(tmp_path, settings(server.url))
        night = await lexport.snapshot(tmp_path, settings(server.url, incremental=True))

    (scope,), (done,) = full.scopes, taken.manifest.scopes
    assert fetched == 0
    assert (scope.functions, scope.versions) == (done.functions, done.versions)
    assert scope.get_function_calls == done.get_function_calls
    assert scope.list_calls + of_configs == done.list_calls  # how many configurations there are is not known before
    assert scope.list_calls_at_most is None
    assert nightly.scopes[0].incremental_get_function_calls == night.manifest.scopes[0].get_function_calls


@pytest.mark.slow
@pytest.mark.asyncio
async def test_the_command_prints_each_scope_and_the_total(run_lexport, simulator, flags):
    """Two Regions are two rows and a total whose time is that of the longest, not the sum."""
    async with simulator(functions=4, versions=1) as server:
        done = await run_lexport(
            "plan", *flags(server.url, "--region", "us-east-1", "--region", "eu-west-1"), "--output", "json"
        )

    rows = json.loads(done.out)
    assert (done.code, [row["account_id"] for row in rows]) == (0, ["111122223333", "111122223333", "total"])
    assert rows[2]["get_function_calls"] == sum(row["get_function_calls"] for row in rows[:2])
    assert rows[2]["minimum_s"] == max(row["minimum_s"] for row in rows[:2])


@pytest.mark.slow
@pytest.mark.asyncio
async def test_a_plan_that_misses_something_says_so(run_lexport, simulator, flags, tmp_path):
    """A Region that may not be listed is named on standard error, with exit code 1; a DEST without snapshots is 2."""
    async with simulator(functions=4, versions=1) as server:
        server.inject(Fault(operation="ListFunctions", kind="denied", region="eu-west-1", times=None))
        denied = await run_lexport("plan", *flags(server.url, "--region", "us-east-1", "--region", "eu-west-1"))
        empty = await run_lexport("plan", tmp_path, *flags(server.url))

    assert denied.code == 1
    assert "missing from this plan: 111122223333 eu-west-1" in denied.err
    assert (empty.code, empty.err) == (2, f"lexport: DEST {tmp_path} holds no snapshot to build on\n")


@pytest.mark.slow
@pytest.mark.asyncio
async def test_a_plan_of_every_resource(aws, simulator, settings, run_lexport, flags, tmp_path):
    """The calls of each resource are those of the run: exactly where they are known, else within the range."""
    fleet = Fleet(FleetSpec(functions=60, versions=2))
    named = ("--with", ",".join(name for name in choices()))
    async with simulator(fleet=fleet) as server:
        first = await run_lexport("plan", *flags(server.url, *named), "--output", "json")
        shown = await run_lexport("plan", *flags(server.url, *named))
        night = await run_lexport("snapshot", tmp_path / "fleet", *flags(server.url, *named))
        second = await run_lexport("plan", tmp_path / "fleet", *flags(server.url, *named), "--output", "json")

    assert (first.code, shown.code, night.code, second.code) == (0, 0, 0, 0), night.err
    (unknown,), (known,) = json.loads(first.out), json.loads(second.out)
    done = {
        row["resource"].replace("-", "_"): row["calls"]
        for row in pq.read_table(next((tmp_path / "fleet").glob("scope_resources/*/*.parquet"))).to_pylist()
    }
    planned = [resource for resource in fleet_resources() if not resource.in_every_snapshot]
    for resource in planned:
        name = resource.option.replace("-", "_")
        for plan in (unknown, known):
            most = plan[f"{name}_calls_at_most"]
            assert plan[f"{name}_calls"] <= done[name], name
            assert most is None or done[name] <= most, name
        if not resource.costs_money:  # how much is used is not known before
            assert known[f"{name}_calls"] == known[f"{name}_calls_at_most"] == done[name], name
    costs = any(resource.costs_money for resource in planned)
    assert ("dollars" in known) is costs
    quotas = {resource.call.quota for resource in planned} | {GET_FUNCTION_QUOTA, LIST_QUOTA}
    for quota in quotas:
        assert known[f"{quota.name}_quota_s"] >= 0
        assert known[f"{quota.name}_quota_calls"] > 0
    assert known["minimum_s"] == max(known[f"{quota.name}_quota_s"] for quota in quotas)
    assert " or more" in shown.out
