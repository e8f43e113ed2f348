"""GetFunction responses of a snapshot -> packages that are downloaded while the snapshot still reads.

The presigned URL of a response is used if a download slot is free at that moment; otherwise it is dropped, because it
expires after ten minutes. The download plan that follows requests a fresh link for every package that is not stored.
"""

from __future__ import annotations

import logging

from anyio.abc import TaskGroup

from lexport.artifacts.artifact_rows import ArtifactRows
from lexport.artifacts.link_sources import link_of
from lexport.artifacts.package_refs import PackageFilter
from lexport.artifacts.transfer import Transfers, sha256_hex_of
from lexport.dataset.layout import package_path
from lexport.errors import PackageError
from lexport.model import LATEST, FunctionRef, Link, Reply
from lexport.settings import PackageSettings

logger = logging.getLogger(__name__)


class EarlyDownloads:
    """Starts a download for a GetFunction response if a slot is free. ``tasks`` runs the downloads."""

    def __init__(
        self,
        settings: PackageSettings,
        package_filter: PackageFilter,
        transfers: Transfers,
        rows: ArtifactRows,
        tasks: TaskGroup,
    ) -> None:
        self._settings, self._filter, self._transfers, self._rows = settings, package_filter, transfers, rows
        self._tasks = tasks
        self._in_flight: set[str] = set()

    def start(self, ref: FunctionRef, reply: Reply) -> None:
        """Start a download if a slot is free, the filter selects the package and it is not stored yet."""
        if reply.location is None or len(self._in_flight) >= self._settings.concurrency:
            return
        link = link_of(reply)
        if link is None or link.package.code_sha256 in self._in_flight or not self._is_needed(ref, reply, link):
            return
        self._in_flight.add(link.package.code_sha256)
        self._tasks.start_soon(self._download, link, f"{ref.function_name}:{ref.qualifier or LATEST}")

    def _is_needed(self, ref: FunctionRef, reply: Reply, link: Link) -> bool:
        configuration = reply.document.get("Configuration", {})
        limit, size = self._settings.max_size_bytes, link.package.size_bytes
        version, runtime = str(configuration.get("Version", LATEST)), configuration.get("Runtime")
        if not self._filter.matches(ref.function_name, version, runtime):
            return False
        if limit is not None and (size is None or size > limit):
            return False
        try:
            path = package_path(sha256_hex_of(link.package.code_sha256))
        except PackageError:
            return False
        # Not in a worker thread: stat takes 2 µs, a thread hop 50 µs, and this runs for every response.
        return not (self._transfers.package_store.destination.root / path).exists()

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
        await self._rows.flush_if_full()


async def _request_later() -> Link:
    raise PackageError("a fresh link is requested after the snapshot has been read", code="put_off")
