"""Measure how near to the allowed rate a whole `lexport snapshot` comes, and how many of its calls are throttled.

Real time, AWS's rates, the simulator in its own process with its own quotas. The fleets are made so that the formula's
minimum, max((L + Al) / 15, G / 100), is about ``--seconds``. Of the quota that bounds the run: ``start`` is the time up
to its first call, ``end`` that from the last, ``use`` what was let through of what was left, from 20 s after each
change to the next.

    python benchmarks/bench_pacing.py [--seconds 120] [--latency 0.03] [--only NAME] [--one-by-one]
"""

from __future__ import annotations

import argparse
import asyncio
import math
import multiprocessing
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA, QuotaClass
from lexport.simulator import Fault, Fleet, FleetSpec, Neighbour, open_simulator
from lexport.simulator.quotas import RATES_PER_S
from lexport.tables.registry import call_of

QUOTAS = (GET_FUNCTION_QUOTA, LIST_QUOTA)
LEXPORT = str(Path(sysconfig.get_path("scripts")) / "lexport")
START_S = 2.0  # start and publish, which the goals leave out
SETTLE_S = 20.0
SAMPLE_S = 0.25
VERSIONS = {"GetFunction": 9, "both": 6, "List*": 1}  # published versions of each function, by the quota that bounds


@dataclass(frozen=True)
class Case:
    """One run: what bounds it, and what AWS gives."""

    name: str
    bound: str
    seconds: float
    rate: float = 1.0
    neighbour: Neighbour | None = None

    @property
    def fleet(self) -> FleetSpec:
        """As many functions as the documented quotas serve in the given time."""
        versions = VERSIONS[self.bound]
        per_s = min(100 / (1 + versions), 15 / (1 + (1 + versions) / 50))
        return FleetSpec(functions=max(1, math.floor(self.seconds * per_s * self.rate)), versions=versions)

    def left(self, quota: QuotaClass, begin_s: float, end_s: float) -> float:
        """Return the calls that AWS leaves us in a span of time."""
        taken_s = self.neighbour.taken_s(begin_s, end_s) if self.neighbour else 0.0
        return RATES_PER_S[quota] * self.rate * (end_s - begin_s - taken_s)

    def minimum_s(self, quota: QuotaClass, calls: int) -> float:
        """Return the time in which so many calls can be made: the formula, and its like where a neighbour takes."""
        low, high = 0.0, 1e6
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if self.left(quota, 0.0, middle) >= calls else (middle, high)
        return high

    def spans(self, end_s: float) -> list[tuple[float, float]]:
        """Return the spans in which the quota is to be found: 20 s after each change, up to the next."""
        changes = [0.0, *((self.neighbour.from_s, self.neighbour.to_s) if self.neighbour else ()), end_s]
        spans = [(begin + SETTLE_S, min(end, end_s)) for begin, end in pairwise(changes)]
        return [(begin, end) for begin, end in spans if end - begin >= 5.0]


Sample = tuple[float, dict[str, int], dict[str, int]]  # when; let through, throttled so far


def serve(case: Case, latency_s: float, pipe: Connection) -> None:
    """Serve a fleet in a process of its own; send the URL, and the samples when asked."""
    asyncio.run(_serve(case, latency_s, pipe))


async def _serve(case: Case, latency_s: float, pipe: Connection) -> None:
    rates = {quota: rate * case.rate for quota, rate in RATES_PER_S.items()}
    neighbours = [case.neighbour] if case.neighbour else []
    slow = [Fault(operation=None, kind="slow", delay_s=latency_s, times=None)] if latency_s else []
    samples: list[Sample] = []
    async with open_simulator(Fleet(case.fleet), rates=rates, neighbours=neighbours, faults=slow) as simulator:
        pipe.send(simulator.url)
        while not pipe.poll():
            samples.append(_sample(simulator.calls, simulator.throttles))
            await asyncio.sleep(SAMPLE_S)
        samples.append(_sample(simulator.calls, simulator.throttles))
    pipe.send(samples)


def _sample(calls: dict[tuple[str, str, str], int], throttles: dict[tuple[str, str, str], int]) -> Sample:
    through, throttled = dict.fromkeys(QUOTAS, 0), dict.fromkeys(QUOTAS, 0)
    for key, count in calls.items():
        if (call := call_of(key[2])) is not None:
            through[call.quota] += count - throttles.get(key, 0)
            throttled[call.quota] += throttles.get(key, 0)
    return time.monotonic(), {**through}, {**throttled}


