"""The package downloads of a snapshot: some while it reads, with presigned URLs of its responses, the rest after."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from anyio import create_task_group, to_thread

from lexport.artifacts.artifact_rows import ArtifactRows
from lexport.artifacts.downloader import Downloader
from lexport.artifacts.early_downloads import EarlyDownloads
from lexport.artifacts.package_refs import package_filter_of
from lexport.artifacts.packages import execute_plan
from lexport.artifacts.plan import TableFile, disk_space_error, plan_downloads
from lexport.artifacts.run import Run
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import Transfers, open_transfers
from lexport.aws.session import Session
from lexport.errors import PackageError
from lexport.model import FunctionRef, Reply
from lexport.settings import PackageSettings


class SnapshotDownloads:
    """Downloads the packages of what one run reads."""

    def __init__(self, settings: PackageSettings, transfers: Transfers, session: Session, run: Run) -> None:
        self._settings, self._transfers, self._session, self._run = settings, transfers, session, run
        self._rows = ArtifactRows(run.staging, run.progress.packages)
        self._filter = package_filter_of(settings)

    @asynccontextmanager
    async def while_reading(self) -> AsyncIterator[Callable[[FunctionRef, Reply], None]]:
        """Yield what takes the responses of GetFunction; at the end, wait for the downloads that it started."""
        async with create_task_group() as tasks:
            yield EarlyDownloads(self._settings, self._filter, self._transfers, self._rows, tasks).start

    async def fetch_rest(self, functions: Path, layers: Path) -> None:
        """Download what the tables of functions and layers refer to and is not stored yet."""
        run = self._run
        run.progress.stage = "looking for packages"
        await run.staging.flush_all()
        plan = await to_thread.run_sync(
            partial(
                plan_downloads,
                self._settings,
                self._filter,
                self._transfers.package_store,
                functions=[TableFile(path=functions)],
                layers=[TableFile(path=layers)],
                folder=run.staging.folder,
                runs=run.staging.runs,
                progress=run.progress.packages,
            )
        )
        downloader = Downloader(self._settings, self._transfers, self._rows)
        if message := disk_space_error(run.store.root, plan):  # the tables are worth publishing all the same
            run.progress.note(message)
            error = PackageError("the disk has no space for all packages", code="no_room")
            await downloader.record_all_failed(plan, error)
        else:
            await execute_plan(plan, downloader, self._settings, self._session, run)


@asynccontextmanager
async def open_downloads(
    settings: PackageSettings | None, session: Session, run: Run
) -> AsyncIterator[SnapshotDownloads | None]:
    """Open the connections to the packages, where the settings want them; None where they do not."""
    if settings is None:
        yield None
        return
    async with open_transfers(settings, session, PackageStore(run.store), run.progress.packages) as transfers:
        yield SnapshotDownloads(settings, transfers, session, run)
