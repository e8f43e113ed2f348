"""What a process that reads a fleet sets up once: its event loop, its garbage collector, its limit of open files."""

from __future__ import annotations

import asyncio
import gc
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FILES = 4096  # enough for the connections and staging files of 256 account-regions

GC_THRESHOLDS = 50_000, 20, 100  # uncollected objects take some 5 MB; Python's defaults are 700, 10, 10


def allow_many_files() -> None:
    """Raise this process's limit of open files, because its default can be low (1,024; macOS: 256)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the factory of uvloop if ``lexport[fast]`` is installed; it takes a quarter less CPU per call over TLS."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


@contextmanager
def rare_collection() -> Iterator[None]:
    """Run the garbage collector rarely: responses hold millions of objects and no cycles. It took 8 % of the CPU."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
