"""The tables of a fleet by tasks, in any number of processes: the bytes of one pass, and no file besides."""

from __future__ import annotations

import asyncio
import pickle
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context

import msgspec
import pytest
from anyio import to_thread
from object_servers import make_bucket
from staged_fleet import AT, RUN, begin, scope_of, stage_shard

from lexport.dataset import layout
from lexport.dataset.claims import take_claim
from lexport.dataset.commit import commit
from lexport.dataset.data_files import damage_of
from lexport.dataset.file_plan import is_large
from lexport.dataset.fleet_files import commit_tasks, write_fleet_by_files
from lexport.dataset.local import LocalStore, hash_file
from lexport.dataset.open_store import open_store
from lexport.dataset.parquet import TableFolder
from lexport.dataset.runs import RunWriter
from lexport.dataset.snapshot import RunFacts, write_fleet_tables, write_snapshot
from lexport.dataset.task_work import run_task
from lexport.dataset.tasks import FileDone, FileTask
from lexport.errors import PublishError, ReadError, WriteError
from lexport.model import GLOBAL_REGION, Scope, Shard, ShardResult
from lexport.tables.functions import FUNCTIONS, LAYERS

pytestmark = pytest.mark.asyncio

PER_FILE = 12
NO_DROPS = 5
OPTIONS = {"env": "keys", "with": []}


def shards(seed, count=14):
    """Shards of every kind: several files, versions that come twice, none at all. Drops are enough to move borders."""
    chance = random.Random(seed)
    names = range(10**6 if seed == NO_DROPS else 4)
    for number in range(count):
        parts = [
            [
                (
                    f"f{chance.choice(names)}",
                    chance.choice(("$LATEST", "1", "2")),
                    chance.randrange(3),
                    chance.randrange(5),
                )
                for _ in range(chance.randrange(7))
            ]
            for _ in range(chance.randrange(4))
        ]
        yield number, parts


def fill(store, folder, seed):
    """Stage the shards of a run; return their results, with one of an account that could not be read."""
    begin(store)
    folder.mkdir(exist_ok=True)
    unread = Shard(scope=Scope(account_id="999922223333", region=GLOBAL_REGION))
    results = [stage_shard(store, folder, number, parts) for number, parts in shards(seed)]
    return [*results, ShardResult(shard=unread, status="denied", is_final=False, started_at=AT, ended_at=AT)]


def tables_in(path, per_file=PER_FILE):
    path.mkdir(exist_ok=True)
    return TableFolder(path=path, snapshot_id=RUN, snapshot_at=AT, rows_per_file=per_file)


async def in_one_pass(store, results, path):
    folder = tables_in(path)
    errors = RunWriter(path)
    write = partial(write_fleet_tables, folder, results, options=OPTIONS, store=store, errors=errors)
    return await to_thread.run_sync(write), errors


async def by_tasks(store, results, path, run_tasks, *, attempt=1):
    errors = RunWriter(tables_in(path).path)
    async with commit_tasks(store, RUN, attempt, run_tasks) as tasks:
        fleet = await write_fleet_by_files(tables_in(path), results, options=OPTIONS, tasks=tasks, errors=errors)
    return fleet, errors


class Here:
    """Does the tasks in this process, each of them ``times``; keeps them."""

    def __init__(self, store, times=1):
        self.store, self.times, self.rounds = store, times, []

    async def __call__(self, tasks):
        self.rounds.append(tasks)
        return [await to_thread.run_sync(self.work, task) for task in tasks]

    def work(self, task):
        task = msgspec.json.decode(msgspec.json.encode(task), type=FileTask)
        done = [run_task(task, self.store) for _ in range(self.times)]
        assert all(one == done[0] for one in done)
        return msgspec.json.decode(msgspec.json.encode(done[0]), type=FileDone)


def contents(fleet):
    return {table.name: [(file.rows, file.sha256) for file in files] for table, files in fleet.files.items()}


def staged_errors(errors):
    blocks = [block for run in errors.runs["errors"] for block in run.blocks()]
    return sorted(row["message"] for block in blocks for row in block.to_pylist())


def data_files(store):
    names = [name for name in store.names("") if not name.startswith(("_", "."))]
    return sorted(file.path for name in names for file in store.files(name))


