"""The worker's side: one event loop for all tasks of a process, and one open reading for each run.

dask calls a task in a thread. All tasks of a process share the loop, so that all shards that it reads share its
connections, its quotas and its memory, as they do without dask.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from anyio import CancelScope, to_thread

from lexport.aws.logs import set_up_worker
from lexport.aws.redact import remove_presigned_urls
from lexport.aws.waits import scaled
from lexport.dataset.open_store import open_store
from lexport.dataset.store import Store
from lexport.errors import CredentialsError, LexportError, PublishError, SettingsError
from lexport.extract.event_loop import allow_many_files, loop_factory, rare_collection
from lexport.settings import Destination

T = TypeVar("T")

MOST_CHARACTERS = 2_000
IDLE_S = scaled(20.0)  # what no task has used for so long is closed; the next task opens it again
STOP_WITHIN_S = scaled(11.0)  # the rows in memory are written within ten

_CHANGED = threading.Condition()
_RUNNING = 0  # tasks of this process

Outcome = dict[str, Any]
"""What a task returns: ``done``, or ``error`` with its kind and message. An exception would be logged with its task."""


class Stage(NamedTuple):
    """The tasks of one kind that a ``Cluster`` hands out: ``cluster`` is its name, ``kind`` that of their function."""

    cluster: str
    kind: str


class StoreAddress(msgspec.Struct, frozen=True):
    """The destination as a worker opens it; it is part of every order."""

    destination: dict[str, Any]
    group_readable: bool

    async def open(self) -> Store:
        """Open it; raises as ``open_store``."""
        destination = Destination(**self.destination)
        return await to_thread.run_sync(partial(open_store, destination, group_readable=self.group_readable))


class Engine:
    """The event loop of this process, in a thread of its own, and what its tasks keep open between them."""

    def __init__(self) -> None:
        self.kept: dict[Stage, KeptOpen[Any]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_ready = threading.Event()
        self._tasks: dict[asyncio.Task[Any], Stage] = {}
        self._stopped: set[Stage] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        allow_many_files()
        threading.Thread(target=self._serve, name="lexport", daemon=True).start()
        self._is_ready.wait()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner, rare_collection():
            self._loop = runner.get_loop()
            self._loop.call_soon(self._is_ready.set)
            runner.run(asyncio.Event().wait())

    def start(self, stage: Stage, work: Callable[[], Awaitable[Any]]) -> Future[Any]:
        """Start a coroutine that belongs to a stage; it is cancelled at once where the stage was stopped.

        Dask may have sent a task before it learned of the stop, and calls it as soon as a task before it has ended.
        """
        assert self._loop is not None

        async def watched() -> Any:
            if stage in self._stopped:
                raise asyncio.CancelledError
            task = asyncio.current_task()
            assert task is not None
            self._tasks[task] = stage
            try:
                return await work()
            finally:
                del self._tasks[task]

        return asyncio.run_coroutine_threadsafe(watched(), self._loop)

    def stop(self, stage: Stage) -> None:
        """Cancel what a cluster does here, and wait until its rows are written. Blocking.

        No task of this stage begins any more. Another one may follow: the commit of what was read until a deadline.
        """
        assert self._loop is not None
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._stop(stage), self._loop).result(STOP_WITHIN_S)

    def stop_soon(self, stage: Stage) -> None:
        """Do what ``stop`` does, without waiting for it; called within the event loop."""
        stopping = asyncio.ensure_future(self._stop(stage))
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)

    async def _stop(self, stage: Stage) -> None:
        self._stopped.add(stage)
        tasks = [task for task, each in self._tasks.items() if each.cluster == stage.cluster]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for each in [each for each in self.kept if each.cluster == stage.cluster]:
            await self.kept.pop(each).close()

    def keep_open(self, stage: Stage, opening: Callable[[], AbstractAsyncContextManager[T]]) -> KeptOpen[T]:
        """Return what is open for a stage, or open it. To be called in the loop."""
        kept = self.kept.get(stage)
        if kept is None or kept.is_closed:
            kept = self.kept[stage] = KeptOpen(opening)
        return kept


class KeptOpen(Generic[T]):
    """A context that stays open between tasks, until none has used it for a while."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self.is_closed = False
        self._opening = opening
        self._opened: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._idle = asyncio.Event()
        self._users: set[CancelScope] = set()
        self._host = asyncio.ensure_future(self._serve())
        for future in (self._opened, self._host):
            future.add_done_callback(_retrieve)

    @asynccontextmanager
    async def use(self) -> AsyncIterator[T]:
        """Use it in the block. Raises what opening it raised; where it fails meanwhile, the block is cancelled.

        It fails on its own where what it does beside its users fails, such as writing the rows of all of them.
        """
        self._idle.clear()
        with CancelScope() as user:
            self._users.add(user)
            try:
                yield await asyncio.shield(self._opened)
            finally:
                self._users.discard(user)
                if not self._users:
                    self._idle.set()
        if user.cancelled_caught:
            await self._host  # which ends with its error

    async def close(self) -> None:
        """Close it now; its users have ended."""
        self.is_closed = True
        self._host.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._host

    async def _serve(self) -> None:
        """Open it, and close it when it is idle: a context of anyio is left by the task that entered it."""
        try:
            async with self._opening() as opened:
                self._opened.set_result(opened)
                while not self.is_closed:
                    await self._idle.wait()
                    await asyncio.sleep(IDLE_S)
                    self.is_closed = self._idle.is_set()
        except BaseException as error:
            if self._opened.done():
                for user in self._users:
                    user.cancel()
                raise
            if isinstance(error, asyncio.CancelledError):
                self._opened.cancel()
            else:
                self._opened.set_exception(error)
        finally:
            self.is_closed = True


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Take the error of a future, which asyncio would print as one that nobody has seen."""
    if not future.cancelled():
        future.exception()


@cache
def engine() -> Engine:
    """Return the engine of this process."""
    return Engine()


@dataclass(frozen=True, slots=True)
class ThisWorker:
    """The worker of dask that runs a task: its name, its folder for files, and what sends a value to a topic."""

    name: str
    folder: Path
    send: Callable[[str, Any], None]


def this_worker() -> ThisWorker:
    """Return the worker that runs this task; to be called in its thread."""
    from distributed import get_worker

    worker = get_worker()
    return ThisWorker(str(worker.name), Path(worker.local_directory), worker.log_event)


def run_in_engine(stage: Stage, work: Callable[[], Awaitable[Any]], *, at_once: int = 1) -> Outcome:
    """Run a coroutine that belongs to a stage, in the thread that dask calls a task in; return its outcome.

    The task leaves dask's threads, so that the process takes the next one, while fewer than ``at_once`` run in it.
    """
    from distributed import get_worker, secede

    worker = get_worker()
    set_up_worker(str(worker.name))
    global _RUNNING  # noqa: PLW0603 - counts what this process does
    with _CHANGED:
        _RUNNING += 1
    try:
        future = engine().start(stage, work)
        future.add_done_callback(_notify)
        with _CHANGED:
            _CHANGED.wait_for(lambda: future.done() or at_once > _RUNNING)
        secede()
        return {"worker": worker.address, **outcome_of(future)}
    finally:
        with _CHANGED:
            _RUNNING -= 1
            _CHANGED.notify_all()


def _notify(_: object) -> None:
    with _CHANGED:
        _CHANGED.notify_all()


def outcome_of(future: Future[Any]) -> Outcome:
    """Wait for a coroutine of the engine; return its outcome."""
    try:
        return {"done": future.result()}
    except BaseException as error:  # noqa: BLE001 - whatever it is, the coordinator has to know
        return {"error": describe(error)}


def describe(error: BaseException) -> dict[str, Any]:
    """Return the kind and the message of an error: without a traceback, and of ours alone the text."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, asyncio.CancelledError | CancelledError):
        return {"kind": "cancelled", "message": "it was cancelled"}
    if isinstance(error, LexportError):
        kinds = ((CredentialsError, "credentials"), (SettingsError, "settings"), (PublishError, "published"))
        kind = next((name for family, name in kinds if isinstance(error, family)), "run")
        return {"kind": kind, "message": " ".join(str(error).split())[:MOST_CHARACTERS]}
    if isinstance(error, OSError):
        text = f"{error.filename or type(error).__name__}: {error.strerror or type(error).__name__}"
        return {"kind": "run", "message": remove_presigned_urls(text)[:MOST_CHARACTERS]}
    at = traceback.extract_tb(error.__traceback__)
    place = f" at line {at[-1].lineno} of {Path(at[-1].filename).name}" if at else ""
    return {"kind": "run", "message": f"internal error: {type(error).__name__}{place}; please report it"}
