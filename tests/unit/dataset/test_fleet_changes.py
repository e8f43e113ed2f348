"""What changed in a fleet by tasks, in any number of processes: the bytes of one comparison of everything."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

import msgspec
import pytest
from anyio import to_thread
from object_servers import make_bucket
from staged_fleet import AT, RUN, begin, stage_shard

from lexport.dataset import layout
from lexport.dataset.claims import take_claim
from lexport.dataset.commit import commit
from lexport.dataset.fleet_changes import find_fleet_changes, ranges_of
from lexport.dataset.fleet_files import commit_tasks, write_fleet_by_files
from lexport.dataset.local import LocalStore
from lexport.dataset.open_store import open_store
from lexport.dataset.parquet import TableFolder
from lexport.dataset.runs import RunWriter
from lexport.dataset.snapshot import RunFacts, write_fleet_tables, write_snapshot
from lexport.dataset.staging import staged_errors
from lexport.dataset.task_work import run_task
from lexport.dataset.tasks import ChangesTask, Done, Task
from lexport.errors import PublishError, ReadError, RunError

pytestmark = pytest.mark.asyncio

PER_FILE = 5
OPTIONS = {"env": "keys", "with": []}
FACTS = RunFacts(hash_key_id=None, options=OPTIONS)
BEFORE, OLDEST = "01KA0000000000000000000000", "01K90000000000000000000000"


def tables_in(path, run):
    path.mkdir(exist_ok=True, parents=True)
    return TableFolder(path=path, snapshot_id=run, snapshot_at=AT, rows_per_file=PER_FILE)


def parts_of(chance):
    """The run files of a shard: versions that come twice, and none at all, so that account-regions come and go."""
    if chance.random() < 0.25:
        return []
    names = [f"f{number}" for number in range(4)]
    return [
        [
            (chance.choice(names), chance.choice(("$LATEST", "1")), chance.randrange(3), chance.randrange(5))
            for _ in range(chance.randrange(7))
        ]
        for _ in range(1 + chance.randrange(3))
    ]


def stage(store, folder, run, seed, shards):
    """Stage the shards of a run, some of which are not there, and some not read whole."""
    chance = random.Random(f"{run} {seed}")
    begin(store, run)
    folder.mkdir(exist_ok=True, parents=True)
    status = {number: chance.choice(("complete", "complete", "complete", "partial")) for number in range(shards)}
    return [
        stage_shard(store, folder, number, parts_of(chance), run=run, status=status[number])
        for number in range(shards)
        if chance.random() < 0.85
    ]


async def here(store, results, path, run):
    """Write the tables of a run in one pass; return what would be committed, and the notes."""
    folder, runs, notes = tables_in(path, run), {}, []
    errors = RunWriter(path, runs=runs)
    write = partial(write_fleet_tables, folder, results, options=OPTIONS, store=store, errors=errors)
    fleet = await to_thread.run_sync(write)
    write = partial(write_snapshot, folder, runs, results, fleet=fleet, facts=FACTS, store=store, note=notes.append)
    return await to_thread.run_sync(partial(write, watch_errors=lambda _: None)), notes


async def two_nights(store, path, seed, shards=15):
    """Publish two snapshots; return the results of the run after them."""
    for run in (OLDEST, BEFORE):
        results = stage(store, path / f"runs-{run}", run, seed, shards)
        staged, _ = await here(store, results, path / run, run)
        commit(store, staged.manifest, staged.files, note=pytest.fail)
    return stage(store, path / f"runs-{RUN}", RUN, seed, shards)


class Here:
    """Does the tasks in this process, each of them ``times``, with a store of its own; keeps them."""

    def __init__(self, store, times=1):
        self.store, self.times, self.tasks = store, times, []

    async def __call__(self, tasks):
        self.tasks += tasks
        return [await to_thread.run_sync(self.work, task) for task in tasks]

    def work(self, task):
        task = msgspec.json.decode(msgspec.json.encode(task), type=Task)
        done = [run_task(task, self.store) for _ in range(self.times)]
        assert all(one == done[0] for one in done)
        return msgspec.json.decode(msgspec.json.encode(done[0]), type=Done)


async def by_tasks(store, results, path, run_tasks):
    """Write the tables of the run by tasks; return its changes and the notes."""
    folder, notes = tables_in(path, RUN), []
    async with commit_tasks(store, RUN, 1, run_tasks) as tasks:
        fleet = await write_fleet_by_files(folder, results, options=OPTIONS, tasks=tasks, errors=RunWriter(path))
        changes = await find_fleet_changes(folder, results, fleet, facts=FACTS, tasks=tasks, note=notes.append)
    return changes, notes


def changes_of(staged):
    entries = staged.manifest.entries("changes")
    return [staged.files[entry.path].path.read_bytes() for entry in entries], sum(entry.rows for entry in entries)


def changes_tasks(executor):
    return [task for task in executor.tasks if isinstance(task, ChangesTask)]


@pytest.mark.parametrize("seed", [2, 3])
async def test_the_bytes_of_one_comparison(tmp_path, seed):
    """Tasks that are done twice find the rows of one comparison, each of them with a part of the files.

    Account-regions at the borders of ranges are new, empty, ended, or compared with an older snapshot.
    """
    store = LocalStore(tmp_path / "fleet")
    results = await two_nights(store, tmp_path, seed)
    one, notes = await here(store, results, tmp_path / "one", RUN)
    executor = Here(store, times=2)
    many, other_notes = await by_tasks(store, results, tmp_path / "many", executor)

    bytes_of_one, rows = changes_of(one)
    assert [file.path.read_bytes() for file in many.files] == bytes_of_one
    assert rows > PER_FILE
    assert (many.not_compared, other_notes) == ({}, notes)
    tasks = changes_tasks(executor)
    assert len({task.before.snapshot_id for task in tasks}) == 2
    assert len({task.name for task in executor.tasks}) == len(executor.tasks)
    files = [{entry.path for entry in task.now.files} for task in tasks]
    assert max(map(len, files)) < len(set.union(*files))
    assert sorted(scope for task in tasks for scope in task.scopes) == sorted(
        scope for task in tasks for scope in {*task.scopes}
    )
    assert not [name for name in store.names(layout.staging_folder(RUN)) if name.startswith(".work")]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    staged = sum(map(len, staged_errors(store, RUN, scratch)))
    assert staged == sum(result.rows.get("errors", 0) for result in results)


async def test_a_bucket(seaweed, aws, tmp_path):
    """Into a bucket, too; the process that commits copies no table."""
    aws.setenv("AWS_ENDPOINT_URL_S3", seaweed)
    bucket = make_bucket(seaweed)
    store = open_store(bucket.url)
    results = await two_nights(store, tmp_path, 1)
    one, _ = await here(store, results, tmp_path / "one", RUN)
    committer = open_store(bucket.url)
    many, _ = await by_tasks(committer, results, tmp_path / "many", Here(store, times=2))
    assert [file.path.read_bytes() for file in many.files] == changes_of(one)[0]
    assert (committer.moved.copied_bytes, committer.moved.cached_files) == (0, 0)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([0, 5, 0, 20, 0, 0, 3, 0], [[0, 1, 2, 3, 4, 5], [6, 7]]),
        ([12, 0, 12, 1], [[0, 1], [2], [3]]),
        ([0, 0], [[0, 1]]),
        ([], []),
    ],
)
async def test_ranges(rows, expected):
    """A range has the account-regions of a file; those without rows belong to the one before, or to the first."""
    assert [list(part) for part in ranges_of(range(len(rows)), rows, 12)] == expected


# --- what goes wrong --------------------------------------------------------------------------------------------------


async def a_fleet(tmp_path):
    """Return the store of a folder with two snapshots, and the results of a run after them."""
    store = LocalStore(tmp_path / "fleet")
    return store, await two_nights(store, tmp_path, 1, shards=6)


async def test_damage_of_the_snapshot_before(tmp_path):
    """A snapshot before that is damaged leaves out the same account-regions as in one comparison, with a note."""
    store, results = await a_fleet(tmp_path)
    executor = Here(store)
    await by_tasks(store, results, tmp_path / "first", executor)
    needed = next(task.before for task in changes_tasks(executor) if task.before.snapshot_id == BEFORE)
    path = store.root / needed.entries("functions")[-1].path
    body = path.read_bytes()
    for number, damaged in enumerate((body[:-9] + b"\xff" + body[-8:], body[:4] + bytes(800) + body[804:], None)):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        one, notes = await here(store, results, tmp_path / f"one-{number}", RUN)
        many, other_notes = await by_tasks(store, results, tmp_path / f"many-{number}", executor)
        assert [file.path.read_bytes() for file in many.files] == changes_of(one)[0]
        assert {*many.not_compared.values()} == {BEFORE}
        assert other_notes == notes
        assert f"the snapshot before, {BEFORE}, is damaged" in notes[0]


async def test_damaged_output(tmp_path):
    """Rows that a task left and that are damaged, fewer or another's are refused; nothing is published."""
    store, results = await a_fleet(tmp_path)
    executor = Here(store)

    def damage(done):
        (store.root / done.runs[0].path).write_bytes(b"LXRUN1")
        return done

    def lie(done):
        return msgspec.structs.replace(done, rows=(done.rows[0] + 1, *done.rows[1:]))

    def point_elsewhere(done):
        (run,) = done.runs
        return msgspec.structs.replace(done, runs=(replace(run, path=run.path.replace("/0000-", "/0001-")),))

    def say_little(done):
        return msgspec.structs.replace(done, rows=done.rows[1:])

    cases = [
        (damage, ReadError, "the next attempt compares again"),
        (lie, ReadError, "the worker that compared it wrote"),
        (point_elsewhere, ReadError, "is no file of changes-0000"),
        (say_little, RunError, "returned something else"),
    ]
    for number, (change, error, message) in enumerate(cases):

        async def run_tasks(tasks, change=change):
            done = await executor(tasks)
            return [change(done[0]), *done[1:]] if isinstance(tasks[0], ChangesTask) else done

        with pytest.raises(error, match=message):
            await by_tasks(store, results, tmp_path / f"many-{number}", run_tasks)
        store.remove_folder(f"{layout.staging_folder(RUN)}/changes")


async def test_a_try_that_comes_late(tmp_path):
    """A try writes nothing once another attempt has the run, or once it is published, also while it works."""
    store, results = await a_fleet(tmp_path)
    executor = Here(store)
    await by_tasks(store, results, tmp_path / "many", executor)
    late = next(task for task in changes_tasks(executor) if any(executor.work(task).rows))
    store.remove_folder(f"{layout.staging_folder(RUN)}/changes")

    def take_over():
        if layout.claim_path(RUN, 2).rpartition("/")[2] not in store.names(layout.staging_folder(RUN)):
            take_claim(store, RUN, 2)

    for check in (take_over, lambda: None):
        with pytest.raises(PublishError, match="taken over"):
            run_task(late, store, check=check)
    assert "changes" not in store.names(layout.staging_folder(RUN))
    store.remove_folder(layout.staging_folder(RUN))
    with pytest.raises(PublishError, match="taken over"):
        run_task(late, store)
    assert RUN not in store.names(layout.STAGING)
