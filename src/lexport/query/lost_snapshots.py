"""Snapshots that a warehouse may have loaded and that are pruned or damaged by now. Blocking.

A feed compares the state that was loaded with the latest one. Where the snapshot of the loaded state is gone, an older
one must not stand in for it: a row that changed, and changed back since, would look unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lexport.dataset import layout
from lexport.dataset.commits import commit_ids
from lexport.dataset.manifest import Manifest, format_instant
from lexport.dataset.pruned import PrunedCommit, read_mark, read_marks
from lexport.errors import SettingsError
from lexport.model import Scope, is_ulid, ulid_time
from lexport.query.catalog import Catalog
from lexport.tables.text import agree, plural


@dataclass(frozen=True, slots=True, kw_only=True)
class LostSnapshots:
    """Lost snapshots that were committed up to some moment, and the number of pruned ones after it."""

    loaded: tuple[PrunedCommit, ...] = ()
    pruned_since: int = 0

    def replaced(self, scope: Scope, then: Manifest) -> bool:
        """Return whether a lost snapshot may have been a newer reading of an account-region than ``then``."""
        newer = (lost.scopes for lost in self.loaded if lost.snapshot_id > then.snapshot_id)
        return any(scopes is None or scope in scopes for scopes in newer)

    def notices(self) -> tuple[str, ...]:
        """Return the sentence about rows of ``changes`` that cannot be fed."""
        if not self.pruned_since:
            return ()
        count = plural(self.pruned_since, "snapshot since then was", "snapshots since then were")
        return (f"{count} pruned: {agree(self.pruned_since, 'its', 'their')} rows of changes are not fed",)


def find_lost(catalog: Catalog, last: Manifest, bases: Collection[Manifest]) -> LostSnapshots:
    """Find the lost snapshots that matter to ``bases``, the newest loaded readings; ``last`` was loaded last."""
    oldest = min((commit.snapshot_id for commit in bases), default=last.snapshot_id)
    there = {commit.snapshot_id for commit in catalog.manifests} | {commit.snapshot_id for commit in catalog.damaged}
    ids = [run for run in commit_ids(catalog.store.names(layout.PRUNED)) if run > oldest and run not in there]
    pruned = [lost for lost in read_marks(catalog.store, ids) if lost.scopes != frozenset()]
    damaged = [PrunedCommit(snapshot_id=commit.snapshot_id) for commit in catalog.damaged]
    loaded = tuple(lost for lost in (*pruned, *damaged) if _is_loaded(lost, last))
    return LostSnapshots(loaded=loaded, pruned_since=sum(not _is_loaded(lost, last) for lost in pruned))


def _is_loaded(lost: PrunedCommit, last: Manifest) -> bool:
    """Return whether a snapshot may have been committed by then; the time in its id says when it began."""
    if lost.committed_at is None:
        return ulid_time(lost.snapshot_id) <= last.committed_at
    return (lost.committed_at, lost.snapshot_id) <= (last.committed_at, last.snapshot_id)


def check_not_pruned(catalog: Catalog, text: str, snapshots: Sequence[Manifest], *, option: str) -> None:
    """Raise SettingsError where an id is that of a pruned snapshot."""
    run = text.strip().upper()
    if not is_ulid(run) or any(commit.snapshot_id == run for commit in snapshots):
        return
    lost = read_mark(catalog.store, run)
    if lost is not None:
        when = f" at {format_instant(lost.pruned_at)}" if lost.pruned_at else ""
        raise SettingsError(
            f"{option} {run}: this snapshot was pruned{when}, so what changed since then is unknown; run the feed"
            f" without {option}, and load it into empty tables",
            option=option,
        )
