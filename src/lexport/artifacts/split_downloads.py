"""Split the packages of a run by their hash, and let workers download them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count, islice
from typing import Any

import msgspec

from lexport.artifacts.artifact_rows import ArtifactRows
from lexport.artifacts.package_refs import layer_from_line, package_from_line
from lexport.artifacts.package_task import PackageOrder, PackagesDone, fetch_packages_task
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
TASKS_OF_A_WORKER = 8  # so that one slow package does not keep the other workers waiting


async def download_on_workers(plan: DownloadPlan, chosen: PackageSettings, cluster: Cluster, run: Run) -> bool:
    """Download everything in the plan on workers; the rows and failures of each task come into ``run``.

    The lists of a plan are sorted by hash, so a task has the packages of a range of hashes. Returns whether expired
    credentials or missing permissions are why nothing can be called any more. What no worker could download is failed.
    """
    if not plan.scopes:
        return False
    run.progress.stage = "fetching packages"
    collected = _Collected(plan, run)
    orders = _Orders(plan, chosen, cluster, run, workers=await cluster.count_workers())
    bodies = ((name, msgspec.json.encode(order)) for name, order in orders)
    failed = await cluster.run_tasks(fetch_packages_task, bodies, collected.take, run.progress)
    if failed:
        await collected.record_failed(orders, failed)
    return bool(collected.refused) and all(collected.refused)


class _Collected:
    """What the workers left, added to the rows and the progress of the run."""

    def __init__(self, plan: DownloadPlan, run: Run) -> None:
        self.refused: list[bool] = []
        self._run, self._progress = run, run.progress.packages
        self._moved_bytes = self._files = 0
        self._progress.moved_bytes = lambda: self._moved_bytes
        for downloads in plan.lists:
            self._progress.files += downloads.files
            self._progress.size_bytes += downloads.size_bytes

    def take(self, _name: str, _worker: str, left: Any) -> None:
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
        progress.files_done += done.files_done
        progress.bytes_done += done.bytes_done
        progress.stored_bytes += done.stored_bytes
        self._moved_bytes += done.moved_bytes
        for note in done.notes:
            run.progress.note(note)
        self.refused.append(done.is_refused)

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
        rows = ArtifactRows(self._run.staging, self._progress)
        for name, order in orders:
            if name not in failed:
                continue
            error = PackageError(f"no worker could download it: {failed[name]}", code="worker_failed")
            for line in order.packages:
                rows.add_failed_package(package_from_line(line), error)
            for line in order.layers:
                rows.add_failed_layer(layer_from_line(line), error, {})
            await self._run.staging.flush()


class _Orders:
    """The tasks of a plan, each with its name; it has some packages, or some layer versions."""

    def __init__(
        self, plan: DownloadPlan, chosen: PackageSettings, cluster: Cluster, run: Run, *, workers: int
    ) -> None:
        self._plan = plan
        self._most = max(1, min(MOST_ITEMS, -(-plan.files // (workers * TASKS_OF_A_WORKER))))
        self._order = PackageOrder(
            destination=cluster.destination,
            group_readable=cluster.group_readable,
            run=cluster.run,
            lexport_version=__version__,
            settings=settings_for_plan(share_of(run.settings, chosen, workers)),
            regions=tuple(sorted({scope.region for scope in plan.scopes})),
            parent=cluster.parent,
        )

    def __iter__(self) -> Iterator[tuple[str, PackageOrder]]:
        for kind, downloads in zip(("packages", "layers"), self._plan.lists, strict=False):
            with downloads.path.open(encoding="utf-8", newline="\n") as lines:
                for number in count():
                    some = tuple(line.removesuffix("\n") for line in islice(lines, self._most))
                    if not some:
                        break
                    yield f"{kind}-{number:06d}", msgspec.structs.replace(self._order, **{kind: some})


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
