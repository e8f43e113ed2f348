"""Run DuckDB in another thread, so that signals and cancellation interrupt a query, and limit its memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import anyio.to_thread
import duckdb

from lexport.errors import RunError
from lexport.query.memory import free_address_space_bytes, least_address_space_bytes, memory_limits, query_limit_bytes

T = TypeVar("T")

_INTERRUPT_EVERY_S = 0.02
_STOPPED_WITHIN_S = 0.3  # an interrupt does not stop the making of one huge value, as repeat() does


class Interruptible(Protocol):
    """A connection, or a store that is being read."""

    def interrupt(self) -> None:
        """End soon what other threads do with it."""


def connect(database: str, **config: str) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB database that takes no more memory than this process can spare.

    Raises RunError if the process has too little address space.
    """
    free_bytes, least_bytes = free_address_space_bytes(), least_address_space_bytes(os.cpu_count() or 1)
    if free_bytes is not None and free_bytes < least_bytes:
        raise RunError(
            f"a query needs {least_bytes // 2**20:,} MiB of address space, and `ulimit -v` leaves"
            f" {free_bytes // 2**20:,} MiB"
        )
    connection = duckdb.connect(database, config={**config})
    limit_bytes = query_limit_bytes(memory_limits(), address_space_bytes=free_address_space_bytes())
    connection.execute(f"SET memory_limit = '{limit_bytes // 2**20}MiB'")
    return connection


class Worker:
    """Runs blocking work on a connection, in a thread of its own where this is the main thread."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._job: _Job[Any] | None = None

    def run(self, work: Callable[[], T]) -> T:
        """Run the work and return its result.

        The main thread handles signals only while it waits. Any exception that ends the wait, such as
        KeyboardInterrupt, interrupts DuckDB first.
        """
        if threading.current_thread() is not threading.main_thread():
            return work()
        self._job = job = _Job(work)
        threading.Thread(target=job.run, daemon=True).start()
        try:
            job.ended.wait()
        except BaseException:
            self.has_stopped(_STOPPED_WITHIN_S)
            raise
        return job.result()

    def has_stopped(self, within_s: float) -> bool:
        """Interrupt what is still running, and return whether it ends in time: an interrupt does not stop every query.

        Until it has ended, the connection takes no other work.
        """
        until_s = time.monotonic() + within_s
        while self._job is not None and not self._job.ended.wait(_INTERRUPT_EVERY_S):
            if time.monotonic() > until_s:
                return False
            _interrupt([self._connection])
        return True


async def run_interruptibly(work: Callable[[list[Interruptible]], T]) -> T:
    """Run blocking work in a thread. The work appends every connection and store that it opens to the list it receives.

    Cancelled: what is done with them is interrupted, one after the other, until the work has ended.
    """
    running: list[Interruptible] = []
    job = _Job(partial(work, running))
    try:
        await anyio.to_thread.run_sync(job.run, abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        job.cancel()
        with anyio.CancelScope(shield=True):
            while not job.ended.is_set():  # an interrupt between two queries has no effect
                _interrupt(running)
                await anyio.sleep(_INTERRUPT_EVERY_S)
        raise
    return job.result()


class _Job(Generic[T]):
    """Blocking work for a thread, and its result."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.ended = threading.Event()
        self._work = work
        self._started = threading.Lock()  # acquired by ``run`` or by ``cancel``, whichever comes first
        self._value: list[T] = []
        self._error: BaseException | None = None

    def cancel(self) -> None:
        """Keep the work from starting if it has not started: its thread may come late, or never."""
        if self._started.acquire(blocking=False):
            self.ended.set()

    def run(self) -> None:
        if not self._started.acquire(blocking=False):
            return
        try:
            self._value.append(self._work())
        except BaseException as error:  # noqa: BLE001 - ``result`` raises it again
            self._error = error
        finally:
            self.ended.set()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value[0]


def _interrupt(running: Iterable[Interruptible]) -> None:
    for item in running:
        with suppress(duckdb.Error):  # the connection was closed meanwhile
            item.interrupt()
