"""The values that all shards of one run share while they are read or listed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from anyio import to_thread

from lexport.aws.quota.pacer import Pacer
from lexport.dataset.store import Store
from lexport.extract.incremental import LastSnapshot, PendingBudget, open_last
from lexport.extract.progress import Progress, ShardProgress
from lexport.extract.stored_rows import StoredTables
from lexport.model import RunSpec, Scope
from lexport.settings import SnapshotSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What the shards of one run share. ``store`` has the dataset that an incremental run builds on, None otherwise.

    ``dataset`` has the snapshots of earlier nights, whether the run builds on them or not; a plan has none.
    """

    spec: RunSpec
    settings: SnapshotSettings
    store: Store | None
    pacer: Pacer
    progress: Progress
    dataset: Store | None = None
    budget: PendingBudget = field(default_factory=PendingBudget)
    tables: StoredTables = field(default_factory=StoredTables)

    def begin(self, scope: Scope) -> ShardProgress:
        """Add the progress of one more shard."""
        before = self.progress.versions_before.get(scope)
        progress = ShardProgress(scope=scope, versions_before=before, pace=partial(self.pacer.readings, scope))
        self.progress.shards.append(progress)
        return progress

    async def open_last(self, scope: Scope, *, otherwise: str) -> LastSnapshot | None:
        """Open the rows of the last snapshot that may be carried over; where there are none, note ``otherwise``."""
        if self.store is None:
            return None
        env, key_id, note = self.settings.env, self.spec.hash_key_id, self.progress.note
        last, why = await to_thread.run_sync(
            partial(open_last, self.store, scope, env=env, hash_key_id=key_id, note=note)
        )
        if why is not None:
            note(f"{scope}: {why}; {otherwise}")
        return last
