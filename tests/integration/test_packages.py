"""Packages: each is downloaded once and verified, stored packages are not requested again, and each has a row."""

import json

import pyarrow.parquet as pq
import pytest

import lexport
from lexport.errors import IncompleteError
from lexport.model import Scope
from lexport.simulator import Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

HUB = "111122223333"
MEMBERS = tuple(str(int(HUB) + number) for number in range(3))


async def test_each_once(simulator, run_lexport, flags, fleet, tmp_path, look, packages):
    """The command downloads each distinct package once and writes a row for each; a second run makes no new calls."""
    dest = tmp_path / "fleet"
    async with simulator(fleet=fleet) as aws:
        await run_lexport("snapshot", dest, *flags(aws.url))
        packages.calls(aws)
        done = await run_lexport("packages", dest, *flags(aws.url))
        first, rows = packages.calls(aws), look.read_rows(dest)
        expected = packages.expected(fleet)
        chosen = flags(aws.url, "--package-name", "[!%]*")
        denied = {row["code_sha256"] for row in rows["packages"] if row["status"] == "denied"}
        again = await run_lexport("packages", dest, *chosen)
        second = packages.calls(aws)

    assert (done.code, again.code) == (0, 0)
    assert expected == packages.stored(dest)
    assert first["GetObject"] == len(expected)
    assert first["GetFunction"] <= len(expected) + 4 * len(denied)
    assert second["GetObject"] == 0
    assert second["GetFunction"] <= 4 * len(denied)  # denied packages are requested again

    functions = look.expected_rows(fleet)["functions"]
    assert {row["code_sha256"] for row in functions} == {row["code_sha256"] for row in rows["packages"]}
    assert packages.statuses(rows) == {
        "stored": len(expected),
        "image": len({row["code_sha256"] for row in functions if row["package_type"] == "Image"}),
        "reference": len({row["code_sha256"] for row in functions if row["code_resolved_s3_object_bucket"]}),
        "denied": len(denied),
    }
    for row in rows["packages"]:
        if row["status"] == "stored":
            assert row["path"] == f"_packages/sha256/{row['sha256_hex'][:2]}/{row['sha256_hex']}.zip"
            assert row["size_bytes"] == (dest / row["path"]).stat().st_size == expected[row["code_sha256"]]
            assert row["verified_at"] is not None
        else:
            assert row["path"] is None
            assert row["reason"] or row["status"] == "image"
    assert {(row["stage"], row["is_gap"]) for row in rows["errors"]} == {("packages", False)}
    assert f"warning: {len(expected):,} of {len(expected) + len(denied):,} packages are stored" in done.err
    assert packages.statuses(look.read_rows(dest))["present"] == len(expected)
    assert f"packages: {len(expected):,} stored" in done.err
    assert f"packages: {len(expected):,} present" in again.err


