"""Compare a commit's manifest with its rows: scopes, counts, gaps. Blocking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.layout import run_path
from lexport.dataset.manifest import COUNTED, Manifest, ScopeEntry
from lexport.model import Scope
from lexport.query.verify.rows import Damage
from lexport.tables.functions import FUNCTIONS
from lexport.tables.run import ERRORS, SCOPES
from lexport.tables.table import SCOPE_KEY, Table

_COUNTS = ("functions", "versions", *(table.name for table in COUNTED), "get_function_calls", "list_calls", "throttles")
_COMPARED = ("coverage", "status", *_COUNTS)


def check_scopes(root: Path, commit: Manifest) -> Iterator[Damage]:
    """Compare the account-regions of a manifest with the table ``scopes`` of the same commit."""
    rows: dict[Scope, dict[str, Any]] = {}
    for batch in _batches(root, commit, SCOPES, (*SCOPE_KEY, *_COMPARED)):
        for row in batch.to_pylist():
            rows[Scope(account_id=row["account_id"], region=row["region"])] = row
    for entry in commit.scopes:
        row = rows.get(entry.scope)
        if row is None:
            yield _wrong(commit, f"{_title(entry)} is not in scopes")
            continue
        for name in _COMPARED:
            if row[name] is not None and row[name] != getattr(entry, name):  # a count is NULL if its data was not read
                yield _wrong(commit, f"{_title(entry)}: {name} {getattr(entry, name)}, scopes has {row[name]}")
                break


def check_counts(root: Path, commit: Manifest) -> Iterator[Damage]:
    """Compare rows by account-region and the number of gaps with the manifest. Reads the whole tables."""
    functions, versions = _count(root, commit, FUNCTIONS)
    others = [(table.name, _count(root, commit, table)[1]) for table in COUNTED]
    for entry in commit.scopes:
        for what, expected, counted in (
            ("functions", entry.functions, functions[entry.scope]),
            ("versions", entry.versions, versions[entry.scope]),
            *((name, getattr(entry, name), rows[entry.scope]) for name, rows in others),
        ):
            if expected != counted:
                yield _wrong(commit, f"{_title(entry)}: {expected:,} {what}, the tables have {counted:,}")
    gaps = sum(pc.sum(batch.column("is_gap")).as_py() or 0 for batch in _batches(root, commit, ERRORS, ["is_gap"]))
    if gaps > commit.gaps or bool(gaps) != bool(commit.gaps):  # two equal errors may be one row
        yield _wrong(commit, f"{commit.gaps:,} gaps, errors has {gaps:,}")


def _count(root: Path, commit: Manifest, table: Table) -> tuple[Counter[Scope], Counter[Scope]]:
    """Count the functions and the rows of each account-region."""
    functions: Counter[Scope] = Counter()
    rows: Counter[Scope] = Counter()
    last: tuple[Scope, str] | None = None
    key = [*SCOPE_KEY, "function_name"]
    for batch in _batches(root, commit, table, key):
        groups = pa.Table.from_batches([batch]).group_by(key, use_threads=False).aggregate([([], "count_all")])
        for group in groups.to_pylist():
            scope = Scope(account_id=group["account_id"], region=group["region"])
            rows[scope] += group["count_all"]
            functions[scope] += (
                scope,
                group["function_name"],
            ) != last  # the rows of a function may continue in the next batch
            last = scope, group["function_name"]
    return functions, rows


def _batches(root: Path, commit: Manifest, table: Table, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for entry in commit.entries(table.name):
        with pq.ParquetFile(root / entry.path) as file:
            yield from file.iter_batches(columns=list(names), use_threads=False)


def _title(entry: ScopeEntry) -> str:
    return f"{entry.account_id} {entry.region}"


def _wrong(commit: Manifest, detail: str) -> Damage:
    return Damage(path=run_path(commit.snapshot_id), kind="wrong_counts", detail=detail)
