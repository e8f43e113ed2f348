"""Write the large tables of a snapshot by tasks, which any number of processes may do, one file each.

The files are planned from the numbers of staged rows. Duplicates make these too large, so where a border between two
files turns out to be elsewhere, the files from there on are written once more. A file gets its final name at once, and
nobody reads it before a manifest names it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from anyio import CancelScope, to_thread
from anyio.from_thread import check_cancelled

from lexport.dataset import layout
from lexport.dataset.commits import is_committed
from lexport.dataset.file_plan import FilePlan, files_that_stay, plan_files, tables_by_task
from lexport.dataset.manifest import COUNTED, FileEntry
from lexport.dataset.parquet import RowCounter, TableFolder
from lexport.dataset.runs import RunWriter, Section
from lexport.dataset.snapshot import FleetTables, stage_errors, tables_of_shards
from lexport.dataset.staging import open_result
from lexport.dataset.store import Store
from lexport.dataset.tasks import FileDone, FileTask, RunTasks, TableFile, TaskShard
from lexport.dataset.write_files import fetched_ahead
from lexport.errors import RunError, UnknownCommitError
from lexport.model import ShardResult
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import BY_NAME
from lexport.tables.run import ERRORS
from lexport.tables.table import Table

_ALONE = {FUNCTIONS.name}
"""Tables whose one file takes about as long as those of all others that have one."""


@dataclass(slots=True)
class CommitTasks:
    """What does the tasks of one attempt at a commit, and the paths of data files that they may have placed."""

    store: Store
    run: str
    attempt: int
    run_tasks: RunTasks
    paths: set[str] = field(default_factory=set)

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files, as far as that is possible; a prune removes the rest. Blocking."""
        for path in sorted(paths):
            with suppress(OSError):
                self.store.remove(path)
        self.paths.difference_update(paths)

    def remove_all(self) -> None:
        """Remove every file, unless the run is published, or may be. Blocking."""
        if self.paths and not is_committed(self.store, self.run):
            self.remove(set(self.paths))


@asynccontextmanager
async def commit_tasks(
    store: Store, run: str, attempt: int, run_tasks: RunTasks | None
) -> AsyncIterator[CommitTasks | None]:
    """Let tasks place files within the block; where an error ends it and nothing is published, they are removed.

    Yield None where nothing does tasks.
    """
    if run_tasks is None:
        yield None
        return
    tasks = CommitTasks(store, run, attempt, run_tasks)
    try:
        yield tasks
    except UnknownCommitError:
        raise
    except BaseException:
        with CancelScope(shield=True):
            await to_thread.run_sync(tasks.remove_all)
        raise


async def write_fleet_by_files(
    folder: TableFolder,
    results: Sequence[ShardResult],
    *,
    options: Mapping[str, Any],
    tasks: CommitTasks,
    errors: RunWriter,
) -> FleetTables:
    """Write every table that shards fill, as ``write_fleet_tables`` does, by tasks.

    ``results`` are sorted by account and Region. Only the staged rows of ``errors`` are fetched here. Raises what the
    tasks raise, ReadError and WriteError.
    """
    work = _Work(folder, results, tasks)
    await to_thread.run_sync(work.plan, tables_of_shards(options))
    for is_last in (False, True):
        waiting = work.tasks()
        tasks.paths.update(
            layout.data_path(file.table, task.run, task.snapshot_at, file.number)
            for task in waiting
            for file in task.files
        )
        for task, done in zip(waiting, await tasks.run_tasks(waiting), strict=True):
            if not isinstance(done, FileDone):
                raise RunError(f"{task.name}: a worker returned something else than files; nothing was published")
            work.note(task, done)
        if is_last or not work.plan_again():
            break
    await to_thread.run_sync(tasks.remove, work.superseded)
    await to_thread.run_sync(partial(_stage_errors, folder, results, tasks.store, errors))
    return FleetTables(
        files={BY_NAME[name]: tuple(table.files) for name, table in work.tables.items()},
        counters=work.counters,
        has_values=options.get("env") == "values",
    )


@dataclass(slots=True)
class _PlannedTable:
    """The files of one table: their shards, the number of the first, and what is known of the rows of each shard."""

    plan: FilePlan
    first: int
    staged: list[int]
    rows: list[int]
    files: list[FileEntry] = field(default_factory=list)


