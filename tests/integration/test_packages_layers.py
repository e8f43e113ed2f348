"""Layers, packages in the customer's own bucket, and the inspection of both."""

import base64
from collections import Counter

import pytest

import lexport
from lexport.model import Scope
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

HUB = "111122223333"
MEMBERS = tuple(str(int(HUB) + number) for number in range(3))


async def test_layers(simulator, aws, fleet, tmp_path, look, settings, packages):
    """Each distinct layer version in use is requested once; one that another account denies is a row, no gap."""
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url))
        arns = {row["layer_arn"] for row in look.read_rows(tmp_path)["layers"]}
        foreign = next(arn for arn in sorted(arns) if f":{look.account}:" not in arn)
        own = next(arn for arn in sorted(arns) if f":{look.account}:" in arn)
        server.inject(Fault(operation="GetLayerVersionByArn", layer_arn=foreign, kind="denied", times=None))
        choice = packages.settings(server.url, layers=True, names=("[!%]*",), allow_partial=True)
        await lexport.packages(tmp_path, choice)
        first, rows = packages.calls(server), look.read_rows(tmp_path)
        await lexport.packages(tmp_path, choice)
        second = packages.calls(server)

    by_arn = {row["layer_arn"]: row for row in rows["layer_versions"]}
    assert set(by_arn) == arns
    assert first["GetLayerVersionByArn"] == len(arns)
    assert second["GetLayerVersionByArn"] == 1  # the denied one
    assert Counter(row["status"] for row in by_arn.values()) == {"stored": len(arns) - 1, "denied": 1}
    assert by_arn[foreign]["reason"].startswith("AccessDeniedException: ")
    assert (by_arn[own]["compatible_runtimes"], by_arn[own]["compatible_architectures"]) == (
        '["python3.12","python3.13"]',
        '["x86_64","arm64"]',
    )
    assert by_arn[own]["created_at"].isoformat() == "2024-05-14T06:20:50.057000+00:00"
    assert by_arn[own]["code_sha256"] in packages.stored(tmp_path)
    assert [row["is_gap"] for row in rows["errors"] if row["operation"] == "GetLayerVersionByArn"] == [False]
    newest = {row["layer_arn"]: row for row in look.read_rows(tmp_path)["layer_versions"]}
    assert newest[own] | {"status": "stored"} == by_arn[own] | {
        name: newest[own][name] for name in ("snapshot_id", "snapshot_at")
    }


@pytest.mark.parametrize("member", [HUB, MEMBERS[1]])
async def test_reference_packages(simulator, aws, tmp_path, member, look, settings, packages):
    """--reference-packages downloads from the customer's own bucket with the credentials of the account."""
    fleet = Fleet(FleetSpec(functions=60, versions=3, accounts=MEMBERS))
    scope = Scope(account_id=member, region=look.region)
    functions = look.expected_rows(fleet, scope)["functions"]
    rows = [row for row in functions if row["code_resolved_s3_object_bucket"]]
    name = rows[0]["function_name"]
    entering = {"account_role": "lexport-reader"}
    async with simulator(fleet=fleet) as server:
        await lexport.snapshot(tmp_path, settings(server.url, **entering, accounts=(member,), aliases=False))
        packages.calls(server)
        selection = {"reference_packages": True, "names": (name,)}
        await lexport.packages(tmp_path, packages.settings(server.url, **selection, **entering))
        counts = packages.calls(server)

    expected = {row["code_sha256"]: row["code_size"] for row in rows}
    assert expected
    assert expected == packages.stored(tmp_path)
    assert (counts["GetObject"], counts["GetFunction"]) == (len(expected), 0)
    assert {row["code_sha256"] for row in look.read_rows(tmp_path)["packages"] if row["status"] == "stored"} == set(
        expected
    )


async def test_inspect(simulator, run_lexport, flags, fleet, tmp_path, look):
    """--inspect writes rows for every stored package and layer, and inspects none of them twice."""
    dest = tmp_path / "fleet"
    choice = ("--layers", "--inspect", "--allow-partial")
    async with simulator(fleet=fleet) as aws:
        await run_lexport("snapshot", dest, *flags(aws.url))
        first = await run_lexport("packages", dest, *flags(aws.url, *choice))
        rows = look.read_rows(dest)
        second = await run_lexport("packages", dest, *flags(aws.url, *choice))

    contents = {path.stem for path in dest.glob("_packages/sha256/*/*.zip")}
    assert {row["sha256_hex"] for row in rows["package_files"]} == contents
    assert {base64.b64decode(row["code_sha256"]).hex() for row in rows["layer_versions"]} <= contents
    assert f"packages: {len(contents):,} inspected" in first.err
    assert "inspected" not in second.err
    assert look.read_rows(dest)["package_files"] == []
    counts = await lexport.sql(dest, "SELECT count(DISTINCT sha256_hex) AS n FROM package_files")
    assert counts.to_pylist() == [{"n": len(contents)}]
