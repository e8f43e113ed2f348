"""Break a run off, or stop it, at its n-th call to the disk or its n-th request to a bucket."""

from __future__ import annotations

import os
import re
import signal
from contextlib import ExitStack
from pathlib import Path

import anyio

from disk import KILL, STOP, Disk


class AtCalls:
    """Breaks runs into a folder. ``lines`` are the calls to the disk so far, ``pid`` is the process to break."""

    pid = 0

    def __init__(self, disk: Disk, root: Path) -> None:
        self._disk, self._root = disk, root
        self._armed = ExitStack()

    def arm(self, at: int = 0, how: str = "kill") -> None:
        """Count from now on; at the call ``at`` kill or stop the process."""
        self._armed.close()
        self._armed.enter_context(self._disk.failing(self._root, at, STOP if how == "stop" else KILL))

    def disarm(self) -> None:
        """Let every call pass; a process that is stopped does its call when it goes on."""
        self._armed.close()

    @property
    def lines(self) -> list[str]:
        """The calls, as text."""
        return [" ".join(call) for call in self._disk.calls]


class AtRequests:
    """Breaks runs into a bucket: ``act`` is what a proxy does with each request. ``lines`` are the requests so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pid, self._at, self._how = 0, 0, ""
        self._go_on = anyio.Event()

    def arm(self, at: int = 0, how: str = "kill") -> None:
        """Count from now on; kill before or after (``kill after``) the request is carried out, or stop before it."""
        self.lines, self._at, self._how = [], at, how
        self._go_on = anyio.Event()

    def disarm(self) -> None:
        """Let every request pass; the one at which a process was stopped reaches the server now."""
        self._at = 0
        self._go_on.set()

    async def act(self, exchange) -> None:
        """What the proxy does with each request."""
        self.lines.append(f"{exchange.request.method} {exchange.request.target}")
        is_hit = len(self.lines) == self._at
        if is_hit and self._how == "stop":
            go_on = self._go_on
            os.kill(self.pid, signal.SIGSTOP)
            await go_on.wait()
            await exchange.send(await exchange.forward())
            return
        if is_hit and self._how == "kill":
            os.kill(self.pid, signal.SIGKILL)
            exchange.reset()
            return
        answer = await exchange.forward()
        if is_hit:
            os.kill(self.pid, signal.SIGKILL)
            exchange.reset()
            return
        await exchange.send(answer)


def first(lines: list[str], pattern: str) -> int:
    """The number of the first line that matches."""
    return next(number for number, line in enumerate(lines, 1) if re.search(pattern, line))


async def stopped(pid: int) -> bool:
    """Wait until a process is stopped; False where it has ended instead."""
    path = anyio.Path(f"/proc/{pid}/stat")
    with anyio.fail_after(60):
        while True:
            try:
                state = (await path.read_text()).rpartition(")")[2].split()[0]
            except OSError:
                return False
            if state in "TZX":
                return state == "T"
            await anyio.sleep(0.01)
