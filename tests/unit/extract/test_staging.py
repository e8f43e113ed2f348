"""Rows on their way to sorted runs: written in batches, and never lost with the shard that hands them over."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from anyio import CancelScope, create_task_group, wait_all_tasks_blocked

from lexport.extract.failures import Item
from lexport.extract.rows import BATCH_ITEMS, Staging, StagingMemory
from lexport.model import FunctionRef, Scope

pytestmark = pytest.mark.asyncio

SCOPE = Scope(account_id="111122223333", region="eu-west-1")
AT = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def staging(tmp_path):
    return Staging(tmp_path, file_mode=0o600)


def fill(staging, count):
    """Add rows, one for each of so many failures."""
    for number in range(count):
        staging.failures.notice(Item(scope=SCOPE, stage="flatten", function_name=f"f{number}"), "wrong_type", "odd")


def staged(staging):
    return [row for run in staging.runs["errors"] for batch in run.blocks() for row in batch.to_pylist()]


async def test_a_full_batch_is_handed_on(staging):
    """Rows stay until they are a batch, and the rest is written at the end."""
    fill(staging, BATCH_ITEMS - 1)
    await staging.flush()
    assert staging.rows.items == BATCH_ITEMS - 1

    fill(staging, 1)
    await staging.flush()
    assert staging.rows.items == 0

    fill(staging, 3)
    await staging.flush_all()
    assert len(staged(staging)) == BATCH_ITEMS + 3


async def test_a_cancelled_shard_loses_no_rows(staging):
    """A shard that is cancelled while it hands a batch over loses none of its rows, which belong to many shards."""
    fill(staging, BATCH_ITEMS)
    with CancelScope() as scope:
        scope.cancel()
        await staging.flush()
    await staging.flush_all()

    assert len(staged(staging)) == BATCH_ITEMS


async def test_side_by_side(staging):
    """Batches that are handed over at the same time are all written."""
    async with create_task_group() as tasks:
        for _ in range(5):
            fill(staging, BATCH_ITEMS)
            tasks.start_soon(staging.add, staging.rows.take())
    await staging.flush_all()

    assert len(staged(staging)) == 5 * BATCH_ITEMS


async def test_the_ids_of_responses(staging):
    """An id is unique, and sorts by how much a response knows: unqualified, by version, by alias."""
    refs = [FunctionRef(function_name="f", qualifier=name) for name in ("live", "7", None)]
    ids = [staging.answer_id(ref) for ref in refs]

    assert sorted(ids) == ids[::-1]
    assert len({*ids, staging.answer_id()}) == 4


async def test_tasks_that_wait_hold_no_rows(staging):
    """However many tasks bring rows while others are written, twice a batch is in memory, and a row of each task."""
    brought = 0

    async def bring():
        nonlocal brought
        while brought < 6 * BATCH_ITEMS:
            brought += 1
            fill(staging, 1)
            await staging.flush()

    async with create_task_group() as tasks, staging._memory.converting:  # as a write holds it
        for _ in range(40):
            tasks.start_soon(bring)
        await wait_all_tasks_blocked()
        assert brought == staging.rows.items
        assert 2 * BATCH_ITEMS <= brought <= 2 * BATCH_ITEMS + 40
    await staging.flush_all()

    assert len(staged(staging)) == brought


async def test_shards_that_have_half_a_batch_go_along(tmp_path):
    """A shard whose batch is full takes along others that have half of theirs, as many as make one batch together."""
    memory = StagingMemory()
    shards = [Staging(tmp_path, file_mode=0o600, memory=memory) for _ in range(16)]
    each = memory.items_each
    assert each == BATCH_ITEMS // 2
    for shard, items in zip(shards, (each, each // 2, each // 2, each // 2, each // 2 - 1), strict=False):
        fill(shard, items)

    await shards[0].flush()
    left = sorted(shard.rows.items for shard in shards if shard.rows.items)
    assert shards[0].rows.items == 0
    assert left == [each // 2 - 1, each // 2]
    for shard in shards:
        await shard.flush_all()

    assert sum(len(staged(shard)) for shard in shards) == each + 3 * (each // 2) + each // 2 - 1
