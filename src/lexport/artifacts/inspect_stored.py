"""Stored packages -> rows about their content: list those that were never inspected, then inspect a few at a time.

Content belongs to no account-region, so its rows and the errors about it have none either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from anyio import CapacityLimiter, from_thread, to_thread

from lexport.artifacts.artifact_rows import staged_row
from lexport.artifacts.inspect_package import STAGE, InspectionResult, PackageProblem, inspect_package
from lexport.artifacts.store import PackageStore
from lexport.dataset.disk_queue import DiskQueue
from lexport.dataset.runs import Runs, RunWriter, Section, merge, rewrite_run
from lexport.errors import ItemError
from lexport.extract.progress import PackageProgress
from lexport.extract.rows import Staging
from lexport.extract.workers import pump
from lexport.query.sql import open_query_session
from lexport.tables.packages import PACKAGE_FILES, PACKAGES
from lexport.tables.run import ERRORS
from lexport.tables.staged import Batch
from lexport.tables.table import COMMON, Table

INSPECTORS = 2
"""Packages inspected at once. Each takes up to 100 MB, and more threads would only wait for the interpreter lock."""
_CONTENTS = Table(
    "contents",
    "Staged only: one row per stored package or layer.",
    (*COMMON, PACKAGE_FILES.columns[len(COMMON)], PACKAGES.columns[PACKAGES.names().index("path")]),
    ("sha256_hex",),
    answer_key=0,
)
_STATUS = "dependencies_status"
_IN_STORE = pa.array(["stored", "present"])


async def inspect_stored(
    dest: str | os.PathLike[str], staging: Staging, package_store: PackageStore, progress: PackageProgress
) -> None:
    """Inspect every package and layer that is staged as stored and that no commit of the dataset has inspected.

    The status of each package is written into its staged rows, so those must be on disk. Order: by hash, a few at once.
    Cancelled: ends after the current member.
    """
    folder, runs = staging.folder, staging.runs
    limiter = CapacityLimiter(INSPECTORS)
    statuses: dict[bytes, str] = {}  # 150 bytes for each package inspected in this run

    def emit(batch: Batch) -> None:
        from_thread.check_cancelled()
        from_thread.run(staging.add, batch)

    async def inspect(path: str) -> None:
        sha256_hex = PurePosixPath(path).stem
        result = await to_thread.run_sync(partial(_inspect, package_store, path, emit), limiter=limiter)
        progress.count("package", "inspected")
        if result.status:
            statuses[bytes.fromhex(sha256_hex)] = result.status
        for problem in result.problems:
            progress.count("finding", problem.code, example=problem.message)
            row = staged_row(
                ERRORS,
                stage=STAGE,
                error_code=problem.code,
                message=problem.message,
                is_gap=False,  # the package is stored as AWS sent it
                attempts=1,
                occurred_at=datetime.now(UTC),
            )
            staging.rows.append(ERRORS, *row)

    def fail(_: str, error: ItemError) -> None:
        raise error

    with DiskQueue(folder / "contents.txt") as queue:
        await to_thread.run_sync(_queue_uninspected, dest, staging, package_store.destination.file_mode, queue)
        await pump(inspect, queue, fail, workers=INSPECTORS)
    await to_thread.run_sync(_write_statuses, runs, statuses, folder, package_store.destination.file_mode)


def _inspect(package_store: PackageStore, path: str, emit: Callable[[Batch], None]) -> InspectionResult:
    sha256_hex, check = PurePosixPath(path).stem, from_thread.check_cancelled
    with ExitStack() as stack:
        try:
            file = stack.enter_context(package_store.local_file(path))
        except OSError as error:
            message = f"package {sha256_hex}: {error.strerror or error}"
            return InspectionResult(problems=(PackageProblem(code="unreadable", message=message),), status=None)
        return inspect_package(file, sha256_hex=sha256_hex, emit=emit, check=check)


def _queue_uninspected(dest: str | os.PathLike[str], staging: Staging, file_mode: int, queue: DiskQueue) -> None:
    """Put the paths of the packages to inspect into the queue, sorted by hash, and end it."""
    stored = _rows(merge(_stage_contents(staging, file_mode), staging.folder))
    with open_query_session(dest) as session:
        inspected = session.read(
            "SELECT DISTINCT sha256_hex FROM history.packages WHERE dependencies_status IS NOT NULL ORDER BY sha256_hex"
        )
        for path in _not_inspected(stored, (sha256_hex for (sha256_hex,) in _rows(inspected))):
            queue.put([path])
    queue.end()


def _stage_contents(staging: Staging, file_mode: int) -> list[Section]:
    """Write hash and path of every stored package and layer as sorted runs of their own."""
    writer = RunWriter(staging.folder, file_mode=file_mode)
    for run in staging.runs.get(PACKAGES.name, ()):
        for batch in run.blocks():
            is_stored = pc.is_in(batch.column("status"), value_set=_IN_STORE)
            stored = batch.select(["sha256_hex", "path"]).filter(is_stored).drop_null()
            writer.add_rows(_CONTENTS, ((None, None, *row, "") for row in _rows([stored])))
    writer.flush()
    return writer.runs[_CONTENTS.name]


def _rows(batches: Iterable[pa.RecordBatch | pa.Table]) -> Iterator[tuple[Any, ...]]:
    names = ("sha256_hex", "path")
    for batch in batches:
        columns = (batch.column(name).to_pylist() for name in names if name in batch.schema.names)
        yield from zip(*columns, strict=True)


def _not_inspected(stored: Iterable[tuple[str, str]], inspected: Iterator[str]) -> Iterator[str]:
    """Yield the path of each content that was not inspected; both inputs are sorted by hash."""
    other = next(inspected, None)
    for sha256_hex, same in groupby(stored, key=itemgetter(0)):
        while other is not None and other < sha256_hex:
            other = next(inspected, None)
        if other != sha256_hex:
            yield next(same)[1]


def _write_statuses(runs: Runs, statuses: Mapping[bytes, str], folder: Path, file_mode: int) -> None:
    """Write the status of each inspected package into its staged rows, whose order stays."""
    if statuses:
        change = partial(_with_statuses, statuses)
        runs[PACKAGES.name] = [rewrite_run(run, change, folder, file_mode) for run in runs.get(PACKAGES.name, ())]


def _with_statuses(statuses: Mapping[bytes, str], batch: pa.RecordBatch) -> pa.RecordBatch:
    is_stored = pc.is_in(batch.column("status"), value_set=_IN_STORE).to_pylist()
    values = [
        statuses.get(bytes.fromhex(sha256_hex)) if stored and sha256_hex else None
        for sha256_hex, stored in zip(batch.column("sha256_hex").to_pylist(), is_stored, strict=True)
    ]
    index = batch.schema.get_field_index(_STATUS)
    return batch.set_column(index, batch.schema.field(index), pa.array(values, pa.string()))
