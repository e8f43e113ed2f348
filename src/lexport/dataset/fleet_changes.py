"""Find what changed in a fleet by tasks, which any number of processes may do.

There is a task for the account-regions of each file of ``functions``, and for each snapshot that they are compared
with. It reads the files alone that may have rows of them, so no machine needs all files of a snapshot. The process that
commits joins the rows in the order of the ranges, one range after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from anyio import to_thread

from lexport.dataset import layout
from lexport.dataset.compare import Parts
from lexport.dataset.file_plan import plan_files
from lexport.dataset.fleet_files import CommitTasks
from lexport.dataset.parquet import TableFolder, TableWriter, WrittenFile, end_if_cancelled
from lexport.dataset.resource_rows import unread_resources
from lexport.dataset.runs import Section
from lexport.dataset.snapshot import Changes, FleetTables, RunFacts, stage_commit
from lexport.dataset.stage_changes import Before, snapshots_before
from lexport.dataset.staging import open_staged
from lexport.dataset.store import Store
from lexport.dataset.tasks import ChangesDone, ChangesTask
from lexport.dataset.write_files import count_scopes
from lexport.errors import ReadError, RunError
from lexport.model import Scope, ShardResult
from lexport.tables.functions import FUNCTIONS
from lexport.tables.run import CHANGES


async def find_fleet_changes(
    folder: TableFolder,
    results: Sequence[ShardResult],
    fleet: FleetTables,
    *,
    facts: RunFacts,
    tasks: CommitTasks,
    note: Callable[[str], None],
) -> Changes:
    """Write ``changes`` as ``write_snapshot`` does, by tasks. The files of ``fleet`` are all in the store.

    ``results`` are sorted by account and Region. ``note`` is called with what could not be compared. Raises what the
    tasks raise, ReadError where what they left is damaged, RunError, WriteError.
    """
    work = _Work(folder, facts, tasks, note)
    await to_thread.run_sync(work.plan, results, fleet)
    for task, done in zip(work.tasks, await tasks.run_tasks(work.tasks), strict=True):
        if not isinstance(done, ChangesDone) or len(done.rows) != len(task.scopes):
            raise RunError(f"{task.name}: a worker returned something else than what changed; nothing was published")
        work.take(task, done)
    files = await to_thread.run_sync(work.join)
    return Changes(files=files, not_compared=work.not_compared)


def ranges_of(results: Sequence[ShardResult], rows: Sequence[int], rows_per_file: int) -> list[Sequence[ShardResult]]:
    """Divide all shards into ranges, each with those of one file of ``functions``; none is empty.

    A shard without rows, which may have had some before, belongs to the range before it, or to the first one.
    """
    starts = [file[0] for file in plan_files(rows, rows_per_file)[1:]]
    return [part for start, end in pairwise((0, *starts, len(results))) if (part := results[start:end])]


class _Work:
    """The tasks of a comparison, and what they found."""

    def __init__(self, folder: TableFolder, facts: RunFacts, tasks: CommitTasks, note: Callable[[str], None]) -> None:
        self._folder, self._facts, self._store, self._attempt = folder, facts, tasks.store, tasks.attempt
        self._note = note
        self._befores: dict[str, Before] = {}
        self._ranges: list[list[int]] = []
        self._done: dict[int, ChangesDone] = {}
        self.tasks: list[ChangesTask] = []
        self.not_compared: dict[Scope, str] = {}

    def plan(self, results: Sequence[ShardResult], fleet: FleetTables) -> None:
        """Plan the tasks; a snapshot before whose files are damaged has none. Blocking; raises ReadError, RunError."""
        whole = [result.shard.scope for result in results if result.is_whole]
        found = snapshots_before(
            self._folder.snapshot_id, whole, self._facts.options, store=self._store, note=self._note
        )
        if not found:
            return
        now = Parts(stage_commit(fleet.files, self._folder, self._facts, gaps=0).manifest, self._store)
        parts: dict[str, Parts] = {}
        for before in found:
            self._befores[before.commit.snapshot_id] = before
            try:
                parts[before.commit.snapshot_id] = Parts(before.commit, self._store)
            except ReadError as error:
                self._leave_out(before, error)
        counts = fleet.counters[FUNCTIONS].rows
        rows = [counts[result.shard.scope] for result in results]
        before_of = {scope: before.commit.snapshot_id for before in found for scope in before.scopes}
        for shards in ranges_of(results, rows, self._folder.rows_per_file):
            scopes_of: dict[str, list[Scope]] = {}
            for shard in shards:
                scope = shard.shard.scope
                if (snapshot_id := before_of.get(scope)) in parts:
                    scopes_of.setdefault(snapshot_id, []).append(scope)
            self._ranges.append([])
            for snapshot_id, scopes in scopes_of.items():
                self._ranges[-1].append(len(self.tasks))
                self.tasks.append(
                    ChangesTask(
                        number=len(self.tasks),
                        attempt=self._attempt,
                        now=now.of(scopes),
                        before=parts[snapshot_id].of(scopes),
                        scopes=tuple(scopes),
                        unread=tuple(sorted(unread_resources(shards, self._facts.options))),
                    )
                )

    def take(self, task: ChangesTask, done: ChangesDone) -> None:
        """Take what a task left; where it found damage, all account-regions of that snapshot are not compared."""
        self._done[task.number] = done
        if done.damage is not None and task.scopes[0] not in self.not_compared:
            self._leave_out(self._befores[task.before.snapshot_id], done.damage)

    def _leave_out(self, before: Before, damage: object) -> None:
        self._note(before.note_of(damage))
        self.not_compared |= dict.fromkeys(before.scopes, before.commit.snapshot_id)

    def join(self) -> tuple[WrittenFile, ...]:
        """Write the table from what the tasks left. Blocking; raises ReadError, RunError, WriteError."""
        with TableWriter(CHANGES, self._folder, watch=end_if_cancelled) as writer:
            for numbers in self._ranges:
                with TemporaryDirectory(dir=self._folder.path, prefix=".changes-") as fetched:
                    self._add_range(numbers, writer, Path(fetched))
            return writer.close()

    def _add_range(self, numbers: Sequence[int], writer: TableWriter, fetched: Path) -> None:
        sections: list[Section] = []
        expected: Counter[Scope] = Counter()
        for number in numbers:
            task, done = self.tasks[number], self._done[number]
            if task.scopes[0] in self.not_compared:
                continue
            sections += open_changes(self._store, task, done, fetched)
            expected.update(dict(zip(task.scopes, done.rows, strict=True)))
        counts: Counter[Scope] = Counter()
        writer.add_runs(sections, watch=lambda rows: counts.update(count_scopes(rows)))
        for scope in counts.keys() | expected.keys():
            if counts[scope] != expected[scope]:
                raise ReadError(
                    f"the changes of {scope} are damaged: {counts[scope]:,} rows are staged, the worker that compared"
                    f" it wrote {expected[scope]:,}; nothing was published",
                    path=layout.staging_folder(self._folder.snapshot_id),
                )


def open_changes(store: Store, task: ChangesTask, done: ChangesDone, fetched: Path) -> list[Section]:
    """Return the sorted rows that a task left, on this machine. Raises ReadError where they are not what it wrote."""
    for run in done.runs:
        if run.path != layout.changes_path(task.run, task.attempt, task.number, run.sha256):
            raise ReadError(f"{run.path} is no file of {task.name}; nothing was published", path=run.path)
    try:
        sections = open_staged(store, done.runs, fetched)
    except ReadError as error:
        raise ReadError(f"{error}; nothing was published; the next attempt compares again", path=error.path) from error
    others = [section.table for section in sections if section.table != CHANGES.name]
    if others:
        raise ReadError(f"{task.name} has rows of {others[0]}; nothing was published", path=done.runs[0].path)
    return sections
