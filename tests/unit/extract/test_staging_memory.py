"""The rows of all shards in memory are bounded together, and none stays there for long."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from lexport.dataset.run_file import hash_run_file
from lexport.dataset.runs import RUN_BYTES, read_sections, staged_batch
from lexport.extract.rows import BATCH_ITEMS, LEAST_ITEMS, MOST_BYTES, MOST_ITEMS, Staging, StagingMemory
from lexport.model import StagedRun
from lexport.tables.functions import TAGS

pytestmark = pytest.mark.asyncio


def tags(size_bytes, name="f"):
    """A batch with one row of about so many bytes."""
    return {"tags": staged_batch(TAGS, [["111122223333"], ["r"], [name], ["k"], ["v" * size_bytes], ["0"]])}


class Shards:
    """Stagings that share one memory; ``kept`` are the run files of each, in order."""

    def __init__(self, folder, count, **more):
        self.memory = StagingMemory(**more)
        self.kept = [[] for _ in range(count)]
        self.stagings = [
            Staging(folder, file_mode=0o600, memory=self.memory, keep=self.keeper(number)) for number in range(count)
        ]

    def keeper(self, number):
        def keep(path):
            self.kept[number].append(path)
            return StagedRun(path=str(path), size_bytes=path.stat().st_size, sha256=hash_run_file(path))

        return keep


async def test_the_fullest_shard_writes(tmp_path):
    """Where all shards together reach the limit, the one with the most rows writes them, whoever added the last."""
    shards = Shards(tmp_path, 3)
    await shards.stagings[0].add(tags(MOST_BYTES // 4))
    await shards.stagings[1].add(tags(RUN_BYTES - 1000))
    assert shards.kept == [[], [], []]

    await shards.stagings[2].add(tags(MOST_BYTES // 4 + 2000))
    assert [len(kept) for kept in shards.kept] == [0, 1, 0]
    assert [staging.size_bytes > 0 for staging in shards.stagings] == [True, False, True]
    assert [run.path for run in await shards.stagings[1].finish()] == [str(shards.kept[1][0])]


async def test_one_large_shard(tmp_path):
    """One shard alone writes a run file for every ``RUN_BYTES``, as sorting them takes twice that."""
    shards = Shards(tmp_path, 1)
    for number in range(5):
        await shards.stagings[0].add(tags(RUN_BYTES // 2 + 1000, f"f{number}"))

    assert [len(kept) for kept in shards.kept] == [2]
    assert len(await shards.stagings[0].finish()) == 3


@pytest.mark.parametrize(("count", "items"), [(1, BATCH_ITEMS), (64, MOST_ITEMS // 64), (5000, LEAST_ITEMS)])
async def test_items_are_shared(tmp_path, count, items):
    """The more shards are read at once, the fewer items each collects before they go into Arrow."""
    shards = Shards(tmp_path, count)
    assert shards.memory.items_each == items

    for staging in shards.stagings[1:]:
        staging.close()
    assert shards.memory.items_each == BATCH_ITEMS


async def test_a_small_shard_is_one_file(tmp_path):
    """All tables of a shard with few rows are in one run file, whose footer says where each begins."""
    shards = Shards(tmp_path, 1)
    staging = shards.stagings[0]
    staging.rows.add_item(TAGS, "111122223333", "r", "f", "k", "v", "0")
    staging.failures.notice(item(), "odd", "it is odd")
    (run,) = await staging.finish()
    (path,) = shards.kept[0]

    assert {section.table: section.rows for section in read_sections(path)} == {"errors": 1, "tags": 1}
    assert run.sha256 == hash_run_file(path)


def item():
    """What a failure is about."""
    from lexport.extract.failures import Item
    from lexport.model import Scope

    return Item(scope=Scope(account_id="111122223333", region="r"), stage="flatten", function_name="f")


async def test_rows_do_not_stay_in_memory(tmp_path):
    """A shard whose rows get old writes them, although they are few and nobody asks for more."""
    shards = Shards(tmp_path, 2, flush_after_s=0.24)
    shards.stagings[0].rows.add_item(TAGS, "111122223333", "r", "f", "k", "v", "0")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shards.memory.keep_flushing)
            while not shards.kept[0]:  # noqa: ASYNC110 - a file has no event
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    assert shards.kept[1] == []
    assert len(shards.stagings[0].kept) == 1


async def test_finishing_waits_for_files_that_others_write(tmp_path):
    """A shard's result names all its run files, also one that another shard's task is still writing."""
    shards = Shards(tmp_path, 2)
    await shards.stagings[0].add(tags(RUN_BYTES - 1000))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shards.stagings[1].add, tags(MOST_BYTES - RUN_BYTES - 2000))
        tasks.start_soon(shards.stagings[1].add, tags(8000))
        await anyio.lowlevel.checkpoint()
        runs = await shards.stagings[0].finish()

    assert [run.path for run in runs] == [str(path) for path in shards.kept[0]]
    assert sum(section.rows for path in shards.kept[0] for section in read_sections(path)) == 1
