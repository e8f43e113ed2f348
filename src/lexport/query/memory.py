"""What this process may take of memory -> what a query may take of it. Pure but for reading limits."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

OURS_BYTES = 128 * 2**20  # Python, the libraries, and the rows that are on their way out
LEAST_BYTES = 32 * 2**20
SHARE = 0.8  # as DuckDB itself takes

_DUCKDB_BYTES = 560 * 2**20  # of address space, most of it never touched
_THREAD_BYTES = 80 * 2**20

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_STATM = Path("/proc/self/statm")


def query_limit_bytes(limits: Iterable[int], *, room_bytes: int | None = None) -> int:
    """Return what a query may take: most of the smallest limit, but not what the process itself needs.

    ``room_bytes`` is what is left of the address space, where that is limited.
    """
    smallest = min(limits)
    most = [int(smallest * SHARE), smallest - OURS_BYTES]
    if room_bytes is not None:
        most.append(room_bytes - OURS_BYTES)
    return max(LEAST_BYTES, min(most))


def least_room_bytes(processors: int) -> int:
    """Return the address space that DuckDB takes as it starts; with less it does not fail, it crashes."""
    return _DUCKDB_BYTES + processors * _THREAD_BYTES


def memory_limits() -> list[int]:
    """Return the limits on this process, in bytes: what the machine has, and what its cgroups allow."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [machine, *cgroup_limits(_CGROUPS, _MEMBERSHIP)]


def address_room_bytes() -> int | None:
    """Return what is left of the address space, as `ulimit -v` limits it; None where it is not limited."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    taken = 0
    with suppress(OSError, ValueError):  # only Linux tells
        taken = int(_STATM.read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return max(0, limit - taken)


def cgroup_limits(root: Path, membership: Path) -> Iterator[int]:
    """Read the memory limits of a process's cgroup and of those above it, of version 1 and 2.

    A container often sees the path that its cgroup has outside, and the cgroup itself at the root.
    """
    try:
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            base, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        inside = PurePosixPath("/", path).relative_to("/")
        for folder in (inside, *inside.parents):
            with suppress(OSError, ValueError):  # absent, or `max`
                yield int((base / folder / name).read_text(encoding="ascii"))
