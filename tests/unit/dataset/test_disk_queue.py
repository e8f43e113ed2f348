"""A queue on disk: every line, in order, to the end."""

from __future__ import annotations

import anyio
import pytest

from lexport.dataset.disk_queue import PAGE_LINES, DiskQueue
from lexport.extract.workers import pump

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
def queue(tmp_path):
    with DiskQueue(tmp_path / "names.txt") as names:
        yield names


async def read_all(queue):
    pages = []
    while True:
        try:
            pages.append(await queue.receive())
        except anyio.EndOfStream:
            return pages


async def test_order(queue):
    """Names come out as they went in, by pages, however they were put."""
    names = [f"name-{number}" for number in range(3 * PAGE_LINES + 7)]
    queue.put(names[:1])
    queue.put([])
    queue.put(names[1:60])
    queue.put(iter(names[60:]))
    queue.end()

    assert queue.waiting == len(names)
    pages = await read_all(queue)

    assert [len(page) for page in pages] == [PAGE_LINES] * 3 + [7]
    assert [name for page in pages for name in page] == names
    assert queue.waiting == 0


async def test_the_end_comes_again(queue):
    """After the end there is no name for anybody, however often one asks."""
    queue.put(["a"])
    queue.end()

    assert await queue.receive() == ["a"]
    for _ in range(3):
        with pytest.raises(anyio.EndOfStream):
            await queue.receive()


async def test_opened_again(tmp_path, queue):
    """A queue that was written to its end is received from its begin each time it is opened again."""
    queue.put(f"line {number}" for number in range(PAGE_LINES + 1))
    queue.end()

    for _ in range(2):
        with DiskQueue(tmp_path / "names.txt", written=PAGE_LINES + 1) as again:
            assert again.waiting == PAGE_LINES + 1
            assert [line async for line in again] == [f"line {number}" for number in range(PAGE_LINES + 1)]
            with pytest.raises(anyio.EndOfStream):
                await again.receive()


async def test_waits_for_news(queue):
    """A reader waits for the next name, and for the end."""
    pages = []

    async def read():
        pages.extend(await read_all(queue))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        for names in (["a"], ["b", "c"], ["d"]):
            await anyio.wait_all_tasks_blocked()
            queue.put(names)
        await anyio.wait_all_tasks_blocked()

        assert pages == []
        queue.end()

    assert pages == [["a"], ["b", "c"], ["d"]]


@pytest.mark.parametrize("name", ["a b", "a\rb", "\r", "a\x0cb", "a\x85b", "a\u2028b", "ключ", "\U0001f40d", " ", ""])
async def test_odd_names(queue, name):
    """No character but the line feed ends a name."""
    queue.put(["before", name, "after"])
    queue.end()

    assert await read_all(queue) == [["before", name, "after"]]


@pytest.mark.slow
async def test_a_long_queue(queue, tmp_path):
    """A hundred thousand names wait on disk while others come and go; reader and writer take turns."""
    read = []
    for start in range(0, 100_000, 500):
        queue.put(f"{number:>100}" for number in range(start, start + 500))
        read += await queue.receive()
        read += await queue.receive()
    queue.end()
    for page in await read_all(queue):
        read += page

    assert read == [f"{number:>100}" for number in range(100_000)]
    assert (tmp_path / "names.txt").stat().st_size == 101 * 100_000


async def test_as_a_source_of_work(queue):
    """A pump over a queue does every name once while they still come, and is cancelled without losing its place."""
    done = []

    async def work(name):
        await anyio.lowlevel.checkpoint()
        done.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: pump(work, queue, None, workers=5))
        for number in range(200):
            queue.put([str(number)])
            if number % 7 == 0:
                await anyio.lowlevel.checkpoint()
        queue.end()

    assert sorted(done, key=int) == [str(number) for number in range(200)]


async def test_a_cancelled_reader_takes_nothing(queue):
    """A reader that gives up waiting leaves every name to the next one."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.receive)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    queue.put(["a"])

    assert await queue.receive() == ["a"]


def test_closed_with_the_block(tmp_path):
    """Both ends of the file are closed when the block ends, also by an error."""
    with pytest.raises(ZeroDivisionError), DiskQueue(tmp_path / "names.txt") as names:
        raise ZeroDivisionError

    with pytest.raises(ValueError, match="closed file"):
        names.put(["a"])
