"""A dataset to damage, and the command that finds the damage."""

import asyncio
import base64
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import AT, HEX, PACKAGE, PACKAGES_ID, STORED, fix

import lexport
from lexport.cli.main import run
from lexport.dataset import layout
from lexport.simulator import Fleet, FleetSpec, open_simulator
from lexport.tables.arrow import table_schema
from lexport.tables.packages import PACKAGES
from lexport.tables.run import SNAPSHOTS


async def take(dest):
    async with open_simulator(Fleet(FleetSpec(functions=40, versions=3)), quotas=False) as aws:
        settings = lexport.SnapshotSettings(
            endpoint_url=aws.url, regions=("us-east-1",), get_function_rate_per_s=1e6, list_rate_per_s=1e6
        )
        await lexport.snapshot(dest, settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A dataset: a snapshot of the simulator, and a commit of packages with one in the store."""
    dest = tmp_path_factory.mktemp("whole") / "fleet"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "LEXPORT_HASH_KEY": base64.b64encode(b"k" * 32).decode(),
            "NO_PROXY": "127.0.0.1",
        }.items():
            patch.setenv(name, value)
        asyncio.run(take(dest))
    (dest / STORED).parent.mkdir(parents=True)
    (dest / STORED).write_bytes(PACKAGE)
    row = {"snapshot_id": PACKAGES_ID, "snapshot_at": AT, "sha256_hex": HEX, "status": "stored", "path": STORED}
    path = layout.data_path("packages", PACKAGES_ID, AT)
    (dest / path).parent.mkdir(parents=True)
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
    return dest


@pytest.fixture
def dest(whole, tmp_path):
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "fleet"))


@pytest.fixture
def verify(dest, capsys):
    """Return a function that runs the command in this process: its lines without what to do, and its exit code."""

    def check(*options):
        code = run(["verify", str(dest), "--output", "jsonl", *options])
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert all((line["severity"] == "note") == (line.pop("remedy") == "") for line in lines)
        return [tuple(line.values()) for line in lines], code

    return check
