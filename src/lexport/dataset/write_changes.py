"""Do a task that compares account-regions: write the rows of ``changes`` as sorted runs into the store. Blocking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from lexport.dataset import layout
from lexport.dataset.compare import SnapshotFiles
from lexport.dataset.run_file import hash_run_file
from lexport.dataset.runs import RunWriter
from lexport.dataset.stage_changes import stage_changes
from lexport.dataset.store import Store
from lexport.dataset.tasks import ChangesDone, ChangesTask
from lexport.dataset.write_files import count_scopes, place_once
from lexport.model import Scope, StagedRun
from lexport.tables.run import CHANGES


def write_changes(
    task: ChangesTask, store: Store, scratch: Path, *, check: Callable[[], object], confirm: Callable[[], object]
) -> ChangesDone:
    """Compare the account-regions of a task, and place the rows.

    ``check`` is called now and then, and ``confirm`` before a file is placed; both may raise. Raises ReadError where a
    file of this run is missing or damaged, RunError, WriteError.
    """
    counts: Counter[Scope] = Counter()

    def watch(rows: pa.RecordBatch) -> None:
        check()
        counts.update(count_scopes(rows))

    writer = RunWriter(scratch, file_mode=store.file_mode)
    now = replace(SnapshotFiles.of(task.now, store), unread=frozenset(task.unread))
    damage = stage_changes(now, task.before, task.scopes, writer, store=store, watch=watch)
    if damage is not None:
        return ChangesDone(runs=(), rows=(0,) * len(task.scopes), damage=str(damage))
    runs = []
    for section in writer.runs[CHANGES.name]:
        sha256, size_bytes = hash_run_file(section.path), section.path.stat().st_size
        path = layout.changes_path(task.run, task.attempt, task.number, sha256)
        confirm()
        place_once(store, section.path, path, size_bytes=size_bytes, sha256=sha256)
        runs.append(StagedRun(path=path, size_bytes=size_bytes, sha256=sha256))
    return ChangesDone(runs=tuple(runs), rows=tuple(counts[scope] for scope in task.scopes))
