"""Whatever the pages, the workers and the failures are: each item once, nothing left running."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import examples

from lexport.errors import FetchError, ListingError
from lexport.extract.workers import pump

PAGES = st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=8)  # an item is how often it yields
FAILING = st.sets(st.integers(0, 40), max_size=10)


class Source:
    """Pages of (place, patience), closed or not, and how many workers are still at it."""

    def __init__(self, pages):
        places = iter(range(1000))
        self.pages = [[(next(places), patience) for patience in page] for page in pages]
        self.left = list(self.pages)
        self.handed = self.taken = self.running = self.closed = 0
        self.widest = max((len(page) for page in pages), default=0)

    async def receive(self):
        await anyio.lowlevel.checkpoint()
        if not self.left:
            raise anyio.EndOfStream
        page = self.left.pop(0)
        self.handed += len(page)
        return page

    async def aclose(self):
        self.closed += 1

    def items(self):
        return [item for page in self.pages for item in page]

    def work(self, done, fail):
        async def one(item):
            self.taken += 1
            self.running += 1
            try:
                assert self.handed - self.taken < max(1, self.widest)
                for _ in range(item[1]):
                    await anyio.lowlevel.checkpoint()
                fail(item)
                done.append(item)
            finally:
                self.running -= 1

        return one


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=examples(40), deadline=None)
@given(PAGES, st.integers(1, 9), FAILING)
def test_each_item_once(backend, pages, workers, failing):
    """Done and lost together are every item, each once, and no page is taken before the last one is used up."""
    source, done, lost = Source(pages), [], []

    def fail(item):
        if item[0] in failing:
            raise FetchError("lost", code="x")

    async def main():
        await pump(source.work(done, fail), source, lambda item, _: lost.append(item), workers=workers)

    anyio.run(main, backend=backend)

    assert sorted(done + lost) == source.items()
    assert {place for place, _ in lost} == failing & {place for place, _ in source.items()}
    assert (source.running, source.closed) == (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=examples(40), deadline=None)
@given(PAGES, st.integers(1, 9), FAILING, st.integers(0, 30))
def test_the_end_of_a_target(backend, pages, workers, failing, fatal):
    """A ShardError ends everything: nothing runs on, no item was done twice, the source is closed."""
    source, done, lost = Source(pages), [], []
    ended = ListingError("over", code="x")

    def fail(item):
        if item[0] == fatal:
            raise ended
        if item[0] in failing:
            raise FetchError("lost", code="x")

    async def main():
        await pump(source.work(done, fail), source, lambda item, _: lost.append(item), workers=workers)

    is_met = fatal in {place for place, _ in source.items()}
    if is_met:
        with pytest.raises(ExceptionGroup) as group:
            anyio.run(main, backend=backend)
        assert group.value.exceptions == (ended,)
    else:
        anyio.run(main, backend=backend)

    assert len(set(done + lost)) == len(done + lost)
    assert (source.running, source.closed) == (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=examples(40), deadline=None)
@given(PAGES, st.integers(1, 9), st.integers(0, 20))
def test_cancelled_at_any_moment(backend, pages, workers, moment):
    """Cancelled at any checkpoint, the pump leaves no worker, no item done twice, and a closed source."""
    source, done = Source(pages), []

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: pump(source.work(done, lambda _: None), source, None, workers=workers))
            for _ in range(moment):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)

    assert len(set(done)) == len(done)
    assert source.running == 0
    assert source.closed == 1 or (moment == 0 and source.handed == 0)  # it had not begun yet
