"""Stored packages -> rows of what is in them: which ones nobody looked into yet, then a few at a time, in threads.

Content belongs to no account-region, so neither do its rows, nor the errors about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from anyio import BrokenResourceError, CapacityLimiter, from_thread, to_thread
from anyio.streams.memory import MemoryObjectSendStream

from lexport.artifacts.inspect_package import STAGE, inspect_package
from lexport.artifacts.store import PackageStore
from lexport.dataset.disk_queue import DiskQueue
from lexport.dataset.manifest import package_path
from lexport.dataset.runs import Runs, RunWriter, merge, read_run, rewrite_run
from lexport.errors import ItemError
from lexport.extract.rows import Rows
from lexport.extract.workers import pump
from lexport.query.sql import open_query_session
from lexport.tables.packages import PACKAGE_DEPENDENCIES, PACKAGE_FILES, PACKAGES
from lexport.tables.run import ERRORS
from lexport.tables.staged import Batch, staged_names
from lexport.tables.table import COMMON, Table

INSPECTORS = 2
"""Packages looked into at once: each takes up to 100 MB at its worst, and more threads wait for one interpreter."""
TABLES = (PACKAGE_FILES, PACKAGE_DEPENDENCIES)
_CONTENTS = Table(
    "contents",
    "One row per package or layer that is stored.",
    (*COMMON, PACKAGE_FILES.columns[len(COMMON)]),
    ("sha256_hex",),
    answer_key=0,
)
_STATUS = "dependencies_status"
_IN_STORE = pa.array(["stored", "present"])


async def inspect_stored(
    runs: Runs,
    package_store: PackageStore,
    *,
    folder: Path,
    rows: Rows,
    batches_out: MemoryObjectSendStream[Batch],
    now: Callable[[], datetime],
    count: Callable[[str, str, str], None],
) -> None:
    """Look into every package and layer that ``runs`` call stored and that no commit of the dataset has looked into.

    Rows go to ``batches_out``, rows of ``errors`` to ``rows``; ``count`` takes what, how it went, and an example. What
    came of each is written into the staged rows of ``packages``.
    Order: by hash, a few side by side. Cancelled: ends after the member at hand.
    """
    limiter = CapacityLimiter(INSPECTORS)
    statuses: dict[bytes, str] = {}  # 150 bytes each: of what is looked into in one run

    def emit(batch: Batch) -> None:
        from_thread.check_cancelled()
        try:
            from_thread.run(batches_out.send, batch)
        except BrokenResourceError:  # who stages the rows was cancelled too, and is gone already
            from_thread.check_cancelled()
            raise

    async def inspect(sha256_hex: str) -> None:
        inspected = await to_thread.run_sync(
            partial(
                inspect_package,
                package_store.destination.root / package_path(sha256_hex),
                sha256_hex=sha256_hex,
                emit=emit,
                check=from_thread.check_cancelled,
            ),
            limiter=limiter,
        )
        count("package", "looked into", "")
        if inspected.status:
            statuses[bytes.fromhex(sha256_hex)] = inspected.status
        for item in inspected.findings:
            count("finding", item.code, item.message)
            rows.append(ERRORS, *_error(item.code, item.message, now()))

    def fail(_: str, error: ItemError) -> None:
        raise error

    with DiskQueue(folder / "contents.txt") as queue:
        await to_thread.run_sync(_queue_unknown, runs, package_store, folder, queue)
        await pump(inspect, queue, fail, workers=INSPECTORS)
    await to_thread.run_sync(_write_statuses, runs, statuses, package_store.destination.file_mode)


def _error(code: str, message: str, at: datetime) -> tuple[Any, ...]:
    """Make a staged row of ``errors``: of no account, no gap, since the package is stored as AWS sent it."""
    facts = {"stage": STAGE, "error_code": code, "message": message, "is_gap": False, "attempts": 1, "occurred_at": at}
    return (*(facts.get(name) for name in staged_names(ERRORS)[:-1]), "")


# --- which ones -------------------------------------------------------------------------------------------------------


def _queue_unknown(runs: Runs, package_store: PackageStore, folder: Path, queue: DiskQueue) -> None:
    """Put the hashes of what is to be inspected into the queue, sorted, and end it."""
    stored = _distinct(merge(_stage_contents(runs, folder, package_store.destination.file_mode), folder))
    with open_query_session(package_store.destination.root) as session:
        inspected = session.read(
            "SELECT DISTINCT sha256_hex FROM history.packages WHERE dependencies_status IS NOT NULL ORDER BY sha256_hex"
        )
        for sha256_hex in _without(stored, _distinct(inspected)):
            queue.put([sha256_hex])
    queue.end()


def _stage_contents(runs: Runs, folder: Path, file_mode: int) -> list[Path]:
    """Write the hash of every stored package and layer as sorted runs of their own."""
    writer = RunWriter(folder, file_mode=file_mode)
    for path in runs.get(PACKAGES.name, ()):
        for batch in read_run(path):
            is_stored = pc.is_in(batch.column("status"), value_set=_IN_STORE)
            hashes = batch.column("sha256_hex").filter(is_stored).drop_null().to_pylist()
            writer.add_rows(_CONTENTS, ((None, None, sha256_hex, "") for sha256_hex in hashes))
    writer.flush()
    return writer.runs[_CONTENTS.name]


def _distinct(batches: Iterable[pa.RecordBatch | pa.Table]) -> Iterator[str]:
    """Yield each hash of sorted batches once."""
    hashes = (sha256_hex for batch in batches for sha256_hex in batch.column("sha256_hex").to_pylist())
    return (sha256_hex for sha256_hex, _ in groupby(hashes))


def _without(wanted: Iterator[str], known: Iterator[str]) -> Iterator[str]:
    """Yield what is in one sorted stream and not in the other."""
    other = next(known, None)
    for sha256_hex in wanted:
        while other is not None and other < sha256_hex:
            other = next(known, None)
        if other != sha256_hex:
            yield sha256_hex


# --- what came of it --------------------------------------------------------------------------------------------------


def _write_statuses(runs: Runs, statuses: Mapping[bytes, str], file_mode: int) -> None:
    """Write the status of each inspected package into its staged rows, whose order stays."""
    if statuses:
        for path in runs.get(PACKAGES.name, ()):
            rewrite_run(path, partial(_with_statuses, statuses), file_mode)


def _with_statuses(statuses: Mapping[bytes, str], batch: pa.RecordBatch) -> pa.RecordBatch:
    is_stored = pc.is_in(batch.column("status"), value_set=_IN_STORE).to_pylist()
    found = [
        statuses.get(bytes.fromhex(sha256_hex)) if stored and sha256_hex else None
        for sha256_hex, stored in zip(batch.column("sha256_hex").to_pylist(), is_stored, strict=True)
    ]
    place = batch.schema.get_field_index(_STATUS)
    return batch.set_column(place, batch.schema.field(place), pa.array(found, pa.string()))
