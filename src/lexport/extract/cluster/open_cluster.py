"""Open the workers of one run: connect, hand out the parent's access, and end what was started."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from lexport.aws.session import Session
from lexport.extract.cluster.connect import connect
from lexport.extract.cluster.coordinate import Cluster
from lexport.extract.cluster.parent import serve_access
from lexport.extract.hash_key import HashKey
from lexport.extract.progress import Progress
from lexport.settings import Destination, SnapshotSettings


@asynccontextmanager
async def open_cluster(
    settings: SnapshotSettings,
    *,
    destination: Destination,
    run: str,
    attempt: int,
    session: Session,
    hash_key: HashKey | None,
    progress: Progress,
) -> AsyncIterator[Cluster | None]:
    """Yield the workers that the settings name; None where they name none.

    ``attempt`` is that of the run, ``session`` and ``hash_key`` are what workers of this machine are handed. Raises
    SettingsError and RunError, as ``connect``.
    """
    if not settings.is_distributed:
        yield None
        return
    progress.stage = "waiting for workers"
    async with AsyncExitStack() as opened:
        parent = None
        if settings.processes is not None:
            parent = await opened.enter_async_context(serve_access(session, hash_key))
        client = await opened.enter_async_context(
            connect(settings.dask, settings.processes, retries=settings.shard_retries, note=progress.note)
        )
        yield Cluster(
            client,
            destination=destination,
            group_readable=settings.group_readable,
            run=run,
            attempt=attempt,
            retries=settings.shard_retries,
            parent=parent,
        )
