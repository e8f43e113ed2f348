"""Measure how long each shipped view takes, all its rows read, over a fleet of so many function versions.

    python benchmarks/bench_views.py [VERSIONS]

The dataset is one snapshot made of the simulator's oracle: four account-regions, five versions a function.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from lexport.model import Scope
from lexport.query.shipped_views import shipped_views
from lexport.query.sql import QuerySession, open_query_session
from lexport.simulator import Fleet, FleetSpec

ROOT = Path(__file__).parents[1]
AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
VERSIONS_OF_A_FUNCTION = 5  # $LATEST and four published ones
ROUNDS = 5
ALLOWED_S = 0.3


def _writer():
    spec = importlib.util.spec_from_file_location("dataset", ROOT / "tests" / "sql" / "dataset.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_dataset


def view_times(session: QuerySession, query: str, rounds: int) -> tuple[int, list[float], list[float]]:
    """Ask a question several times; return its rows, the seconds, and the seconds of CPU."""
    count, walls, cpus = 0, [], []
    for _ in range(rounds):
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        count = session.read(query).read_all().num_rows
        walls.append(time.perf_counter() - started_s)
        cpus.append(time.process_time() - started_cpu_s)
    return count, walls, cpus


def main(versions: int) -> None:
    spec = FleetSpec(
        functions=max(2, versions // VERSIONS_OF_A_FUNCTION // 4),
        versions=VERSIONS_OF_A_FUNCTION - 1,
        accounts=("111122223333", "111122223334"),
        regions=("eu-west-1", "us-east-1"),
    )
    fleet, rows, scopes = Fleet(spec), {}, []
    for account in spec.accounts:
        for region in spec.regions or ():
            scope = Scope(account_id=account, region=region)
            scopes.append({"account_id": account, "region": region, "aliases": fleet.counts(scope).aliases})
            for table, row in fleet.expected(scope, value_hmac=lambda value: value[:32], hash_key_id="k"):
                rows.setdefault(table, []).append(row | ({"fetched_at": AT} if table == "functions" else {}))
    print(", ".join(f"{len(found):,} {table}" for table, found in rows.items()))
    with tempfile.TemporaryDirectory() as folder:
        _writer()(Path(folder), [{"at": AT, "scopes": scopes, **rows}])
        rows.clear()
        with open_query_session(folder) as session:
            print("| view | rows | least s | CPU s | |\n|---|---|---|---|---|")
            for view in shipped_views():
                count, times, spent = view_times(session, f"SELECT * FROM {view.name}", ROUNDS)
                took = min(times)  # others use the machine too
                mark = "" if took <= ALLOWED_S else "slow"
                print(f"| {view.name} | {count:,} | {took:.3f} | {min(spent):.3f} | {mark} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
