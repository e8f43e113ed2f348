"""Turn download lists into stored packages and layers, and record rows about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from anyio import CapacityLimiter

from lexport.artifacts.artifact_rows import NOT_FETCHED, STORED, ArtifactRows
from lexport.artifacts.link_sources import LayerLinks, PackageLinks, s3_object_of
from lexport.artifacts.package_refs import ReferencedLayer, layer_from_line, package_from_line
from lexport.artifacts.plan import IN_CUSTOMER_BUCKET, DownloadList, DownloadPlan
from lexport.artifacts.scope_calls import ScopeCalls
from lexport.artifacts.transfer import Transfers
from lexport.errors import ItemError
from lexport.extract.lossless import LosslessReader, make_plan
from lexport.extract.workers import pump
from lexport.model import Link, PackageRef, Reply
from lexport.settings import PackageSettings
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.staged import staged_names

_LAYER_COLUMNS = staged_names(LAYER_VERSIONS)
_LAYER_PLAN = make_plan(LAYER_VERSIONS)


class Downloader:
    """Downloads what a plan lists. Each worker requests a fresh link when it begins a download.

    ``slots`` bound the downloads at once of several plans together.
    """

    def __init__(
        self,
        settings: PackageSettings,
        transfers: Transfers,
        rows: ArtifactRows,
        *,
        slots: CapacityLimiter | None = None,
    ) -> None:
        self._settings, self._transfers, self._rows = settings, transfers, rows
        self._slots = slots or CapacityLimiter(settings.concurrency)

    async def fetch_all(self, plan: DownloadPlan, calls: ScopeCalls) -> None:
        """Download every package in the plan; request every layer version, and download what is not stored yet."""
        for downloads, record in self._lists(plan):
            fetch = self._fetch_package if downloads is plan.packages else self._fetch_layer
            self._rows.progress.files += downloads.files
            self._rows.progress.size_bytes += downloads.size_bytes
            with downloads.open_queue() as queue:
                await pump(partial(self._in_slot, fetch, calls), queue, record, workers=self._settings.concurrency)

    async def _in_slot(self, fetch: Callable[[ScopeCalls, str], Awaitable[None]], calls: ScopeCalls, line: str) -> None:
        async with self._slots:
            await fetch(calls, line)

    async def record_all_failed(self, plan: DownloadPlan, error: ItemError) -> None:
        """Record the same error for everything in the plan."""
        for downloads, record in self._lists(plan):
            with downloads.open_queue() as queue:
                async for line in queue:
                    record(line, error)
                    await self._rows.staging.flush()

    def _lists(self, plan: DownloadPlan) -> Iterator[tuple[DownloadList, Callable[[str, ItemError], None]]]:
        return zip(plan.lists, (self._record_failed_package, self._record_failed_layer), strict=False)

    def _count_done(self, size_bytes: int | None) -> None:
        self._rows.progress.files_done += 1
        self._rows.progress.bytes_done += size_bytes or 0

    async def _fetch_package(self, calls: ScopeCalls, line: str) -> None:
        item = package_from_line(line)
        links = PackageLinks(calls, item)
        try:
            stored = await self._transfers.store_package(item.package, links.request_link)
        finally:
            self._count_done(item.package.size_bytes)
        self._rows.add_package(stored, links.ref)
        if stored.package.code_sha256 != item.package.code_sha256:
            self._rows.add_replaced_package(item, stored)
        await self._rows.staging.flush()

    def _record_failed_package(self, line: str, error: ItemError) -> None:
        self._rows.add_failed_package(package_from_line(line), error)

    async def _fetch_layer(self, calls: ScopeCalls, line: str) -> None:
        item = layer_from_line(line)
        links = LayerLinks(calls, item)
        try:
            reply = await links.request_layer_version()
            reader = LosslessReader(len(_LAYER_COLUMNS), masks_values=False, is_exact=True)
            reader.read(_LAYER_PLAN, reply.document)
            for notice in reader.notices:  # a value of the wrong type, which is NULL
                self._rows.add_notice(item.refs[0], "GetLayerVersionByArn", notice.code, notice.message)
            values = dict(zip(_LAYER_COLUMNS[:-1], reader.row, strict=False))
            await self._fetch_content(item, links, reply, values)
        finally:
            self._count_done(item.size_bytes)
        await self._rows.staging.flush()

    async def _fetch_content(
        self, item: ReferencedLayer, links: LayerLinks, reply: Reply, values: dict[str, Any]
    ) -> None:
        package = PackageRef(code_sha256=values.get("code_sha256") or "", size_bytes=values.get("size_bytes"))
        links.s3_object = s3_object_of(reply.document.get("Content"))
        if links.s3_object is not None and not self._settings.reference_packages:
            self._rows.add_layer(item, values, status="reference", reason=IN_CUSTOMER_BUCKET, answer=NOT_FETCHED)
            return
        link = Link(url=reply.location, package=package) if reply.location else None
        try:
            stored = await self._transfers.store_package(package, links.request_link, link=link)
        except ItemError as error:
            self._rows.add_failed_layer(item, error, values)
            return
        self._rows.progress.stored_bytes += 0 if stored.was_present else stored.size_bytes
        self._rows.add_content(stored)
        self._rows.add_layer(item, values, status="present" if stored.was_present else "stored", answer=STORED)

    def _record_failed_layer(self, line: str, error: ItemError) -> None:
        self._rows.add_failed_layer(layer_from_line(line), error, {})
