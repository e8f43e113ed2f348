"""Run the DDL for Spark on Spark, then every name and shipped view there and in DuckDB, and compare row by row.

``make dialects`` sets it up: pyspark is 500 MB and wants Java 17, so the test suite does without it.
"""

from __future__ import annotations

import math
import os
import re
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import anyio
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

import lexport
from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session
from lexport.query.warehouse.ddl import ddl
from lexport.query.warehouse.dialects import DIALECTS, SCHEMAS
from lexport.settings import SnapshotSettings
from lexport.simulator import Fleet, FleetSpec, open_simulator
from lexport.tables import registry

NIGHTS = 3


async def snapshots(dest: Path) -> None:
    """Write a few snapshots of a fleet in two Regions."""
    for night in range(NIGHTS):
        async with open_simulator(Fleet(FleetSpec(functions=60 + night, versions=3, seed=7)), quotas=False) as aws:
            settings = SnapshotSettings(
                endpoint_url=aws.url,
                regions=("us-east-1", "eu-west-1"),
                get_function_rate_per_s=1e6,
                list_rate_per_s=1e6,
            )
            await lexport.snapshot(dest, settings)


def abort(dest: Path) -> None:
    """Write the files of a run that never committed: copies of the newest ones, with a greater id."""
    newest = max(dest.glob("_runs/*.json")).stem
    aborted = "7" + newest[1:]
    for path in list(dest.glob(f"*/*/{newest}-*.parquet")):
        if path.parts[-3] != "snapshots":
            rows = pq.ParquetFile(path).read()
            ids = pa.array([aborted] * len(rows), pa.string())
            pq.write_table(rows.set_column(0, rows.schema.field(0), ids), path.with_name(f"{aborted}-0000.parquet"))


def plain(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Convert the rows of both into one form and order."""

    def one(value: object) -> object:
        if isinstance(value, datetime):
            return value.replace(tzinfo=None)
        return round(value, 9) if isinstance(value, float) and math.isfinite(value) else value

    return sorted((tuple(map(one, row)) for row in rows), key=repr)


def main() -> int:
    """Compare all rows; return 1 if they differ."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "NO_PROXY": "127.0.0.1"}
    with tempfile.TemporaryDirectory(prefix="lexport-spark-") as folder:
        dest = Path(folder, "fleet")
        anyio.run(snapshots, dest)
        abort(dest)
        started = time.perf_counter()
        spark = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.warehouse.dir", str(Path(folder, "warehouse")))
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.extraJavaOptions", f"-Dderby.system.home={folder}")
            .enableHiveSupport()
            .getOrCreate()
        )
        spark.sparkContext.setLogLevel("ERROR")
        statements = list(ddl(DIALECTS["spark"], f"file://{dest}"))
        for statement in statements:
            spark.sql(statement)
        names = [f"{space}.{table.name}" for space in ("history", "snapshot", "main") for table in registry.tables()]
        names += [f"main.{view.name}" for view in shipped_views()]
        differ = 0
        with open_query_session(dest) as session:
            for name in names:
                space, table = name.split(".")
                known = f"SELECT * FROM {name}"
                ours = [tuple(row.values()) for row in session.read(known).read_all().to_pylist()]
                theirs = [tuple(row) for row in spark.sql(f"SELECT * FROM {SCHEMAS[space]}.{table}").collect()]
                if space == "history":  # the partition's column stands last there
                    theirs = [row[:-1] for row in theirs]
                if plain(ours) != plain(theirs):
                    differ += 1
                    print(f"{name}: DuckDB has {len(ours)} rows, Spark {len(theirs)}, and they differ")
                    wrong = [pair for pair in zip(plain(ours), plain(theirs), strict=False) if pair[0] != pair[1]]
                    print(*wrong[:1], sep="\n")
        version = re.sub(r"\s", "", spark.version)
        seconds = time.perf_counter() - started
        spark.stop()
    print(f"Spark {version}: {len(statements)} statements, {len(names)} names, {differ} differ, {seconds:.0f} s")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
