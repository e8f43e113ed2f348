"""The task that reads one shard on a worker of dask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from anyio import CancelScope, sleep, to_thread

from lexport.aws.logs import set_up_worker
from lexport.dataset.staging import finished_shard
from lexport.extract.access import Access
from lexport.extract.background import in_background
from lexport.extract.cluster.parent import access_of_worker
from lexport.extract.cluster.stop import watch_claim
from lexport.extract.cluster.worker import Engine, Outcome, Stage, StoreAddress, engine, run_in_engine, this_worker
from lexport.extract.progress import Progress, ShardProgress
from lexport.extract.reading import OwnTry, Reading
from lexport.extract.shard_process import open_reading, read_own_shard, read_plan
from lexport.model import PaceReading, Scope, Shard, __version__

if TYPE_CHECKING:
    from distributed import Worker

PROGRESS_EVERY_S = 1.0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told of a shard: nothing of it is secret. ``at_once`` bounds the shards of one process.

    ``parent`` is the path of the socket of the process that hands out its credentials, ``topic`` where progress goes.
    """

    address: StoreAddress
    run: str
    run_attempt: int
    shard: Shard
    most_tries: int
    at_once: int
    parent: str | None
    topic: str
    stage: Stage


def prepare(dask_worker: Worker) -> str:
    """Start the engine of a worker, whose first task would wait for it; return the release of lexport there."""
    set_up_worker(str(dask_worker.name))
    engine()
    return __version__


def read_shard_task(body: bytes) -> Outcome:
    """Read one shard; return its result, or the error. ``body`` is an Order as JSON."""
    order, worker = msgspec.json.decode(body, type=Order), this_worker()
    read = partial(_read, engine(), order, worker.name, partial(worker.send, order.topic))
    return run_in_engine(order.stage, read, at_once=order.at_once)


async def _read(kept: Engine, order: Order, worker: str, send: Callable[[Any], None]) -> dict[str, Any]:
    opened = kept.keep_open(order.stage, partial(_open_run, order, worker, send))
    async with opened.use() as (reading, access):
        shard, run = order.shard, reading.snapshot_id
        result = await to_thread.run_sync(finished_shard, reading.store, run, shard.scope)
        if result is None:
            result = await read_own_shard(reading, access, shard)
        return {"result": msgspec.to_builtins(result), "notes": tuple(reading.context.progress.notes)}


@asynccontextmanager
async def _open_run(order: Order, worker: str, send: Callable[[Any], None]) -> AsyncIterator[tuple[Reading, Access]]:
    """Open what reads the shards of a run in this process, and report their progress."""
    own_try = OwnTry(worker=worker, most_tries=order.most_tries, gives_way=True)
    own, progress = access_of_worker(order.parent), Progress()
    store = await order.address.open()
    spec = await to_thread.run_sync(read_plan, store, order.run)
    opening = open_reading(store, spec, own, own_try, run_attempt=order.run_attempt, progress=progress)
    report = partial(_report, progress, send)
    watch = partial(watch_claim, order.run, order.run_attempt, store, order.stage)
    async with opening as opened, in_background(report, watch, until=CancelScope()):
        yield opened


async def _report(progress: Progress, send: Callable[[Any], None]) -> None:
    """Send the counters of the shards that are being read, every second; those of a shard that is done once more."""
    while True:
        await sleep(PROGRESS_EVERY_S)
        shards = progress.shards
        progress.shards = [shard for shard in shards if not shard.is_done]
        if shards:
            send([msgspec.to_builtins(ShardCounts.of(shard)) for shard in shards])


class ShardCounts(msgspec.Struct, frozen=True, array_like=True):
    """The counters of a shard, as a worker sends them."""

    scope: Scope
    listed: int
    fetched: int
    functions_listed: int
    functions_counted: int | None
    asked: dict[str, int]
    answered: dict[str, int]
    is_listed: bool
    is_done: bool
    pace: tuple[PaceReading, PaceReading]

    @classmethod
    def of(cls, shard: ShardProgress) -> ShardCounts:
        """Take them at this moment."""
        flags = shard.is_listed, shard.is_done
        functions = shard.functions_listed, shard.functions_counted
        calls = dict(shard.asked), dict(shard.answered)
        return cls(shard.scope, shard.listed, shard.fetched, *functions, *calls, *flags, shard.pace())
