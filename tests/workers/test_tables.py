"""The files of large tables, written by workers of dask."""

from __future__ import annotations

from functools import partial

import anyio
import pytest
from anyio import to_thread
from staged_fleet import AT, RUN, begin, stage_shard

from lexport.dataset.fleet_files import commit_tasks, write_fleet_by_files
from lexport.dataset.local import LocalStore, hash_file
from lexport.dataset.parquet import TableFolder
from lexport.dataset.runs import RunWriter
from lexport.dataset.snapshot import write_fleet_tables
from lexport.errors import RunError
from lexport.extract.cluster.coordinate import Cluster
from lexport.extract.cluster.table_task import run_on_workers
from lexport.extract.progress import Progress
from lexport.settings import Destination

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

PER_FILE = 20
OPTIONS = {"env": "keys", "with": []}


def tables_in(path):
    path.mkdir()
    return TableFolder(path=path, snapshot_id=RUN, snapshot_at=AT, rows_per_file=PER_FILE)


async def test_workers_write_the_files_of_one_process(dask, tmp_path):
    """A damaged run file ends the commit, and nothing of it is left; the next has the bytes of one process.

    A worker that is killed as they begin changes nothing of that.
    """
    from distributed import Client

    store = LocalStore(tmp_path / "fleet")
    begin(store)
    (tmp_path / "runs").mkdir()
    parts = [[(f"f{number}", version, 1, 2) for version in ("$LATEST", "1", "2")] for number in range(3)]
    results = [stage_shard(store, tmp_path / "runs", number, parts) for number in range(12)]
    write = partial(write_fleet_tables, tables_in(tmp_path / "one"), results, options=OPTIONS, store=store)
    one = await to_thread.run_sync(partial(write, errors=RunWriter(tmp_path / "one")))
    assert max(map(len, one.files.values())) > 3

    with dask(2) as running:
        async with Client(running.url, asynchronous=True, set_as_default=False) as client:
            await client.wait_for_workers(2)
            cluster = Cluster(
                client,
                destination=Destination(store.url),
                group_readable=False,
                run=RUN,
                attempt=1,
                retries=2,
                parent=None,
            )

            async def write_on_workers(name):
                by_workers = partial(run_on_workers, cluster, Progress())
                async with commit_tasks(store, RUN, 1, by_workers) as tasks:
                    return await write_fleet_by_files(
                        tables_in(tmp_path / name),
                        results,
                        options=OPTIONS,
                        tasks=tasks,
                        errors=RunWriter(tmp_path / name),
                    )

            staged = store.root / results[5].runs[0].path
            body = staged.read_bytes()
            staged.write_bytes(bytes(len(body)))
            with pytest.raises(RunError, match="could not be written on the workers"):
                await write_on_workers("damaged")
            assert not [path for path in store.root.rglob("*.parquet") if "_staging" not in path.parts]

            staged.write_bytes(body)
            running.workers[0].kill()
            with anyio.fail_after(60):
                several = await write_on_workers("several")
    contents = [
        {table.name: [(file.rows, file.sha256) for file in files] for table, files in fleet.files.items()}
        for fleet in (one, several)
    ]
    assert contents[1] == contents[0]
    for files in several.files.values():
        assert [hash_file(store.root / file.path) for file in files] == [file.sha256 for file in files]
