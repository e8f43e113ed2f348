"""Stop what this process does for a run. dask calls it on every worker."""

from __future__ import annotations

import asyncio

from lexport.extract.cluster.worker import engine


async def stop_run(run: str) -> None:
    """Cancel the shards of a run, and wait until their rows are written: ten seconds at most."""
    await asyncio.to_thread(engine().stop, run)
