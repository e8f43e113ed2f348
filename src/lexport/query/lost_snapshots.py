"""Snapshots that a warehouse may have loaded and that are pruned or damaged by now. Blocking.

A feed compares the state that was loaded with the latest one. Where the snapshot of the loaded state is gone, an older
one must not stand in for it: a row that changed, and changed back since, would look unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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

    def scopes(self) -> set[Scope]:
        """Return the account-regions that lost snapshots are known to have read whole."""
        return {scope for lost in self.loaded for scope in lost.scopes or ()}

    def hiding(self, counting: Mapping[Scope, str]) -> list[str]:
        """Return the ids of lost snapshots that may be newer readings of an account-region than those that count.

        ``counting`` has the id of the commit that decides what is shown of an account-region.
        """
        oldest = min(counting.values(), default="")
        return sorted(
            lost.snapshot_id
            for lost in self.loaded
            if (
                oldest < lost.snapshot_id
                if lost.scopes is None
                else any(counting.get(scope, "") < lost.snapshot_id for scope in lost.scopes)
            )
        )

    def notices(self) -> tuple[str, ...]:
        """Return the sentence about rows of run tables that cannot be fed."""
        if not self.pruned_since:
            return ()
        count = plural(self.pruned_since, "snapshot since then was", "snapshots since then were")
        its = agree(self.pruned_since, "its", "their")
        return (f"{count} pruned: {its} rows of changes, errors and scopes are not fed",)


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


def check_not_lost(catalog: Catalog, text: str, *, option: str) -> None:
    """Raise SettingsError where an id is that of a commit which is not in the dataset any more, with what to do."""
    run = text.strip().upper()
    if not is_ulid(run) or any(commit.snapshot_id == run for commit in catalog.manifests):
        return
    damaged = next((commit for commit in catalog.damaged if commit.snapshot_id == run), None)
    lost = read_mark(catalog.store, run)
    if damaged is not None:
        reason = f": {damaged}"
    elif lost is not None:
        reason = ": this snapshot was pruned" + (f" at {format_instant(lost.pruned_at)}" if lost.pruned_at else "")
    else:
        reason = " is no snapshot of this dataset, and lexport status lists those that are"
    raise SettingsError(
        f"{option} {run}{reason}, so what changed since then is unknown; run the feed without {option} and load it:"
        " it replaces everything that was loaded before",
        option=option,
    )
