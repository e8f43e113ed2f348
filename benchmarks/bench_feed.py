"""Measure what a feed costs: in each format, loaded into PostgreSQL and DuckDB, and beside dlt with the same rows.

    python benchmarks/bench_feed.py [--dest DIR] [--functions 10000] [--dlt DIR]

The dataset is two nights of `year_of_nights.py`; ``--dest`` keeps it for the next time. Each way is measured for all
rows and for one night's delta, as wall and CPU seconds of the command and as bytes. ``--dlt`` is a folder
with dlt in it (`pip install --target DIR 'dlt[postgres]==1.31.0'`); it runs the loader of docs/guides/feed-with-dlt.md.
PostgreSQL is one of its own, without fsync, in the temporary folder.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from simulators import Usage, run
from year_of_nights import make_year

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "data"))

from postgres_server import PostgresServer, postgres_programs, run_postgres

from lexport.query.catalog import open_catalog

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "feed-with-dlt.md"
WAYS = {
    "Parquet": (["--output", "parquet"], ""),
    "JSON lines": (["--output", "jsonl"], ".jsonl"),
    "JSON lines, zstd": (["--output", "jsonl", "--compress", "zstd"], ".jsonl.zst"),
    "CSV": (["--output", "csv"], ""),
}


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def line(title: str, part: str, used: Usage, size: int) -> None:
    print(
        f"| {title} | {part} | {used.wall_s:.1f} | {used.cpu_s:.1f} | {used.peak_mib:.0f} | {size / 1e6:.1f} |",
        flush=True,
    )


def files(dest: Path, folder: Path, since: dict[str, list[str]]) -> None:
    """Print what a feed costs in each format."""
    for title, (arguments, suffix) in WAYS.items():
        for part, more in since.items():
            target = folder / f"{part}-{'-'.join(arguments[1::2])}{suffix}"
            used = run(["feed", str(dest), *arguments, *more, "-o", str(target)])
            line(title, part, used, size_of(target))


def applied(dest: Path, folder: Path, first: str, server: PostgresServer) -> None:
    """Print what it costs to load a feed into a database; the first night alone first, from a copy of its commits."""
    before = folder / "first"
    shutil.copytree(dest, before)
    for path in (before / "_runs").iterdir():
        if path.stem != first:
            path.unlink()
    url, file = server.create_database(), folder / "warehouse.duckdb"
    for title, kind, to in (("--apply postgres", "postgres", url), ("--apply duckdb", "duckdb", str(file))):
        for part, source in (("all rows", before), ("one night", dest)):
            used = run(["feed", str(source), "--apply", kind, "--to", to])
            line(title, part, used, size_of(file) if kind == "duckdb" else database_size(url))


def database_size(url: str) -> int:
    with psycopg.connect(url) as connection:
        (size,) = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return size


def by_dlt(folder: Path, packages: Path, server: PostgresServer) -> None:
    """Print what dlt takes for the same rows, from the feed's JSON lines."""
    loader = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    url = server.create_database().replace(
        "postgresql://postgres@/", f"postgresql://postgres:{server.password}@127.0.0.1:{server.port}/"
    )
    url = url.partition("?")[0]
    script = folder / "load.py"
    script.write_text(
        loader.replace('dlt.destinations.duckdb("warehouse.duckdb")', f"dlt.destinations.postgres({url!r})")
    )
    environment = os.environ | {
        "PYTHONPATH": str(packages),
        "DLT_DATA_DIR": str(folder / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    for part in ("all rows", "one night"):
        (folder / "feed.jsonl").unlink(missing_ok=True)
        (folder / "feed.jsonl").symlink_to(folder / f"{part}-jsonl.jsonl")
        started_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, script], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        used = Usage(cpu_s=cpu_s, wall_s=time.perf_counter() - started_s, peak_mib=after.ru_maxrss / 1024)
        line("dlt into PostgreSQL", part, used, database_size(server.url(url.rpartition("/")[2])))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dest", type=Path)
    parser.add_argument("--functions", type=int, default=10_000)
    parser.add_argument("--dlt", type=Path)
    given = parser.parse_args()
    programs = postgres_programs()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dest = (given.dest or folder / "nights").absolute()
        make_year(dest, nights=2, functions=given.functions)
        first = min(commit.snapshot_id for commit in open_catalog(dest).snapshots)
        print("\n| way | rows | wall s | CPU s | peak MiB | MB |\n|---|---|---|---|---|---|")
        files(dest, folder, {"all rows": [], "one night": ["--since", first]})
        if programs is None:
            print("(no PostgreSQL on this machine)")
            return
        with run_postgres(programs) as server:
            applied(dest, folder, first, server)
            if given.dlt is not None:
                by_dlt(folder, given.dlt.absolute(), server)


if __name__ == "__main__":
    main()
