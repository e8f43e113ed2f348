"""What processes take, as /proc tells it: the peak memory of a process and all below it, and the CPU of a server."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

EVERY_S = 0.25
_PROC = Path("/proc")


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, and those below them."""
    found: list[int] = []
    with suppress(OSError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return [*found, *(below for child in found for below in children(child))]


def peak_mib(pid: int) -> float:
    """Return the largest resident set that a process has had."""
    with suppress(OSError):
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu_s(pid: int) -> float:
    """Return the CPU of a process and of all below it that still run."""
    ticks = 0
    for each in (pid, *children(pid)):
        with suppress(OSError):
            fields = (_PROC / str(each) / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def watch_peaks(pid: int) -> Iterator[dict[int, float]]:
    """Note the peaks of a process and of all below it, in MiB, until the block ends; the last quarter second may lack.

    dask also starts processes that only watch others; whoever reads the peaks leaves the small ones out.
    """
    peaks: dict[int, float] = {}
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(EVERY_S):
            for each in (pid, *children(pid)):
                peaks[each] = max(peaks.get(each, 0.0), peak_mib(each))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peaks
    finally:
        is_over.set()
        watcher.join()
