"""Measure what it costs at publish to write `changes`: user + system time per row compared, and the peak of memory.

Two snapshots of one fleet lie on disk as lexport writes them: some thousand functions of the simulator, over and over
under other names. Between them a share of the functions is changed, and one in a hundred is new or gone.

    python benchmarks/bench_changes.py [VERSIONS [SHARE_CHANGED]]      # default 1000000 0.05
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.changes import find_changes
from lexport.dataset.compare import SnapshotFiles
from lexport.model import Scope
from lexport.simulator import Fleet, FleetSpec
from lexport.tables.arrow import table_schema
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import state_tables
from lexport.tables.table import Table

SCOPE = Scope(account_id="111122223333", region="us-east-1")
TABLES = state_tables()
SAMPLE = 2_000  # functions
PUBLISHED = 4


def sample() -> dict[Table, pa.Table]:
    """Return the rows of a small fleet, sorted."""
    rows = defaultdict(list)
    fleet = Fleet(FleetSpec(functions=SAMPLE, versions=PUBLISHED))
    for name, row in fleet.expected(SCOPE, value_hmac=some_hash, hash_key_id="k"):
        rows[name].append(row)
    return {
        table: pa.Table.from_pylist(rows[table.name], table_schema(table)).sort_by(
            [(n, "ascending") for n in table.key]
        )
        for table in TABLES
    }


def some_hash(value: str) -> str:
    """Return 32 hexadecimal digits."""
    return hashlib.sha256(value.encode()).hexdigest()[:32]


def peak_mib() -> float:
    """Return the largest resident set of this process; getrusage would tell the parent's."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def copies(rows: pa.Table, table: Table, numbers: range, share: float, *, is_new: bool) -> Iterator[pa.Table]:
    """Yield the sample under many names; the newer snapshot lacks some, has others, and has some otherwise."""
    if "function_name" not in table.key:
        yield rows
        return
    place = rows.schema.get_field_index("function_name")
    odd = pc.utf8_slice_codeunits(pc.utf8_reverse(rows.column(place)), 0, 1)  # the names end in a number
    for number in numbers:
        name = pc.binary_join_element_wise(f"{number:05d}-", rows.column(place), "")
        copy = rows.set_column(place, "function_name", name)
        if number % 100 == (7 if is_new else 8):
            continue
        if is_new and table is FUNCTIONS and number % 100 < share * 100:
            for column, value in (("memory_size", pa.scalar(1, pa.int32())), ("revision_id", pa.scalar("other"))):
                at = copy.schema.get_field_index(column)
                other = pc.if_else(pc.equal(odd, "3"), value, copy.column(at))
                copy = copy.set_column(at, copy.schema.field(at), other)
        yield copy


def write(folder: Path, versions: int, share: float, *, is_new: bool) -> int:
    """Write one snapshot's files; return how many rows they hold."""
    total = 0
    numbers = range(max(1, versions // (SAMPLE * (1 + PUBLISHED))))
    for table, rows in sample().items():
        path = folder / f"{table.name}.parquet"
        with pq.ParquetWriter(path, rows.schema, compression="zstd", write_page_checksum=True) as writer:
            for copy in copies(rows, table, numbers, share, is_new=is_new):
                writer.write_table(copy, row_group_size=table.row_group_rows)
                total += len(copy)
    return total


def reading(folder: Path, name: str) -> SnapshotFiles:
    """Describe what ``write`` wrote."""
    files = {table.name: [folder / f"{table.name}.parquet"] for table in TABLES}
    return SnapshotFiles(snapshot_id=name, files=files, options={}, hash_key_id="k", lexport_version="0")


def main() -> None:
    if sys.argv[1:2] == ["--compare"]:
        before, now = (Path(folder) for folder in sys.argv[2:4])
        started_s, idle_mib = time.process_time(), peak_mib()
        found = sum(map(len, find_changes([SCOPE], now=reading(now, "B"), before=reading(before, "A"))))
        print(found, time.process_time() - started_s, idle_mib, peak_mib())
        return
    versions = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    share = float(sys.argv[2]) if len(sys.argv) > 2 else 0.05
    with tempfile.TemporaryDirectory() as folder:
        sides = [Path(folder) / name for name in ("before", "now")]
        rows = []
        for number, side in enumerate(sides):
            side.mkdir()
            rows.append(write(side, versions, share, is_new=bool(number)))
        command = [sys.executable, __file__, "--compare", *map(str, sides)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found, cpu_s, idle, peak = map(float, done.stdout.split())
    print(
        f"{versions:,} versions, {rows[1]:,} rows of all tables: {found:,.0f} changes;"
        f" CPU {cpu_s:.1f} s, {cpu_s / rows[1] * 1e6:.2f} µs a row, {cpu_s / versions * 1e6:.1f} µs a version;"
        f" peak {peak:.0f} MiB, of which {idle:.0f} before the first row"
    )


if __name__ == "__main__":
    main()
