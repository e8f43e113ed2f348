"""Up to N workers over pages of work. A page is shared: whoever is free takes its next item."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from anyio import EndOfStream, Lock, create_task_group
from anyio.abc import TaskGroup

from lexport.errors import ItemError, ShardError

SLOW_CALL_S = 0.6  # calls in flight are so many that a rate is reached although each takes this long
MOST_WORKERS = 64

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Pages(Protocol[T_co]):
    """Where pages come from: the receiving end of a stream, or a spool."""

    async def receive(self) -> Sequence[T_co]:
        """Wait for the next page; raises EndOfStream after the last."""

    async def aclose(self) -> None:
        """Take no more pages."""


def workers_for(rate_per_s: float) -> int:
    """Return how many calls to have in flight at a rate."""
    return min(MOST_WORKERS, max(2, math.ceil(rate_per_s * SLOW_CALL_S)))


async def pump(
    work: Callable[[T], Awaitable[None]],
    pages: Pages[T],
    lose: Callable[[T, ItemError], None],
    *,
    workers: int,
) -> None:
    """Run ``work`` on every item of every page; what is lost goes to ``lose``. Closes ``pages``.

    The next page is asked for only when the one at hand is used up, so the source is never far ahead. Workers come as
    there is work for them: most account-regions of an organization are empty, and a waiting task takes 5 KB.
    A ShardError is not one item's: it ends the pump. Cancelled: items not begun are dropped.
    """
    shelf: deque[T] = deque()
    fetching = Lock()
    started = waiting = 0

    def start(tasks: TaskGroup) -> None:
        nonlocal started, waiting
        started += 1
        waiting += 1
        tasks.start_soon(drain, tasks)

    async def drain(tasks: TaskGroup) -> None:
        nonlocal waiting
        while True:
            while not shelf:
                async with fetching:  # one worker waits for the page; the rest wait for it
                    if not shelf:
                        try:
                            shelf.extend(await pages.receive())
                        except EndOfStream:
                            return
            item = shelf.popleft()
            waiting -= 1
            if not waiting and started < workers:
                start(tasks)
            try:
                await work(item)
            except ShardError:
                raise
            except ItemError as error:
                lose(item, error)
            waiting += 1

    try:
        async with create_task_group() as tasks:
            start(tasks)
    finally:
        await pages.aclose()
