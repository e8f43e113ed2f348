"""The selection of packages by filters and limits, and wrong options."""

import pytest

import lexport
from lexport.artifacts import plan
from lexport.errors import SettingsError
from lexport.model import Scope

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

HUB = "111122223333"
MEMBERS = tuple(str(int(HUB) + number) for number in range(3))


@pytest.mark.parametrize(
    ("selection", "is_selected"),
    [
        ({"packages_for": "latest"}, lambda row: row["version"] == "$LATEST"),
        ({"packages_for": "published"}, lambda row: row["version"] != "$LATEST"),
        ({"runtimes": ("python3.12", "python3.13")}, lambda row: row["runtime"] in ("python3.12", "python3.13")),
        ({"names": ("*-1*", "b*")}, lambda row: "-1" in row["function_name"] or row["function_name"][0] == "b"),
        ({"max_size_bytes": 2000}, lambda row: row["code_size"] <= 2000),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
async def test_selection(simulator, aws, fleet, tmp_path, selection, is_selected, look, settings, packages):
    """Packages of selected versions are downloaded; the rows of the others say why they were skipped."""
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        await lexport.packages(tmp_path, packages.settings(server.url, **selection, allow_partial=True))

    expected = {row["code_sha256"] for row in look.expected_rows(fleet)["functions"] if is_selected(row)}
    skipped = {
        row["code_sha256"]: row["reason"] for row in look.read_rows(tmp_path)["packages"] if row["status"] == "skipped"
    }
    assert set(packages.expected(fleet)) & expected == set(packages.stored(tmp_path))
    assert set(packages.expected(fleet)) - expected <= set(skipped)
    reason = plan.TOO_LARGE if "max_size_bytes" in selection else plan.FILTERED_OUT
    assert set(skipped.values()) == {reason}


async def test_a_region(simulator, aws, zip_fleet, tmp_path, look, settings, packages):
    """--region downloads the packages of the functions in that Region, and writes rows for the others."""
    regions = ("eu-west-1", "us-east-1")
    async with simulator(fleet=zip_fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url, regions=regions))
        await lexport.packages(tmp_path, packages.settings(server.url, regions=regions[:1]))

    here, there = (packages.expected(zip_fleet, Scope(account_id=HUB, region=region)) for region in regions)
    assert packages.stored(tmp_path) == here
    assert packages.statuses(look.read_rows(tmp_path)) == {
        "stored": len(here),
        "skipped": len(there.keys() - here.keys()),
    }


async def test_selection_in_a_snapshot(simulator, aws, fleet, tmp_path, look, packages):
    """The links of a snapshot's responses are used for selected packages only."""
    more = {"packages_for": "latest", "max_size_bytes": 3000, "allow_partial": True}
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, packages.settings(server.url, **more))

    expected = {
        row["code_sha256"]
        for row in look.expected_rows(fleet)["functions"]
        if row["version"] == "$LATEST" and row["code_size"] <= 3000
    }
    assert set(packages.expected(fleet)) & expected == set(packages.stored(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-package-size", "big"), "is not a size"),
        (("--package-rate", "0"), "--package-rate is a number of bytes"),
        (("--package-concurrency", "0"), "--package-concurrency is from 1 to 256"),
        (("--package-host", "http://x/y"), "--package-host is a HOST or HOST:PORT"),
        (("--package-name", ""), "--package-name is not empty"),
    ],
)
async def test_wrong_options(simulator, run_lexport, flags, zip_fleet, tmp_path, arguments, words):
    """Each wrong option is one line and exit code 2."""
    async with simulator(fleet=zip_fleet) as aws:
        await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url))
        done = await run_lexport("packages", tmp_path / "fleet", *flags(aws.url, *arguments))

    assert done.code == 2
    assert words in done.last


async def test_selecting_nothing(simulator, run_lexport, flags, zip_fleet, tmp_path, packages):
    """A Region that is not in the dataset, or a dataset of listed functions alone, is an error."""
    name = zip_fleet.function(Scope(account_id=HUB, region="us-east-1"), 0).name
    async with simulator(fleet=zip_fleet) as aws:
        await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url))
        region = await run_lexport("packages", tmp_path / "fleet", *flags(aws.url, "--region", "eu-west-1"))
        await run_lexport("snapshot", tmp_path / "listed", *flags(aws.url, "--function", name))
        listed = await run_lexport("packages", tmp_path / "listed", *flags(aws.url))

    assert (region.code, listed.code) == (2, 1)
    assert "--region eu-west-1: the dataset has no latest functions there, only of us-east-1" in region.last
    assert "was ever read whole" in listed.last


async def test_no_snapshot(run_lexport, tmp_path):
    """Without a snapshot the command fails; package options of a snapshot need --packages."""
    nothing = await run_lexport("packages", tmp_path / "fleet")
    options = await run_lexport("snapshot", tmp_path / "fleet", "--layers")

    assert (nothing.code, options.code) == (2, 2)
    assert "does not exist" in nothing.last
    assert "go with --packages" in options.last


async def test_settings_of_a_snapshot(aws, tmp_path, settings, packages):
    """Settings that only a snapshot, or only a run over packages, supports are refused by name."""
    with pytest.raises(SettingsError, match="--function is for a snapshot"):
        await lexport.packages(tmp_path, settings("http://127.0.0.1:1", functions=("f",)))
    with pytest.raises(SettingsError, match="--inspect looks into the store of a dataset"):
        await lexport.snapshot(tmp_path, packages.settings("http://127.0.0.1:1", inspect=True))
