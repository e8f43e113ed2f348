"""The package downloads of a snapshot: some while it reads, with presigned URLs of its responses, the rest after.

The presigned URL of a response is used if a download slot is free at that moment; otherwise it is dropped, because it
expires after ten minutes. The download plan that follows requests a fresh link for every package that is not stored.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from anyio import create_task_group, to_thread
from anyio.abc import TaskGroup

from lexport.artifacts.artifact_rows import ArtifactRows
from lexport.artifacts.downloader import Downloader
from lexport.artifacts.link_sources import link_of
from lexport.artifacts.package_counts import NeededPackages
from lexport.artifacts.package_refs import package_filter_of
from lexport.artifacts.packages import execute_plan
from lexport.artifacts.plan import DownloadPlanner, disk_space_error
from lexport.artifacts.run import Run
from lexport.artifacts.split_downloads import download_on_workers
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import Transfers, open_transfers, sha256_hex_of
from lexport.aws.session import Session
from lexport.dataset.snapshot import PackageCounts
from lexport.errors import PackageError
from lexport.extract.cluster.coordinate import Cluster
from lexport.model import LATEST, FunctionRef, Link, Reply
from lexport.settings import PackageSettings

logger = logging.getLogger(__name__)


class SnapshotDownloads:
    """Downloads the packages of what one run reads."""

    def __init__(self, settings: PackageSettings, transfers: Transfers, session: Session, run: Run) -> None:
        self._settings, self._transfers, self._session, self._run = settings, transfers, session, run
        self._rows = ArtifactRows(run.staging, run.progress.packages, required=run.settings.requires_packages)
        self._filter = package_filter_of(settings)
        self._in_flight: set[str] = set()
        self._needed: NeededPackages | None = None

    @asynccontextmanager
    async def while_reading(self) -> AsyncIterator[Callable[[FunctionRef, Reply], None]]:
        """Yield what takes the responses of GetFunction; at the end, wait for the downloads that it started."""
        async with create_task_group() as tasks:
            yield partial(self._start, tasks)

    async def fetch_rest(self, functions: Sequence[Path], layers: Sequence[Path], cluster: Cluster | None) -> None:
        """Download what the tables of functions and layers refer to and is not stored yet, with ``cluster`` there."""
        run = self._run
        run.progress.stage = "looking for packages"
        await run.staging.flush_all()
        package_store = self._transfers.package_store
        planner = DownloadPlanner(self._settings, self._filter, package_store, run.staging, run.progress.packages)
        plan = await to_thread.run_sync(planner.plan, dict.fromkeys(functions), dict.fromkeys(layers))
        self._needed = plan.needed
        downloader = Downloader(self._settings, self._transfers, self._rows)
        if message := await to_thread.run_sync(
            disk_space_error, package_store, plan
        ):  # the tables are worth publishing all the same
            run.progress.note(message)
            error = PackageError("the disk has no space for all packages", code="no_room")
            await downloader.record_all_failed(plan, error)
        elif cluster is not None:
            await download_on_workers(plan, cluster, run)
        else:
            await execute_plan(plan, downloader, self._session, run)

    def count(self, packages: Sequence[Path]) -> PackageCounts | None:
        """Count the packages by the files of their table; None if none were looked for. Blocking."""
        return None if self._needed is None else self._needed.count(packages)

    def _start(self, tasks: TaskGroup, ref: FunctionRef, reply: Reply) -> None:
        """Start a download if a slot is free, the filter selects the package and it is not stored yet."""
        if reply.location is None or len(self._in_flight) >= self._settings.concurrency:
            return
        link = link_of(reply)
        if link is None or link.package.code_sha256 in self._in_flight or not self._is_needed(ref, reply, link):
            return
        self._in_flight.add(link.package.code_sha256)
        tasks.start_soon(self._download, link, f"{ref.function_name}:{ref.qualifier or LATEST}")

    def _is_needed(self, ref: FunctionRef, reply: Reply, link: Link) -> bool:
        configuration = reply.document.get("Configuration", {})
        limit, size = self._settings.max_size_bytes, link.package.size_bytes
        version, runtime = str(configuration.get("Version", LATEST)), configuration.get("Runtime")
        if not self._filter.matches(ref.function_name, version, runtime):
            return False
        if limit is not None and (size is None or size > limit):
            return False
        try:
            sha256_hex = sha256_hex_of(link.package.code_sha256)
        except PackageError:
            return False
        # Not in a worker thread: stat takes 2 µs, a thread hop 50 µs, and this runs for every response.
        return not self._transfers.package_store.is_known(sha256_hex)

    async def _download(self, link: Link, version: str) -> None:
        """Download the package behind a link. On failure, leave it to the download plan."""
        try:
            stored = await self._transfers.store_package(link.package, _request_later, link=link)
        except PackageError as error:
            logger.info("a package is put off: %s", error.code)
        else:
            if not stored.was_present:
                self._rows.add_package(stored, version)
                self._rows.progress.stored_before += 1
        finally:
            self._in_flight.discard(link.package.code_sha256)
        await self._rows.staging.flush()


async def _request_later() -> Link:
    raise PackageError("a fresh link is requested after the snapshot has been read", code="put_off")


@asynccontextmanager
async def open_downloads(
    settings: PackageSettings | None, session: Session, run: Run
) -> AsyncIterator[SnapshotDownloads | None]:
    """Open the connections to the packages, where the settings want them; None where they do not."""
    if settings is None:
        yield None
        return
    async with open_transfers(
        settings, session, PackageStore(run.store, run.staging.folder), run.progress.packages
    ) as transfers:
        yield SnapshotDownloads(settings, transfers, session, run)