def counted(fleet):
    functions = fleet.counters[FUNCTIONS]
    rows = {table.name: +counter.rows for table, counter in fleet.counters.items()}
    return rows, +functions.functions, +functions.dropped


@pytest.mark.parametrize("seed", range(6))
async def test_the_bytes_of_one_pass(tmp_path, seed):
    """Tasks that are done twice write the files, counts and errors of one pass, also where borders move."""
    store = LocalStore(tmp_path / "fleet")
    results = fill(store, tmp_path / "runs", seed)
    one, errors = await in_one_pass(store, results, tmp_path / "one")
    executor = Here(store, times=2)
    many, other_errors = await by_tasks(store, results, tmp_path / "many", executor)

    assert contents(many) == contents(one)
    assert counted(many) == counted(one)
    assert staged_errors(other_errors) == staged_errors(errors)
    assert data_files(store) == sorted(entry.path for files in many.files.values() for entry in files)
    for files in many.files.values():
        assert sorted(entry.path for entry in files) == [entry.path for entry in files]
        assert [hash_file(store.root / entry.path) for entry in files] == [entry.sha256 for entry in files]
    assert [path.read_bytes() for path in many.paths(LAYERS, store)] == [
        path.read_bytes() for path in one.paths(LAYERS, store)
    ]
    assert is_large(results, PER_FILE)
    assert not is_large(results)
    assert not any(name.startswith(".work") for name in store.names(layout.staging_folder(RUN)))
    assert len(executor.rounds) == (1 if seed == NO_DROPS else 2)  # duplicates move borders
    for tasks in executor.rounds:
        assert all(any(shard.rows) for task in tasks for shard in task.shards)  # what has no rows is not fetched


@pytest.fixture
def bucket(seaweed, aws):
    found = make_bucket(seaweed)
    aws.setenv("AWS_ENDPOINT_URL_S3", seaweed)
    return found


async def test_processes_into_a_bucket(bucket, tmp_path):
    """Several processes write the same files into a bucket, of which this one gets copies."""
    store = open_store(bucket.url)
    results = fill(store, tmp_path / "runs", 3)
    one, _ = await in_one_pass(store, results, tmp_path / "one")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:

        async def run_tasks(tasks):
            loop = asyncio.get_running_loop()
            return await asyncio.gather(*(loop.run_in_executor(pool, _work, bucket.url, task) for task in tasks))

        many, _ = await by_tasks(store, results, tmp_path / "many", run_tasks)
    assert contents(many) == contents(one)
    assert data_files(store) == sorted(entry.path for files in many.files.values() for entry in files)
    copies = await to_thread.run_sync(many.paths, FUNCTIONS, store)
    assert [hash_file(path) for path in copies] == [file.sha256 for file in one.files[FUNCTIONS]]


def _work(url, task):
    return run_task(task, open_store(url))


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.fixture
def fleet(tmp_path):
    """A folder with the shards of one run, and their results."""
    store = LocalStore(tmp_path / "fleet")
    return store, fill(store, tmp_path / "runs", 1)


async def test_a_task_that_fails(fleet, tmp_path):
    """Where a task fails, every file that was placed is removed, and the staged rows stay."""
    store, results = fleet
    staged = [file.path for file in store.files(layout.staging_folder(RUN)) if layout.hash_in_name(file.path)]

    async def run_tasks(tasks):
        for task in tasks[:-1]:
            await to_thread.run_sync(run_task, task, store)
        raise WriteError("the disk is full", path="x")

    with pytest.raises(WriteError, match="full"):
        await by_tasks(store, results, tmp_path / "many", run_tasks)
    assert data_files(store) == []
    assert [file.path for file in store.files(layout.staging_folder(RUN)) if layout.hash_in_name(file.path)] == staged


async def test_a_file_of_another(fleet, tmp_path):
    """A name that has other bytes is an error, one that has the same bytes is not."""
    store, results = fleet

    async def run_tasks(tasks):
        entry = run_task(tasks[0], store).files[0]
        assert run_task(tasks[0], store).files[0] == entry
        (store.root / entry.path).write_bytes(b"PAR1")
        return [run_task(task, store) for task in tasks]

    with pytest.raises(PublishError, match="exists already"):
        await by_tasks(store, results, tmp_path / "many", run_tasks)