async def test_nothing_to_download(simulator, aws, zip_fleet, tmp_path, look, settings, packages):
    """If every package is stored, no call is made and no credentials are needed."""
    async with simulator(fleet=zip_fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        first = await lexport.packages(tmp_path, settings(server.url))
        packages.calls(server)
        aws.delenv("AWS_ACCESS_KEY_ID")
        second = await lexport.packages(tmp_path, settings(server.url))

        assert packages.calls(server) == {}
    assert first.packages.moved_bytes() == sum(packages.expected(zip_fleet).values()) == first.packages.stored_bytes
    assert second.packages.moved_bytes() == 0
    assert packages.statuses(look.read_rows(tmp_path)) == {"present": len(packages.expected(zip_fleet))}
    assert [row["scopes"] for row in map(vars_of, sorted(tmp_path.glob("_runs/*.json")))][1:] == [[], []]


def vars_of(path):

    return json.loads(path.read_bytes())


async def test_the_endpoint_of_the_environment(simulator, run_lexport, flags, zip_fleet, tmp_path, packages):
    """Links may lead to the endpoint of AWS_ENDPOINT_URL, like to that of --endpoint-url."""
    dest, expected = tmp_path / "fleet", packages.expected(zip_fleet)
    async with simulator(fleet=zip_fleet) as aws:
        _, _, *rest = flags(aws.url)
        done = await run_lexport("snapshot", dest, "--packages", *rest, AWS_ENDPOINT_URL=aws.url)

    assert done.code == 0
    assert packages.stored(dest) == expected


async def test_with_a_snapshot(simulator, run_lexport, flags, fleet, tmp_path, look, packages):
    """snapshot --packages downloads each package once too, with links of its own responses, into one commit."""
    dest = tmp_path / "fleet"
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport("snapshot", dest, *flags(aws.url, "--packages", "--layers"))
        counts = packages.calls(aws)

    rows, expected = look.read_rows(dest), packages.expected(fleet)
    layers = {row["layer_arn"] for row in rows["layers"]}
    assert done.code == 0, done.err
    assert set(expected) <= set(packages.stored(dest))
    assert packages.statuses(rows)["stored"] == counts["GetObject"] == len(packages.stored(dest))
    assert {row["code_sha256"] for row in rows["layer_versions"]} <= {row["code_sha256"] for row in rows["packages"]}
    assert counts["GetLayerVersionByArn"] == len(layers) == len(rows["layer_versions"])
    assert look.expected_rows(fleet)["functions"] == look.facts(rows["functions"])
    assert len(list(dest.glob("_runs/*.json"))) == 1
    (scope,) = rows["scopes"]
    missing = sum(row["status"] in ("denied", "failed") for row in rows["packages"])
    assert (scope["status"], scope["packages"]) == ("complete", scope["packages_stored"] + missing)
    assert scope["packages_stored"] == len(expected)


async def test_without_packages(simulator, aws, zip_fleet, tmp_path, look, settings, packages):
    """A snapshot without --packages has empty files of packages, and has not read them: not read is not empty."""
    async with simulator(fleet=zip_fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url))

        assert packages.calls(server)["GetObject"] == 0
    assert not {"packages", "layer_versions"} & set(look.read_rows(tmp_path))
    assert pq.read_table(tmp_path / "packages").num_rows == 0


async def test_across_accounts(simulator, aws, tmp_path, look, settings, packages):
    """Packages shared by accounts are downloaded once; the role of each account is assumed as in a snapshot."""
    fleet = Fleet(FleetSpec(functions=4, versions=2, accounts=MEMBERS, seed=3))
    entering = {"account_role": "lexport-reader"}
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url, **entering, accounts=MEMBERS))
        packages.calls(server)
        result = await lexport.packages(tmp_path, settings(server.url, **entering))
        counts, only_packages = packages.calls(server), packages.stored(tmp_path)
        layers = await lexport.packages(tmp_path, packages.settings(server.url, layers=True, **entering))

    expected = packages.expected(fleet, *(Scope(account_id=account, region=look.region) for account in MEMBERS))
    assert result.manifest.status == layers.manifest.status == "complete"
    assert expected == only_packages
    assert counts["GetObject"] == counts["GetFunction"] == len(expected)
    assert {row["status"] for row in look.read_rows(tmp_path)["layer_versions"]} <= {"stored"}


async def test_accounts_without_access(simulator, aws, tmp_path, look, settings, packages):
    """Packages in accounts that the credentials cannot read are not stored, and the reason names the missing option."""
    fleet = Fleet(FleetSpec(functions=4, versions=2, accounts=MEMBERS, seed=3))
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url, account_role="lexport-reader", accounts=MEMBERS))
        with pytest.raises(IncompleteError, match="stored and costs nothing next time"):
            await lexport.packages(tmp_path, settings(server.url, require=("packages",)))
        result = await lexport.packages(tmp_path, settings(server.url))

    own = packages.expected(fleet)
    assert set(own) <= set(packages.stored(tmp_path))
    denied = [row for row in look.read_rows(tmp_path)["packages"] if row["status"] == "denied"]
    assert denied
    assert all("give --account-role" in row["reason"] for row in denied)
    assert result.manifest.gaps == 0
    assert result.manifest.packages == result.manifest.packages_stored + len(denied)
