"""Decide what a run reads, before the first function is read: a new run, or an unfinished one that goes on."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from anyio import to_thread

from lexport.aws.session import Session
from lexport.dataset.staging import begin_run
from lexport.dataset.store import Store
from lexport.extract.access import Access, open_access
from lexport.extract.inputs import Inputs
from lexport.extract.progress import Progress
from lexport.extract.resume import resume_run
from lexport.extract.shards import find_shards, identify, limits_of_process
from lexport.extract.spec_settings import settings_for_plan
from lexport.model import RunSpec, __version__, new_ulid
from lexport.settings import SnapshotSettings, fingerprint_of
from lexport.tables.registry import SCHEMA_VERSION


async def plan_run(
    settings: SnapshotSettings,
    access: Access,
    inputs: Inputs,
    *,
    store: Store | None = None,
    progress: Progress,
    session: str = "lexport",
    is_stepwise: bool = False,
) -> tuple[RunSpec, int]:
    """Decide what a run reads, and claim it in ``store`` for this process; return it with the number of this attempt.

    With ``resume``, it is an unfinished run that reads the same. Without a store, nothing is claimed. ``session`` is
    what the session names of assumed roles begin with, as CloudTrail shows them. A run that ``is_stepwise`` is only
    planned here, and not claimed.
    Raises SettingsError, CredentialsError, PublishError where another process works on the run, and RunError where AWS
    cannot be reached.
    """
    await identify(access, inputs.selection)
    snapshot_at = settings.snapshot_at or datetime.now(UTC)
    options = decisive_options(settings, inputs)
    wanted = RunSpec(
        snapshot_id=settings.snapshot_id or new_ulid(snapshot_at),
        snapshot_at=snapshot_at,
        settings_fingerprint=fingerprint_of(options),
        options=options,
        settings=settings_for_plan(replace(settings, regions=access.regions or access.more_regions)),
        identity=access.identity,
        hash_key_id=inputs.hash_key_id,
        lexport_version=__version__,
        schema_version=SCHEMA_VERSION,
        is_stepwise=is_stepwise,
        shards=(),
    )
    if store is not None and settings.resume is not None:
        resumed = await resume_run(
            store,
            wanted,
            resume=settings.resume,
            max_age=settings.resume_max_age,
            publishes_gaps=settings.allow_partial,
            progress=progress,
        )
        if resumed is not None:
            access.name_session(resumed[0].snapshot_id, session)
            return resumed
    access.name_session(wanted.snapshot_id, session)
    spec = replace(
        wanted,
        shards=await find_shards(
            access, settings, accounts=inputs.accounts, selection=inputs.selection, progress=progress
        ),
    )
    if store is not None:
        await to_thread.run_sync(begin_run, store, spec)
    return spec, 1


def decisive_options(settings: SnapshotSettings, inputs: Inputs) -> dict[str, Any]:
    """Return what decides which rows a run reads, as its plan names it."""
    return {**settings.decisive(), "endpoint_url": settings.endpoint_url, "inputs": inputs.fingerprint}


def open_planned_access(
    session: Session, settings: SnapshotSettings, inputs: Inputs, progress: Progress
) -> AbstractAsyncContextManager[Access]:
    """Open the access of a process that plans a run, and may read it too."""
    return open_access(
        session,
        settings,
        regions=settings.regions,
        more_regions=[function.region for function in inputs.selection or () if function.region],
        connections=limits_of_process().connections,
        note=progress.note,
    )
