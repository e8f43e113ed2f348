"""The rows of run tables: what commits say of themselves. Blocking."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from lexport.dataset.manifest import Manifest
from lexport.query.feed.part import FeedPart, aligned, fed_schema
from lexport.query.feed.read_rows import read_rows
from lexport.tables.fed import FedTable
from lexport.tables.run import SNAPSHOTS


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
    for rows in read_rows(files, fed.table, fed.names):
        yield FeedPart(action="upsert", table=fed, rows=aligned(rows, schema))
