"""A scheduler of dask and its workers, each in a process of its own, as somebody starts them by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

DASK = str(Path(sysconfig.get_path("scripts")) / "dask")
STARTS_WITHIN_S = 60


class Dask:
    """One scheduler, its ``workers`` in the order of their start, and what they print, in ``folder``."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start_scheduler(self, *arguments: str, protocol: str = "tcp") -> None:
        """Start the scheduler, and wait until it listens."""
        file = self.folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler",
            [
                *("--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"),
                *("--scheduler-file", str(file), "--protocol", protocol, *arguments),
            ],
        )
        until = time.monotonic() + STARTS_WITHIN_S
        while not self.url:
            assert self.scheduler.poll() is None, self.said("scheduler")
            assert time.monotonic() < until
            time.sleep(0.05)
            if file.is_file() and (text := file.read_text()).endswith("}"):
                self.url = json.loads(text)["address"]

    def start_workers(
        self, count: int, *arguments: str, prefix: Sequence[str] = (), **variables: str | None
    ) -> list[subprocess.Popen[bytes]]:
        """Start workers; a keyword sets a variable of theirs, or unsets it if it is None."""
        started = []
        for number in range(len(self.workers), len(self.workers) + count):
            name = f"worker-{number}"
            options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0", "--name", name]
            started.append(
                self._start(
                    name, [self.url, *options, "--local-directory", str(self.folder), *arguments], prefix, variables
                )
            )
            self.workers.append(started[-1])
        return started

    def are_registered(self) -> bool:
        """Return whether the scheduler has heard of every worker."""
        return self.said("scheduler").count("Register worker") >= len(self.workers)

    def said(self, name: str) -> str:
        """Return what a process has printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _start(
        self,
        name: str,
        arguments: list[str],
        prefix: Sequence[str] = (),
        variables: dict[str, str | None] | None = None,
    ) -> subprocess.Popen[bytes]:
        environment = self.environment | (variables or {})
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*prefix, DASK, name.partition("-")[0], *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={key: value for key, value in environment.items() if value is not None},
            )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """End all that still runs."""
        for process in self.processes:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
                process.kill()
            process.wait()


@contextmanager
def run_dask(folder: Path, environment: dict[str, str], *, workers: int, host: str = "127.0.0.1") -> Iterator[Dask]:
    """Run a scheduler and so many workers until the block ends."""
    folder.mkdir(exist_ok=True)
    dask = Dask(folder, environment)
    try:
        dask.start_scheduler("--host", host)
        dask.start_workers(workers)
        yield dask
    finally:
        dask.end()
