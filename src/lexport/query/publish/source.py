"""The dataset that is published: its commits, and what a catalog lacks of them. Blocking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from lexport.dataset import layout
from lexport.dataset.commits import commit_ids, is_committed
from lexport.errors import ReadError
from lexport.query.catalog import Catalog
from lexport.query.publish.plan import CommitFiles, Held, TablePlan, committed_files, plan_table
from lexport.query.publish.result import PublishedTable
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table

T = TypeVar("T")


class Source:
    """The commits of a dataset at one moment."""

    def __init__(self, dataset: Catalog) -> None:
        self._dataset = dataset
        self._commits = {
            *(each.snapshot_id for each in dataset.manifests),
            *(each.snapshot_id for each in dataset.damaged),
        }
        self._pruned = set(commit_ids(dataset.store.names(layout.PRUNED)))
        self._without_row: dict[str, None] = {}

    def plan(self, table: Table, held: Held) -> TablePlan:
        """Return what is missing in a table of a catalog, and what it has too much."""
        files = committed_files(table, self._dataset.manifests)
        plan = plan_table(files, held, commits=self._commits, pruned=self._pruned)
        return TablePlan(
            add=plan.add if table is not SNAPSHOTS else tuple(self._with_row(plan.add)),
            # Another run may have committed, and another publication added that, since the commits were listed.
            delete=tuple(each for each in plan.delete if not is_committed(self._dataset.store, each)),
        )

    def _with_row(self, commits: Sequence[CommitFiles]) -> Iterator[CommitFiles]:
        """Yield the commits whose row of ``snapshots`` is there: a run that was killed did not write it."""
        for commit in commits:
            try:
                self._dataset.store.stat(commit.files[0].path)
            except FileNotFoundError:
                self._without_row[commit.snapshot_id] = None
            else:
                yield commit

    def notes(self) -> Iterator[str]:
        """Yield a line for each caveat."""
        yield from self._dataset.damage()
        for snapshot_id in self._without_row:
            yield f"snapshot {snapshot_id} has no row in the table snapshots yet; the next lexport snapshot writes it"


def publish_from(dataset: Catalog, publish: Callable[[Source], T]) -> T:
    """Publish a dataset; once more where a file is missing because its commit was pruned meanwhile."""
    try:
        return publish(Source(dataset))
    except ReadError:
        left = dataset.without_removed()
        if left is None:
            raise
        return publish(Source(left))


def add_up(result: PublishedTable, done: TablePlan) -> PublishedTable:
    """Count what was done."""
    return replace(
        result,
        snapshots_added=result.snapshots_added + len(done.add),
        files_added=result.files_added + sum(len(each.files) for each in done.add),
        rows_added=result.rows_added + sum(each.rows for each in done.add),
        snapshots_deleted=result.snapshots_deleted + len(done.delete),
    )
