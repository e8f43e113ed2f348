"""Each line of the design's table of gaps, and the effect of a gap on a run."""

import pyarrow.parquet as pq
import pytest

import lexport
from lexport.aws.quota import retry
from lexport.errors import CredentialsError, IncompleteError
from lexport.model import Scope
from lexport.simulator import Change, Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=6, versions=2))


@pytest.fixture
def name(fleet):
    """One function of the fleet."""
    return fleet.name(2)


def without(rows, name):
    """Rows of all other functions."""
    return [row for row in rows if row["function_name"] != name]


def told(rows):
    """Return the decisive columns of the rows of ``errors``."""
    return [
        (row["operation"], row["function_name"], row["qualifier"], row["error_code"], row["is_gap"])
        for row in rows["errors"]
    ]


# --- no gap ---------------------------------------------------------------------------------------------------------


async def test_gone(simulator, aws, settings, fleet, name, look, tmp_path):
    """A version that is deleted between list and get is not in the fleet: noted, and no gap."""
    async with simulator(
        Fault(operation="GetFunction", function_name=name, qualifier="1", kind="gone"), fleet=fleet
    ) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    rows = look.read_rows(tmp_path / "fleet")
    expected = look.expected_rows(fleet)["functions"]
    gone = [row for row in expected if (row["function_name"], row["version"]) == (name, "1")]
    assert len(gone) == 1
    assert [row for row in expected if row not in gone] == look.facts(rows["functions"])
    assert [("GetFunction", name, "1", "gone", False)] == told(rows)
    assert look.newest(tmp_path / "fleet").status == "complete"


async def test_function_gone(simulator, aws, settings, fleet, name, look, tmp_path):
    """A function that is deleted after it was listed leaves no row behind and is no gap, its aliases neither."""
    faults = [
        Fault(operation=operation, function_name=name, kind="gone", times=None)
        for operation in ("GetFunction", "ListAliases")
    ]
    async with simulator(*faults, fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    rows = look.read_rows(tmp_path / "fleet")
    fleet.apply(Change(kind="delete_function", scope=look.scope, function_name=name))
    expected = look.expected_rows(fleet)
    for table in ("functions", "aliases", "alias_routes", "tags", "env_vars"):
        assert expected[table] == look.facts(rows[table]), table
    assert {("gone", False)} == {(row["error_code"], row["is_gap"]) for row in rows["errors"]}
    assert {name} == {row["function_name"] for row in rows["errors"]}


async def test_wrong_type(simulator, aws, settings, fleet, name, look, tmp_path):
    """A value of the wrong type is NULL, kept raw in extra_json, noted, and no gap."""
    patch = {"Configuration": {"Timeout": "soon", "MemorySize": True}}
    fault = Fault(operation="GetFunction", function_name=name, qualifier="$LATEST", kind="replace_body", patch=patch)
    async with simulator(fault, fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    rows = look.read_rows(tmp_path / "fleet")
    (row,) = (row for row in rows["functions"] if (row["function_name"], row["version"]) == (name, "$LATEST"))
    assert (row["timeout"], row["memory_size"]) == (None, None)
    assert row["extra_json"] == '{"Configuration.MemorySize":true,"Configuration.Timeout":"soon"}'
    assert [("GetFunction", name, None, "wrong_type", False)] * 2 == told(rows)


async def test_errors_inside_an_answer(simulator, aws, settings, look, tmp_path):
    """TagsError, Environment.Error and Code.Error are columns and no rows of errors."""
    fleet = Fleet(FleetSpec(functions=60, versions=0))
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    rows = look.read_rows(tmp_path / "fleet")
    for column in ("tags_error_code", "environment_error_code", "code_error_code"):
        assert [row[column] for row in rows["functions"] if row[column]] == ["AccessDeniedException"], column
    assert rows["errors"] == []


async def test_region_off(simulator, aws, settings, look, tmp_path):
    """Under --region all a Region that is switched off is unavailable, and no gap."""
    fleet = Fleet(
        FleetSpec(functions=1, versions=0, regions=("eu-west-1", "us-west-2"), disabled_regions=("me-south-1",))
    )
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, regions=("all",)))

    rows = look.read_rows(tmp_path / "fleet")
    by_region = {row["region"]: (row["status"], row["functions"]) for row in rows["scopes"]}
    assert by_region.pop("me-south-1") == ("unavailable", 0)
    assert by_region.pop("eu-west-1") == ("complete", 1)
    assert {("complete", 0), ("complete", 1)} == set(by_region.values())
    assert rows["errors"] == []
    assert len(by_region) > 20


