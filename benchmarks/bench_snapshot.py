"""Measure how much memory and CPU a whole `lexport snapshot` takes, and whether memory grows with the fleet.

The simulator runs in its own process, quotas and signature checks off. Figures are the operating system's, of the
whole process: user + system time, and the largest resident set.

    python benchmarks/bench_snapshot.py [VERSIONS ...]      # default 20000 100000
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEXPORT = str(Path(sysconfig.get_path("scripts")) / "lexport")
PUBLISHED = 4  # versions of each function besides $LATEST
FAST = ("--get-function-rate", "100000", "--list-rate", "100000", "--quota-share", "1")
LIMIT_MIB, LIMIT_GROWTH = 250, 1.2


@contextmanager
def simulator(functions: int) -> Iterator[dict[str, str]]:
    """Serve a fleet; yield the environment that finds it."""
    command = [LEXPORT, "simulate", "--functions", str(functions), "--versions", str(PUBLISHED)]
    with subprocess.Popen([*command, "--no-quotas", "--no-verify"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[1]
            yield os.environ | {
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_ENDPOINT_URL": url,
                "NO_PROXY": "127.0.0.1",
            }
        finally:
            server.terminate()


def measure(versions: int) -> tuple[float, float, float]:
    """Take one snapshot; return seconds of CPU, seconds of wall time, MiB of peak memory."""
    with simulator(versions // (1 + PUBLISHED)) as environment, tempfile.TemporaryDirectory() as folder:
        started_s = time.perf_counter()
        process = subprocess.Popen(
            [LEXPORT, "snapshot", f"{folder}/fleet", "--region", "us-east-1", *FAST],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started_s
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"lexport snapshot ended with {process.returncode}")
        return usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1024


def main() -> None:
    sizes = [int(text) for text in sys.argv[1:]] or [20_000, 100_000]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'versions':>9} {'CPU s':>7} {'CPU µs/version':>15} {'wall s':>7} {'peak MiB':>9}")
    peaks = []
    for size in sizes:
        cpu_s, wall_s, peak_mib = measure(size)
        peaks.append(peak_mib)
        print(f"{size:>9,} {cpu_s:>7.1f} {cpu_s / size * 1e6:>15.0f} {wall_s:>7.1f} {peak_mib:>9.0f}", flush=True)
    growth = peaks[-1] / peaks[0]
    print(f"peak below {LIMIT_MIB} MiB: {max(peaks) < LIMIT_MIB}; growth {growth:.2f} (limit {LIMIT_GROWTH})")


if __name__ == "__main__":
    main()
