"""Names on disk: in order, all of them, to the end."""

from __future__ import annotations

import anyio
import pytest

from lexport.dataset.disk_queue import PAGE_NAMES, NameSpool
from lexport.extract.workers import pump

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
def spool(tmp_path):
    with NameSpool(tmp_path / "names.txt") as names:
        yield names


async def read_all(spool):
    pages = []
    while True:
        try:
            pages.append(await spool.receive())
        except anyio.EndOfStream:
            return pages


async def test_order(spool):
    """Names come out as they went in, by pages, however they were put."""
    names = [f"name-{number}" for number in range(3 * PAGE_NAMES + 7)]
    spool.put(names[:1])
    spool.put([])
    spool.put(names[1:60])
    spool.put(iter(names[60:]))
    spool.end()

    assert spool.waiting == len(names)
    pages = await read_all(spool)

    assert [len(page) for page in pages] == [PAGE_NAMES] * 3 + [7]
    assert [name for page in pages for name in page] == names
    assert spool.waiting == 0


async def test_the_end_comes_again(spool):
    """After the end there is no name for anybody, however often one asks."""
    spool.put(["a"])
    spool.end()

    assert await spool.receive() == ["a"]
    for _ in range(3):
        with pytest.raises(anyio.EndOfStream):
            await spool.receive()


async def test_waits_for_news(spool):
    """A reader waits for the next name, and for the end."""
    pages = []

    async def read():
        pages.extend(await read_all(spool))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        for names in (["a"], ["b", "c"], ["d"]):
            await anyio.wait_all_tasks_blocked()
            spool.put(names)
        await anyio.wait_all_tasks_blocked()

        assert pages == []
        spool.end()

    assert pages == [["a"], ["b", "c"], ["d"]]


@pytest.mark.parametrize("name", ["a b", "a\rb", "\r", "a\x0cb", "a\x85b", "a\u2028b", "ключ", "\U0001f40d", " ", ""])
async def test_odd_names(spool, name):
    """No character but the line feed ends a name."""
    spool.put(["before", name, "after"])
    spool.end()

    assert await read_all(spool) == [["before", name, "after"]]


@pytest.mark.slow
async def test_a_long_queue(spool, tmp_path):
    """A hundred thousand names wait on disk while others come and go; reader and writer take turns."""
    read = []
    for start in range(0, 100_000, 500):
        spool.put(f"{number:>100}" for number in range(start, start + 500))
        read += await spool.receive()
        read += await spool.receive()
    spool.end()
    for page in await read_all(spool):
        read += page

    assert read == [f"{number:>100}" for number in range(100_000)]
    assert (tmp_path / "names.txt").stat().st_size == 101 * 100_000


async def test_as_a_source_of_work(spool):
    """A pump over a spool does every name once while they still come, and is cancelled without losing its place."""
    done = []

    async def work(name):
        await anyio.lowlevel.checkpoint()
        done.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: pump(work, spool, None, workers=5))
        for number in range(200):
            spool.put([str(number)])
            if number % 7 == 0:
                await anyio.lowlevel.checkpoint()
        spool.end()

    assert sorted(done, key=int) == [str(number) for number in range(200)]


async def test_a_cancelled_reader_takes_nothing(spool):
    """A reader that gives up waiting leaves every name to the next one."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(spool.receive)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    spool.put(["a"])

    assert await spool.receive() == ["a"]


def test_closed_with_the_block(tmp_path):
    """Both ends of the file are closed when the block ends, also by an error."""
    with pytest.raises(ZeroDivisionError), NameSpool(tmp_path / "names.txt") as names:
        raise ZeroDivisionError

    with pytest.raises(ValueError, match="closed file"):
        names.put(["a"])
