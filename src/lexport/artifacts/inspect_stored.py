"""Stored packages -> rows about their content: list those that were never looked into, then do it, a few at a time.

There are two looks into a package, each done once: the inspection (inspect_package.py), and with ``secrets`` the search
for secrets (secrets/search_package.py), once with each version of its rules.

Content belongs to no account-region, so its rows and the errors about it have none either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from anyio import CapacityLimiter, from_thread, to_thread

from lexport.artifacts import inspect_package
from lexport.artifacts.artifact_rows import staged_row
from lexport.artifacts.inspect_package import InspectionResult, PackageProblem
from lexport.artifacts.secrets import search_package
from lexport.artifacts.secrets.code_rules import RULES_VERSION
from lexport.artifacts.store import PackageStore
from lexport.dataset.disk_queue import DiskQueue
from lexport.dataset.runs import Runs, RunWriter, Section, merge, rewrite_run
from lexport.errors import ItemError
from lexport.extract.progress import PackageProgress
from lexport.extract.rows import Staging
from lexport.extract.workers import pump
from lexport.query.sql import open_query_session
from lexport.tables.content import CONTENT_RULES
from lexport.tables.packages import PACKAGE_FILES, PACKAGE_SECRETS, PACKAGES
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
_IN_STORE = pa.array(["stored", "present"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One way to look into a package. ``columns`` of ``packages`` hold its result; ``done`` is the SQL of whether."""

    stage: str
    count: str
    run: Callable[..., InspectionResult]
    done: str
    columns: Callable[[str], dict[str, Any]]


_INSPECTION = _Look(
    stage=inspect_package.STAGE,
    count="inspected",
    run=inspect_package.inspect_package,
    done="dependencies_status IS NOT NULL",
    columns=lambda status: {"dependencies_status": status},
)
_SEARCH = _Look(
    stage=search_package.STAGE,
    count="searched for secrets",
    run=search_package.search_package,
    done=f"secret_rules_version = {RULES_VERSION}",
    columns=lambda status: {"secrets_status": status, "secret_rules_version": RULES_VERSION},
)
_LOOKS = {look.stage: look for look in (_INSPECTION, _SEARCH)}
_Results = dict[bytes, dict[str, Any]]
"""Columns of ``packages`` by hash: about 500 bytes for each package looked into in this run."""


async def inspect_stored(
    dest: str | os.PathLike[str],
    staging: Staging,
    package_store: PackageStore,
    progress: PackageProgress,
    *,
    secrets: bool = False,
) -> None:
    """Inspect every package and layer that is staged as stored and that no commit of the dataset has inspected.

    With ``secrets``, search those that no commit has searched with today's rules. The results for each package are
    written into its staged rows, so those must be on disk. Order: by hash, a few at once.
    Cancelled: ends after the current member.
    """
    folder, runs = staging.folder, staging.runs
    limiter = CapacityLimiter(INSPECTORS)
    looks = (_INSPECTION, _SEARCH) if secrets else (_INSPECTION,)
    results: _Results = {}

    async def add(batch: Batch) -> None:
        await staging.add(batch)
        if found := batch.get(PACKAGE_SECRETS.name):
            for path, rule in zip(*(found.column(name).to_pylist() for name in ("path", "rule")), strict=True):
                progress.count("secret", "suspected", rule, example=path)

    def emit(batch: Batch) -> None:
        from_thread.check_cancelled()
        from_thread.run(add, batch)

    async def look_into(line: str) -> None:
        stages, _, path = line.partition(" ")
        chosen = [_LOOKS[stage] for stage in stages.split(",")]
        done = await to_thread.run_sync(partial(_look_into, package_store, path, chosen, emit), limiter=limiter)
        for look, result in zip(chosen, done, strict=True):
            progress.count("package", look.count)
            if result.status:
                columns = look.columns(result.status)
                results.setdefault(bytes.fromhex(PurePosixPath(path).stem), {}).update(columns)
            for problem in result.problems:
                progress.count("finding", problem.code, example=problem.message)
                row = staged_row(
                    ERRORS,
                    stage=look.stage,
                    error_code=problem.code,
                    message=problem.message,
                    is_gap=False,  # the package is stored as AWS sent it
                    attempts=1,
                    occurred_at=datetime.now(UTC),
                )
                staging.rows.append(ERRORS, *row)

    def fail(_: str, error: ItemError) -> None:
        raise error

    file_mode = package_store.destination.file_mode
    with DiskQueue(folder / "contents.txt") as queue:
        await to_thread.run_sync(_queue_left, dest, staging, file_mode, looks, queue)
        await pump(look_into, queue, fail, workers=INSPECTORS)
    await to_thread.run_sync(_write_results, runs, results, folder, file_mode)


