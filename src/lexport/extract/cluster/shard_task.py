"""The task that reads one shard on a worker of dask."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
from anyio import CancelScope, current_time, sleep, to_thread

from lexport.aws.waits import scaled
from lexport.dataset.claims import RENEW_EVERY_S, read_claim
from lexport.dataset.open_store import open_store
from lexport.dataset.staging import finished_shard
from lexport.dataset.store import Store
from lexport.errors import RunError
from lexport.extract.access import Access
from lexport.extract.background import in_background
from lexport.extract.cluster.parent import parent_access
from lexport.extract.cluster.worker import Engine, Outcome, engine, outcome_of
from lexport.extract.progress import Progress, ShardProgress
from lexport.extract.reading import OwnTry, Reading
from lexport.extract.shard_process import OwnAccess, open_reading, read_own_shard, read_plan
from lexport.model import Shard, ShardResult, __version__
from lexport.settings import Destination

PROGRESS_EVERY_S = 1.0
IDLE_S = scaled(20.0)
"""A run without a shard for so long is closed in this process; the next shard opens it again."""

GONE_AFTER_S = 4 * RENEW_EVERY_S
"""A run whose claim was not renewed for so long is not read any more: its rows are written, and it can be resumed."""

_STARTING = threading.Condition()
_READING = 0  # shards that are read in this process


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told of a shard: nothing of it is secret. ``at_once`` bounds the shards of one process.

    ``parent`` is the path of the socket of the process that hands out its credentials, ``topic`` where progress goes.
    """

    destination: dict[str, Any]
    group_readable: bool
    run: str
    run_attempt: int
    shard: Shard
    most_tries: int
    at_once: int
    parent: str | None
    topic: str


def prepare() -> str:
    """Start the engine of a worker, whose first task would wait for it; return the release of lexport there."""
    engine()
    return __version__


def read_shard_task(body: bytes) -> Outcome:
    """Read one shard; return its result, or the error. ``body`` is an Order as JSON.

    The task leaves dask's threads, so that the process takes the next one, as soon as it may read one shard more.
    """
    from distributed import get_worker, secede

    order, worker = msgspec.json.decode(body, type=Order), get_worker()
    global _READING  # noqa: PLW0603 - counts what this process reads
    with _STARTING:
        _READING += 1
    try:
        send = partial(worker.log_event, order.topic)
        future = engine().start(order.run, partial(_read, engine(), order, str(worker.name), send))
        future.add_done_callback(_notify)
        with _STARTING:
            _STARTING.wait_for(lambda: future.done() or order.at_once > _READING)
        secede()
        return {"worker": worker.address, **outcome_of(future)}
    finally:
        with _STARTING:
            _READING -= 1
            _STARTING.notify_all()


def _notify(_: object) -> None:
    with _STARTING:
        _STARTING.notify_all()


async def _read(kept: Engine, order: Order, worker: str, send: Callable[[Any], None]) -> dict[str, Any]:
    run = kept.kept.get(order.run)
    if not isinstance(run, _OpenRun) or run.is_closed:
        run = kept.kept[order.run] = _OpenRun(order, worker, send, stop=partial(kept.stop_soon, order.run))
    result: ShardResult = await run.read(order.shard)
    notes = run.progress.notes
    return {"result": msgspec.to_builtins(result), "notes": tuple(notes)}


class _OpenRun:
    """A run that is open in this process, until no shard of it was read for a while."""

    def __init__(self, order: Order, worker: str, send: Callable[[Any], None], *, stop: Callable[[], None]) -> None:
        self.progress = Progress()
        self.is_closed = False
        self._order, self._worker, self._send, self._stop = order, worker, send, stop
        self._opened: asyncio.Future[tuple[Reading, Access]] = asyncio.get_running_loop().create_future()
        self._idle = asyncio.Event()
        self._users = 0
        self._host = asyncio.ensure_future(self._serve())

    async def read(self, shard: Shard) -> ShardResult:
        self._users += 1
        self._idle.clear()
        try:
            reading, access = await asyncio.shield(self._opened)
            finished = await to_thread.run_sync(finished_shard, reading.store, reading.snapshot_id, shard.scope)
            return finished or await read_own_shard(reading, access, shard)
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def close(self) -> None:
        """Close it now, without its shards, which have ended."""
        self.is_closed = True
        self._host.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._host

    async def _serve(self) -> None:
        """Keep the run open: a context of anyio is left by the task that entered it."""
        order = self._order
        own_try = OwnTry(worker=self._worker, most_tries=order.most_tries)
        own = OwnAccess() if order.parent is None else parent_access(order.parent)
        try:
            destination, mode = Destination(**order.destination), order.group_readable
            store = await to_thread.run_sync(partial(open_store, destination, group_readable=mode))
            spec = await to_thread.run_sync(read_plan, store, order.run)
            opening = open_reading(store, spec, own, own_try, run_attempt=order.run_attempt, progress=self.progress)
            watch = partial(self._watch_claim, store)
            async with opening as opened, in_background(self._report, watch, until=CancelScope()):
                self._opened.set_result(opened)
                await self._until_idle()
        except BaseException as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)
        finally:
            self.is_closed = True

    async def _until_idle(self) -> None:
        while True:
            await self._idle.wait()
            await sleep(IDLE_S)
            if self._idle.is_set():
                self.is_closed = True
                return

    async def _watch_claim(self, store: Store) -> None:
        """Stop reading when the process that planned the run is gone, or another one has taken the run over.

        Nothing else tells a worker of it: the shard that it reads is nobody's any more.
        """
        seen, changed_at_s = None, current_time()
        while True:
            await sleep(RENEW_EVERY_S)
            try:
                claim = await to_thread.run_sync(read_claim, store, self._order.run)
            except (OSError, RunError):
                continue
            if claim != seen:
                seen, changed_at_s = claim, current_time()
            is_over = claim is None or claim.is_released or claim.attempt != self._order.run_attempt
            if is_over or current_time() - changed_at_s > GONE_AFTER_S:
                self._stop()
                return

    async def _report(self) -> None:
        while True:
            await sleep(PROGRESS_EVERY_S)
            shards, self.progress.shards = self.progress.shards, []
            self.progress.shards = [shard for shard in shards if not shard.is_done]
            if shards:
                self._send([counts_of(shard) for shard in shards])


def counts_of(shard: ShardProgress) -> list[Any]:
    """Return the counters of a shard as plain values; ``add_counts`` reads them."""
    paces = [[pace.rate_per_s, pace.calls, pace.throttles] for pace in shard.pace()]
    flags = [shard.is_listed, shard.is_done]
    return [shard.scope.account_id, shard.scope.region, shard.listed, shard.fetched, shard.calls_due, *flags, paces]
