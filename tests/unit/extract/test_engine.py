"""The event loop of a worker of dask: what belongs to a stopped stage ends, and nothing of it begins afterwards."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from multiprocessing import get_context

import anyio
import pytest

from lexport.errors import RunError
from lexport.extract.cluster.worker import KeptOpen, Stage, describe, engine, outcome_of

CANCELLED = {"error": {"kind": "cancelled", "message": "it was cancelled"}}


@pytest.fixture(scope="module")
def in_worker():
    """Call a function in a process of its own: an engine never ends, and changes how memory is collected."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield lambda function, *arguments: pool.submit(function, *arguments).result(60)


class Work:
    """A task that waits until it is cancelled, and then writes what it has."""

    def __init__(self):
        self.begun = threading.Event()
        self.has_written = False

    async def __call__(self):
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.has_written = True


async def answer():
    return "done"


def stop_one_of_two():
    """Return what its task, that of the other and one that comes late did, and what the first two left."""
    work, other, late = Work(), Work(), Work()
    first, second = engine().start(Stage("one", "fetch"), work), engine().start(Stage("other", "fetch"), other)
    assert work.begun.wait(10)
    assert other.begun.wait(10)
    engine().stop(Stage("one", "fetch"))
    done = work.has_written, other.has_written
    left = [outcome_of(first), outcome_of(engine().start(Stage("one", "fetch"), late))]
    engine().stop(Stage("other", "fetch"))
    return done, left, late.begun.is_set(), (outcome_of(second), other.has_written)


def answer_after_stop():
    engine().stop(Stage("third", "fetch"))
    return outcome_of(engine().start(Stage("third", "write"), answer))


def test_a_stopped_stage(in_worker):
    """``stop`` returns when its tasks have written what they had; one that dask calls later does not begin."""
    done, left, has_begun, other = in_worker(stop_one_of_two)
    assert (done, has_begun) == ((True, False), False)
    assert left == [CANCELLED, CANCELLED]
    assert other == (CANCELLED, True)


def test_the_commit_after_a_deadline(in_worker):
    """What was read until then is written by tasks on the same workers."""
    assert in_worker(answer_after_stop) == {"done": "done"}


@pytest.mark.asyncio
async def test_what_tasks_share_fails():
    """The tasks that use it end with its error: their connections are closed, so that all their calls would fail."""
    fails, ended = asyncio.Event(), []

    async def fail():
        await fails.wait()
        raise RunError("no room for the rows")

    @asynccontextmanager
    async def opening():
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            yield "shared"
            group.cancel_scope.cancel()

    async def use(number):
        try:
            async with kept.use() as shared:
                assert shared == "shared"
                if number == 2:
                    fails.set()
                await asyncio.Event().wait()
        except Exception as error:  # noqa: BLE001 - a group of them
            ended.append(describe(error)["message"])

    kept = KeptOpen(opening)
    with anyio.fail_after(10):
        await asyncio.gather(*map(use, range(3)))
    assert ended == ["no room for the rows"] * 3
    assert kept.is_closed