def _look_into(
    package_store: PackageStore, path: str, looks: Sequence[_Look], emit: Callable[[Batch], None]
) -> list[InspectionResult]:
    sha256_hex, check = PurePosixPath(path).stem, from_thread.check_cancelled
    with ExitStack() as stack:
        try:
            file = stack.enter_context(package_store.local_file(path))
        except OSError as error:
            message = f"package {sha256_hex}: {error.strerror or error}"
            problem = PackageProblem(code="unreadable", message=message)
            return [InspectionResult(problems=(problem,), status=None) for _ in looks]
        return [look.run(file, sha256_hex=sha256_hex, emit=emit, check=check) for look in looks]


def _queue_left(
    dest: str | os.PathLike[str], staging: Staging, file_mode: int, looks: Sequence[_Look], queue: DiskQueue
) -> None:
    """Put what is left to do into the queue, sorted by hash, and end it: names of looks, and the path of a package."""
    stored = _rows(merge(_stage_contents(staging, file_mode), staging.folder), ("sha256_hex", "path"))
    done = ", ".join(f"coalesce(bool_or({look.done}), false) AS {look.stage}" for look in looks)
    with open_query_session(dest) as session:
        rows = session.read(f"SELECT sha256_hex, {done} FROM history.packages GROUP BY 1 ORDER BY 1")  # noqa: S608
        for path, is_done in _with_history(stored, _rows(rows, ("sha256_hex", *(look.stage for look in looks)))):
            if left := [
                look.stage for look, done in zip(looks, is_done or [False] * len(looks), strict=True) if not done
            ]:
                queue.put([f"{','.join(left)} {path}"])
    queue.end()


def _stage_contents(staging: Staging, file_mode: int) -> list[Section]:
    """Write hash and path of every stored package and layer as sorted runs of their own."""
    writer = RunWriter(staging.folder, file_mode=file_mode)
    for run in staging.runs.get(PACKAGES.name, ()):
        for batch in run.blocks():
            is_stored = pc.is_in(batch.column("status"), value_set=_IN_STORE)
            stored = batch.select(["sha256_hex", "path"]).filter(is_stored).drop_null()
            writer.add_rows(_CONTENTS, ((None, None, *row, "") for row in _rows([stored], ("sha256_hex", "path"))))
    writer.flush()
    return writer.runs[_CONTENTS.name]


def _rows(batches: Iterable[pa.RecordBatch | pa.Table], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)


def _with_history(
    stored: Iterable[tuple[str, str]], history: Iterator[tuple[Any, ...]]
) -> Iterator[tuple[str, tuple[bool, ...]]]:
    """Yield the path of each content, and what was done with it before; both inputs are sorted by hash."""
    other = next(history, None)
    for sha256_hex, same in groupby(stored, key=itemgetter(0)):
        while other is not None and (other[0] is None or other[0] < sha256_hex):
            other = next(history, None)
        yield next(same)[1], other[1:] if other and other[0] == sha256_hex else ()


def _write_results(runs: Runs, results: _Results, folder: Path, file_mode: int) -> None:
    """Write what was found out about each package into its staged rows, whose order stays."""
    if results:
        change = partial(_with_results, results)
        runs[PACKAGES.name] = [rewrite_run(run, change, folder, file_mode) for run in runs.get(PACKAGES.name, ())]


def _with_results(results: _Results, batch: pa.RecordBatch) -> pa.RecordBatch:
    is_stored = pc.is_in(batch.column("status"), value_set=_IN_STORE).to_pylist()
    found = [
        results.get(bytes.fromhex(sha256_hex), {}) if stored and sha256_hex else {}
        for sha256_hex, stored in zip(batch.column("sha256_hex").to_pylist(), is_stored, strict=True)
    ]
    for name in CONTENT_RULES[PACKAGES].lasting:
        index = batch.schema.get_field_index(name)
        field = batch.schema.field(index)
        batch = batch.set_column(index, field, pa.array([values.get(name) for values in found], field.type))
    return batch
