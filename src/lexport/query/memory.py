"""How much memory a query may use: read the limits on this process, and leave it the part that it needs itself."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

PROCESS_BYTES = 128 * 2**20  # Python, the libraries, and the rows that are being written
LEAST_BYTES = 32 * 2**20
SHARE = 0.8  # the default of DuckDB

_DUCKDB_BYTES = 560 * 2**20  # of address space, most of which is never used
_THREAD_BYTES = 80 * 2**20

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_STATM = Path("/proc/self/statm")


def query_limit_bytes(limits: Iterable[int], *, address_space_bytes: int | None = None) -> int:
    """Return the memory limit of a query: most of the smallest limit, without the part that the process itself needs.

    ``address_space_bytes`` is the free address space, if that is limited.
    """
    smallest = min(limits)
    most = [int(smallest * SHARE), smallest - PROCESS_BYTES]
    if address_space_bytes is not None:
        most.append(address_space_bytes - PROCESS_BYTES)
    return max(LEAST_BYTES, min(most))


def least_address_space_bytes(processors: int) -> int:
    """Return the address space that DuckDB needs to start; with less it crashes instead of raising an error."""
    return _DUCKDB_BYTES + processors * _THREAD_BYTES


def memory_limits() -> list[int]:
    """Return the memory limits on this process, in bytes: that of the machine and those of its cgroups."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [machine, *cgroup_limits(_CGROUPS, _MEMBERSHIP)]


def free_address_space_bytes() -> int | None:
    """Return the address space that `ulimit -v` leaves; None if it is not limited."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    used_bytes = 0
    with suppress(OSError, ValueError):  # only Linux has this file
        used_bytes = int(_STATM.read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return max(0, limit - used_bytes)


def cgroup_limits(root: Path, membership: Path) -> Iterator[int]:
    """Read the memory limits of a process's cgroup and of its parents, in cgroup versions 1 and 2.

    In a container, ``membership`` often names the path that the cgroup has on the host, while the cgroup itself is
    mounted at the root. So each parent is tried up to the root.
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
