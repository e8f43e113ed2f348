"""Measure how many account-regions one process reads at once, each at its full quota.

The simulator, in its own process, has one account for each account-region, entered by AssumeRole, and a tenth of AWS's
rates (10 GetFunction and 1.5 other calls a second each): one core of it does not serve the true rates of two hundred.
Fleets are made so that the formula's minimum is about ``--seconds``. ``use`` is the calls made over what all quotas
together let through in the time from start to end, less the two seconds of start and publish.

    python benchmarks/bench_scopes.py [--seconds 60] [COUNT ...]      # default 1 10 50 100 200
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import tempfile

from simulators import REGION, run, simulator

from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA
from lexport.simulator import FleetSpec

RATES = {GET_FUNCTION_QUOTA: 10.0, LIST_QUOTA: 1.5}
PUBLISHED = 9  # versions besides $LATEST: GetFunction bounds the run
START_S = 2.0
FIRST_ACCOUNT = 111122223333


def measure(count: int, seconds: float) -> str:
    """Read so many account-regions at once; return a line of the table."""
    functions = max(1, math.floor(seconds * RATES[GET_FUNCTION_QUOTA] / (1 + PUBLISHED)))
    accounts = tuple(str(FIRST_ACCOUNT + position) for position in range(count))
    spec = FleetSpec(functions=functions, versions=PUBLISHED, accounts=accounts, regions=(REGION,))
    options = ["--region", REGION, "--accounts", ",".join(accounts), "--account-role", "lexport", "--quota-share", "1"]
    options += ["--get-function-rate", f"{RATES[GET_FUNCTION_QUOTA]}", "--list-rate", f"{RATES[LIST_QUOTA]}"]
    with simulator(spec, RATES) as server, tempfile.TemporaryDirectory() as folder:
        usage = run(["snapshot", f"{folder}/fleet", *options], server.url)
        calls, served_cpu_s = server.calls()
    made = calls["GetFunction"]
    minimum_s = made / count / RATES[GET_FUNCTION_QUOTA]
    total = sum(calls.values())
    return (
        f"{count:>6} {made:>11,} {total / usage.wall_s:>8.0f} {minimum_s:>9.1f} {usage.wall_s:>7.1f}"
        f" {minimum_s / (usage.wall_s - START_S):>6.3f} {usage.cpu_s / usage.wall_s:>9.2f}"
        f" {served_cpu_s / usage.wall_s:>10.2f} {usage.cpu_s / total * 1e6:>11.0f} {usage.peak_mib:>9.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int, default=[1, 10, 50, 100, 200])
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(
        f"{'scopes':>6} {'GetFunction':>11} {'calls/s':>8} {'minimum s':>9} {'wall s':>7} {'use':>6} {'CPU cores':>9}"
        f" {'server CPU':>10} {'CPU µs/call':>11} {'peak MiB':>9}"
    )
    for count in asked.counts:
        print(measure(count, asked.seconds), flush=True)


if __name__ == "__main__":
    main()
