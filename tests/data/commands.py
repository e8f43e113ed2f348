"""Commands of lexport in processes of their own, and how they ended."""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import anyio


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


class ForkServer:
    """The process that commands are forked from; see ``forks.py``. Several threads may start commands."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._starting = threading.Lock()
        self._started: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._ends: dict[int, Future[int]] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            pid, *code = map(int, line.split())
            if code:
                self._ends[pid].set_result(code[0])
            else:
                self._ends[pid] = Future()
                self._started.put(pid)
        self._started.put(0)  # the server is gone

    def start(self, request: dict[str, Any]) -> int:
        """Start a command and return the id of its process."""
        with self._starting:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            pid = self._started.get()
        assert pid, "the server of forked commands has ended"
        return pid

    def end(self, pid: int) -> Future[int]:
        """Return what will be the exit code."""
        return self._ends[pid]

    def kill(self, pid: int) -> None:
        """End a command that has not ended."""
        if not self._ends[pid].done():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def fork_server(*, has_fixed_clock: bool = False, **variables: str) -> Iterator[ForkServer]:
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
        yield ForkServer(server)
        server.stdin.close()


class Forks:
    """Run commands in children of a process that has imported lexport; see ``forks.py``."""

    def __init__(self, server: ForkServer, folder: Path, environment: dict[str, str]) -> None:
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
        return self._server.start(
            {
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
        )

    def wait(self, pid: int, within_s: float = 20.0) -> Ended:
        """Wait until the command has ended; a child that does not end is killed and has the code -9."""
        killer = threading.Timer(within_s, self._server.kill, (pid,))
        killer.start()
        code = self._server.end(pid).result()
        killer.cancel()
        out, err = (
            path.read_text(errors="surrogateescape") if (path := self.folder / name).is_file() else ""
            for name in ("out", "err")
        )
        return Ended(code, out, err)

    def run(self, *arguments: object, within_s: float = 20.0, **how: Any) -> Ended:
        """Run one to its end."""
        return self.wait(self.start(*arguments, **how), within_s)


LEXPORT = Path(sysconfig.get_path("scripts")) / "lexport"
IS_INSTALLED = os.environ.get("LEXPORT_COMMANDS") == "installed"
"""Start every command as a process of its own, as `make commands` does, and the tests of the wheel."""


def is_forked(environment: Mapping[str, str]) -> bool:
    """Tell whether a command may be forked: no variable is set that a process reads when it starts."""
    variables = {
        name for name in environment if name.startswith(("PYTHON", "LD_", "LC_", "LANG", "TZ", "LEXPORT_TEST_"))
    }
    return not IS_INSTALLED and variables <= {"LC_ALL"} and environment.get("LC_ALL", "C.UTF-8") == "C.UTF-8"


@cache
def shared_server() -> ForkServer:
    """The process that most commands of the tests are forked from; it ends with this one."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(fork_server())


@dataclass(frozen=True)
class _Forked:
    code: Future[int]
    out: Path
    err: Path


@contextmanager
def _forked(arguments: Sequence[object], environment: dict[str, str], cwd: Path, stdin: bytes) -> Iterator[_Forked]:
    """Fork one command, whose streams are files; it is killed if it still runs at the end of the block."""
    server = shared_server()
    with tempfile.TemporaryDirectory(prefix="streams-of-a-command-") as folder:
        streams = [Path(folder) / name for name in ("in", "out", "err")]
        streams[0].write_bytes(stdin)
        request: dict[str, Any] = {"ignored": (), "leftovers": None, "files": None, "at": None, "script": None}
        request |= {"arguments": list(map(str, arguments)), "cwd": str(cwd), "env": environment}
        pid = server.start(request | {"streams": list(map(str, streams))})
        try:
            yield _Forked(server.end(pid), streams[1], streams[2])
        finally:
            server.kill(pid)


def completed(
    *arguments: object, env: dict[str, str], cwd: Path, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run one command to its end, like ``subprocess.run``."""
    if not is_forked(env):
        words = [str(LEXPORT), *map(str, arguments)]
        return subprocess.run(words, input=stdin, capture_output=True, env=env, cwd=cwd, check=False, timeout=120)
    with _forked(arguments, env, cwd, stdin) as run:
        code = run.code.result(timeout=120)
        return subprocess.CompletedProcess(list(arguments), code, run.out.read_bytes(), run.err.read_bytes())


async def completed_beside(
    *arguments: object, env: dict[str, str], cwd: Path, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run one command to its end while the event loop runs."""
    if not is_forked(env):
        return await anyio.run_process([str(LEXPORT), *map(str, arguments)], input=stdin, env=env, cwd=cwd, check=False)
    with _forked(arguments, env, cwd, stdin) as run:
        code = await asyncio.wrap_future(run.code)
        return subprocess.CompletedProcess(list(arguments), code, run.out.read_bytes(), run.err.read_bytes())


def age(dest: Path, *, hours: float) -> None:
    """Let every file of a dataset become older."""
    for path in dest.rglob("*"):
        if path.is_file():
            at = path.stat().st_mtime - hours * 3600
            os.utime(path, (at, at))
