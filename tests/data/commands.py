"""Commands of lexport in processes of their own, and how they ended."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ended:
    """One run of the command."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line on standard error."""
        return self.err.splitlines()[-1]


@contextmanager
def own_logging() -> Iterator[None]:
    """Let a command that runs in this process set up logging until the block ends."""
    root = logging.getLogger()
    level = root.level
    levels = [(name, logging.getLogger(name).level) for name in ("lexport", "lexport.command", "lexport.progress")]
    yield
    if added := [handler for handler in root.handlers if type(handler).__module__ == "lexport.aws.logs"]:
        for handler in added:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)
        for name, before in levels:
            logging.getLogger(name).setLevel(before)
        logging.captureWarnings(capture=False)


ERROR_CODES = (1, 2, 5, 6)
"""Exit codes of a command that failed. Gaps (3), findings (4) and signals are no errors."""


@contextmanager
def watched_log(environment: dict[str, str]) -> Iterator[tuple[dict[str, str], Callable[[int], None]]]:
    """Let a command log to a file; yield its variables, and what checks the log once the exit code is known.

    An ERROR line means that the command fails, and a command that fails has an ERROR line.
    """
    with tempfile.TemporaryDirectory(prefix="log-of-a-command-") as folder:
        path = Path(folder) / "log"

        def check(code: int) -> None:
            if not path.is_file() or code < 0:
                return
            lines = path.read_text(errors="replace").splitlines()
            errors = [line for line in lines if " ERROR " in line[:40] or '"level": "ERROR"' in line[:80]]
            assert code != 0 or not errors, errors
            assert code not in ERROR_CODES or errors, (code, lines)

        yield {"LEXPORT_LOG_FILE": str(path)} | environment, check


@contextmanager
def fork_server(*, has_fixed_clock: bool = False, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Start the process behind ``Forks``; it ends with its standard input.

    With ``has_fixed_clock``, commands run at a time that they are given; see ``forks.py``.
    """
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "ARROW_DEFAULT_MEMORY_POOL": "system"} | variables
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).parents[1] / "forks.py"), *(["fixed-clock"] if has_fixed_clock else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as server:
        yield server
        server.stdin.close()


class Forks:
    """Run commands in children of a process that has imported lexport; see ``forks.py``."""

    def __init__(self, server: subprocess.Popen[str], folder: Path, environment: dict[str, str]) -> None:
        self._server, self.folder, self.environment = server, folder, environment

    def start(
        self,
        *arguments: object,
        stdin: str | None = os.devnull,
        stdout: str | None = "out",
        stderr: str | None = "err",
        ignored: tuple[int, ...] = (),
        leftovers: str | None = None,
        files: int | None = None,
        at: str | None = None,
        script: str | None = None,
        **variables: str,
    ) -> int:
        """Start one; a stream is a path in ``folder``, or None where it is closed.

        ``leftovers`` is a path in ``folder`` to which the child writes what still is open at its end, and ``files`` the
        most files that it may open. ``at`` is its time, where the server has no real clock; ``script`` is run in place
        of the command.
        """
        for name in ("out", "err"):
            (self.folder / name).unlink(missing_ok=True)
        request = {
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(self.folder),
            "env": self.environment | variables,
            "streams": [stdin, stdout, stderr],
            "ignored": ignored,
            "leftovers": leftovers,
            "files": files,
            "at": at,
            "script": script,
        }
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def wait(self, pid: int, within_s: float = 20.0) -> Ended:
        """Wait until the command has ended; a child that does not end is killed and has the code -9."""
        killer = threading.Timer(within_s, os.kill, (pid, signal.SIGKILL))
        killer.start()
        code = int(self._server.stdout.readline())
        killer.cancel()
        out, err = (
            path.read_text(errors="surrogateescape") if (path := self.folder / name).is_file() else ""
            for name in ("out", "err")
        )
        return Ended(code, out, err)

    def run(self, *arguments: object, within_s: float = 20.0, **how: Any) -> Ended:
        """Run one to its end."""
        return self.wait(self.start(*arguments, **how), within_s)


def age(dest: Path, *, hours: float) -> None:
    """Let every file of a dataset become older."""
    for path in dest.rglob("*"):
        if path.is_file():
            at = path.stat().st_mtime - hours * 3600
            os.utime(path, (at, at))
