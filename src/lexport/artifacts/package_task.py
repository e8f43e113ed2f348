"""The task that downloads some packages or layer versions on a worker of dask.

The packages of a run are split by their hash. A worker requests links with its own credentials and stores what it has
verified; links never leave it. Its rows and failures go back with the outcome: a task has few packages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from anyio import CancelScope, CapacityLimiter, sleep

from lexport.artifacts.artifact_rows import ArtifactRows
from lexport.artifacts.downloader import Downloader
from lexport.artifacts.package_refs import ReferencedLayer, ReferencedPackage, layer_from_line, package_from_line
from lexport.artifacts.plan import DownloadList, DownloadPlan
from lexport.artifacts.scope_calls import ScopeCalls, open_scope_calls
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import Transfers, open_transfers
from lexport.aws.quota.pacer import Pacer
from lexport.aws.session import open_session
from lexport.dataset.disk_queue import DiskQueue
from lexport.dataset.runs import Runs
from lexport.errors import RunError
from lexport.extract.background import in_background
from lexport.extract.cluster.parent import access_of_worker
from lexport.extract.cluster.shard_task import PROGRESS_EVERY_S
from lexport.extract.cluster.stop import watch_claim
from lexport.extract.cluster.worker import Engine, Outcome, Stage, StoreAddress, engine, run_in_engine, this_worker
from lexport.extract.failures import failures_of_rows
from lexport.extract.progress import PackageKind, PackageProgress
from lexport.extract.rows import Staging
from lexport.extract.spec_settings import settings_from_values
from lexport.model import Failure, __version__
from lexport.settings import PackageSettings
from lexport.tables.run import ERRORS

AT_ONCE = 4
"""Tasks of one process, so that one slow package at the end of a task does not keep all downloads waiting. Together
they have the downloads at once of one worker."""

READERS: dict[str, Callable[[str], ReferencedPackage | ReferencedLayer]]
READERS = {"packages": package_from_line, "layers": layer_from_line}
"""What reads the lines of each kind."""


class PackageOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told of some packages: nothing of it is secret.

    ``settings`` are those of the run, with the rates and the downloads at once that are this worker's share.
    ``packages`` and ``layers`` are items as lines, ``regions`` those of the whole run; ``topic`` is where progress
    goes.
    """

    name: str
    address: StoreAddress
    run: str
    run_attempt: int
    lexport_version: str
    settings: dict[str, Any]
    packages: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    size_bytes: int = 0
    regions: tuple[str, ...]
    parent: str | None
    topic: str
    stage: Stage


class Moved(msgspec.Struct, frozen=True):
    """How many bytes have been received through the connections that a worker has ``opened``."""

    opened: str
    size_bytes: int


class Sent(msgspec.Struct, frozen=True):
    """What a worker sends every second: what it received, and the files and bytes done of each task by its name."""

    moved: Moved
    tasks: dict[str, tuple[int, int]]


class PackagesDone(msgspec.Struct, frozen=True, kw_only=True):
    """What a task leaves: run files of rows, failures, and counters. ``is_refused`` is as ``execute_plan`` says it.

    Rows of ``errors`` may be in the run files too; they are those of ``failures``. ``moved`` is what was received by
    all tasks that share a worker's connections.
    """

    rows: tuple[bytes, ...]
    failures: tuple[Failure, ...]
    kinds: tuple[tuple[PackageKind, int, str], ...]
    files_done: int
    bytes_done: int
    stored_bytes: int
    moved: Moved
    notes: tuple[str, ...]
    is_refused: bool


def fetch_packages_task(body: bytes) -> Outcome:
    """Download some packages; return PackagesDone as JSON, or the error. ``body`` is a PackageOrder as JSON."""
    order, worker = msgspec.json.decode(body, type=PackageOrder), this_worker()
    opening = partial(_open, order, worker.folder, partial(worker.send, order.topic))
    return run_in_engine(order.stage, partial(_fetch, engine(), order, opening), at_once=AT_ONCE)


