"""The dataset that is published: its commits, and what a catalog lacks of them. Blocking."""

from __future__ import annotations

import os
import random
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lexport.dataset import layout
from lexport.dataset.commits import commit_ids, is_committed
from lexport.errors import ReadError
from lexport.query.catalog import Catalog, location
from lexport.query.publish.plan import Held, TablePlan, committed_files, plan_table
from lexport.query.publish.result import PublishedTable
from lexport.tables.table import Table

T = TypeVar("T")

ATTEMPTS = 8
"""How often a transaction is tried where other writers are faster."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0


class Source:
    """The commits of a dataset at one moment."""

    def __init__(self, dataset: Catalog) -> None:
        self._dataset = dataset
        self._commits = {
            *(each.snapshot_id for each in dataset.manifests),
            *(each.snapshot_id for each in dataset.damaged),
        }
        self._pruned = set(commit_ids(dataset.store.names(layout.PRUNED)))

    def plan(self, table: Table, held: Held) -> TablePlan:
        """Return what is missing in a table of a catalog, and what it has too much."""
        files = committed_files(table, self._dataset.manifests)
        plan = plan_table(files, held, commits=self._commits, pruned=self._pruned)
        # Another run may have committed, and another publication added that, since the commits were listed.
        return replace(plan, delete=tuple(each for each in plan.delete if not is_committed(self._dataset.store, each)))

    def lacks_file(self, path: str) -> bool:
        """Return whether a file of the dataset is not there any more."""
        try:
            self._dataset.store.stat(path)
        except FileNotFoundError:
            return True
        return False

    def notes(self) -> tuple[str, ...]:
        """Return a line for each caveat."""
        return self._dataset.damage()


@contextmanager
def private_files(dataset: Catalog) -> Iterator[None]:
    """Give new files of a catalog on this machine the mode of the dataset's: bounds of columns have values of it.

    Libraries write them, and SQLite and DuckDB files of their own beside them, so it is done by the umask, which is
    that of the whole process.
    """
    mode = 0o600
    if dataset.store.moved is None and dataset.manifests:
        newest = Path(location(dataset.store)) / layout.run_path(dataset.manifests[0].snapshot_id)
        with suppress(FileNotFoundError):  # it was pruned meanwhile
            mode = newest.stat().st_mode
    former = os.umask(0o077)
    os.umask(former | (0o027 if mode & stat.S_IRGRP else 0o077))
    try:
        yield
    finally:
        os.umask(former)


def publish_from(dataset: Catalog, publish: Callable[[Source], T]) -> T:
    """Publish a dataset; once more where a file is missing because its commit was pruned meanwhile."""
    try:
        return publish(Source(dataset))
    except ReadError:
        left = dataset.without_removed()
        if left is None:
            raise
        return publish(Source(left))


def wait_before(attempt: int) -> None:
    """Wait before another attempt, ``attempt`` 1 or more: twice as long each time, and each writer otherwise."""
    time.sleep(random.uniform(0.5, 1) * min(_FIRST_WAIT_S * 2 ** (attempt - 1), _LONGEST_WAIT_S))  # noqa: S311


def damaged(table: Table, snapshot_id: str, path: str, reason: str) -> ReadError:
    """Return the error for a file that is not as the manifest says."""
    return ReadError(
        f"{table.name} of snapshot {snapshot_id} is damaged: {path}: {reason}; lexport verify lists all damage",
        path=path,
    )


def add_up(result: PublishedTable, done: TablePlan) -> PublishedTable:
    """Count what was done."""
    return replace(
        result,
        snapshots_added=result.snapshots_added + len(done.add),
        files_added=result.files_added + sum(len(each.files) for each in done.add),
        rows_added=result.rows_added + sum(each.rows for each in done.add),
        snapshots_deleted=result.snapshots_deleted + len(done.delete),
    )
