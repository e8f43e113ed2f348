"""The pump on both event loops: each item once, never far ahead, nothing left behind."""

from __future__ import annotations

import anyio
import pytest
from trio.testing import MockClock

from lexport.errors import FetchError, ListingError
from lexport.extract.workers import pump

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param, {"clock": MockClock(autojump_threshold=0)} if request.param == "trio" else {}


class Pages:
    """Pages in a list; knows how far it was read and whether it was closed."""

    def __init__(self, *pages):
        self.left = list(pages)
        self.handed = 0
        self.closed = 0
        self.receiving = 0

    async def receive(self):
        self.receiving += 1
        assert self.receiving == 1, "two workers wait for the same page"
        await anyio.lowlevel.checkpoint()
        self.receiving -= 1
        if not self.left:
            raise anyio.EndOfStream
        page = self.left.pop(0)
        self.handed += len(page)
        return page

    async def aclose(self):
        self.closed += 1


def never(item, error):
    raise AssertionError(f"{item} was lost: {error}")


@pytest.mark.parametrize("workers", [1, 2, 7, 64])
async def test_each_item_once(workers):
    """Every item of every page is worked on once, empty pages are passed over, the source is closed once."""
    pages, done = Pages([1, 2, 3], [], [4], [], [], list(range(5, 50))), []

    async def work(item):
        await anyio.lowlevel.checkpoint()
        done.append(item)

    await pump(work, pages, never, workers=workers)

    assert sorted(done) == list(range(1, 50))
    assert pages.closed == 1


async def test_no_pages():
    """A source without pages is at its end at once."""
    pages = Pages()
    await pump(None, pages, never, workers=3)

    assert pages.closed == 1


async def test_one_worker_keeps_the_order():
    """A single worker goes item by item, in order."""
    done = []

    async def work(item):
        done.append(item)

    await pump(work, Pages([1, 2], [3]), never, workers=1)

    assert done == [1, 2, 3]


async def test_all_workers_at_once():
    """As many items are in the works as there are workers, if there are so many."""
    running, most = 0, 0

    async def work(item):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.wait_all_tasks_blocked()
        running -= 1

    await pump(work, Pages(range(20), range(20)), never, workers=5)

    assert most == 5


async def test_looks_no_further_than_one_page():
    """The next page is taken when the one at hand is used up, not before."""
    pages = Pages(*([1, 2, 3, 4] for _ in range(10)))
    begun = 0
    gate = anyio.Event()

    async def work(item):
        nonlocal begun
        begun += 1
        assert pages.handed - begun < 4
        await gate.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: pump(work, pages, never, workers=6))
        await anyio.wait_all_tasks_blocked()

        assert (begun, pages.handed) == (6, 8)
        gate.set()

    assert begun == 40


async def test_lost_items_do_not_stop_the_rest():
    """An item that is lost is handed over with its error; all others are done."""
    lost, done = [], []

    async def work(item):
        if item % 3 == 0:
            raise FetchError(f"no {item}", code="x")
        done.append(item)

    await pump(work, Pages(range(10)), lambda item, error: lost.append((item, str(error))), workers=4)

    assert sorted(done) == [1, 2, 4, 5, 7, 8]
    assert sorted(lost) == [(0, "no 0"), (3, "no 3"), (6, "no 6"), (9, "no 9")]


@pytest.mark.parametrize("error", [ListingError("ended", code="x"), ZeroDivisionError("ours")])
async def test_what_is_not_one_items_ends_the_pump(error):
    """A ShardError, and whatever is no ItemError, stops every worker and closes the source."""
    pages, done, stopped = Pages([0, 1, 2], [3]), [], []

    async def work(item):
        if item == 1:
            await anyio.lowlevel.checkpoint()
            raise error
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append(item)
        done.append(item)

    with pytest.raises(ExceptionGroup) as group:
        await pump(work, pages, never, workers=3)

    assert group.value.exceptions == (error,)
    assert (done, sorted(stopped), pages.closed) == ([], [0, 2], 1)


async def test_a_source_that_breaks():
    """An error of the source ends the pump and closes the source."""
    pages = Pages([1])

    async def broken():
        raise OSError("disk")

    pages.receive = broken
    with pytest.raises(ExceptionGroup) as group:
        await pump(None, pages, never, workers=3)

    assert {type(error) for error in group.value.exceptions} == {OSError}  # one from each worker that asked
    assert pages.closed == 1


async def test_cancelled_at_work():
    """Cancelled, the pump drops what is not begun, stops what is, closes the source and leaves no task."""
    pages, begun, stopped = Pages([1, 2, 3, 4], [5]), [], []

    async def work(item):
        begun.append(item)
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append(item)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: pump(work, pages, never, workers=2))
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    assert (begun, sorted(stopped), pages.closed, pages.left) == ([1, 2], [1, 2], 1, [[5]])


async def test_cancelled_while_waiting_for_a_page():
    """Cancelled while a stream is empty, the pump closes its end, so that the sender learns of it."""
    pages_out, pages = anyio.create_memory_object_stream(0)
    async with pages_out:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: pump(None, pages, never, workers=3))
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        with pytest.raises(anyio.BrokenResourceError):
            await pages_out.send([1])

        assert pages_out.statistics().open_receive_streams == 0


async def test_a_stream_of_pages():
    """A stream's end reaches every worker."""
    pages_out, pages = anyio.create_memory_object_stream(1)
    done = []

    async def work(item):
        done.append(item)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: pump(work, pages, never, workers=4))
        async with pages_out:
            for page in ([1, 2], [3], []):
                await pages_out.send(page)

    assert sorted(done) == [1, 2, 3]