def measure(case: Case, latency_s: float) -> str:
    """Take one snapshot; return a line of the table."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(case, latency_s, theirs))
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            url = ours.recv()
            started_s = time.monotonic()
            wall_s, cpu_s = snapshot(url, folder)
        ours.send("enough")
        samples: list[Sample] = ours.recv()
        server.join()
    finally:
        server.kill()
    _, through, throttled = samples[-1]
    minimum_s, quota = max((case.minimum_s(quota, through[quota]), quota) for quota in QUOTAS)
    first_s = next(at for at, through, _ in samples if through[quota]) - started_s
    last_s = started_s + wall_s - next(at for at, through, _ in samples if through[quota] == samples[-1][1][quota])
    share_429 = {name: throttled[name] / (through[name] + throttled[name]) for name in QUOTAS}
    uses = ", ".join(f"{use:.3f}" for use in used(case, quota, samples)) or "-"
    return (
        f"{case.name:>10} {case.bound:>12} {through[GET_FUNCTION_QUOTA]:>7,} {through[LIST_QUOTA]:>6,}"
        f" {minimum_s:>9.1f} {first_s:>5.1f} {wall_s:>7.1f} {last_s:>5.1f} {(wall_s - START_S) / minimum_s:>8.3f}"
        f" {share_429[GET_FUNCTION_QUOTA]:>8.2%} {share_429[LIST_QUOTA]:>8.2%} {cpu_s:>6.1f}  {uses}"
    )


def snapshot(url: str, folder: str) -> tuple[float, float]:
    """Run the command; return its seconds of wall time and of CPU."""
    environment = os.environ | {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    command = [LEXPORT, "snapshot", f"{folder}/fleet", "--endpoint-url", url, "--region", "us-east-1"]
    started_s = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--quota-share", "1"], env=environment | {"NO_PROXY": "127.0.0.1"}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"lexport snapshot ended with {process.returncode}: {said}")
    return wall_s, usage.ru_utime + usage.ru_stime


def used(case: Case, quota: QuotaClass, samples: list[Sample]) -> list[float]:
    """Return the share of what was left that was let through, in each span."""
    began_s = next(at for at, through, _ in samples if through[quota])
    last = samples[-1][1][quota]
    ended_s = next(at for at, through, _ in samples if through[quota] == last) - began_s - 2 * SAMPLE_S
    uses = []
    for begin_s, end_s in case.spans(ended_s):
        inside = [(at - began_s, through[quota]) for at, through, _ in samples if begin_s <= at - began_s <= end_s]
        (first_s, first), (last_s, last) = inside[0], inside[-1]
        uses.append((last - first) / case.left(quota, first_s, last_s))
    return uses


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=120.0, help="the formula's minimum at the documented rates")
    options.add_argument(
        "--latency", type=float, default=0.03, help="seconds that the simulator waits before it answers"
    )
    options.add_argument("--only", help="true, half, neighbour; or several with commas")
    options.add_argument("--one-by-one", action="store_true", help="not side by side")
    given = options.parse_args()
    seconds: float = given.seconds
    neighbour = Neighbour(share=0.4, from_s=seconds / 3, to_s=seconds * 2 / 3)
    cases = [Case("true", bound, seconds) for bound in VERSIONS]
    cases += [Case("half", bound, seconds, rate=0.5) for bound in ("GetFunction", "List*")]
    cases += [Case("neighbour", bound, seconds, neighbour=neighbour) for bound in ("GetFunction", "List*")]
    cases = [case for case in cases if given.only is None or case.name in given.only.split(",")]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}; answers {given.latency} s late")
    print(
        f"{'quota':>10} {'bound by':>12} {'GetFunc':>7} {'List*':>6} {'minimum s':>9} {'start':>5}"
        f" {'wall s':>7} {'end':>5} {'-2s/min':>8} {'429 Get':>8} {'429 List':>8} {'CPU s':>6}"
        f"  use from {SETTLE_S:g} s after each change"
    )
    with ThreadPoolExecutor(1 if given.one_by_one else len(cases)) as threads:
        for line in threads.map(lambda case: measure(case, given.latency), cases):
            print(line, flush=True)


if __name__ == "__main__":
    main()
