"""``packages --processes``: the packages of a dataset are split by hash, and fetched by several processes."""

from __future__ import annotations

import shutil

import pytest

import lexport
from lexport.settings import PackageSettings
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

REGIONS = ("us-east-1", "eu-west-1")


async def rows(dest, table):
    """The rows of a table of packages, without what differs from run to run."""
    found = (await lexport.sql(dest, f"SELECT * FROM {table} ORDER BY ALL")).to_pylist()
    own = ("snapshot_id", "snapshot_at", "verified_at", "fetched_at")
    return sorted(str({name: value for name, value in row.items() if name not in own}) for row in found)


async def test_two_processes_store_the_packages_of_one(simulator, aws, settings, look, tmp_path):
    """Two processes store the files of one and write the same rows, failed and denied packages too, and no link."""
    fleet = Fleet(FleetSpec(functions=20, versions=3, regions=REGIONS))
    denied = Fault(operation="GetFunction", kind="denied", function_name=fleet.name(3), times=None)
    packages = PackageSettings(layers=True)
    async with simulator(fleet=fleet) as server:
        options = settings(server.url, regions=REGIONS)
        await lexport.snapshot(tmp_path / "alone", options)
        shutil.copytree(tmp_path / "alone", tmp_path / "shared")
        server.inject(denied)
        done = {
            name: await lexport.packages(
                tmp_path / name, settings(server.url, packages=packages, allow_partial=True, **more)
            )
            for name, more in (("alone", {"regions": REGIONS}), ("shared", {"regions": REGIONS, "processes": 2}))
        }

    alone, shared = (done[name].packages for name in ("alone", "shared"))
    assert alone.kinds == shared.kinds
    assert sum(count for kind, count in alone.kinds.items() if kind.status == "stored") > 10
    assert (alone.files_done, alone.bytes_done, alone.moved_bytes()) == (
        shared.files_done,
        shared.bytes_done,
        shared.moved_bytes(),
    )
    for table in ("packages", "layer_versions"):
        assert await rows(tmp_path / "shared", table) == await rows(tmp_path / "alone", table)
    trees = [look.tree(tmp_path / name) for name in ("alone", "shared")]
    stored = [{path: body for path, body in tree.items() if path.startswith("_packages/")} for tree in trees]
    assert stored[0] == stored[1]
    assert not any(b"X-Amz-Signature" in body for body in trees[1].values())
