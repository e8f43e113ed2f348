"""The task that does a part of a commit on a worker of dask, and the executor that the commit gets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from anyio import to_thread
from anyio.from_thread import check_cancelled

from lexport.dataset.task_work import run_task
from lexport.dataset.tasks import Done, Task
from lexport.errors import RunError
from lexport.extract.cluster.coordinate import Cluster
from lexport.extract.cluster.worker import Outcome, Stage, StoreAddress, run_in_engine
from lexport.extract.progress import Progress


class _TableOrder(msgspec.Struct, frozen=True, kw_only=True):
    address: StoreAddress
    task: Task
    stage: Stage


class _TableDone(msgspec.Struct, frozen=True):
    done: Done


_ORDER, _DONE = msgspec.json.Decoder(_TableOrder), msgspec.json.Decoder(_TableDone)
"""Made once, in one thread: see dataset/manifest.py."""


def write_tables_task(body: bytes) -> Outcome:
    """Do a part of a commit; return what was written, as JSON, or the error."""
    order = _ORDER.decode(body)
    return run_in_engine(order.stage, partial(_write, order))


async def _write(order: _TableOrder) -> bytes:
    store = await order.address.open()
    done = await to_thread.run_sync(partial(run_task, order.task, store, check=check_cancelled))
    return msgspec.json.encode(_TableDone(done))


async def run_on_workers(cluster: Cluster, progress: Progress, tasks: Sequence[Task]) -> list[Done]:
    """Run tasks of a commit on workers; return what each wrote, in order. Raises RunError where one failed everywhere.

    The parameters before ``tasks`` are bound, so that it is the executor of dataset/tasks.py.
    """
    found: dict[str, Done] = {}

    def take(name: str, _worker: str, left: Any) -> None:
        found[name] = _DONE.decode(left).done

    names = [task.name for task in tasks]
    stage = cluster.stage(write_tables_task)
    orders = (_TableOrder(address=cluster.address, task=task, stage=stage) for task in tasks)
    bodies = zip(names, map(msgspec.json.encode, orders), strict=True)
    failed = await cluster.run_tasks(write_tables_task, bodies, take, progress)
    if failed:
        raise RunError(f"tables could not be written on the workers: {next(iter(failed.values()))}")
    return [found[name] for name in names]
