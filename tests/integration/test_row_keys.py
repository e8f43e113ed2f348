"""The columns that ``lexport schema`` calls a key tell the rows of a snapshot apart, in every table."""

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest

import lexport
from lexport.dataset.manifest import Manifest
from lexport.settings import PackageSettings
from lexport.simulator import Fault
from lexport.tables import registry

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]

NAMELESS = Fault(operation="ListFunctions", kind="replace_body", patch={"Functions": [{}, {}, {}], "NextMarker": None})
"""A page that loses three items in the same way, in one Region of the first night."""


async def test_over_real_data(simulator, run_lexport, aws, tmp_path):
    """No two rows of a snapshot have the same key: two Regions, repeated errors, layers, contents of packages."""
    dest = tmp_path / "fleet"
    chosen = PackageSettings(layers=True, inspect=True)
    async with simulator(NAMELESS, functions=40, versions=2) as server:
        settings = lexport.SnapshotSettings(
            endpoint_url=server.url,
            regions=("us-east-1", "eu-west-1"),
            get_function_rate_per_s=1e6,
            list_rate_per_s=1e6,
            allow_partial=True,
        )
        for _ in range(2):
            await lexport.snapshot(dest, settings)
        look = lexport.SnapshotSettings(endpoint_url=server.url, packages=chosen, allow_partial=True)
        await lexport.packages(dest, look)
    done = await run_lexport("schema", "--output", "json")
    keys = {table.name: [] for table in registry.tables()}
    for row in json.loads(done.out):
        if row["kind"] == "key":
            keys[row["table"]].append(row["column"])
    seen = Counter()
    for path in sorted(dest.glob("_runs/*.json")):
        for entry in Manifest.from_json(path.read_bytes()).files:
            rows = pq.ParquetFile(dest / entry.path).read().to_pylist()
            found = Counter(tuple(row[name] for name in keys[entry.table]) for row in rows)

            assert [key for key, count in found.items() if count > 1] == [], entry.table
            seen[entry.table] += len(rows)
    snapshots = [pq.ParquetFile(path).read().to_pylist()[0] for path in dest.glob("snapshots/*/*.parquet")]
    assert len({row["snapshot_id"] for row in snapshots}) == 3
    assert keys["snapshots"] == ["snapshot_id"]
    assert min(len(names) for names in keys.values()) >= 1
    for table in ("functions", "errors", "scopes", "layers", "package_files", "layer_versions", "packages"):
        assert seen[table] > 1, table
