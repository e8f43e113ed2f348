"""What one run could not read, by kind: of a published run from its table ``errors``, of another from its staging."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from anyio import to_thread
from anyio.from_thread import check_cancelled

from lexport.dataset.commits import DamagedCommit, read_commit
from lexport.dataset.data_files import find_files, missing_or
from lexport.dataset.layout import STAGING
from lexport.dataset.local import LocalStore, local_folder
from lexport.dataset.store import Store
from lexport.errors import NoSnapshotError, ReadError, RunError, SettingsError
from lexport.model import is_ulid
from lexport.query.catalog import find_commits
from lexport.tables.arrow import ARROW_TYPES
from lexport.tables.run import ERRORS
from lexport.tables.text import did_you_mean, first_of

RunState = Literal["complete", "partial", "refused"]
"""``complete`` and ``partial`` runs are published; a ``refused`` one has gaps that were not allowed."""

MOST_GROUPS = 20_000
"""The kinds that are told apart, some 10 MB of them; 5,000 account-regions have four each."""
LONGEST_TEXT = 500
"""The longest text that is kept of a row, in characters: names and messages come from servers."""

_KIND = ("account_id", "region", "stage", "operation", "error_code", "is_gap")
_EXAMPLE = ("function_name", "qualifier", "message")
_COLUMNS = (*_KIND, *_EXAMPLE, "occurred_at")
_SCHEMA = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in ERRORS.columns if column.name in _COLUMNS])
_BATCH_ROWS = 32_768
_COPIED_BYTES = 8 * 2**20  # of a file at a time
_REFUSED = re.compile(r"errors(-[0-9]{4})?\.parquet")


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

    ``snapshot_at`` is None where the run was not published.
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
    """Group what a run could not read; without ``run``, an id or its beginning, the newest run, published or not.

    Runs of ``packages`` count too. Raises SettingsError where there is no such run, NoSnapshotError where there is
    none at all, and RunError where its errors cannot be read.
    """
    return await to_thread.run_sync(_read_failures, dest, run)


def _read_failures(dest: str | os.PathLike[str], run: str | None) -> RunFailures:
    store, published, staged = _find_runs(dest)
    snapshot_id = _choose_run(run, sorted({*published, *staged}, reverse=True))
    if snapshot_id not in published:
        with _refused_errors(store, snapshot_id) as path:
            return _grouped(_batches([path]), snapshot_id=snapshot_id, snapshot_at=None, state="refused")
    commit = read_commit(store, snapshot_id)
    if isinstance(commit, DamagedCommit):
        raise RunError(f"{commit}; lexport verify lists all damage; --run names another run")
    batches = _batches(find_files(store, commit, ERRORS))
    return _grouped(batches, snapshot_id=snapshot_id, snapshot_at=commit.snapshot_at, state=commit.status)


# --- which run --------------------------------------------------------------------------------------------------------


def _find_runs(dest: str | os.PathLike[str]) -> tuple[Store, list[str], list[str]]:
    """Return the store, and the ids of published and of staged runs; raises NoSnapshotError where there are none."""
    try:
        store, published = find_commits(dest)
    except NoSnapshotError:
        store, published = LocalStore(local_folder(dest).resolve()), []
        if not (staged := _staged_ids(store)):
            raise
        return store, published, staged
    return store, published, _staged_ids(store)


def _staged_ids(store: Store) -> list[str]:
    return list(filter(is_ulid, store.names(STAGING)))


def _choose_run(run: str | None, ids: list[str]) -> str:
    """Return the id of a run from its beginning, or the newest one."""
    if run is None:
        return ids[0]
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


@contextmanager
def _refused_errors(store: Store, snapshot_id: str) -> Iterator[Path]:
    """Copy the table of errors that a run left when it was not published to this machine."""
    folder = f"{STAGING}/{snapshot_id}"
    names = [name for name in store.names(folder) if _REFUSED.fullmatch(name)]
    if not names:
        raise RunError(f"run {snapshot_id} in {store.url} is not published, and has not written its errors")
    path = f"{folder}/{names[-1]}"
    with tempfile.TemporaryDirectory(prefix="lexport-errors-") as scratch:
        copy = Path(scratch, "errors.parquet")
        try:
            size_bytes = store.stat(path).size_bytes
            with copy.open("wb") as file:
                for start in range(0, size_bytes, _COPIED_BYTES):
                    check_cancelled()
                    file.write(store.read_range(path, start, _COPIED_BYTES))
        except OSError as error:
            raise ReadError(f"cannot read {store.url}/{path}: {missing_or(error)}", path=path) from error
        yield copy


def _batches(paths: Iterable[Path]) -> Iterator[pa.Table]:
    """Yield the columns of ``errors`` that are grouped, some thousand rows at a time. Raises ReadError."""
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(_BATCH_ROWS, columns=_SCHEMA.names, use_threads=False):
                    yield pa.Table.from_batches([batch]).select(_SCHEMA.names).cast(_SCHEMA)
        except (OSError, KeyError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise ReadError(f"cannot read the errors in {path}: {reason}", path=str(path)) from error


# --- grouping ---------------------------------------------------------------------------------------------------------


def _grouped(
    batches: Iterable[pa.Table], *, snapshot_id: str, snapshot_at: datetime | None, state: RunState
) -> RunFailures:
    """Group the rows of a run. Where there are more than ``MOST_GROUPS`` kinds, gaps and frequent ones are kept."""
    groups: pa.Table | None = None
    errors = gaps = 0
    for batch in batches:
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
