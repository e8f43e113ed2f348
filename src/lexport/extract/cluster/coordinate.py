"""Hand the shards of a run to workers, and collect their results.

Each try of a shard is a task with a key of its own. A worker that dies makes dask run its tasks elsewhere; the store
keeps the tries apart, and each goes on from what the ones before have staged.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from anyio import CancelScope

from lexport.aws.waits import scaled
from lexport.errors import CredentialsError, RunError, SettingsError
from lexport.extract.cluster.shard_task import Order, read_shard_task
from lexport.extract.cluster.stop import stop_run
from lexport.extract.progress import Progress, ShardProgress
from lexport.model import PaceReading, Scope, Shard, ShardResult
from lexport.settings import Destination

if TYPE_CHECKING:
    from distributed import Client, Future

AT_ONCE = 64  # shards of one process: more than a core can read at AWS's quota
MOST_SUBMITTED = 4_096  # tasks that the scheduler knows of at the same time
STOP_WITHIN_S = scaled(12.0)


class ClusterLostError(RunError):
    """The scheduler is gone; what was read is kept."""


@dataclass(slots=True, kw_only=True)
class WorkerCounts:
    """What one worker did."""

    worker: str
    shards: int = 0
    calls: int = 0
    versions: int = 0


@dataclass(slots=True)
class _Try:
    shard: Shard
    number: int
    priority: int
    failed_on: str | None = None


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
        self._client, self._run_id, self._attempt = client, run, attempt
        self._destination, self._group_readable = destination, group_readable
        self._retries, self._parent = retries, parent
        self._topic = f"lexport-{run}"
        self._counts: dict[str, WorkerCounts] = {}
        self._results: list[ShardResult] = []
        self._failed: list[tuple[Shard, str]] = []

    def workers(self) -> tuple[WorkerCounts, ...]:
        """Return what each worker read."""
        return tuple(self._counts[worker] for worker in sorted(self._counts))

    async def read_shards(
        self, shards: Sequence[Shard], sizes: Mapping[Scope, int], progress: Progress
    ) -> tuple[list[ShardResult], list[tuple[Shard, str]]]:
        """Read shards, the largest first; each is tried again elsewhere where its worker fails.

        Raises ClusterLostError where the scheduler is gone, SettingsError and CredentialsError where no worker can read
        anything for a reason that is not a shard's. Cancelled: the workers write what they have and stop.
        """
        ordered = sorted(shards, key=lambda shard: -sizes.get(shard.scope, 0))
        waiting = deque(_Try(shard, 0, -rank) for rank, shard in enumerate(ordered))
        shown = _Shown(progress)
        self._client.subscribe_topic(self._topic, shown.take)
        running: dict[asyncio.Task[dict[str, Any]], _Try] = {}
        try:
            while waiting or running:
                while waiting and len(running) < MOST_SUBMITTED:
                    one = waiting.popleft()
                    running[asyncio.ensure_future(self._run(one, len(ordered)))] = one
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    again = self._settle(running.pop(task), task.result(), shown)
                    if again is not None:
                        waiting.appendleft(again)
        except BaseException:
            for task in running:
                task.cancel()
            await self._stop()
            raise
        finally:
            with suppress(Exception):
                self._client.unsubscribe_topic(self._topic)
        return self._results, self._failed

    async def _run(self, one: _Try, shards: int) -> dict[str, Any]:
        """Submit one try, and return its outcome."""
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker

        client, scope = self._client, one.shard.scope
        workers = self._others(one.failed_on)
        order = Order(
            destination=destination_for_workers(self._destination, is_own_machine=self._parent is not None),
            group_readable=self._group_readable,
            run=self._run_id,
            run_attempt=self._attempt,
            shard=one.shard,
            most_tries=self._retries + 1,
            at_once=max(1, min(AT_ONCE, math.ceil(shards / max(1, len(client.scheduler_info()["workers"]))))),
            parent=self._parent,
            topic=self._topic,
        )
        future: Future[Any] = client.submit(
            read_shard_task,
            msgspec.json.encode(order),
            key=f"lexport-{self._run_id}-{self._attempt}-{scope.account_id}-{scope.region}-{one.number}",
            priority=one.priority,
            workers=workers,
            allow_other_workers=bool(workers),
            pure=False,
        )
        try:
            outcome: dict[str, Any] = await future
        except FutureCancelledError:
            raise self._lost() from None
        except KilledWorker as error:
            return {"error": {"kind": "run", "message": f"its worker {error.last_worker} died, more than once"}}
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the task itself raises nothing: it could not be run
            return {"error": {"kind": "run", "message": f"it could not be run: {type(error).__name__}: {error}"[:500]}}
        finally:
            future.release()
        return outcome

    def _others(self, failed_on: str | None) -> list[str] | None:
        """Return the workers for a try after one failed: all but that one, where there are others."""
        if failed_on is None:
            return None
        return [name for name in self._client.scheduler_info()["workers"] if name != failed_on] or None

    def _lost(self) -> ClusterLostError:
        return ClusterLostError("the scheduler of dask is gone, so nothing was published")

    def _settle(self, one: _Try, outcome: dict[str, Any], shown: _Shown) -> _Try | None:
        """Take the outcome of a try; return the next try of its shard, where there is one."""
        worker = str(outcome.get("worker", ""))
        if "done" in outcome:
            result = msgspec.convert(outcome["done"]["result"], ShardResult)
            for note in outcome["done"]["notes"]:
                shown.progress.note(note)
            if result.is_answering or result.is_final or result.status == "denied" or one.number >= self._retries:
                counts = self._counts.setdefault(worker, WorkerCounts(worker=worker))
                counts.shards += 1
                counts.calls += result.get_function_calls + result.list_calls
                counts.versions += result.references.rows
                self._results.append(result)
                shown.finish(result)
                return None
            reason = "the Region did not answer there"
        else:
            error = outcome["error"]
            reason = error["message"]
            if error["kind"] in ("credentials", "settings") and not self._results and one.number >= self._retries:
                family = CredentialsError if error["kind"] == "credentials" else SettingsError
                raise family(f"no worker can read: {reason}; nothing was read")
            if one.number >= self._retries:
                self._failed.append((one.shard, reason))
                shown.progress.note(f"{one.shard.scope}: not read after {one.number + 1} tries: {reason}")
                return None
        shown.progress.note(f"{one.shard.scope}: a try on {worker or 'a worker'} failed and is repeated: {reason}")
        return _Try(one.shard, one.number + 1, one.priority, worker or None)

    async def _stop(self) -> None:
        """Let every worker write what it has in memory, and stop."""
        with CancelScope(shield=True), suppress(Exception):
            await asyncio.wait_for(self._client.run(stop_run, self._run_id, on_error="ignore"), STOP_WITHIN_S)


def destination_for_workers(dest: Destination, *, is_own_machine: bool) -> dict[str, Any]:
    """Return the destination as workers open it: with their own credentials, unless they are of this machine."""
    values: dict[str, Any] = msgspec.to_builtins(dest)
    return values if is_own_machine else values | {"dest_profile": None}


class _Shown:
    """The progress of the shards that the workers read, as they report it."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._shards: dict[Scope, ShardProgress] = {}

    def take(self, event: tuple[float, Any]) -> None:
        for account_id, region, listed, fetched, calls_due, is_listed, is_done, paces in event[1]:
            shard = self._shard(Scope(account_id=account_id, region=region))
            shard.listed, shard.fetched, shard.calls_due = listed, fetched, calls_due
            shard.is_listed, shard.is_done = is_listed, is_done or shard.is_done
            readings = tuple(PaceReading(rate_per_s=rate, calls=calls, throttles=no) for rate, calls, no in paces)
            shard.pace = _constant(readings)

    def finish(self, result: ShardResult) -> None:
        shard = self._shard(result.shard.scope)
        shard.is_listed = shard.is_done = True
        shard.listed = shard.fetched = result.references.listed
        self.progress.kept.finish_shard()

    def _shard(self, scope: Scope) -> ShardProgress:
        if scope not in self._shards:
            self._shards[scope] = ShardProgress(scope=scope)
            self.progress.shards.append(self._shards[scope])
        return self._shards[scope]


def _constant(readings: tuple[PaceReading, ...]) -> Callable[[], Any]:
    return lambda: readings