@dataclass(slots=True)
class _Shared:
    """What the tasks of one run share in a worker; ``running`` has the progress of each by its name."""

    settings: PackageSettings
    required: bool
    transfers: Transfers
    calls: ScopeCalls
    slots: CapacityLimiter
    folder: Path
    moved_bytes: Callable[[], int]
    notes: list[str]
    opened: str = field(default_factory=lambda: token_hex(8))
    running: dict[str, PackageProgress] = field(default_factory=dict)

    @property
    def moved(self) -> Moved:
        """What was received since the connections were opened."""
        return Moved(self.opened, self.moved_bytes())

    @contextmanager
    def task(self, name: str) -> Iterator[PackageProgress]:
        """Yield the progress of a task, which is reported while the block runs."""
        self.running[name] = PackageProgress()
        try:
            yield self.running[name]
        finally:
            self.running.pop(name, None)

    async def report(self, send: Callable[[Any], None]) -> None:
        """Send what all tasks have done, every second."""
        while True:
            await sleep(PROGRESS_EVERY_S)
            if self.running:
                tasks = {name: (task.files_done, task.bytes_done) for name, task in self.running.items()}
                send(msgspec.to_builtins(Sent(self.moved, tasks)))


Opening = Callable[[], AbstractAsyncContextManager[_Shared]]


async def _fetch(kept: Engine, order: PackageOrder, opening: Opening) -> dict[str, Any]:
    if order.lexport_version != __version__:
        raise RunError(f"the run is of lexport {order.lexport_version}, and this worker has {__version__}")
    opened = kept.keep_open(order.stage, opening)
    async with opened.use() as shared:
        with TemporaryDirectory(dir=shared.folder) as name, shared.task(order.name) as progress:
            folder = Path(name)
            staging = Staging(folder, file_mode=0o600)
            plan = _plan(order, folder, shared.settings.concurrency)
            rows = ArtifactRows(staging, progress, required=shared.required)
            await Downloader(shared.settings, shared.transfers, rows, slots=shared.slots).fetch_all(plan, shared.calls)
            await staging.flush_all()
            done = PackagesDone(
                rows=tuple(path.read_bytes() for path in sorted(_paths(staging.runs))),
                failures=tuple(_failures(staging.runs)),
                kinds=tuple((kind, count, progress.examples[kind]) for kind, count in progress.kinds.items()),
                files_done=progress.files_done,
                bytes_done=progress.bytes_done,
                stored_bytes=progress.stored_bytes,
                moved=shared.moved,
                notes=tuple(shared.notes),
                is_refused=shared.calls.are_refused(plan.scopes),
            )
    return {"packages": msgspec.json.encode(done)}


@asynccontextmanager
async def _open(order: PackageOrder, local: Path, send: Callable[[Any], None]) -> AsyncIterator[_Shared]:
    """Open the connections of a run in this worker, with its own credentials or those of its parent; report progress.

    What is not stored yet is in a folder of its own in ``local``, the worker's.
    """
    settings = settings_from_values(order.settings)
    own, notes = access_of_worker(order.parent), list[str]()
    chosen, progress = settings.packages or PackageSettings(), PackageProgress()
    pacer = Pacer(settings.rates_per_s, settings.quota_share)
    store = await order.address.open()
    with TemporaryDirectory(dir=local, prefix="lexport-packages-") as name:
        folder = Path(name)
        package_store = PackageStore(store, folder)
        async with (
            open_session(profile=own.profile, endpoint_url=settings.endpoint_url, source=own.source) as session,
            open_transfers(chosen, session, package_store, progress) as transfers,
            open_scope_calls(
                session, settings, pacer, run=order.run, regions=order.regions, note=notes.append
            ) as calls,
        ):
            slots = CapacityLimiter(chosen.concurrency)
            shared = _Shared(
                chosen, settings.requires_packages, transfers, calls, slots, folder, progress.moved_bytes, notes
            )
            report = partial(shared.report, send)
            watch = partial(watch_claim, order.run, order.run_attempt, store, order.stage)
            async with in_background(report, watch, until=CancelScope()):
                yield shared


def _plan(order: PackageOrder, folder: Path, at_once: int) -> DownloadPlan:
    """Make a plan of what the order lists."""
    lists = {}
    for kind, lines in (("packages", order.packages), ("layers", order.layers)):
        downloads = lists[kind] = DownloadList(path=folder / f"{kind}.txt", at_once=at_once)
        with DiskQueue(downloads.path) as queue:
            queue.put(lines)
        for line in lines:
            downloads.add(READERS[kind](line))
    return DownloadPlan(packages=lists["packages"], layers=lists["layers"] if order.layers else None)


def _paths(runs: Runs) -> set[Path]:
    return {section.path for name, sections in runs.items() if name != ERRORS.name for section in sections}


def _failures(runs: Runs) -> Iterator[Failure]:
    for section in runs.get(ERRORS.name, ()):
        for block in section.blocks():
            yield from failures_of_rows(block)
