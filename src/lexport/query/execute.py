"""A question -> DuckDB in another thread, so that a signal or a cancellation interrupts it; its memory is bounded."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

import anyio.to_thread
import duckdb

from lexport.errors import RunError
from lexport.query.memory import address_room_bytes, least_room_bytes, memory_limits, query_limit_bytes

T = TypeVar("T")

_INTERRUPT_EVERY_S = 0.02
_STOPPED_WITHIN_S = 0.3  # a single huge value, as repeat() makes, is not stopped by an interrupt


def connect(database: str, **config: str) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB that takes no more memory than this process can spare. Raises RunError where that is too little."""
    room_bytes, least_bytes = address_room_bytes(), least_room_bytes(os.cpu_count() or 1)
    if room_bytes is not None and room_bytes < least_bytes:
        raise RunError(
            f"a query needs {least_bytes // 2**20:,} MiB of address space, and `ulimit -v` leaves"
            f" {room_bytes // 2**20:,} MiB"
        )
    connection = duckdb.connect(database, config={**config})
    limit_bytes = query_limit_bytes(memory_limits(), room_bytes=address_room_bytes())
    connection.execute(f"SET memory_limit = '{limit_bytes // 2**20}MiB'")
    return connection


def ask(connection: duckdb.DuckDBPyConnection, question: Callable[[], T]) -> T:
    """Let DuckDB answer in a thread of its own, where this is the main thread, which takes signals only while it waits.

    Whatever ends the waiting, as KeyboardInterrupt does, interrupts DuckDB first.
    """
    if threading.current_thread() is not threading.main_thread():
        return question()
    job = _Job(question)
    threading.Thread(target=job.run, daemon=True).start()
    try:
        job.ended.wait()
    except BaseException:
        until_s = time.monotonic() + _STOPPED_WITHIN_S
        while not job.ended.wait(_INTERRUPT_EVERY_S) and time.monotonic() < until_s:
            _interrupt([connection])
        raise
    return job.result()


async def run_interruptibly(work: Callable[[list[duckdb.DuckDBPyConnection]], T]) -> T:
    """Run blocking work in a thread; it adds the connections that it asks to the list it is given.

    Cancelled: whatever they are asked is interrupted, one question after the other, until the work has ended.
    """
    running: list[duckdb.DuckDBPyConnection] = []
    job = _Job(partial(work, running))
    try:
        await anyio.to_thread.run_sync(job.run, abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        job.drop()
        with anyio.CancelScope(shield=True):
            while not job.ended.is_set():  # an interrupt between two questions is lost
                _interrupt(running)
                await anyio.sleep(_INTERRUPT_EVERY_S)
        raise
    return job.result()


class _Job(Generic[T]):
    """Blocking work for a thread, and what it came to."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.ended = threading.Event()
        self._work = work
        self._begun = threading.Lock()  # taken by who comes first: its thread, or who drops it
        self._value: list[T] = []
        self._error: BaseException | None = None

    def drop(self) -> None:
        """Let it never begin, where it has not: a thread that was asked for may not have come, and may never come."""
        if self._begun.acquire(blocking=False):
            self.ended.set()

    def run(self) -> None:
        if not self._begun.acquire(blocking=False):
            return
        try:
            self._value.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            self._error = error
        finally:
            self.ended.set()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value[0]


def _interrupt(connections: Iterable[duckdb.DuckDBPyConnection]) -> None:
    for connection in connections:
        with suppress(duckdb.Error):  # it is closed meanwhile
            connection.interrupt()