async def test_region_found_off(simulator, aws, monkeypatch, settings, look, tmp_path):
    """If Regions cannot be listed, a Region that responds like a disabled one is unavailable, and no gap."""
    monkeypatch.setattr(retry, "REFUSED_FOR_S", retry.REFUSED_FOR_S / 20)
    faults = [Fault(operation=name, kind="denied", times=None) for name in ("ListRegions", "DescribeRegions")]
    fleet = Fleet(FleetSpec(functions=1, versions=0, disabled_regions=("me-south-1",)))
    async with simulator(*faults, fleet=fleet) as server:
        result = await lexport.snapshot(tmp_path / "fleet", settings(server.url, regions=("all",)))

    rows = look.read_rows(tmp_path / "fleet")
    assert [row["region"] for row in rows["scopes"] if row["status"] == "unavailable"] == ["me-south-1"]
    assert rows["errors"] == []
    assert "neither account:ListRegions nor ec2:DescribeRegions is allowed" in result.notes[0]


async def test_account_settings_denied(simulator, aws, settings, fleet, look, tmp_path):
    """GetAccountSettings may be denied: the count is NULL in scopes, and that is no gap."""
    async with simulator(Fault(operation="GetAccountSettings", kind="denied", times=None), fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    rows = look.read_rows(tmp_path / "fleet")
    assert [(row["status"], row["function_count_reported"]) for row in rows["scopes"]] == [("complete", None)]
    assert rows["account_settings"] == []
    assert not any(row["is_gap"] for row in rows["errors"])


async def test_other_count(simulator, aws, settings, look, fleet, tmp_path):
    """A function count of AWS's that differs from the listing is shown in scopes, and no gap."""
    patch = {"AccountUsage": {"FunctionCount": 99}}
    async with simulator(
        Fault(operation="GetAccountSettings", kind="replace_body", patch=patch), fleet=fleet
    ) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    rows = look.read_rows(tmp_path / "fleet")
    assert [(row["functions"], row["function_count_reported"]) for row in rows["scopes"]] == [(6, 99)]
    assert rows["errors"] == []


async def test_an_empty_list_beside_a_count(simulator, aws, settings, tmp_path):
    """A listing that is empty although AWS counts functions is no gap, and a note names both numbers."""
    empty = Fault(operation="ListFunctions", kind="html", status=200, body='{"Functions":[]}', times=None)
    async with simulator(empty) as server:
        result = await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    assert [note for note in result.notes if "named no function, GetAccountSettings counts 6" in note]


# --- gaps -----------------------------------------------------------------------------------------------------------


async def test_denied_function(simulator, run_lexport, flags, fleet, name, look, tmp_path):
    """One function denied: exit 1, nothing published, staging keeps the errors, and a command shows them."""
    fault = Fault(operation="GetFunction", function_name=name, qualifier="$LATEST", kind="denied", times=None)
    dest = tmp_path / "fleet"
    async with simulator(fault, fleet=fleet) as aws:
        done = await run_lexport("snapshot", dest, *flags(aws.url))

    assert done.code == 1
    assert None is look.newest(dest)
    assert [path.name for path in dest.iterdir()] == ["_staging"]
    (errors,) = dest.glob("_staging/*/errors-0001.parquet")
    (row,) = pq.ParquetFile(errors).read().to_pylist()
    assert (name, None, "AccessDeniedException", 403, True, 1) == tuple(
        row[key] for key in ("function_name", "qualifier", "error_code", "http_status", "is_gap", "attempts")
    )
    assert "is not authorized to perform: lambda:GetFunction" in row["message"]
    assert f"lexport errors {dest} --run {errors.parent.name}" in done.last
    assert done.last.endswith(f" --resume {errors.parent.name} --allow-partial")
    assert f"missing: 1 x AccessDeniedException in GetFunction, {look.account} {look.region}, e.g. {name}: " in done.err
    assert "NOT published" in done.err


async def test_allow_partial(simulator, run_lexport, flags, fleet, name, look, tmp_path):
    """The same with --allow-partial: exit 3, published as partial, and never shown as the fleet."""
    fault = Fault(operation="GetFunction", function_name=name, qualifier="$LATEST", kind="denied", times=None)
    dest = tmp_path / "fleet"
    async with simulator(fleet=fleet) as aws:
        whole = await run_lexport("snapshot", dest, *flags(aws.url))
        aws.inject(fault)
        done = await run_lexport("snapshot", dest, *flags(aws.url, "--allow-partial"))

    assert (whole.code, done.code) == (0, 3), done.err
    rows = look.read_rows(dest)
    commit = look.newest(dest)
    assert (commit.status, commit.gaps) == ("partial", 1)
    assert [row["status"] for row in rows["scopes"]] == ["partial"]
    assert len(look.expected_rows(fleet)["functions"]) - 1 == len(rows["functions"])
    assert list(dest.glob("_staging/*")) == []
    asked = await run_lexport(
        "sql", dest, "SELECT (FROM functions SELECT count(*)), (FROM snapshot.functions SELECT count(*))"
    )
    assert [str(len(rows["functions"]) + 1), str(len(rows["functions"]))] == asked.out.split()[-2:]


async def test_failing_for_ever(simulator, aws, settings, fleet, name, tmp_path):
    """A call that is throttled or fails through all its attempts is a gap that says how often it was tried."""
    other = fleet.name(3)
    faults = [
        Fault(operation="GetFunction", function_name=name, qualifier="1", kind="throttle", times=8, retry_after_s=0),
        Fault(operation="GetFunction", function_name=other, qualifier="$LATEST", kind="html", times=6),
    ]
    async with simulator(*faults, fleet=fleet) as server:
        with pytest.raises(IncompleteError) as caught:
            await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    failures = {example.function_name: (kind, count, example) for kind, count, example in caught.value.result.failures}
    assert {name: ("TooManyRequestsException", True, 1, 8), other: (failures[other][0].error_code, True, 1, 6)} == {
        function: (kind.error_code, kind.is_gap, count, example.attempts)
        for function, (kind, count, example) in failures.items()
    }
    assert failures[other][2].http_status == 502
    assert caught.value.result.manifest.scopes[0].throttles == 8


async def test_throttles_of_lists_are_counted(simulator, aws, settings, fleet, tmp_path):
    """Throttles of List calls are counted together with those of GetFunction."""
    fault = Fault(operation="ListFunctions", kind="throttle", times=3, retry_after_s=0)
    async with simulator(fault, fleet=fleet) as server:
        result = await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    assert result.manifest.scopes[0].throttles == 3


async def test_list_functions_denied(simulator, run_lexport, flags, fleet, tmp_path):
    """ListFunctions denied everywhere: permission for nothing at all, exit 5, nothing published."""
    async with simulator(Fault(operation="ListFunctions", kind="denied", times=None), fleet=fleet) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url))

    assert done.code == 5
    assert done.last.startswith("lexport: nothing may be read: ListFunctions in 111122223333 us-east-1 answered ")
    assert "lexport iam-policy" in done.last
    assert not (tmp_path / "fleet" / "_runs").exists()


