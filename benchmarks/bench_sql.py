"""Measure how long the answers take over a year of nights: views, commands, the report; and what a night costs.

    python benchmarks/bench_sql.py [--dest DIR] [--nights 365] [--functions 10000] [--rounds 3]

``--dest`` keeps the dataset, which `year_of_nights.py` makes in some minutes, for the next time. In this process DuckDB
has two threads and 2 GiB; of the commands the peak of memory is shown.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import orjson
from bench_views import view_times
from simulators import Usage, run
from year_of_nights import SCOPES

from lexport.dataset.changes import find_changes
from lexport.dataset.compare import SnapshotFiles
from lexport.dataset.parquet import TableFolder
from lexport.dataset.runs import RunWriter
from lexport.model import LATEST
from lexport.query.catalog import Catalog, open_catalog
from lexport.query.shipped_views import named_views, shipped_views
from lexport.query.sql import open_query_session
from lexport.simulator import Fleet, FleetSpec, lambda_documents
from lexport.simulator.presigned import PresignedUrls
from lexport.tables.run import CHANGES

YEAR = Path(__file__).with_name("year_of_nights.py")
CHROMIUM = Path(__file__).parents[1] / "tests" / "browser" / "chromium.py"
LIMITS = {"threads": "2", "memory_limit": "2GiB"}
LATEST_S, HISTORY_S = 0.3, 3.0
ONE_FUNCTION = "SELECT * FROM function_history WHERE function_name = '{}'"
SAMPLE = 500  # functions whose answers are weighed


def views(dest: Path, rounds: int) -> None:
    """Print what each view takes, all its rows read; then one function out of the history."""
    shipped = shipped_views()
    reads_history = {
        view.name for view in shipped if any("history." in named.query for named in named_views(shipped, view.name))
    }
    duckdb.connect = partial(duckdb.connect, config=LIMITS)  # the session locks its settings before it is handed out
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    with open_query_session(dest) as session:
        opened_s, opened_cpu_s = time.perf_counter() - started_s, time.process_time() - started_cpu_s
        (name,) = session.read(
            "SELECT any_value(function_name) AS name FROM (FROM function_history ORDER BY ALL LIMIT 1)"
        ).read_all()["name"]
        print("\n| question | reads | rows | wall s, least | median | CPU s, least | allowed s | |")
        print("|---|---|---|---|---|---|---|---|")
        print(f"| (open the dataset) | | | {opened_s:.3f} | | {opened_cpu_s:.3f} | | |")
        asked = [(view.name, f"SELECT * FROM {view.name}", view.name in reads_history) for view in shipped]
        asked.append(("function_history of one function", ONE_FUNCTION.format(name), True))
        for title, query, is_history in asked:
            count, walls, cpus = view_times(session, query, rounds)
            allowed = HISTORY_S if is_history else LATEST_S
            mark = "" if min(walls) <= allowed else "slow"
            print(
                f"| `{title}` | {'history' if is_history else 'latest'} | {count:,} | {min(walls):.3f} |"
                f" {statistics.median(walls):.3f} | {min(cpus):.3f} | {allowed} | {mark} |"
            )


def commands(dest: Path, rounds: int, folder: Path) -> None:
    """Print what each command takes, its start included, and what the report weighs and how soon it is open."""
    report = folder / "fleet.html"
    print("\n| command | wall s, least | median | CPU s, least | peak MiB |\n|---|---|---|---|---|")
    for arguments in (
        ["sql", str(dest), "SELECT count(*) FROM functions"],
        ["status", str(dest)],
        ["diff", str(dest)],
        ["diff", str(dest), open_catalog(dest).snapshots[-1].snapshot_id],
        ["check", str(dest)],
        ["report", str(dest), "-o", str(report)],
        ["views", str(dest), "--db", str(folder / "fleet.duckdb")],
    ):
        taken: list[Usage] = [run(arguments, allowed=(0, 4)) for _ in range(rounds)]
        walls, cpus = [one.wall_s for one in taken], [one.cpu_s for one in taken]
        title = " ".join(arguments).replace(str(dest), "DEST").replace(f"{folder}/", "")
        peak_mib = max(one.peak_mib for one in taken)
        ours_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # which a child begins with
        shown = f"{peak_mib:.0f}" if peak_mib > ours_mib else f"below {ours_mib:.0f}"
        print(f"| `lexport {title}` | {min(walls):.2f} | {statistics.median(walls):.2f} | {min(cpus):.2f} | {shown} |")
    opened = " and ".join(f"{seconds:.2f}" for seconds in _open_in_browser(report, rounds)) or "(no chromium here)"
    print(f"\nThe report weighs {report.stat().st_size / 1e6:.2f} MB; open in the browser after {opened} s.")


def _open_in_browser(report: Path, rounds: int) -> list[float]:
    """Return the seconds from the address to a drawn page, the least and the median; nothing without a browser."""
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if program is None:
        return []
    spec = importlib.util.spec_from_file_location("chromium", CHROMIUM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = module.Browser(program, profile)
        taken = []
        for _ in range(rounds):
            started_s = time.perf_counter()
            page = browser.open(report)
            page.run("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(() => drawn(1))))")
            taken.append(time.perf_counter() - started_s)
            page.close()
        browser.close()
    return [min(taken), statistics.median(taken)]


def publishing(dataset: Catalog, folder: Path, rounds: int) -> None:
    """Print what it takes to compare the newest night with the one before, and to write `changes`."""
    now, before = dataset.snapshots[:2]
    sides = {"now": SnapshotFiles.of(now, dataset.store), "before": SnapshotFiles.of(before, dataset.store)}
    rows = sum(entry.rows for entry in now.files)
    functions = sum(entry.rows for entry in now.files if entry.table == "functions")
    found = 0

    def write() -> None:
        nonlocal found
        staged = [batch for part in find_changes(SCOPES, **sides) for batch in part.to_batches()]
        found = sum(map(len, staged))
        writer = RunWriter(folder)
        for batch in staged:
            writer.collect(CHANGES, batch)
        writer.flush()
        tables = TableFolder(path=folder, snapshot_id=now.snapshot_id, snapshot_at=now.snapshot_at)
        tables.write(CHANGES, writer.runs[CHANGES.name])

    cpu_s = min(_cpu_s(write) for _ in range(rounds))
    told = sum(entry.rows for entry in now.files if entry.table == "changes")
    assert found == told, f"{found} changes between two whole nights, but {told} were published"
    print(
        f"\nWriting `changes`: {found:,} rows out of {rows:,} of all tables, {functions:,} of them `functions`;"
        f" CPU {cpu_s:.2f} s, {cpu_s / rows * 1e6:.2f} µs a row, {cpu_s / functions * 1e6:.1f} µs a function version."
    )


def _cpu_s(work: Callable[[], None]) -> float:
    started_s = time.process_time()
    work()
    return time.process_time() - started_s


def storage(dataset: Catalog) -> None:
    """Print what a night weighs, by table, next to the JSON that the API sends for it."""
    nights = len(dataset.snapshots)
    sizes: dict[str, list[int]] = {}
    for commit in dataset.snapshots:
        for entry in commit.files:
            size = sizes.setdefault(entry.table, [0, 0])
            size[0] += entry.rows
            size[1] += entry.size_bytes
    print("\n| table | rows a night | KB a night | bytes a row |\n|---|---|---|---|")
    for table, (rows, size) in sorted(sizes.items(), key=lambda item: -item[1][1]):
        print(f"| `{table}` | {rows / nights:,.0f} | {size / nights / 1e3:,.1f} | {size / max(rows, 1):.1f} |")
    night = sum(size for _, size in sizes.values()) / nights
    versions = sizes["functions"][0] / nights
    sent = versions * _answer_bytes()
    print(
        f"\nA night: {night / 1e6:.1f} MB, {night / versions:.0f} bytes a function version with all that belongs to it."
        f" GetFunction sends {sent / 1e6:.1f} MB of JSON for it, {sent / versions:.0f} bytes each:"
        f" {sent / night:.1f} times as much. {nights} nights: {night * nights / 1e9:.2f} GB."
    )


def _answer_bytes() -> float:
    """Weigh GetFunction's answers of a fleet like that of the year, link included."""
    scope = SCOPES[0]
    fleet = Fleet(FleetSpec(functions=SAMPLE, versions=4, accounts=(scope.account_id,), regions=(scope.region,)))
    links = PresignedUrls(1, 600)
    links.base_url = f"https://awslambda-{scope.region}-tasks.s3.{scope.region}.amazonaws.com"
    total = count = 0
    for index in fleet.indexes(scope):
        function = fleet.function(scope, index)
        for version in (LATEST, *map(str, fleet.published(scope, index))):
            spec = fleet.version(scope, index, version, function)
            link = (
                links.sign_url(scope, fleet.name(index), spec.package_key)
                if lambda_documents.has_location(spec)
                else None
            )
            qualifier = None if version == LATEST else version
            total += len(orjson.dumps(lambda_documents.get_function(spec, arn_qualifier=qualifier, location=link)))
            count += 1
    return total / count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dest", type=Path)
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--functions", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dest = given.dest or Path(folder, "year")
        options = ["--nights", str(given.nights), "--functions", str(given.functions)]
        subprocess.run([sys.executable, str(YEAR), str(dest), *options], check=True)  # in a process of its own: memory
        dataset = open_catalog(dest)
        rows = sum(entry.rows for commit in dataset.snapshots for entry in commit.files if entry.table == "functions")
        print(f"{given.nights} nights, {rows:,} rows of `functions`")
        storage(dataset)
        commands(dest, given.rounds, Path(folder))
        publishing(dataset, Path(folder), given.rounds)
        views(dest, given.rounds)


if __name__ == "__main__":
    main()
