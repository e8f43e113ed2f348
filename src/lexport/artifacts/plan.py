"""Published ``functions`` and ``layers`` -> rows of packages that need no request, and lists of what to download.

A plan works like a snapshot, with sorted runs and one bounded merge, so its memory does not depend on the
size of the fleet. Packages that need no request become staged rows here; the others become lines of a file, one line
for each package or layer version.
"""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from anyio.from_thread import check_cancelled

from lexport.artifacts import package_refs
from lexport.artifacts.artifact_rows import NOT_FETCHED, PRESENT, present_row, staged_row
from lexport.artifacts.package_counts import NeededPackages
from lexport.artifacts.package_refs import PackageFilter, ReferencedLayer, ReferencedPackage, item_to_line
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import sha256_hex_of
from lexport.dataset.data_files import newest_file
from lexport.dataset.disk_queue import DiskQueue
from lexport.dataset.runs import ROWS_AT_ONCE, RunWriter, Section, merge
from lexport.dataset.store import Store
from lexport.errors import PackageError
from lexport.extract.progress import PackageProgress
from lexport.extract.rows import Staging
from lexport.model import Scope
from lexport.settings import PackageSettings
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGES
from lexport.tables.table import Table
from lexport.tables.text import agree, plural
from lexport.tables.units import format_bytes

FILTERED_OUT = "left out by a filter"
TOO_LARGE = "larger than --max-package-size"
IN_CUSTOMER_BUCKET = "in the customer's own bucket; --reference-packages fetches it"


TableFiles = Mapping[Path, Collection[Scope] | None]
"""Parquet files of a table, and the account-regions to read from each; None for all of them."""


