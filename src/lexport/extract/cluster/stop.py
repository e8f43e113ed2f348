"""Stop what this process does for a run: dask calls ``stop_stage`` on every worker; ``watch_claim`` sees a run gone."""

from __future__ import annotations

import asyncio

from anyio import current_time, sleep, to_thread

from lexport.dataset.claims import RENEW_EVERY_S, read_claim
from lexport.dataset.store import Store
from lexport.errors import RunError
from lexport.extract.cluster.worker import Stage, engine

GONE_AFTER_S = 4 * RENEW_EVERY_S
"""A run whose claim was not renewed for so long is worked on no more: its rows are written, and it can be resumed."""


async def stop_stage(cluster: str, kind: str) -> None:
    """Cancel the tasks of a stage, and wait until their rows are written: ten seconds at most."""
    await asyncio.to_thread(engine().stop, Stage(cluster, kind))


async def watch_claim(run: str, attempt: int, store: Store, stage: Stage) -> None:
    """Stop a stage when the process that handed out the tasks of a run is gone, or another one has taken the run over.

    Nothing else tells a worker of it: the task that it does is nobody's any more.
    """
    seen, changed_at_s = None, current_time()
    while True:
        await sleep(RENEW_EVERY_S)
        try:
            claim = await to_thread.run_sync(read_claim, store, run)
        except (OSError, RunError):
            continue
        if claim != seen:
            seen, changed_at_s = claim, current_time()
        is_over = claim is None or claim.is_released or claim.attempt != attempt
        if is_over or current_time() - changed_at_s > GONE_AFTER_S:
            engine().stop_soon(stage)
            return
