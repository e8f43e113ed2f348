"""Measure how much memory and CPU a whole `lexport snapshot` takes, and whether they grow with the fleet.

The simulator runs in its own process, quotas and signature checks off. Figures are the operating system's, of the
whole process: user + system time, and the largest resident set.

    python benchmarks/bench_snapshot.py [VERSIONS ...]      # default 1000 10000 100000
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile

from simulators import NO_LIMITS, REGION, Usage, run, simulator

from lexport.simulator import FleetSpec

PUBLISHED = 4  # versions of each function besides $LATEST
LIMIT_MIB, LIMIT_GROWTH = 300, 1.15


def measure(versions: int) -> Usage:
    """Take one snapshot."""
    spec = FleetSpec(functions=versions // (1 + PUBLISHED), versions=PUBLISHED, regions=(REGION,))
    with simulator(spec) as server, tempfile.TemporaryDirectory() as folder:
        return run(["snapshot", f"{folder}/fleet", "--region", REGION, *NO_LIMITS], server.url)


def main() -> None:
    sizes = [int(text) for text in sys.argv[1:]] or [1_000, 10_000, 100_000]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'versions':>9} {'CPU s':>7} {'CPU µs/version':>15} {'wall s':>7} {'peak MiB':>9}")
    cpu_us: list[float] = []
    peaks: list[float] = []
    for size in sizes:
        usage = measure(size)
        cpu_us.append(usage.cpu_s / size * 1e6)
        peaks.append(usage.peak_mib)
        print(f"{size:>9,} {usage.cpu_s:>7.1f} {cpu_us[-1]:>15.0f} {usage.wall_s:>7.1f} {peaks[-1]:>9.0f}", flush=True)
    if len(sizes) > 1:
        print(
            f"peak {max(peaks):.0f} MiB (limit {LIMIT_MIB}); CPU per version of the last over that of the one before:"
            f" {cpu_us[-1] / cpu_us[-2]:.2f} (limit {LIMIT_GROWTH} from 100,000 to 1,000,000)"
        )


if __name__ == "__main__":
    main()
