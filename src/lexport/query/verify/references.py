"""Check that no version is lost: versions listed = rows + versions deleted since + gaps. Blocking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset import layout
from lexport.dataset.manifest import Manifest
from lexport.dataset.references import LOST
from lexport.model import Scope
from lexport.query.verify.rows import Damage
from lexport.tables.functions import FUNCTIONS
from lexport.tables.run import ERRORS
from lexport.tables.table import SCOPE_KEY, Table

_ERROR_COLUMNS = ("stage", "operation", "error_code", "is_gap")


def check_references(root: Path, commit: Manifest) -> Iterator[Damage]:
    """Compare the rows of ``functions`` and ``errors`` of each account-region with the references in the manifest.

    An account-region that was read whole must have at least as many rows as references. Duplicate rows and unreadable
    files are reported elsewhere. Commits of old releases, which did not count references, are not checked.
    """
    if all(entry.references is None for entry in commit.scopes):
        return
    try:
        rows = _count(root, commit, FUNCTIONS, (), lambda batch: batch)
        lost = _count(root, commit, ERRORS, _ERROR_COLUMNS, _about_versions)
    except (pa.ArrowException, OSError, KeyError):
        return
    for entry in commit.scopes:
        if entry.references is None or entry.status != "complete":
            continue
        if rows[entry.scope] + lost[entry.scope] >= entry.references:
            continue
        detail = (
            f"{entry.account_id} {entry.region}: {entry.references:,} versions were listed or named; functions has"
            f" {rows[entry.scope]:,} rows, errors has {lost[entry.scope]:,} gone or failed"
        )
        yield Damage(path=layout.run_path(commit.snapshot_id), kind=LOST, detail=detail)


def _about_versions(errors: pa.Table) -> pa.Table:
    """Keep the errors of single versions: GetFunction could not read the version, or it was deleted."""
    is_lost = pc.or_(errors.column("is_gap"), pc.equal(errors.column("error_code"), "gone"))
    is_fetch = pc.is_in(errors.column("stage"), pa.array(["fetch", "flatten"]))
    is_call = pc.equal(errors.column("operation"), "GetFunction")
    return errors.filter(pc.and_(pc.and_(is_lost, is_fetch), pc.fill_null(is_call, fill_value=False)))


def _count(
    root: Path, commit: Manifest, table: Table, more: Sequence[str], keep: Callable[[pa.Table], pa.Table]
) -> Counter[Scope]:
    counts: Counter[Scope] = Counter()
    for entry in commit.entries(table.name):
        with pq.ParquetFile(root / entry.path) as file:
            for batch in file.iter_batches(columns=[*SCOPE_KEY, *more], use_threads=False):
                groups = keep(pa.Table.from_batches([batch])).group_by(list(SCOPE_KEY), use_threads=False)
                for group in groups.aggregate([([], "count_all")]).to_pylist():
                    counts[Scope(account_id=group["account_id"], region=group["region"])] += group["count_all"]
    return counts
