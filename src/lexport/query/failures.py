"""What one run could not read, by kind: of a published run from its table ``errors``, of another from its staging."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from anyio import to_thread
from anyio.from_thread import check_cancelled

from lexport.dataset.commits import DamagedCommit, commit_ids, read_commit
from lexport.dataset.data_files import find_files, missing_or
from lexport.dataset.layout import RUNS, run_path, staging_folder
from lexport.dataset.manifest import Manifest
from lexport.dataset.open_store import open_store
from lexport.dataset.staging import read_unfinished, staged_errors, unfinished_ids
from lexport.dataset.store import Store
from lexport.errors import NoSnapshotError, ReadError, SettingsError
from lexport.query.catalog import find_commits
from lexport.query.sql_text import one_line
from lexport.query.unfinished import UnfinishedState, refused_errors, state_of
from lexport.tables.arrow import ARROW_TYPES
from lexport.tables.run import ERRORS
from lexport.tables.text import did_you_mean, first_of

RunState = Literal["complete", "partial"] | UnfinishedState
"""``complete`` and ``partial`` runs are published."""

MOST_GROUPS = 20_000
"""The kinds that are told apart, some 10 MB of them; 5,000 account-regions have four each."""
LONGEST_TEXT = 500
"""The longest text that is kept of a row, in characters: names and messages come from servers."""

_KIND = ("account_id", "region", "stage", "operation", "error_code", "is_gap")
_EXAMPLE = ("function_name", "qualifier", "message")
_COLUMNS = (*_KIND, *_EXAMPLE, "occurred_at")
_SCHEMA = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in ERRORS.columns if column.name in _COLUMNS])
_BATCH_ROWS = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """The rows of ``errors`` with one account-region, stage, operation, code and ``is_gap``; ``errors`` counts them.

    ``function_name``, ``qualifier`` and ``message`` are those of one row, cut after 500 characters.
    """

    account_id: str
    region: str
    stage: str
    operation: str | None
    error_code: str
    is_gap: bool
    errors: int
    first_at: datetime | None
    last_at: datetime | None
    function_name: str | None
    qualifier: str | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailures:
    """What a run could not read, in groups: gaps first, then by number. ``errors`` and ``gaps`` count all rows.

    Those of a run that is not published are what it met by now; its ``snapshot_at`` is None where that is damaged.
    """

    snapshot_id: str
    snapshot_at: datetime | None
    state: RunState
    errors: int
    gaps: int
    groups: tuple[FailureGroup, ...]

    @property
    def other_errors(self) -> int:
        """The number of rows that are in no group, because there are more than 20,000 kinds."""
        return self.errors - sum(group.errors for group in self.groups)


async def failures(dest: str | os.PathLike[str], run: str | None = None) -> RunFailures:
    """Group what a run could not read; without ``run``, an id or its beginning, the newest one, published or not.

    A retirement reads nothing, so the run before it is shown.

    Runs of ``packages`` count too. Raises SettingsError where there is no such run, NoSnapshotError where there is
    none at all, and ReadError where its errors cannot be read.
    """
    return await to_thread.run_sync(_read_failures, dest, run)


def _read_failures(dest: str | os.PathLike[str], run: str | None) -> RunFailures:
    runs = _find_runs(dest)
    try:
        return _read(runs, run)
    except ReadError:
        now = _find_runs(dest)
        if (now.published, now.staged) == (runs.published, runs.staged):
            raise
        return _read(now, run)  # the run was published, resumed or removed meanwhile


def _read(runs: _Runs, run: str | None) -> RunFailures:
    ids = sorted({*runs.published, *runs.staged}, reverse=True)
    snapshot_id = _newest_run(runs, ids) if run is None else _choose_run(run, ids)
    if snapshot_id not in runs.published:
        with tempfile.TemporaryDirectory(prefix="lexport-errors-") as scratch:
            return _read_staged(runs.store, snapshot_id, Path(scratch))
    commit = read_commit(runs.store, snapshot_id)
    if isinstance(commit, DamagedCommit):
        raise ReadError(
            f"{commit}; lexport verify says how to go on; --run names another run", path=run_path(snapshot_id)
        )
    batches = _batches(find_files(runs.store, commit, ERRORS))
    return _grouped(batches, snapshot_id=snapshot_id, snapshot_at=commit.snapshot_at, state=commit.status)


def _read_staged(store: Store, snapshot_id: str, scratch: Path) -> RunFailures:
    """Read a run that is not published. Raises ReadError."""
    where = f"{store.url}/{staging_folder(snapshot_id)}"
    try:
        run = read_unfinished(store, snapshot_id)
        refused = refused_errors(store, run)
        if refused:
            batches = _batches(store.fetch(path, scratch, size_bytes=store.stat(path).size_bytes) for path in refused)
        elif run.spec is not None:
            batches = map(_selected, staged_errors(store, snapshot_id, scratch))
        else:
            raise ReadError(
                f"{where} does not say what the run read: it was a run over packages that did not end, or its run.json"
                " is damaged; --run names another run",
                path=where,
            )
        return _grouped(
            batches,
            snapshot_id=snapshot_id,
            snapshot_at=run.spec.snapshot_at if run.spec else None,
            state=state_of(run, refused, datetime.now(UTC)),
        )
    except OSError as error:
        raise ReadError(f"cannot read the errors in {where}: {missing_or(error)}", path=where) from error
    except pa.ArrowException as error:
        raise ReadError(f"cannot read the errors in {where}: {one_line(error)}", path=where) from error


# --- which run --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    """The store of a destination, and the ids of its runs."""

    store: Store
    published: frozenset[str]
    staged: frozenset[str]


def _find_runs(dest: str | os.PathLike[str]) -> _Runs:
    """List the runs of a destination; raises NoSnapshotError where there are none."""
    absent: NoSnapshotError | None = None
    try:
        store, _ = find_commits(dest)
    except NoSnapshotError as error:
        store, absent = open_store(dest), error
    staged = frozenset(unfinished_ids(store))  # first: a run moves from here to the published ones
    runs = _Runs(store=store, published=frozenset(commit_ids(store.names(RUNS))), staged=staged)
    if absent is not None and not runs.staged | runs.published:
        raise absent
    return runs


def _newest_run(runs: _Runs, ids: list[str]) -> str:
    """Return the newest run that read something, which a retirement does not; the newest one where none did."""
    for snapshot_id in ids:
        commit = read_commit(runs.store, snapshot_id) if snapshot_id in runs.published else None
        if not isinstance(commit, Manifest) or not commit.is_retirement:
            return snapshot_id
    return ids[0]


def _choose_run(run: str, ids: list[str]) -> str:
    """Return the id of a run from its beginning."""
    text = run.strip().upper()
    matches = [snapshot_id for snapshot_id in ids if text and snapshot_id.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise SettingsError(f"--run {run} begins the ids of {len(matches)} runs: {first_of(matches)}", option="--run")
    raise SettingsError(
        f"--run {run} is no run of this dataset{did_you_mean(run, ids)}; the newest are {first_of(ids)}", option="--run"
    )


# --- rows -------------------------------------------------------------------------------------------------------------


def _batches(paths: Iterable[Path]) -> Iterator[pa.Table]:
    """Yield the columns of ``errors`` that are grouped, some thousand rows at a time. Raises ReadError."""
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(_BATCH_ROWS, columns=_SCHEMA.names, use_threads=False):
                    yield _selected(pa.Table.from_batches([batch]))
        except (OSError, KeyError, pa.ArrowException) as error:
            raise ReadError(f"cannot read the errors in {path}: {one_line(error)}", path=str(path)) from error


def _selected(rows: pa.Table) -> pa.Table:
    """Select the columns that are grouped, of published or of staged rows."""
    return rows.select(_SCHEMA.names).cast(_SCHEMA)


# --- grouping ---------------------------------------------------------------------------------------------------------


def _grouped(
    batches: Iterable[pa.Table], *, snapshot_id: str, snapshot_at: datetime | None, state: RunState
) -> RunFailures:
    """Group the rows of a run. Where there are more than ``MOST_GROUPS`` kinds, gaps and frequent ones are kept."""
    groups: pa.Table | None = None
    errors = gaps = 0
    for batch in _larger(batches):
        check_cancelled()
        errors += len(batch)
        gaps += pc.sum(batch.column("is_gap")).as_py() or 0
        counted = _counted(batch)
        groups = _folded(counted if groups is None else pa.concat_tables([groups, counted]))
        groups = groups.slice(0, MOST_GROUPS).combine_chunks()
    return RunFailures(
        snapshot_id=snapshot_id,
        snapshot_at=snapshot_at,
        state=state,
        errors=errors,
        gaps=gaps,
        groups=tuple(FailureGroup(**row) for row in (groups.to_pylist() if groups is not None else ())),
    )


def _larger(batches: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join batches to some thousand rows: folding them into many kinds costs the same for few rows."""
    waiting: list[pa.Table] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= _BATCH_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _counted(rows: pa.Table) -> pa.Table:
    """Turn rows of ``errors`` into groups of one row."""
    columns = {
        name: pc.utf8_slice_codeunits(column, 0, LONGEST_TEXT) if pa.types.is_string(column.type) else column
        for name, column in ((name, rows.column(name)) for name in (*_KIND, *_EXAMPLE))
    }
    moments = rows.column("occurred_at")
    ones = pa.repeat(pa.scalar(1, pa.int64()), len(rows))
    return pa.table({**columns, "errors": ones, "first_at": moments, "last_at": moments})


def _folded(groups: pa.Table) -> pa.Table:
    """Add up groups of the same kind, and sort them: gaps first, then the most rows. The first example is kept."""
    first = pc.ScalarAggregateOptions(skip_nulls=False)
    folded = groups.group_by(_KIND, use_threads=False).aggregate(
        [
            *((name, "first", first) for name in _EXAMPLE),
            ("errors", "sum"),
            ("first_at", "min"),
            ("last_at", "max"),
        ]
    )
    folded = folded.rename_columns([re.sub("_(first|sum|min|max)$", "", name) for name in folded.column_names])
    return folded.sort_by(
        [("is_gap", "descending"), ("errors", "descending"), *((name, "ascending") for name in _KIND)]
    )
