"""Write a dataset with all that a reader may find: snapshots of the simulator, and a commit of packages."""

import asyncio
import base64
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import AT, HEX, PACKAGE, PACKAGES_ID, STORED, fix

import lexport
from lexport.dataset import layout
from lexport.simulator import Fleet, FleetSpec, open_simulator
from lexport.tables.arrow import table_schema
from lexport.tables.packages import PACKAGES
from lexport.tables.run import SNAPSHOTS

HASH_KEY = base64.b64encode(b"k" * 32).decode()


def write_whole(dest, *, functions=(40,), env="keys"):
    """Write a snapshot of the simulator for each number of functions, and a commit of packages with one stored."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "LEXPORT_HASH_KEY": HASH_KEY,
            "NO_PROXY": "127.0.0.1",
        }.items():
            patch.setenv(name, value)
        for number in functions:
            asyncio.run(_take(dest, number, env))
    (dest / STORED).parent.mkdir(parents=True)
    (dest / STORED).write_bytes(PACKAGE)
    row = {"snapshot_id": PACKAGES_ID, "snapshot_at": AT, "sha256_hex": HEX, "status": "stored", "path": STORED}
    path = layout.data_path("packages", PACKAGES_ID, AT)
    (dest / path).parent.mkdir(parents=True)
    row["dependencies_status"] = "complete"
    pq.write_table(pa.Table.from_pylist([row], schema=table_schema(PACKAGES)), dest / path)
    done = json.loads(next(dest.glob("_runs/*.json")).read_bytes())
    done |= {"snapshot_id": PACKAGES_ID, "snapshot_at": AT.isoformat(), "scopes": [], "files": []}
    done["files"] = [{"table": "packages", "path": path, "size_bytes": 0, "rows": 1, "sha256": ""}]
    (dest / "_runs" / f"{PACKAGES_ID}.json").write_text(json.dumps(done))
    fix(dest, path)
    path = layout.data_path("snapshots", PACKAGES_ID, AT)
    row = {"snapshot_id": PACKAGES_ID, "snapshot_at": AT, "status": "complete", "committed_at": AT}
    (dest / path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([row], schema=table_schema(SNAPSHOTS)), dest / path)


async def _take(dest, functions, env):
    async with open_simulator(Fleet(FleetSpec(functions=functions, versions=3)), quotas=False) as aws:
        settings = lexport.SnapshotSettings(
            endpoint_url=aws.url, regions=("us-east-1",), get_function_rate_per_s=1e6, list_rate_per_s=1e6, env=env
        )
        await lexport.snapshot(dest, settings)
