"""The task that downloads some packages or layer versions on a worker of dask.

The packages of a run are split by their hash. A worker requests links with its own credentials and stores what it has
verified; links never leave it. Its rows and failures go back with the outcome: a task has few packages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from anyio import to_thread

from lexport.artifacts.artifact_rows import ArtifactRows
from lexport.artifacts.downloader import Downloader
from lexport.artifacts.package_refs import ReferencedLayer, ReferencedPackage, layer_from_line, package_from_line
from lexport.artifacts.plan import DownloadList, DownloadPlan
from lexport.artifacts.scope_calls import ScopeCalls
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import Transfers, open_transfers
from lexport.aws.quota.pacer import Pacer
from lexport.aws.session import open_session
from lexport.dataset.disk_queue import DiskQueue
from lexport.dataset.open_store import open_store
from lexport.dataset.runs import Runs
from lexport.errors import RunError
from lexport.extract.access import open_access
from lexport.extract.cluster.parent import parent_access
from lexport.extract.cluster.worker import Engine, Outcome, engine, run_in_engine
from lexport.extract.failures import failures_of_rows
from lexport.extract.progress import PackageKind, PackageProgress
from lexport.extract.rows import Staging
from lexport.extract.shard_process import OwnAccess
from lexport.extract.spec_settings import settings_from_values
from lexport.model import Failure, __version__
from lexport.settings import Destination, PackageSettings
from lexport.tables.run import ERRORS


class PackageOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told of some packages: nothing of it is secret.

    ``settings`` are those of the run, with the rates and the downloads at once that are this worker's share.
    ``packages`` and ``layers`` are items as lines, ``regions`` those of the whole run.
    """

    destination: dict[str, Any]
    group_readable: bool
    run: str
    lexport_version: str
    settings: dict[str, Any]
    packages: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    regions: tuple[str, ...]
    parent: str | None


class PackagesDone(msgspec.Struct, frozen=True, kw_only=True):
    """What a task leaves: run files of rows, failures, and counters. ``is_refused`` is as ``execute_plan`` says it.

    Rows of ``errors`` may be in the run files too; they are those of ``failures``.
    """

    rows: tuple[bytes, ...]
    failures: tuple[Failure, ...]
    kinds: tuple[tuple[PackageKind, int, str], ...]
    files_done: int
    bytes_done: int
    stored_bytes: int
    moved_bytes: int
    notes: tuple[str, ...]
    is_refused: bool


def fetch_packages_task(body: bytes) -> Outcome:
    """Download some packages; return PackagesDone as JSON, or the error. ``body`` is a PackageOrder as JSON."""
    order = msgspec.json.decode(body, type=PackageOrder)
    return run_in_engine(order.run, partial(_fetch, engine(), order))


@dataclass(slots=True)
class _Shared:
    """What the tasks of one run share in a worker. ``reported_bytes`` of those that were moved are in outcomes."""

    settings: PackageSettings
    transfers: Transfers
    calls: ScopeCalls
    progress: PackageProgress
    notes: list[str]
    reported_bytes: int = 0

    def take_moved_bytes(self) -> int:
        """Return the bytes that were received since the last time."""
        moved = self.progress.moved_bytes()
        self.reported_bytes, new = moved, moved - self.reported_bytes
        return new


async def _fetch(kept: Engine, order: PackageOrder) -> dict[str, Any]:
    if order.lexport_version != __version__:
        raise RunError(f"the run is of lexport {order.lexport_version}, and this worker has {__version__}")
    opened = kept.keep_open(order.run, "packages", partial(_open, order))
    with TemporaryDirectory(prefix="lexport-packages-") as name:
        async with opened.use() as shared:
            folder, progress = Path(name), PackageProgress()
            staging = Staging(folder, file_mode=0o600)
            plan = _plan(order, folder, shared.settings.concurrency)
            await Downloader(shared.settings, shared.transfers, ArtifactRows(staging, progress)).fetch_all(
                plan, shared.calls
            )
            await staging.flush_all()
            done = PackagesDone(
                rows=tuple(path.read_bytes() for path in sorted(_paths(staging.runs))),
                failures=tuple(_failures(staging.runs)),
                kinds=tuple((kind, count, progress.examples[kind]) for kind, count in progress.kinds.items()),
                files_done=progress.files_done,
                bytes_done=progress.bytes_done,
                stored_bytes=progress.stored_bytes,
                moved_bytes=shared.take_moved_bytes(),
                notes=tuple(shared.notes),
                is_refused=shared.calls.are_refused(plan.scopes),
            )
    return {"packages": msgspec.json.encode(done)}


@asynccontextmanager
async def _open(order: PackageOrder) -> AsyncIterator[_Shared]:
    """Open the connections of a run in this worker, with its own credentials, or those of its parent."""
    settings = settings_from_values(order.settings)
    own, notes = OwnAccess() if order.parent is None else parent_access(order.parent), list[str]()
    chosen, progress = settings.packages or PackageSettings(), PackageProgress()
    destination = Destination(**order.destination)
    store = await to_thread.run_sync(partial(open_store, destination, group_readable=order.group_readable))
    with TemporaryDirectory(prefix="lexport-packages-") as folder:
        package_store = PackageStore(store, Path(folder))
        async with (
            open_session(profile=own.profile, endpoint_url=settings.endpoint_url, source=own.source) as session,
            open_transfers(chosen, session, package_store, progress) as transfers,
            open_access(
                session,
                settings,
                regions=order.regions,
                connections=2 * chosen.concurrency,  # an account-region that hangs may hold half of them
                note=notes.append,
            ) as access,
        ):
            access.session_name = f"lexport-{order.run}"
            calls = ScopeCalls(access, Pacer(settings.rates_per_s, settings.quota_share), note=notes.append)
            await calls.identify()
            yield _Shared(chosen, transfers, calls, progress, notes)


def _plan(order: PackageOrder, folder: Path, at_once: int) -> DownloadPlan:
    """Make a plan of what the order lists."""
    lists = {}
    for kind, lines in (("packages", order.packages), ("layers", order.layers)):
        downloads = lists[kind] = DownloadList(path=folder / f"{kind}.txt", at_once=at_once)
        read: Callable[[str], ReferencedPackage | ReferencedLayer]
        read = package_from_line if kind == "packages" else layer_from_line
        with DiskQueue(downloads.path) as queue:
            queue.put(lines)
        for line in lines:
            item = read(line)
            size_bytes = item.package.size_bytes if isinstance(item, ReferencedPackage) else item.size_bytes
            downloads.add(item, size_bytes)
    return DownloadPlan(packages=lists["packages"], layers=lists["layers"] if order.layers else None)


def _paths(runs: Runs) -> set[Path]:
    return {section.path for name, sections in runs.items() if name != ERRORS.name for section in sections}


def _failures(runs: Runs) -> Iterator[Failure]:
    for section in runs.get(ERRORS.name, ()):
        for block in section.blocks():
            yield from failures_of_rows(block)
