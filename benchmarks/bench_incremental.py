"""Measure what an incremental snapshot saves: calls, time, CPU and memory next to the full one before it.

One function in a hundred gets new code and publishes a version between the two. F + N is what cannot be saved: each
function's `$LATEST` and each new version. The simulator runs in its own process, nothing is throttled.

    python benchmarks/bench_incremental.py [--functions 10000] [--versions 20]
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile

from simulators import NO_LIMITS, REGION, Server, Usage, run, simulator

from lexport.model import Scope
from lexport.simulator import Change, Fleet, FleetSpec

LIMIT_CALLS = 1.05
CHANGED = 100  # one function in so many


def changes(spec: FleetSpec) -> list[Change]:
    """Give one function in a hundred new code, and publish it."""
    fleet, scope = Fleet(spec), Scope(account_id=spec.accounts[0], region=REGION)
    return [
        Change(kind=kind, scope=scope, function_name=fleet.name(index))
        for index in range(0, spec.functions, CHANGED)
        for kind in ("update_code", "publish_version")
    ]


def measure(what: str, server: Server, dest: str, *options: str) -> int:
    """Take one snapshot, print its line; return its GetFunction calls."""
    server.calls()
    usage: Usage = run(["snapshot", dest, "--region", REGION, *NO_LIMITS, *options], server.url)
    calls, _ = server.calls()
    get_function = calls.get("GetFunction", 0)
    others = sum(calls.values()) - get_function
    print(
        f"{what:>12} {get_function:>11,} {others:>9,} {usage.cpu_s:>7.1f} {usage.wall_s:>7.1f} {usage.peak_mib:>9.0f}",
        flush=True,
    )
    return get_function


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--functions", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=20, help="published versions of each, on average")
    asked = parser.parse_args()
    spec = FleetSpec(functions=asked.functions, versions=asked.versions, regions=(REGION,))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{asked.functions * (1 + asked.versions):,} versions of {asked.functions:,} functions")
    print(f"{'snapshot':>12} {'GetFunction':>11} {'others':>9} {'CPU s':>7} {'wall s':>7} {'peak MiB':>9}")
    with simulator(spec) as server, tempfile.TemporaryDirectory() as folder:
        measure("full", server, f"{folder}/fleet")
        between = changes(spec)
        server.apply(between)
        made = measure("incremental", server, f"{folder}/fleet", "--incremental")
    least = asked.functions + len(between) // 2
    print(f"GetFunction calls / (F + N) = {made / least:.3f} (limit {LIMIT_CALLS})")


if __name__ == "__main__":
    main()
