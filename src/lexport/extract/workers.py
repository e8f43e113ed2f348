"""A pool of workers over pages of items: the first free worker takes the next item of the page."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from anyio import EndOfStream, Lock, create_task_group
from anyio.abc import TaskGroup

from lexport.errors import ItemError, ShardError

SLOW_CALL_S = 0.6  # enough calls are in flight to reach the rate although every call takes this long
MOST_WORKERS = 64

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Pages(Protocol[T_co]):
    """The source of pages: the receiving end of a stream, or a queue on disk."""

    async def receive(self) -> Sequence[T_co]:
        """Wait for the next page; raises EndOfStream after the last."""

    async def aclose(self) -> None:
        """Take no more pages."""


def workers_for(rate_per_s: float) -> int:
    """Return how many calls to have in flight at a rate."""
    return min(MOST_WORKERS, max(2, math.ceil(rate_per_s * SLOW_CALL_S)))


async def pump(
    work: Callable[[T], Awaitable[None]], pages: Pages[T], on_error: Callable[[T, ItemError], None], *, workers: int
) -> None:
    """Run ``work`` on every item of every page; a failed item goes to ``on_error``. Closes ``pages``.

    The next page is received only when the current one is used up, so the source is never far ahead. A worker starts
    when there is an item for it: most account-regions of an organization are empty, and a waiting task takes 5 KB.
    A ShardError ends the pool, because it concerns every item. Cancelled: items that are not begun are dropped.
    """
    page: deque[T] = deque()
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
            while not page:
                async with fetching:  # one worker waits for the page; the rest wait for it
                    if not page:
                        try:
                            page.extend(await pages.receive())
                        except EndOfStream:
                            return
            item = page.popleft()
            waiting -= 1
            if not waiting and started < workers:
                start(tasks)
            try:
                await work(item)
            except ShardError:
                raise
            except ItemError as error:
                on_error(item, error)
            waiting += 1

    try:
        async with create_task_group() as tasks:
            start(tasks)
    finally:
        await pages.aclose()
