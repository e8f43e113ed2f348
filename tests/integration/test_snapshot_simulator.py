"""The command reads the simulator: the rows equal those of the fleet's oracle for all settings."""

import random
from datetime import UTC, datetime

import pytest

import lexport
from lexport.model import Scope
from lexport.query.catalog import open_catalog
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=60, versions=2))


def same_rows(look, dest, expected):
    """Compare every table, in the order of its file; one that was not read has no rows."""
    rows = look.read_rows(dest)
    for table, right in expected.items():
        assert right == look.facts(rows.get(table, [])), table
    for row in rows["functions"]:
        assert row["fetched_at"] == row["snapshot_at"]
    return rows


async def test_large_fleet(simulator, run_lexport, flags, look, tmp_path):
    """2,000 functions with 5 versions each come out row for row, in every column of every table."""
    fleet = Fleet(FleetSpec(functions=2000, versions=5))

    async with simulator(fleet=fleet) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url))

    assert (done.code, done.out) == (0, ""), done.err
    rows = same_rows(look, tmp_path / "fleet", look.expected_rows(fleet))
    assert rows["errors"] == []
    assert 12_000 == len(rows["functions"]) == aws.calls[look.account, look.region, "GetFunction"]
    (scope,) = rows["scopes"]
    assert ("fleet", "complete", 2000, 12_000, len(rows["aliases"]), 2000, 12_000, 0) == tuple(
        scope[name]
        for name in (
            *("coverage", "status", "functions", "versions", "aliases", "function_count_reported"),
            *("get_function_calls", "throttles"),
        )
    )


async def test_nights(simulator, run_lexport, flags, look, tmp_path):
    """A snapshot of a later night equals the oracle's rows of that night, an incremental one too."""
    for night in (1, 2):
        later = Fleet(FleetSpec(functions=40, versions=1, night=night, drift=0.3))
        async with simulator(fleet=later) as aws:
            done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url), *["--incremental"][: night - 1])

        assert done.code == 0, done.err
        rows, expected = look.read_rows(tmp_path / "fleet"), look.expected_rows(later)
        for row in (*rows["functions"], *expected["functions"]):
            row.pop("carried_forward")
        for table, right in expected.items():
            assert right == look.facts(rows[table]), (night, table)


@pytest.mark.parametrize("env", ["keys", "values", "none"])
async def test_env(simulator, run_lexport, flags, fleet, look, tmp_path, env):
    """A fleet with every leaf of GetFunction's answer comes out whole, its variables as --env says."""
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url, "--env", env))

    assert done.code == 0, done.err
    rows = same_rows(look, tmp_path / "fleet", look.expected_rows(fleet, env=env))
    assert ("env_vars" in rows) == (env != "none")
    assert all(rows[table] for table in look.sorted_by if table != "env_vars")


async def test_latest_only(simulator, run_lexport, flags, fleet, look, tmp_path):
    """--qualifiers latest is one row and one GetFunction call per function."""
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url, "--qualifiers", "latest"))

    assert done.code == 0, done.err
    expected = look.expected_rows(fleet)
    for table in expected:
        expected[table] = [row for row in expected[table] if row.get("version") in (None, "$LATEST")]
    expected["alias_routes"] = look.expected_rows(fleet)["alias_routes"]
    same_rows(look, tmp_path / "fleet", expected)
    assert aws.calls[look.account, look.region, "GetFunction"] == 60


async def test_published_only(simulator, run_lexport, flags, fleet, look, tmp_path):
    """--qualifiers published drops the $LATEST rows; tags are there all the same."""
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url, "--qualifiers", "published"))

    assert done.code == 0, done.err
    expected = look.expected_rows(fleet)
    for table in expected:
        expected[table] = [row for row in expected[table] if row.get("version") != "$LATEST"]
    expected["alias_routes"] = look.expected_rows(fleet)["alias_routes"]
    same_rows(look, tmp_path / "fleet", expected)


async def test_no_aliases(simulator, run_lexport, flags, fleet, look, tmp_path):
    """--no-aliases makes no ListAliases call and leaves two tables empty, all others whole."""
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url, "--no-aliases"))

    assert done.code == 0, done.err
    rows = same_rows(look, tmp_path / "fleet", look.expected_rows(fleet) | {"aliases": [], "alias_routes": []})
    assert [row["aliases"] for row in rows["scopes"]] == [None]  # not read is not none
    assert aws.calls[look.account, look.region, "ListAliases"] == 0
    (commit,) = open_catalog(tmp_path / "fleet").manifests
    assert {name: commit.entries(name) for name in ("aliases", "alias_routes")} == {"aliases": [], "alias_routes": []}
    assert (await run_lexport("verify", tmp_path / "fleet")).code == 0


async def test_two_regions(simulator, run_lexport, flags, fleet, look, tmp_path):
    """Two Regions are read side by side into one snapshot."""
    regions = ("us-east-1", "eu-west-1")

    async with simulator(fleet=fleet) as aws:
        named = (part for region in regions for part in ("--region", region))
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url, *named))

    assert done.code == 0, done.err
    scopes = [Scope(account_id=look.account, region=region) for region in regions]
    rows = same_rows(look, tmp_path / "fleet", look.expected_rows(fleet, *scopes))
    assert [(row["region"], row["functions"]) for row in rows["scopes"]] == [("eu-west-1", 60), ("us-east-1", 60)]


async def test_empty_fleet(simulator, run_lexport, flags, look, tmp_path):
    """An account without functions is a complete snapshot with typed, empty tables."""
    async with simulator(functions=0) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url))
        asked = await run_lexport("sql", tmp_path / "fleet", "SELECT count(*), sum(memory_size) FROM functions")

    assert done.code == 0, done.err
    assert look.read_rows(tmp_path / "fleet")["functions"] == []
    assert asked.out.splitlines()[-1].split() == ["0", "NULL"]


async def test_quotas(simulator, run_lexport, look, tmp_path):
    """At the default share of AWS's quotas nothing is throttled."""
    async with simulator(functions=20, versions=3, quotas=True) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", "--endpoint-url", aws.url, "--region", look.region)

    assert done.code == 0, done.err
    assert aws.throttles == {}
    assert aws.calls[look.account, look.region, "GetFunction"] == 80


async def test_same_bytes(simulator, aws, settings, fleet, look, tmp_path):
    """Two runs of one id and instant have the same bytes, in whatever order the answers come."""
    when = datetime(2026, 11, 22, 3, 4, 5, 678901, tzinfo=UTC)
    same = {"snapshot_id": "01M81H1PGWH8PGY18TP6MB2GP2", "snapshot_at": when}
    dice = random.Random(1)
    names = list(fleet.names(look.scope))
    slow = [
        Fault(operation=operation, function_name=name, kind="slow", delay_s=dice.random() / 10)
        for name in dice.sample(names, 30)
        for operation in ("GetFunction", "ListAliases")
    ]

    async with simulator(fleet=fleet) as quick, simulator(*slow, fleet=fleet) as late:
        await lexport.snapshot(tmp_path / "a", settings(quick.url, **same))
        await lexport.snapshot(tmp_path / "b", settings(late.url, **same, list_rate_per_s=300))

    orders = [[(call.function_name, call.qualifier) for call in server.requests] for server in (quick, late)]
    assert orders[0] != orders[1]
    runs = ("errors", "scope", "snapshots", "_")
    first, second = (
        {path: body for path, body in look.tree(tmp_path / name).items() if not path.startswith(runs)} for name in "ab"
    )
    assert len(first) == 29
    assert first == second
