"""Hand the tasks of a run to workers, and collect what they leave: shards, and whatever else is split into tasks.

Each try of a task has a key of its own. A worker that dies makes dask run its tasks elsewhere; the store keeps the
tries apart, and each goes on from what the ones before have staged.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec
from anyio import CancelScope

from lexport.aws.waits import scaled
from lexport.errors import CredentialsError, RunError, SettingsError
from lexport.extract.cluster.shard_task import Order, ShardCounts, read_shard_task
from lexport.extract.cluster.stop import stop_stage
from lexport.extract.cluster.worker import Outcome, Stage, StoreAddress
from lexport.extract.progress import Progress, ShardProgress
from lexport.model import CallCounts, Scope, Shard, ShardResult
from lexport.settings import Destination

if TYPE_CHECKING:
    from distributed import Client, Future

AT_ONCE = 64  # shards of one process: more than a core can read at AWS's quota
MOST_SUBMITTED = 4_096  # tasks that the scheduler knows of at the same time
STOP_WITHIN_S = scaled(12.0)
LOOK_EVERY_S = scaled(10.0)

Task = Callable[[bytes], Outcome]
Take = Callable[[str, str, Any], str | None]
"""Takes the name of a task, its worker and what it left; returns why it has to be tried again, or None."""


class ClusterLostError(RunError):
    """The scheduler is gone; what was read is kept."""


@dataclass(slots=True, kw_only=True)
class WorkerCounts:
    """What one worker read. ``calls`` are those of shards; ``packages`` and ``bytes`` are what it stored."""

    worker: str
    shards: int = 0
    calls: int = 0
    versions: int = 0
    packages: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    name: str
    body: bytes
    rank: int
    number: int = 0
    failed_on: frozenset[str] = frozenset()


class Cluster:
    """The workers of one run, at a connected ``client``; ``parent`` is where those of this machine get credentials."""

    def __init__(
        self,
        client: Client,
        *,
        destination: Destination,
        group_readable: bool,
        run: str,
        attempt: int,
        retries: int,
        parent: str | None,
    ) -> None:
        self.run, self.attempt, self.parent = run, attempt, parent
        self.address = address_for_workers(destination, group_readable, is_own_machine=parent is not None)
        self._client, self._retries = client, retries
        self._counts: dict[str, WorkerCounts] = {}
        self._has_done = False
        self._name = f"{run}-{attempt}-{token_hex(4)}"

    def stage(self, task: Task) -> Stage:
        """Return what is stopped together with a task of this kind."""
        return Stage(self._name, task.__name__)

    async def count_workers(self) -> int:
        """Return how many workers there are at this moment; at least one."""
        return max(1, len(await self._worker_names()))

    def counts(self, worker: str) -> WorkerCounts:
        """Return the counts of a worker, to be added to."""
        return self._counts.setdefault(worker, WorkerCounts(worker=worker))

    @contextmanager
    def hearing(self, what: str, take: Callable[[Any], None]) -> Iterator[str]:
        """Give ``take`` all that workers send to a topic in the block; yield the topic."""
        topic = f"lexport-{self._name}-{what}"
        self._client.subscribe_topic(topic, lambda event: take(event[1]))
        try:
            yield topic
        finally:
            with suppress(Exception):
                self._client.unsubscribe_topic(topic)

    def workers(self) -> tuple[WorkerCounts, ...]:
        """Return what each worker read."""
        return tuple(self._counts[worker] for worker in sorted(self._counts))

    async def read_shards(
        self, shards: Sequence[Shard], sizes: Mapping[Scope, int], progress: Progress
    ) -> tuple[list[ShardResult], list[tuple[Shard, str]]]:
        """Read shards, the largest first; each is tried again elsewhere where its worker fails.

        Return the results, and the shards that no worker could read, each with the reason. Raises as ``run_tasks``.
        """
        ordered = sorted(shards, key=lambda shard: -sizes.get(shard.scope, 0))
        by_name = {f"{shard.scope.account_id}-{shard.scope.region}": shard for shard in ordered}
        results: list[ShardResult] = []
        shown, tries = _Shown(progress), dict.fromkeys(by_name, 0)

        def take(name: str, worker: str, done: Any) -> str | None:
            result = msgspec.convert(done["result"], ShardResult)
            for note in done["notes"]:
                progress.note(note)
            tries[name] += 1
            is_silent = not (result.is_answering or result.is_final or result.status == "denied")
            if is_silent and tries[name] <= self._retries:
                return "the Region did not answer there"
            counts = self.counts(worker)
            counts.shards += 1
            counts.calls += result.get_function_calls + result.list_calls
            counts.versions += result.references.rows
            results.append(result)
            shown.finish(result)
            return None

        at_once = max(1, min(AT_ONCE, math.ceil(len(ordered) / await self.count_workers())))
        with self.hearing("shards", shown.take) as topic:
            bodies = ((name, self._order(shard, at_once, topic)) for name, shard in by_name.items())
            failed = await self.run_tasks(read_shard_task, bodies, take, progress)
        return results, [(by_name[name], reason) for name, reason in failed.items()]

    def _order(self, shard: Shard, at_once: int, topic: str) -> bytes:
        return msgspec.json.encode(
            Order(
                address=self.address,
                run=self.run,
                run_attempt=self.attempt,
                shard=shard,
                most_tries=self._retries + 1,
                at_once=at_once,
                parent=self.parent,
                topic=topic,
                stage=self.stage(read_shard_task),
            )
        )

    async def run_tasks(
        self, task: Task, bodies: Iterable[tuple[str, bytes]], take: Take, progress: Progress
    ) -> dict[str, str]:
        """Run a task for each named body, in this order; return the names of those that failed everywhere, and why.

        A task that fails is tried again on another worker. Raises ClusterLostError where the scheduler is gone,
        SettingsError and CredentialsError where no worker can do anything for a reason that is not a task's.
        Cancelled: the workers write what they have and stop.
        """
        first = (_Try(name=name, body=body, rank=rank) for rank, (name, body) in enumerate(bodies))
        again: deque[_Try] = deque()
        running: dict[asyncio.Task[Outcome], _Try] = {}
        failed: dict[str, str] = {}
        try:
            while True:
                while len(running) < MOST_SUBMITTED and (one := again.popleft() if again else next(first, None)):
                    running[asyncio.ensure_future(self._submit(task, one))] = one
                if not running:
                    break
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    if (repeated := self._settle(running.pop(each), each.result(), take, progress, failed)) is not None:
                        again.append(repeated)
        except BaseException:
            for each in running:
                each.cancel()
            await self._stop(task)
            raise
        return failed

    async def _submit(self, task: Task, one: _Try) -> Outcome:
        """Submit one try, and return its outcome."""
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker

        workers = await self._others(one.failed_on)
        future: Future[Any] = self._client.submit(
            task,
            one.body,
            key=f"lexport-{self._name}-{task.__name__}-{one.name}-{one.number}",
            priority=-one.rank,
            workers=workers,
            allow_other_workers=False,  # a worker that fails at once is idle, and would steal it back
            pure=False,
        )
        try:
            outcome = await self._outcome(future, workers)
        except FutureCancelledError:
            raise ClusterLostError("the scheduler of dask is gone, so nothing was published") from None
        except KilledWorker as error:
            address = getattr(error.last_worker, "address", error.last_worker)
            return {"error": {"kind": "run", "message": f"its worker {address} died, more than once"}}
        except Exception as error:  # noqa: BLE001 - the task itself raises nothing: it could not be run
            return {"error": {"kind": "run", "message": f"it could not be run: {type(error).__name__}: {error}"[:500]}}
        finally:
            future.release()
        return outcome

    async def _outcome(self, future: Future[Any], workers: list[str] | None) -> Outcome:
        """Wait for the outcome of a task; one whose ``workers`` are all gone would wait for ever."""
        waiting = asyncio.ensure_future(_result(future))
        try:
            while not (await asyncio.wait({waiting}, timeout=LOOK_EVERY_S))[0]:
                if workers and (names := await self._worker_names()) and not set(workers) & names:
                    return {"error": {"kind": "run", "message": "the workers that it was left for are gone"}}
            return await waiting
        finally:
            waiting.cancel()

    async def _worker_names(self) -> set[str]:
        """Ask the scheduler for its workers: what an asynchronous client has kept of them may name none."""
        scheduler = self._client.scheduler
        if scheduler is None:
            return set()
        try:
            return set((await scheduler.identity(n_workers=-1))["workers"])
        except (OSError, TimeoutError, RuntimeError):
            return set()

    async def _others(self, failed_on: frozenset[str]) -> list[str] | None:
        """Return the workers for a try after others failed: those that did not fail, where there are any."""
        return (sorted(await self._worker_names() - failed_on) or None) if failed_on else None

    def _settle(
        self, one: _Try, outcome: Outcome, take: Take, progress: Progress, failed: dict[str, str]
    ) -> _Try | None:
        """Take the outcome of a try; return the next try of the task, where there is one."""
        worker = str(outcome.get("worker", ""))
        error = outcome.get("error")
        reason: str | None
        if error is None:
            self._has_done = True
            reason = take(one.name, worker, outcome["done"])
            if reason is None:
                return None
        else:
            reason = str(error["message"])
            if error["kind"] in ("credentials", "settings") and not self._has_done and one.number >= self._retries:
                family = CredentialsError if error["kind"] == "credentials" else SettingsError
                raise family(f"no worker can read: {reason}; nothing was read")
        if one.number >= self._retries:
            failed[one.name] = reason
            progress.note(f"{one.name}: failed {one.number + 1} times, the last time: {reason}")
            return None
        progress.note(f"{one.name}: a try on {worker or 'a worker'} failed and is repeated: {reason}")
        return replace(one, number=one.number + 1, failed_on=one.failed_on | ({worker} if worker else set()))

    async def _stop(self, task: Task) -> None:
        """Let every worker write what it has in memory, and begin no task of this kind that is on its way to it."""
        with CancelScope(shield=True), suppress(Exception):
            stopping = self._client.run(stop_stage, *self.stage(task), on_error="ignore")
            await asyncio.wait_for(stopping, STOP_WITHIN_S)


def address_for_workers(dest: Destination, group_readable: bool, *, is_own_machine: bool) -> StoreAddress:  # noqa: FBT001 - a setting
    """Return the destination as workers open it: with their own credentials, unless they are of this machine."""
    own = dest if is_own_machine else replace(dest, dest_profile=None)
    return StoreAddress(msgspec.to_builtins(own), group_readable)


class _Shown:
    """The progress of the shards that the workers read, as they report it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._shards: dict[Scope, ShardProgress] = {}
        self._calls, own = CallCounts(), progress.calls
        progress.calls = lambda: own() + self._calls

    def take(self, sent: Any) -> None:
        for counts in msgspec.convert(sent, list[ShardCounts]):
            shard = self._shard(counts.scope)
            shard.listed, shard.fetched = counts.listed, counts.fetched
            shard.functions_listed, shard.functions_counted = counts.functions_listed, counts.functions_counted
            shard.asked, shard.answered = Counter(counts.asked), Counter(counts.answered)
            shard.is_listed = counts.is_listed or shard.is_listed
            if counts.is_done:
                shard.finish()
            shard.pace = partial(getattr, counts, "pace")

    def finish(self, result: ShardResult) -> None:
        shard = self._shard(result.shard.scope)
        shard.finish()
        shard.listed = shard.fetched = result.references.listed
        self._calls += CallCounts(
            by_operation=Counter(result.calls), retries=result.retries, throttles=result.throttles
        )
        self._progress.kept.finish_shard()

    def _shard(self, scope: Scope) -> ShardProgress:
        if scope not in self._shards:
            self._shards[scope] = ShardProgress(scope=scope, versions_before=self._progress.versions_before.get(scope))
            self._progress.shards.append(self._shards[scope])
        return self._shards[scope]


async def _result(future: Future[Any]) -> Outcome:
    outcome: Outcome = await future
    return outcome
