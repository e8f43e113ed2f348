"""Split the packages of a run by their hash, and let workers download them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import structs

from lexport.artifacts.artifact_rows import ArtifactRows
from lexport.artifacts.package_refs import layer_from_line, package_from_line
from lexport.artifacts.package_task import READERS, Moved, PackageOrder, PackagesDone, Sent, fetch_packages_task
from lexport.artifacts.plan import DownloadPlan
from lexport.artifacts.run import Run
from lexport.dataset.runs import read_sections
from lexport.errors import PackageError
from lexport.extract.cluster.coordinate import Cluster
from lexport.extract.spec_settings import settings_for_plan
from lexport.model import __version__
from lexport.settings import PackageSettings, SnapshotSettings
from lexport.tables.run import ERRORS

MOST_ITEMS = 128  # packages of one task: some 50 KB of lines, and as much of rows
MOST_BYTES = 2**30  # of their sizes together, as far as these are known
TASKS_OF_A_WORKER = 8  # so that one slow package does not keep the other workers waiting


async def download_on_workers(plan: DownloadPlan, cluster: Cluster, run: Run) -> bool:
    """Download everything in the plan on workers; the rows and failures of each task come into ``run``.

    The lists of a plan are sorted by hash, so a task has the packages of a range of hashes. Returns whether expired
    credentials or missing permissions are why nothing can be called any more. What no worker could download is failed.
    """
    if not plan.scopes:
        return False
    run.progress.stage = "fetching packages"
    collected = _Collected(plan, cluster, run)
    workers = await cluster.count_workers()
    with cluster.hearing("packages", collected.show) as topic:
        orders = _Orders(plan, cluster, run, topic, workers=workers)
        bodies = ((order.name, msgspec.json.encode(order)) for order in orders)
        failed = await cluster.run_tasks(fetch_packages_task, bodies, collected.take, run.progress)
    if failed:
        await collected.record_failed(orders, failed)
    return bool(collected.refused) and all(collected.refused)


class _Collected:
    """What the workers left, added to the rows and the progress of the run."""

    def __init__(self, plan: DownloadPlan, cluster: Cluster, run: Run) -> None:
        self.refused: list[bool] = []
        self._cluster, self._run, self._progress = cluster, run, run.progress.packages
        self._files = 0
        self._taken: set[str] = set()
        self._running: dict[str, tuple[int, int]] = {}  # files and bytes of tasks that are counted in the progress
        self._moved: dict[str, int] = {}
        before = self._progress.moved_bytes
        self._progress.moved_bytes = lambda: before() + sum(self._moved.values())
        for downloads in plan.lists:
            self._progress.files += downloads.files
            self._progress.size_bytes += downloads.size_bytes

    def show(self, sent: Any) -> None:
        """Show what a worker has done so far."""
        report = msgspec.convert(sent, Sent)
        self._note_moved(report.moved)
        for name, done in report.tasks.items():
            if name not in self._taken:
                self._count(name, *done)

    def _note_moved(self, moved: Moved) -> None:
        self._moved[moved.opened] = max(moved.size_bytes, self._moved.get(moved.opened, 0))

    def _count(self, name: str, files: int, size_bytes: int) -> None:
        """Count what a task has done, in the place of what it or an earlier try of it had done before."""
        before_files, before_bytes = self._running.get(name, (0, 0))
        self._running[name] = files, size_bytes
        self._progress.files_done += files - before_files
        self._progress.bytes_done += size_bytes - before_bytes

    def take(self, name: str, worker: str, left: Any) -> None:
        """Add what one task left."""
        progress, run = self._progress, self._run
        done = msgspec.json.decode(left["packages"], type=PackagesDone)
        for body in done.rows:
            self._add_rows(body)
        for failure in done.failures:
            run.staging.failures.append(failure)
        for kind, times, example in done.kinds:
            progress.kinds[kind] += times
            progress.examples.setdefault(kind, example)
        self._end(name, done.files_done, done.bytes_done)
        progress.stored_bytes += done.stored_bytes
        counts = self._cluster.counts(worker)
        counts.packages += sum(times for kind, times, _ in done.kinds if kind.status == "stored")
        counts.bytes += done.stored_bytes
        self._note_moved(done.moved)
        for note in done.notes:
            run.progress.note(note)
        self.refused.append(done.is_refused)

    def _end(self, name: str, files: int, size_bytes: int) -> None:
        self._count(name, files, size_bytes)
        del self._running[name]
        self._taken.add(name)

    def _add_rows(self, body: bytes) -> None:
        path = self._run.folder / f"from-worker-{self._files:06d}.run"
        self._files += 1
        path.write_bytes(body)
        path.chmod(self._run.store.file_mode)
        for section in read_sections(path):
            if section.table != ERRORS.name:
                self._run.staging.runs.setdefault(section.table, []).append(section)

    async def record_failed(self, orders: _Orders, failed: Mapping[str, str]) -> None:
        """Record what no worker could download, with the reason."""
        rows = ArtifactRows(self._run.staging, self._progress, required=self._run.settings.requires_packages)
        for order in orders:
            if order.name not in failed:
                continue
            error = PackageError(f"no worker could download it: {failed[order.name]}", code="worker_failed")
            for line in order.packages:
                rows.add_failed_package(package_from_line(line), error)
            for line in order.layers:
                rows.add_failed_layer(layer_from_line(line), error, {})
            self._end(order.name, len(order.packages) + len(order.layers), order.size_bytes)
            await self._run.staging.flush()


class _Orders:
    """The tasks of a plan; each has some packages, or some layer versions."""

    def __init__(self, plan: DownloadPlan, cluster: Cluster, run: Run, topic: str, *, workers: int) -> None:
        chosen = run.settings.packages or PackageSettings()
        self._plan = plan
        self._most = max(1, min(MOST_ITEMS, -(-plan.files // (workers * TASKS_OF_A_WORKER))))
        self._order = PackageOrder(
            name="",
            address=cluster.address,
            run=cluster.run,
            run_attempt=cluster.attempt,
            lexport_version=__version__,
            settings=settings_for_plan(share_of(run.settings, chosen, workers)),
            regions=plan.regions,
            parent=cluster.parent,
            topic=topic,
            stage=cluster.stage(fetch_packages_task),
        )

    def __iter__(self) -> Iterator[PackageOrder]:
        for kind, downloads in zip(READERS, self._plan.lists, strict=False):
            with downloads.path.open(encoding="utf-8", newline="\n") as file:
                lines = (line.removesuffix("\n") for line in file)
                for number, (some, size_bytes) in enumerate(batches(kind, lines, self._most)):
                    name = f"{kind}-{number:06d}"
                    yield structs.replace(self._order, name=name, size_bytes=size_bytes, **{kind: some})


def batches(kind: str, lines: Iterator[str], most: int) -> Iterator[tuple[tuple[str, ...], int]]:
    """Split lines into those of one task each; yield them with the size of all together."""
    some: list[str] = []
    size_bytes = 0
    for line in lines:
        own_bytes = READERS[kind](line).size_bytes or 0
        if some and (len(some) == most or size_bytes + own_bytes > MOST_BYTES):
            yield tuple(some), size_bytes
            some, size_bytes = [], 0
        some.append(line)
        size_bytes += own_bytes
    if some:
        yield tuple(some), size_bytes


def share_of(settings: SnapshotSettings, chosen: PackageSettings, workers: int) -> SnapshotSettings:
    """Return the settings of one of several workers, which request links in the same account-regions.

    Together they use the quota, the bandwidth and the downloads at once of one process.
    """
    rate = chosen.rate_bytes_per_s
    own = replace(
        chosen,
        concurrency=max(1, chosen.concurrency // workers),
        rate_bytes_per_s=None if rate is None else rate / workers,
    )
    return replace(settings, packages=own, quota_share=settings.quota_share / workers)