@dataclass(slots=True, kw_only=True)
class DownloadList:
    """Packages or layer versions to download, ``at_once`` of them. ``path`` is a queue on disk with a line for each.

    ``scopes`` are the account-regions whose functions refer to them; ``largest`` are the greatest sizes.
    """

    path: Path
    at_once: int
    files: int = 0
    size_bytes: int = 0
    largest: list[int] = field(default_factory=list)
    scopes: set[Scope] = field(default_factory=set)

    def add(self, item: ReferencedPackage | ReferencedLayer) -> None:
        """Count one item."""
        self.files += 1
        self.size_bytes += item.size_bytes or 0
        heapq.heappush(self.largest, item.size_bytes or 0)
        if len(self.largest) > self.at_once:
            heapq.heappop(self.largest)
        self.scopes.update(ref.scope for ref in item.refs)

    def open_queue(self) -> DiskQueue:
        """Open the queue for reading, from its begin."""
        return DiskQueue(self.path, written=self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadPlan:
    """What a run has to download. ``layers`` is None where the run does not fetch layers.

    ``needed`` are the packages that the run should have, also those that are stored already.
    """

    packages: DownloadList
    layers: DownloadList | None = None
    needed: NeededPackages | None = None

    @property
    def lists(self) -> tuple[DownloadList, ...]:
        """The lists that were made."""
        return (self.packages,) if self.layers is None else (self.packages, self.layers)

    @property
    def files(self) -> int:
        """How many packages and layer versions are to be downloaded."""
        return sum(downloads.files for downloads in self.lists)

    @property
    def scopes(self) -> set[Scope]:
        """The account-regions whose functions refer to them."""
        return {scope for downloads in self.lists for scope in downloads.scopes}

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions of these, sorted."""
        return tuple(sorted({scope.region for scope in self.scopes}))


@dataclass(frozen=True, slots=True)
class DownloadPlanner:
    """Plans the downloads of one run. ``staging`` receives the lists, and the rows of packages that need no request."""

    settings: PackageSettings
    package_filter: PackageFilter
    package_store: PackageStore
    staging: Staging
    progress: PackageProgress

    def plan(self, functions: TableFiles, layers: TableFiles) -> DownloadPlan:
        """Return what is to be downloaded for these ``functions`` and, if the settings say so, for these ``layers``.

        Blocking; to be called in a worker thread of anyio.
        """
        needed = NeededPackages(self.staging.folder / "needed-packages.txt")
        packages = self._plan_packages(functions, needed)
        planned = self._plan_layers(layers) if self.settings.layers else None
        return DownloadPlan(packages=packages, layers=planned, needed=needed)

    def _plan_packages(self, functions: TableFiles, needed: NeededPackages) -> DownloadList:
        downloads = self._new_list("download-packages.txt")
        batches = (
            batch
            for path, scopes in functions.items()
            for batch in package_refs.read_functions(path, scopes, self.package_filter)
        )
        items = package_refs.group_packages(merge(self._stage(package_refs.PACKAGE_REFS, batches), self.staging.folder))
        with DiskQueue(downloads.path) as queue:
            rows = self._package_rows(items, downloads, queue, needed)
            self._write(PACKAGES, rows)
        return downloads

    def _plan_layers(self, layers: TableFiles) -> DownloadList:
        """List the layer versions to request. The published table says which of them are stored already."""
        downloads = self._new_list("download-layers.txt")
        batches = (
            batch
            for path, scopes in layers.items()
            for batch in package_refs.read_layers(path, scopes, self.package_filter)
        )
        items = package_refs.group_layers(merge(self._stage(package_refs.LAYER_REFS, batches), self.staging.folder))
        contents: list[tuple[Any, ...]] = []
        with DiskQueue(downloads.path) as queue:
            rows = self._layer_rows(
                items, _published_layers(self.package_store.destination), downloads, queue, contents
            )
            self._write(LAYER_VERSIONS, rows)
            self._write(PACKAGES, contents)
        return downloads

    def _new_list(self, name: str) -> DownloadList:
        return DownloadList(path=self.staging.folder / name, at_once=self.settings.concurrency)

    def _package_rows(
        self, items: Iterable[ReferencedPackage], downloads: DownloadList, queue: DiskQueue, needed: NeededPackages
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of packages that need no request; put the others into the queue."""
        for item in items:
            status, reason, row = self._decide(item)
            if row is None or status == "present":
                needed.add(item.package.code_sha256, item.scopes)
            if row is not None:
                self.progress.count("package", status, reason, str(item.refs[0]))
                yield row
                continue
            downloads.add(item)
            queue.put([item_to_line(item)])

    def _decide(self, item: ReferencedPackage) -> tuple[str, str, tuple[Any, ...] | None]:
        """Return status, reason and row of a package; the row is None where the package is to be downloaded.

        The first case that applies: an image; a hash that is none, or a damaged package that cannot be removed (the
        download reports both); stored already; filtered out; too large; in the customer's own bucket.
        """
        code, size = item.package.code_sha256, item.package.size_bytes
        if item.package_type == "Image":
            image = {"code_sha256": code, "sha256_hex": code, "size_bytes": size, "status": "image"}
            return "image", "", staged_row(PACKAGES, answer=NOT_FETCHED, **image)
        try:
            sha256_hex = sha256_hex_of(code)
            present = present_row(self.package_store, code, size)
        except PackageError:
            return "", "", None
        if present is not None:
            return "present", "", present
        if not item.is_selected:
            status, reason = "skipped", FILTERED_OUT
        elif _exceeds(size, self.settings.max_size_bytes):
            status, reason = "skipped", TOO_LARGE
        elif item.s3_object is not None and not self.settings.reference_packages:
            status, reason = "reference", IN_CUSTOMER_BUCKET
        else:
            return "", "", None
        row = staged_row(
            PACKAGES,
            answer=NOT_FETCHED,
            code_sha256=code,
            sha256_hex=sha256_hex,
            size_bytes=size,
            status=status,
            reason=reason,
        )
        return status, reason, row

    def _layer_rows(
        self,
        items: Iterable[ReferencedLayer],
        published: Iterator[dict[str, Any]],
        downloads: DownloadList,
        queue: DiskQueue,
        contents: list[tuple[Any, ...]],
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of layer versions that need no request; both inputs are sorted by ARN.

        ``contents`` receives the rows of ``packages`` for the content of these layer versions.
        """
        row = next(published, None)
        for item in items:
            while row is not None and row["layer_arn"] < item.layer_arn:
                row = next(published, None)
            content = self._present_content(row) if row and row["layer_arn"] == item.layer_arn else None
            if row is not None and content is not None:
                contents.append(content)
                if len(contents) >= ROWS_AT_ONCE:
                    self._write(PACKAGES, contents)
                    contents.clear()
                self.progress.count("layer", "present", example=item.layer_arn)
                present = row | {"account_id": None, "region": None, "status": "present", "reason": None}
                yield staged_row(LAYER_VERSIONS, answer=PRESENT, **present)
            elif _exceeds(item.size_bytes, self.settings.max_size_bytes):
                self.progress.count("layer", "skipped", TOO_LARGE, item.layer_arn)
                values = {"layer_arn": item.layer_arn, "size_bytes": item.size_bytes}
                yield staged_row(LAYER_VERSIONS, answer=NOT_FETCHED, status="skipped", reason=TOO_LARGE, **values)
            else:
                downloads.add(item)
                queue.put([item_to_line(item)])

    def _present_content(self, row: dict[str, Any]) -> tuple[Any, ...] | None:
        try:
            return present_row(self.package_store, row["code_sha256"] or "", row["size_bytes"])
        except PackageError:
            return None

    def _stage(self, table: Table, batches: Iterable[pa.RecordBatch]) -> list[Section]:
        writer = RunWriter(self.staging.folder, file_mode=self.package_store.destination.file_mode)
        for batch in batches:
            check_cancelled()
            writer.add(table, batch)
        writer.flush()
        return writer.runs[table.name]

    def _write(self, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
        check_cancelled()
        writer = RunWriter(
            self.staging.folder, file_mode=self.package_store.destination.file_mode, runs=self.staging.runs
        )
        writer.add_rows(table, rows)
        writer.flush()


def disk_space_error(package_store: PackageStore, plan: DownloadPlan) -> str | None:
    """Return a message where this machine's disk has no space for what is to be downloaded, else None. Blocking.

    A folder receives all of it. Of what a bucket receives, only the packages that are moved at once are on the disk.
    """
    if package_store.is_local:
        needed_bytes, files = sum(downloads.size_bytes for downloads in plan.lists), plan.files
    else:
        files, needed_bytes = max((len(downloads.largest), sum(downloads.largest)) for downloads in plan.lists)
    folder = package_store.disk
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes <= free_bytes:
        return None
    at_once, fewer = ("", "") if package_store.is_local else (" at once", ", give a lower --package-concurrency")
    return (
        f"{plural(files, 'package')} of {needed_bytes:,} bytes ({format_bytes(needed_bytes)})"
        f" {agree(files, 'is', 'are')} to be fetched{at_once}, but {folder} has {free_bytes:,} free"
        f" ({format_bytes(free_bytes)}): free some{fewer}, choose fewer with --packages-for, --package-runtime or"
        " --package-name, or give --max-package-size; none of them was fetched"
    )


def _published_layers(store: Store) -> Iterator[dict[str, Any]]:
    """Yield the rows of the newest published table of layer versions, in the order of their ARN."""
    path = newest_file(store, LAYER_VERSIONS)
    if path is None:
        return
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from batch.to_pylist()


def _exceeds(size_bytes: int | None, limit_bytes: int | None) -> bool:
    return size_bytes is not None and limit_bytes is not None and size_bytes > limit_bytes
