"""The rows of run tables: what commits say of themselves. Blocking."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lexport.dataset.manifest import Manifest
from lexport.errors import ReadError
from lexport.query.feed.part import FeedPart, aligned, fed_schema
from lexport.tables.arrow import with_current_names
from lexport.tables.fed import FedTable
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table

_ROWS_AT_ONCE = 10_000


def snapshot_rows(fed: FedTable, commits: Collection[Manifest]) -> Iterator[FeedPart]:
    """Yield the rows of ``snapshots``, from the manifests: the table's own file is written later, or never."""
    names = [name for name in SNAPSHOTS.names() if name not in ("account_id", "region")]
    rows = pa.Table.from_pylist(
        [{name: getattr(commit, name) for name in names} for commit in commits], schema=fed_schema(fed)
    )
    if len(rows):
        yield FeedPart(action="upsert", table=fed, rows=rows)


def run_rows(fed: FedTable, files: Sequence[Path]) -> Iterator[FeedPart]:
    """Yield all rows of a table's files."""
    schema = fed_schema(fed)
    for path in files:
        for rows in _read(path, fed.table):
            yield FeedPart(action="upsert", table=fed, rows=aligned(rows, schema))


def _read(path: Path, table: Table) -> Iterator[pa.Table]:
    with _errors_of(path):
        file = pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True)
    with file:
        names = table.stored_names(table.names())
        stored = [name for name in file.schema_arrow.names if name in names]
        batches = file.iter_batches(_ROWS_AT_ONCE, columns=stored, use_threads=False)
        while True:
            with _errors_of(path):
                batch = next(batches, None)
            if batch is None:
                return
            if len(batch):
                yield with_current_names(pa.Table.from_batches([batch]), table)


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise ReadError(f"cannot read {path}: {str(error).splitlines()[0]}", path=str(path)) from error
