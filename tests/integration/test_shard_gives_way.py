"""A worker that was believed dead and comes back sees that a later attempt has begun, and leaves the shard to it."""

from __future__ import annotations

import anyio
import pytest

from lexport.dataset.attempts import begin_attempt
from lexport.dataset.local import LocalStore
from lexport.extract.cluster.worker import describe
from lexport.extract.plan_shards import plan_shards
from lexport.extract.progress import Progress
from lexport.extract.reading import OwnTry
from lexport.extract.shard_process import OwnAccess, open_reading, read_own_shard, read_whole_plan
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

ID = "01K00000000000000000000000"


@pytest.mark.parametrize("gives_way", [True, False])
async def test_a_later_attempt_begins(simulator, aws, settings, tmp_path, gives_way):
    """It makes no more calls, and what it has read is staged; a reader of another scheduler goes on."""
    fleet = Fleet(FleetSpec(functions=9, versions=2))
    hang = Fault(operation="GetFunction", kind="hang", function_name=fleet.name(8), times=1)
    own_try = OwnTry(worker="believed dead", most_tries=3, gives_way=gives_way)
    async with simulator(hang, fleet=fleet) as server:
        await plan_shards(tmp_path, settings(server.url, flush_after_s=0.1, snapshot_id=ID))
        store = LocalStore(tmp_path)
        spec = await anyio.to_thread.run_sync(read_whole_plan, store, ID)
        ended = []

        async def read():
            async with open_reading(store, spec, OwnAccess(), own_try, progress=Progress()) as (reading, access):
                try:
                    await read_own_shard(reading, access, spec.shards[0])
                except Exception as error:  # noqa: BLE001 - a group of them
                    ended.append(describe(error)["message"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            with anyio.fail_after(20):
                while not list(tmp_path.glob(f"_staging/{ID}/*/0001/*.run")):  # noqa: ASYNC110 - a file has no event
                    await anyio.sleep(0.02)
            begin_attempt(store, ID, spec.shards[0].scope, run_attempt=1, worker="later", most_tries=3)
            with anyio.move_on_after(20 if gives_way else 1):
                while not ended:  # noqa: ASYNC110 - neither has the task
                    await anyio.sleep(0.02)
            tasks.cancel_scope.cancel()
    assert ended == (["111122223333 us-east-1 is read elsewhere by now, in a later attempt"] if gives_way else [])
    assert not list(tmp_path.glob(f"_staging/{ID}/*/shard.json"))