class _Work:
    """The files to write, and those that are written."""

    def __init__(self, folder: TableFolder, results: Sequence[ShardResult], tasks: CommitTasks) -> None:
        self._folder, self._results, self._store, self._attempt = folder, results, tasks.store, tasks.attempt
        self._places = {result.shard.scope: place for place, result in enumerate(results)}
        self.tables: dict[str, _PlannedTable] = {}
        self.counters = {FUNCTIONS: RowCounter()} | {table: RowCounter() for table in COUNTED}
        self.superseded: set[str] = set()
        self._groups: list[tuple[str, ...]] = []

    def plan(self, tables: Sequence[Table]) -> None:
        """Plan the files of the tables by their staged rows, and find numbers for them. Blocking."""
        for table in tables:
            staged = [result.rows.get(table.name, 0) for result in self._results]
            plan = plan_files(staged, self._folder.rows_per_file)
            taken = taken_numbers(self._store, table.name, self._folder)
            first = layout.first_number(self._attempt, taken, files=2 * len(plan))
            self.tables[table.name] = _PlannedTable(plan, first, staged, [0] * len(staged))
        self._groups = tables_by_task({name: table.plan for name, table in self.tables.items()}, _ALONE)

    def tasks(self) -> list[FileTask]:
        """Return the tasks of the files that are not written."""
        return [task for names in self._groups for task in self._tasks_of(names)]

    def _tasks_of(self, names: Sequence[str]) -> Iterator[FileTask]:
        tables = [self.tables[name] for name in names]
        for number in range(len(tables[0].files), len(tables[0].plan)):
            places = sorted({place for table in tables for place in table.plan[number]})
            yield FileTask(
                run=self._folder.snapshot_id,
                snapshot_at=self._folder.snapshot_at,
                attempt=self._attempt,
                files=tuple(TableFile(name, table.first + number) for name, table in zip(names, tables, strict=True)),
                shards=tuple(
                    TaskShard(
                        self._results[place].shard.scope,
                        self._results[place].runs,
                        tuple(table.staged[place] for table in tables),
                    )
                    for place in places
                ),
            )

    def note(self, task: FileTask, done: FileDone) -> None:
        """Take over what a task has written."""
        places = [self._places[shard.scope] for shard in task.shards]
        for entry, rows in zip(done.files, done.rows, strict=True):
            table = self.tables[entry.table]
            table.files.append(entry)
            for place, count in zip(places, rows, strict=True):
                table.rows[place] = count
            counter = self.counters.get(BY_NAME[entry.table])
            if counter is not None:
                _note_counts(counter, task.shards, rows)
            if counter is not None and entry.table == FUNCTIONS.name:
                for shard, functions, dropped in zip(task.shards, done.functions, done.dropped, strict=True):
                    counter.functions[shard.scope], counter.dropped[shard.scope] = functions, dropped

    def plan_again(self) -> bool:
        """Plan the files whose borders are elsewhere by their exact rows; return whether there are any."""
        self._groups = []
        for name, table in self.tables.items():
            per_file = self._folder.rows_per_file
            kept = files_that_stay(table.plan, table.rows, per_file)
            plan = plan_files(table.rows, per_file)
            gone = table.files[kept:]
            if not gone and kept == len(plan):
                continue
            self.superseded |= {entry.path for entry in gone}
            table.first += len(gone)  # fresh numbers, above those that are given up
            table.plan, table.files = plan, table.files[:kept]
            self._groups.append((name,))
        return bool(self._groups)


def _note_counts(counter: RowCounter, shards: Sequence[TaskShard], rows: Sequence[int]) -> None:
    for shard, count in zip(shards, rows, strict=True):
        counter.rows[shard.scope] = count


def taken_numbers(store: Store, table: str, folder: TableFolder) -> list[int]:
    """Return the numbers that files of a table have in a snapshot that is not published. Blocking; raises OSError."""
    prefix = layout.data_prefix(folder.snapshot_id, folder.snapshot_at)
    where = f"{table}{prefix}".rpartition("/")[0]
    paths = (f"{where}/{name}" for name in store.names(where))
    return [layout.number_of_data_path(path) for path in paths if layout.is_data_path(path, table, prefix)]


def _stage_errors(folder: TableFolder, results: Sequence[ShardResult], store: Store, errors: RunWriter) -> None:
    """Stage the rows of ``errors`` that shards left, one shard after the other."""

    def open_shard(shard: TaskShard, fetched: Path) -> list[Section]:
        return open_result(store, folder.snapshot_id, shard.scope, shard.runs, fetched)

    staged = [TaskShard(result.shard.scope, result.runs, ()) for result in results if result.rows.get(ERRORS.name)]
    with TemporaryDirectory(dir=folder.path, prefix=".errors-") as fetched:
        for _, sections in fetched_ahead(staged, open_shard, Path(fetched)):
            check_cancelled()
            stage_errors(sections, errors)
    errors.flush()