async def test_one_region_denied(simulator, run_lexport, flags, fleet, look, tmp_path):
    """One Region of two denied is a gap, not the end: the other one is published with --allow-partial."""
    fault = Fault(operation="ListFunctions", region="eu-west-1", kind="denied", times=None)
    both = ("--region", "eu-west-1", "--region", "us-east-1")
    async with simulator(fault, fleet=fleet) as aws:
        refused = await run_lexport("snapshot", tmp_path / "a", *flags(aws.url, *both))
        done = await run_lexport("snapshot", tmp_path / "b", *flags(aws.url, *both, "--allow-partial"))

    assert (refused.code, done.code) == (1, 3)
    rows = look.read_rows(tmp_path / "b")
    statuses = [(row["region"], row["status"], row["functions"]) for row in rows["scopes"]]
    assert statuses[1:] == [("us-east-1", "complete", 6)]
    assert statuses[0][::2] == ("eu-west-1", 0)
    assert statuses[0][1] in ("denied", "partial")
    assert look.expected_rows(fleet, Scope(account_id=look.account, region="us-east-1"))["functions"] == look.facts(
        rows["functions"]
    )


async def test_list_aliases_denied(simulator, run_lexport, flags, fleet, look, tmp_path):
    """ListAliases denied is a gap for each function; denied is never empty."""
    async with simulator(Fault(operation="ListAliases", kind="denied", times=None), fleet=fleet) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url, "--allow-partial"))

    assert done.code == 3, done.err
    rows = look.read_rows(tmp_path / "fleet")
    assert {("ListAliases", "AccessDeniedException", True)} == {
        (row["operation"], row["error_code"], row["is_gap"]) for row in rows["errors"]
    }
    assert len(rows["errors"]) == 6
    assert look.expected_rows(fleet)["functions"] == look.facts(rows["functions"])


async def test_everything_denied_in_library(simulator, aws, settings, fleet, tmp_path):
    """The library raises CredentialsError if nothing can be read, and leaves no staging files."""
    faults = [Fault(operation=name, kind="denied", times=None) for name in ("ListFunctions", "GetAccountSettings")]
    async with simulator(*faults, fleet=fleet) as server:
        with pytest.raises(CredentialsError, match="nothing may be read"):
            await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    assert list((tmp_path / "fleet" / "_staging").iterdir()) == []
