"""Plan a run whose shards other processes read: ``lexport shard plan``."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from anyio import to_thread

from lexport.aws.session import open_session
from lexport.dataset.claims import find_claim, take_claim
from lexport.dataset.destination import prepare_store
from lexport.dataset.staging import check_is_new, is_planned
from lexport.dataset.store import Store
from lexport.errors import PublishError, SettingsError
from lexport.extract.background import reported
from lexport.extract.inputs import Inputs, note_other_key, read_inputs
from lexport.extract.plan_run import decisive_options, open_planned_access, plan_run
from lexport.extract.progress import Progress, Report, report_nothing
from lexport.extract.resume import why_not
from lexport.extract.shard_process import asking, read_whole_plan
from lexport.model import RunSpec
from lexport.settings import SnapshotSettings, fingerprint_of
from lexport.tables.choice import choose_resources


async def plan_shards(
    dest: str | os.PathLike[str], settings: SnapshotSettings, *, report: Report = report_nothing
) -> RunSpec:
    """Plan a run whose shards other processes read, and leave the plan at ``dest``; return it.

    A plan of ``snapshot_id`` that is there by now is returned as it is; with other settings, that is a SettingsError.
    Raises RunError as a snapshot does.
    """
    settings = choose_resources(settings)
    settings.check_reads_a_fleet()
    progress = Progress()
    inputs = await read_inputs(settings, note=progress.note)
    prepare = partial(prepare_store, dest, group_readable=settings.group_readable, profile=settings.profile)
    store = await to_thread.run_sync(prepare)
    find = partial(_find_plan, store, settings, inputs)
    if (spec := await to_thread.run_sync(find)) is not None:
        return spec
    note_other_key(inputs, store, note=progress.note)
    async with (
        reported(progress, report, folder=Path(store.url)),
        open_session(profile=settings.profile, endpoint_url=settings.endpoint_url) as session,
        open_planned_access(session, settings, inputs, progress) as access,
    ):
        try:
            spec, _ = await plan_run(settings, access, inputs, store=store, progress=progress, is_stepwise=True)
        except PublishError:  # another process has planned it at the same time
            if (spec := await to_thread.run_sync(find)) is None:
                raise
    return spec


def _find_plan(store: Store, settings: SnapshotSettings, inputs: Inputs) -> RunSpec | None:
    """Return the whole plan of the run that the settings name; None where there is none yet. Blocking.

    Raises PublishError where the run is published, SettingsError where it was planned with other settings.
    """
    run = settings.snapshot_id
    if run is None:
        return None
    with asking(store):
        if not is_planned(store, run):
            check_is_new(store, run)
            return None
        spec = read_whole_plan(store, run)
        options = decisive_options(settings, inputs)
        fingerprint = fingerprint_of(options)
        wanted = replace(spec, options=options, settings_fingerprint=fingerprint, hash_key_id=inputs.hash_key_id)
        if (why := why_not(spec, wanted, timedelta.max)) is not None:
            raise SettingsError(f"--run {run}: {why}", option="--run")
        if find_claim(store, run) is None:  # its planner was killed right before it wrote this
            with suppress(PublishError):
                take_claim(store, run, 1, is_released=True)
    return spec
