"""What several benchmarks share: a simulator in a process of its own, and a command with what it took."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from lexport.model import QuotaClass
from lexport.simulator import Change, Fleet, FleetSpec, open_simulator

LEXPORT = str(Path(sysconfig.get_path("scripts")) / "lexport")
REGION = "us-east-1"
NO_LIMITS = ("--get-function-rate", "100000", "--list-rate", "100000", "--quota-share", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one run of the command took, as the operating system counts it."""

    cpu_s: float
    wall_s: float
    peak_mib: float


def run(arguments: Sequence[str], url: str | None = None, *, allowed: Sequence[int] = (0,)) -> Usage:
    """Run `lexport`, against a simulator if there is one; end the benchmark where it fails."""
    environment = dict(os.environ)
    if url is not None:
        environment |= {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": url,
            "NO_PROXY": "127.0.0.1",
        }
    started_s = time.perf_counter()
    process = subprocess.Popen(
        [LEXPORT, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in allowed:
        sys.exit(f"lexport {arguments[0]} ended with {process.returncode}: {said[-2_000:]}")
    return Usage(cpu_s=usage.ru_utime + usage.ru_stime, wall_s=wall_s, peak_mib=usage.ru_maxrss / 1024)


class Server:
    """A simulator that listens at ``url``; what it is asked is answered by its own process."""

    def __init__(self, pipe: Connection, url: str) -> None:
        self.url = url
        self._pipe = pipe

    def apply(self, changes: Sequence[Change]) -> None:
        """Change the fleet."""
        self._pipe.send(list(changes))
        self._pipe.recv()

    def calls(self) -> tuple[dict[str, int], float]:
        """Return the calls by operation since the last time, and the seconds of CPU that serving has taken in all."""
        self._pipe.send(None)
        calls, cpu_s = self._pipe.recv()
        return calls, cpu_s


@contextmanager
def simulator(spec: FleetSpec, rates: dict[QuotaClass, float] | None = None) -> Iterator[Server]:
    """Serve a fleet, signatures unchecked; without ``rates`` nothing is throttled."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(spec, rates, theirs), daemon=True)
    server.start()
    theirs.close()  # or nobody would notice when the server ends
    try:
        yield Server(ours, ours.recv())
    finally:
        server.kill()
        server.join()


def _serve(spec: FleetSpec, rates: dict[QuotaClass, float] | None, pipe: Connection) -> None:
    asyncio.run(_answer(spec, rates, pipe))


async def _answer(spec: FleetSpec, rates: dict[QuotaClass, float] | None, pipe: Connection) -> None:
    fleet = Fleet(spec)
    async with open_simulator(fleet, quotas=rates is not None, rates=rates, verify=False) as served:
        pipe.send(served.url)
        before: dict[str, int] = {}
        while True:
            asked = await asyncio.to_thread(pipe.recv)
            if asked is None:
                now: dict[str, int] = {}
                for (_, _, operation), count in served.calls.items():
                    now[operation] = now.get(operation, 0) + count
                pipe.send(({name: count - before.get(name, 0) for name, count in now.items()}, time.process_time()))
                before = now
            else:
                for change in asked:
                    fleet.apply(change)
                pipe.send(None)
