"""The test's side of ``shim.c``: build it, and say which call fails how.

A process that is started with ``variables()`` counts the calls that change files below ``root`` while it is armed.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LINES, LINE = 8192, 512
KILL, STOP = -1, -2
NO_HARD_LINKS = "link linkat renameat2"
"""A file system that has neither hard links nor a rename that refuses to replace."""


class _Disk(ctypes.Structure):
    """Twin of ``struct disk``."""

    _fields_ = (
        ("armed", ctypes.c_int),
        ("calls", ctypes.c_int),
        ("fail_at", ctypes.c_int),
        ("error", ctypes.c_int),
        ("sticky", ctypes.c_int),
        ("lost", ctypes.c_int),
        ("denied_error", ctypes.c_int),
        ("denied", ctypes.c_char * 64),
        ("only", ctypes.c_char * 64),
        ("root", ctypes.c_char * 1024),
        ("log", (ctypes.c_char * LINE) * LINES),
    )


class Disk:
    """One disk that can fail, shared with all processes that were started with its variables."""

    def __init__(self, library: Path, state: Path) -> None:
        self._library, self._state = library, state
        if not state.exists():
            state.write_bytes(bytes(ctypes.sizeof(_Disk)))
        with state.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._disk = _Disk.from_buffer(self._map)

    def variables(self) -> dict[str, str]:
        """Return what a process needs in its environment to have this disk."""
        return {"LD_PRELOAD": str(self._library), "DISK_FAULTS": str(self._state)}

    @contextmanager
    def failing(
        self,
        root: Path,
        at: int = 0,
        error: int = errno.EIO,
        *,
        sticky: bool = False,
        lost: bool = False,
        denied: str = "",
        denied_error: int = errno.EPERM,
        only: str = "",
    ) -> Iterator[None]:
        """Count the calls below ``root`` from now on; the ``at``-th fails. ``denied`` names calls that always do.

        With ``only``, calls that have it in none of their paths are not counted.
        """
        disk = self._disk
        disk.calls, disk.fail_at, disk.error, disk.sticky, disk.lost = 0, at, error, sticky, lost
        disk.denied, disk.denied_error, disk.root = denied.encode(), denied_error, str(root).encode()
        disk.only = only.encode()
        disk.armed = 1
        try:
            yield
        finally:
            disk.armed = 0

    @property
    def calls(self) -> list[tuple[str, str, str]]:
        """The calls that were counted last: what was called, on which file, and to which name, below ``root``."""
        root = self._disk.root.decode()
        lines = [bytes(self._disk.log[number]).split(b"\0")[0].decode() for number in range(self._disk.calls)]
        return [
            (
                call.removesuffix("at").replace("sync folder", "fsync"),
                path.removeprefix(root).lstrip("/"),
                other.removeprefix(root).lstrip("/"),
            )
            for call, path, other in (line.split("\t") for line in lines)
        ]


def build(compiler: str, folder: Path) -> Path:
    """Compile the shim into a folder."""
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library
