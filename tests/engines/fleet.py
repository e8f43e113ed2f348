"""A dataset that has rows for every shipped view, and the files of a run that never committed."""

from __future__ import annotations

import base64
import os
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import lexport
from lexport.settings import PackageSettings, SnapshotSettings
from lexport.simulator import Fleet, FleetSpec, open_simulator

NIGHTS = 3
REGIONS = ("us-east-1", "eu-west-1")


async def write_fleet(dest: Path, functions: int = 60) -> None:
    """Write a whole night with packages, an incremental one and one of a single Region; then abort a run."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "LEXPORT_HASH_KEY": base64.b64encode(bytes(32)).decode(),
        "NO_PROXY": "127.0.0.1",
    }
    spec = {"functions": functions, "versions": 5, "seed": 7, "drift": 0.1, "regions": REGIONS}
    first_at = None
    for night in range(NIGHTS):
        fleet = Fleet(FleetSpec(night=night, **spec))  # type: ignore[arg-type]
        first_at = first_at or FleetSpec(functions=1, versions=1).first_night_at
        async with open_simulator(fleet, quotas=False) as aws:
            settings = SnapshotSettings(
                endpoint_url=aws.url,
                regions=REGIONS if night < NIGHTS - 1 else REGIONS[:1],
                with_resources=("all", "usage"),
                incremental=night > 0,
                allow_partial=True,
                snapshot_at=first_at + timedelta(days=night),
                get_function_rate_per_s=1e6,
                list_rate_per_s=1e6,
            )
            await lexport.snapshot(dest, settings)
            if night == 0:
                looked_into = PackageSettings(layers=True, inspect=True, secrets=True)
                chosen = SnapshotSettings(endpoint_url=aws.url, allow_partial=True, packages=looked_into)
                await lexport.packages(dest, chosen)
    abort(dest)


def abort(dest: Path) -> None:
    """Write the files of a run that never committed: copies of the newest ones, with a greater id."""
    newest = max(dest.glob("_runs/*.json")).stem
    aborted = "7" + newest[1:]
    for path in list(dest.glob(f"*/*/{newest}-*.parquet")):
        if path.parts[-3] != "snapshots":  # that row comes after the commit
            rows = pq.ParquetFile(path).read()
            ids = pa.array([aborted] * len(rows), pa.string())
            pq.write_table(rows.set_column(0, rows.schema.field(0), ids), path.with_name(f"{aborted}-0000.parquet"))
