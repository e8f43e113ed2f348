"""Compare account-regions with the newest snapshot before that read each of them whole, into sorted runs. Blocking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lexport.dataset.changes import find_changes, is_comparable
from lexport.dataset.commits import fleet_commits, newest_settled
from lexport.dataset.compare import Parts, SnapshotFiles
from lexport.dataset.manifest import Manifest
from lexport.dataset.runs import RunWriter
from lexport.dataset.store import Store
from lexport.errors import ReadError
from lexport.model import Scope
from lexport.tables.run import CHANGES
from lexport.tables.text import first_of


@dataclass(frozen=True, slots=True)
class Before:
    """A snapshot before, and the account-regions that are compared with it, sorted."""

    commit: Manifest
    scopes: tuple[Scope, ...]

    def note_of(self, damage: object) -> str:
        """Return the note that it is damaged."""
        what = first_of([str(scope) for scope in self.scopes], most=1)
        return (
            f"changes of {what} are not recorded: the snapshot before, {self.commit.snapshot_id}, is damaged: {damage}"
        )


def snapshots_before(
    run: str, scopes: Collection[Scope], options: Mapping[str, Any], *, store: Store, note: Callable[[str], None]
) -> list[Before]:
    """Return the snapshots to compare account-regions with, in the order of their ids.

    One that was retired is compared with its retirement, so that everything was added. ``options`` are those of the
    run; ``note`` is called with what cannot be compared. Raises RunError.
    """
    earlier = fleet_commits(store, lambda damaged: note(damaged.note), before=run)
    commits = newest_settled(earlier, scopes)
    scopes_of: dict[str, list[Scope]] = defaultdict(list)
    for scope, commit in commits.items():
        scopes_of[commit.snapshot_id].append(scope)
    found = []
    for snapshot_id, compared in sorted(scopes_of.items()):
        commit = commits[compared[0]]
        if is_comparable(options, commit.options):
            found.append(Before(commit, tuple(sorted(compared))))
            continue
        note(
            f"changes since {snapshot_id} are not recorded: one of the two snapshots has $LATEST alone, the other all"
            " but $LATEST"
        )
    return found


def stage_changes(
    now: SnapshotFiles,
    before: Manifest,
    scopes: Collection[Scope],
    writer: RunWriter,
    *,
    store: Store,
    watch: Callable[[pa.RecordBatch], object],
) -> ReadError | None:
    """Write what changed in account-regions; return the damage of ``before``, of which no rows are kept then.

    ``watch`` is called with the rows. Raises ReadError where ``now`` is damaged, RunError, WriteError.
    """
    damageable = {f"{store.url}/{entry.path}" for entry in before.files}
    try:
        files = SnapshotFiles.of(Parts(before, store).of(scopes), store)
        damageable |= {str(path) for paths in files.files.values() for path in paths}
        for rows in find_changes(scopes, now=now, before=files):
            for batch in rows.to_batches():
                watch(batch)
                writer.add(CHANGES, batch)
        writer.flush()
    except ReadError as error:
        if error.path not in damageable:
            raise
        writer.discard()
        return error
    return None
