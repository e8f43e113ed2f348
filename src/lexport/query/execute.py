"""Run DuckDB in another thread, so that signals and cancellation interrupt a query, and limit its memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from typing import TypeVar

import anyio.to_thread
import duckdb

from lexport.errors import RunError
from lexport.query.memory import free_address_space_bytes, least_address_space_bytes, memory_limits, query_limit_bytes

T = TypeVar("T")

_INTERRUPT_EVERY_S = 0.02
_STOPPED_WITHIN_S = 0.3  # an interrupt does not stop the making of one huge value, as repeat() does


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


def run_in_thread(connection: duckdb.DuckDBPyConnection, work: Callable[[], T]) -> T:
    """Run blocking work on a connection in a thread of its own if this is the main thread, and return its result.

    The main thread handles signals only while it waits. Any exception that ends the wait, such as KeyboardInterrupt,
    interrupts DuckDB first.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    future: Future[T] = Future()
    threading.Thread(target=_run, args=(future, work), daemon=True).start()
    try:
        wait([future])
    except BaseException:
        until_s = time.monotonic() + _STOPPED_WITHIN_S
        while not wait([future], timeout=_INTERRUPT_EVERY_S).done and time.monotonic() < until_s:
            _interrupt([connection])
        raise
    return future.result()


async def run_interruptibly(work: Callable[[list[duckdb.DuckDBPyConnection]], T]) -> T:
    """Run blocking work in a thread. The work appends every connection that it opens to the list that it receives.

    Cancelled: the queries on these connections are interrupted, one after the other, until the work has ended.
    """
    running: list[duckdb.DuckDBPyConnection] = []
    future: Future[T] = Future()
    try:
        await anyio.to_thread.run_sync(_run, future, partial(work, running), abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        future.cancel()  # the thread may start later, or never
        with anyio.CancelScope(shield=True):
            while not future.done():  # an interrupt between two queries has no effect
                _interrupt(running)
                await anyio.sleep(_INTERRUPT_EVERY_S)
        raise
    return future.result()


def _run(future: Future[T], work: Callable[[], T]) -> None:
    """Run the work and put its result, or its exception, into the future, unless that was cancelled."""
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - ``result`` raises it again
            future.set_exception(error)


def _interrupt(connections: Iterable[duckdb.DuckDBPyConnection]) -> None:
    for connection in connections:
        with suppress(duckdb.Error):  # the connection was closed meanwhile
            connection.interrupt()
