"""Connect to a scheduler of dask, or start one with workers on this machine. dask is imported when it is needed."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from anyio import CancelScope

from lexport.aws.logs import adopt, worker_variables
from lexport.aws.waits import scaled
from lexport.errors import RunError, SettingsError
from lexport.extract.cluster.shard_task import prepare
from lexport.model import __version__

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

CONNECT_WITHIN_S = scaled(30.0)
CLOSE_WITHIN_S = scaled(30.0)
WORKERS_WITHIN_S = scaled(60.0)
STARTED_WITHIN_S = scaled(300.0)
SILENT_WORKER_S = scaled(60.0)
"""A worker of ``--processes`` whose heartbeat is missing for so long is given up."""


@asynccontextmanager
async def connect(
    dask: str | None, processes: int | None, *, retries: int, note: Callable[[str], None]
) -> AsyncIterator[Client]:
    """Yield a client of the scheduler at ``dask``, or of ``processes`` workers that end with the block.

    ``retries`` bounds how often a task is run again after its worker died. Raises RunError where no scheduler or no
    worker answers, SettingsError where no worker has this release of lexport.
    """
    from distributed.utils import silence_logging_cmgr

    adopt("distributed", "tornado")
    opening = _at_scheduler(dask) if dask else _on_this_machine(processes or 1, retries)
    with silence_logging_cmgr(logging.CRITICAL + 1):  # what goes wrong is an error or a note of the run
        async with opening as client:
            await _check_workers(client, note)
            yield client


async def _check_workers(client: Client, note: Callable[[str], None]) -> None:
    """Check that a worker has this release of lexport; raises SettingsError where none has."""
    try:
        answers = await asyncio.wait_for(client.run(prepare, on_error="return"), WORKERS_WITHIN_S)
    except TimeoutError:  # one worker hangs; its shards are tried elsewhere
        return
    others = {
        worker: "has no lexport" if isinstance(answer, BaseException) else f"has lexport {answer}"
        for worker, answer in answers.items()
        if answer != __version__
    }
    for worker, what in sorted(others.items()):
        note(f"warning: the worker {worker} {what}, and this is lexport {__version__}; it reads nothing")
    if others and len(others) == len(answers):
        worker, what = min(others.items())
        raise SettingsError(
            f"no worker has lexport {__version__}: {worker} {what}; install the same release on all machines",
            option="--dask",
        )


@asynccontextmanager
async def _at_scheduler(address: str) -> AsyncIterator[Client]:
    from distributed import Client

    try:
        client = await Client(address, asynchronous=True, timeout=CONNECT_WITHIN_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        raise RunError(
            f"--dask {address}: no scheduler answers there: {_first_line(error)}; nothing was read"
        ) from None
    try:
        try:
            await asyncio.wait_for(client.wait_for_workers(1), WORKERS_WITHIN_S)
        except TimeoutError:
            raise RunError(
                f"--dask {address}: the scheduler has no worker, and none came within {WORKERS_WITHIN_S:.0f} s; start"
                f" one with: dask worker {address}; nothing was read"
            ) from None
        yield client
    finally:
        await _end(client)


@asynccontextmanager
async def _on_this_machine(processes: int, retries: int) -> AsyncIterator[Client]:
    """Start workers that end with this process. Their certificates are made for this run and are in memory alone."""
    import dask.config
    from distributed import LocalCluster
    from distributed.security import Security

    with tempfile.TemporaryDirectory(prefix="lexport-workers-") as folder, dask.config.set(_own(folder, retries)):
        cluster = LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tls://",
            security=Security.temporary(),
            dashboard_address="127.0.0.1:0",  # None would be 8787, which another run may have
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            local_directory=folder,
            silence_logs="CRITICAL",
            asynchronous=True,
            env={
                "ARROW_DEFAULT_MEMORY_POOL": os.environ.get("ARROW_DEFAULT_MEMORY_POOL", "system"),
                **worker_variables(),
            },
        )
        async with AsyncExitStack() as opened:
            opened.push_async_callback(_end, cluster)
            try:
                client = await _start(cluster, opened)
                await asyncio.wait_for(client.wait_for_workers(processes), WORKERS_WITHIN_S)
            except (OSError, TimeoutError, RuntimeError) as error:
                what = f"--processes {processes}: cannot start the workers"
                raise RunError(f"{what}: {_first_line(error)}") from None
            yield client


async def _start(cluster: LocalCluster, opened: AsyncExitStack) -> Any:  # a Client, whose types of dask are wrong
    """Start the workers of a cluster, and return a client, which ``opened`` closes; a cancellation waits for both.

    Interrupted in between, dask cannot close what it has begun: processes and their files would be left.
    """
    from distributed import Client

    async def start() -> Any:
        await cluster
        client = await Client(cluster, asynchronous=True, set_as_default=False)
        opened.push_async_callback(_end, client)
        return client

    starting = asyncio.ensure_future(asyncio.wait_for(start(), STARTED_WITHIN_S))
    try:
        with CancelScope(shield=True):
            return await asyncio.shield(starting)
    except asyncio.CancelledError:  # of the task itself, which no scope keeps off
        with CancelScope(shield=True), suppress(Exception):
            await starting
        raise


def _own(folder: str, retries: int) -> dict[str, Any]:
    """Return the configuration of dask for workers that end with this process."""
    return {
        "distributed.scheduler.worker-ttl": f"{SILENT_WORKER_S} s",
        "distributed.scheduler.allowed-failures": retries,
        "distributed.worker.profile.enabled": False,
        "temporary-directory": folder,
        "distributed.admin.system-monitor.disk": False,
        "distributed.scheduler.http.routes": [],  # they show tasks, logs and tracebacks to every user of this machine
        "distributed.worker.http.routes": [],
        "distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": 65536},
    }


async def _end(opened: Client | LocalCluster) -> None:
    """Close a client or a cluster, whose scheduler may be gone; a cancellation does not interrupt it.

    What fails here changes nothing of the run: its rows are in the store by now.
    """
    with CancelScope(shield=True), suppress(Exception, asyncio.CancelledError):
        closing = opened.close()
        if closing is not None:
            await asyncio.wait_for(closing, CLOSE_WITHIN_S)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