async def test_a_try_that_comes_late(fleet, tmp_path):
    """A try writes nothing once another attempt has the run, or its staging folder is gone, also while it works."""
    store, results = fleet
    late = []

    async def run_tasks(tasks):
        late.extend(tasks)
        return [await to_thread.run_sync(run_task, task, store) for task in tasks]

    many, _ = await by_tasks(store, results, tmp_path / "many", run_tasks)
    (store.root / many.files[FUNCTIONS][0].path).unlink()
    before = data_files(store)
    with pytest.raises(PublishError, match="taken over"):
        run_task(late[0], store, check=partial(_take_over, store))
    with pytest.raises(PublishError, match="taken over"):
        run_task(late[0], store)
    store.remove_folder(layout.staging_folder(RUN))
    with pytest.raises(PublishError, match="taken over"):
        run_task(late[0], store)
    assert data_files(store) == before
    assert store.names(layout.STAGING) == []


def _take_over(store):
    if layout.claim_path(RUN, 2).rpartition("/")[2] not in store.names(layout.staging_folder(RUN)):
        take_claim(store, RUN, 2)


async def test_damaged_rows(fleet, tmp_path):
    """Staged rows that are damaged, or fewer than the result of their shard says, end the commit; that says which."""
    store, results = fleet
    number = next(index for index, result in enumerate(results) if result.rows.get("functions", 0) > 1)

    lying = replace(results[number], rows=results[number].rows | {"functions": results[number].rows["functions"] + 1})
    changed = [*results[:number], lying, *results[number + 1 :]]
    with pytest.raises(ReadError, match=f"{scope_of(number).account_id}.*of functions are staged, its result says"):
        await by_tasks(store, changed, tmp_path / "many", Here(store))

    staged = store.root / results[number].runs[0].path
    staged.write_bytes(bytes(staged.stat().st_size))
    with pytest.raises(ReadError, match=f"the next attempt reads {scope_of(number)} again"):
        await by_tasks(store, results, tmp_path / "more", Here(store))
    assert data_files(store) == []


async def test_the_next_attempt(fleet, tmp_path):
    """A later attempt has numbers of its own; its commit removes what is left, and names files that are all there."""
    store, results = fleet
    executor = Here(store)
    errors = RunWriter(tables_in(tmp_path / "first").path)
    async with commit_tasks(store, RUN, 1, executor) as tasks:  # an attempt that is killed leaves its files
        first = tables_in(tmp_path / "first")
        await write_fleet_by_files(first, results, options=OPTIONS, tasks=tasks, errors=errors)
    left = data_files(store)
    take_claim(store, RUN, 2)
    many, _ = await by_tasks(store, results, tmp_path / "many", Here(store), attempt=2)
    folder = tables_in(tmp_path / "many")
    facts = RunFacts(hash_key_id=None, options=OPTIONS)
    write = partial(write_snapshot, folder, {}, results, fleet=many, facts=facts, store=store, note=pytest.fail)
    staged = await to_thread.run_sync(partial(write, watch_errors=lambda _: None))
    assert {entry.table for entry in staged.manifest.files if entry.path in staged.files and entry.read} == {
        "scopes",
        "scope_resources",
        "changes",
        "errors",
    }
    done = commit(store, staged.manifest, staged.files, note=pytest.fail, attempt=2)

    named = {entry.path for entry in done.files}
    assert not named & set(left)
    assert {path for path in data_files(store) if not path.startswith("snapshots/")} == named
    for table, files in many.files.items():
        assert done.entries(table.name) == list(files)
    assert damage_of(store, done) is None


@pytest.mark.parametrize(
    "error",
    [ReadError("lost", path="a/b"), PublishError("taken", destination="s3://fleet")],
    ids=["a file", "a destination"],
)
async def test_errors_pass_processes(error):
    """The error of a task comes out of another process as it is, with its exit code."""
    passed = pickle.loads(pickle.dumps(error))
    assert (type(passed), str(passed), passed.exit_code) == (type(error), str(error), error.exit_code)
    assert vars(passed) == vars(error)
