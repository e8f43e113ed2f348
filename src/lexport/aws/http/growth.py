"""How many connections a pool may open: more only while connections, and not the CPU, are what calls wait for.

By Little's law, calls per second are the connections in use divided by the time of a response. A server at 0.1 s needs
hundreds of connections, one that responds at once only a few; and where the event loop has no time left, each further
connection only costs memory and a TLS handshake.
"""

from __future__ import annotations

import time

FIRST_CONNECTIONS = 32
"""A pool begins with these: 320 calls per second at 0.1 s each, the quotas of two or three account-regions."""
GROWTH = 2
LOOK_AFTER_S = 0.1
"""Calls that have waited for so long are a reason to grow: from 32 to 512 connections takes half a second."""
BUSY = 0.85
"""A thread that used this share of the time has none to spare for more responses."""

_SCHEDULER = "/proc/thread-self/schedstat"


def connections_allowed(allowed: int, most: int, *, busy: float) -> int:
    """Return how many connections a pool may have after all ``allowed`` ones were in use while calls waited for one.

    ``most`` bounds them. ``busy`` is the share of that time in which the thread of the event loop worked.
    """
    return min(most, allowed * GROWTH) if busy < BUSY else allowed


def busy_s() -> float:
    """Return the seconds for which this thread used a CPU, or was ready to and had to leave it to other processes.

    Where the system does not report the second part, a thread on a crowded machine seems less busy than it is.
    """
    try:
        with open(_SCHEDULER, encoding="ascii") as file:  # noqa: PTH123 - nothing to wait for, ten times a second
            used_ns, ready_ns, _ = file.read().split()
        return (int(used_ns) + int(ready_ns)) / 1e9
    except (OSError, ValueError):
        return time.thread_time()
