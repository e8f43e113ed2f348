"""The byte rate holds for all downloads together, however they share it."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from lexport.artifacts.bandwidth import ALL_BATCHES_BYTES, BATCH_BYTES, BURST_S, MIN_BATCH_BYTES, ByteBucket, BytePacer


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": MockClock(autojump_threshold=0)}


@given(
    st.floats(1_000, 1e9),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, BATCH_BYTES)), min_size=1, max_size=60),
)
def test_no_window_gets_more(rate, reads):
    """One download receives at most rate * (time + burst) bytes plus one batch in any window of time."""
    bucket, now_s, seen = ByteBucket(rate), 0.0, []
    for idle_s, count in reads:
        now_s += idle_s
        seen.append((now_s, count))
        now_s += bucket.owe(count, now_s)

    for first, (start_s, _) in enumerate(seen):
        total = 0
        for end_s, count in seen[first:]:
            total += count
            assert total - count <= rate * (end_s - start_s + BURST_S) * 1.000001 + 1


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_an_invalid_rate(rate):
    """A rate has to be a positive number."""
    with pytest.raises(ValueError, match="a rate must be positive and finite"):
        ByteBucket(rate)


@pytest.mark.parametrize(
    ("rate", "batch"), [(None, BATCH_BYTES), (1e9, BATCH_BYTES), (400_000, 100_000), (10, MIN_BATCH_BYTES)]
)
def test_slow_rates_have_small_batches(rate, batch):
    """A batch is no more than a quarter second of the rate, within bounds."""
    assert BytePacer(rate).batch_bytes == batch


@pytest.mark.parametrize("downloads", [1, 16, 32, 256])
def test_batches_take_the_same_memory_together(downloads):
    """More downloads at once have smaller batches, so that all of them together take no more memory."""
    batch = BytePacer(None, downloads=downloads).batch_bytes

    assert batch * downloads <= ALL_BATCHES_BYTES
    assert batch * max(downloads, 16) == ALL_BATCHES_BYTES


@pytest.mark.anyio
@pytest.mark.parametrize("readers", [1, 32])
async def test_the_rate_holds_over_all_together(readers):
    """32 downloads together receive no more than one."""
    pacer = BytePacer(1_000_000, clock=anyio.current_time)

    async def read(count):
        for _ in range(count):
            await pacer.pay(100_000)

    started_s = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(readers):
            tasks.start_soon(read, 320 // readers)

    assert pacer.moved_bytes == 32_000_000
    assert anyio.current_time() - started_s == pytest.approx(32 - BURST_S)


@pytest.mark.anyio
async def test_no_wait_without_a_rate():
    """Bytes are counted without a rate too."""
    pacer = BytePacer(None)
    started_s = anyio.current_time()
    await pacer.pay(10**12)

    assert (anyio.current_time() - started_s, pacer.moved_bytes) == (0, 10**12)
