"""Compare a commit's manifest with its rows: scopes, counts, gaps, and references to versions. Blocking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.layout import run_path
from lexport.dataset.manifest import COUNTED, OF_EVERY_SNAPSHOT, Manifest
from lexport.dataset.references import LOST
from lexport.model import Scope
from lexport.query.verify.local_files import LocalFiles
from lexport.query.verify.rows import Damage
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import resource_tables, tables_read
from lexport.tables.run import ERRORS, SCOPE_RESOURCES, SCOPES
from lexport.tables.table import FUNCTION_KEY, SCOPE_KEY, Table

_COUNTS = ("functions", "versions", *(table.name for table in COUNTED), "get_function_calls", "list_calls", "throttles")
_COMPARED = ("coverage", "status", *_COUNTS)
_ERROR_COLUMNS = ("stage", "operation", "error_code", "is_gap")


def check_scopes(files: LocalFiles, commit: Manifest) -> Iterator[Damage]:
    """Compare the account-regions of a manifest with the table ``scopes`` of the same commit."""
    rows: dict[Scope, dict[str, Any]] = {}
    for batch in _batches(files, commit, SCOPES, (*SCOPE_KEY, *_COMPARED)):
        for row in batch.to_pylist():
            rows[Scope(account_id=row["account_id"], region=row["region"])] = row
    for entry in commit.scopes:
        row = rows.get(entry.scope)
        if row is None:
            yield _wrong(commit, f"{entry.scope} is not in scopes")
            continue
        for name in _COMPARED:
            if row[name] is not None and row[name] != getattr(entry, name):  # a count is NULL if its data was not read
                yield _wrong(commit, f"{entry.scope}: {name} {getattr(entry, name)}, scopes has {row[name]}")
                break


def check_resources(files: LocalFiles, commit: Manifest) -> Iterator[Damage]:
    """Check that ``scope_resources`` has every resource of every account-region. Older releases did not write it."""
    if not commit.entries(SCOPE_RESOURCES.name):
        return
    statuses: dict[Scope, dict[str, str]] = {entry.scope: {} for entry in commit.scopes}
    for batch in _batches(files, commit, SCOPE_RESOURCES, (*SCOPE_KEY, "resource", "status")):
        for row in batch.to_pylist():
            scope = Scope(account_id=row["account_id"], region=row["region"])
            if scope not in statuses:
                yield _wrong(commit, f"scope_resources has {scope}, which is not in the manifest")
                return
            statuses[scope][row["resource"]] = row["status"]
    names = {name for of_scope in statuses.values() for name in of_scope} | {FUNCTIONS.name}
    for scope, of_scope in statuses.items():
        if missing := sorted(names - of_scope.keys()):
            yield _wrong(commit, f"{scope}: scope_resources has no row of {', '.join(missing)}")
    for entry in commit.scopes:
        if entry.status == "complete" and statuses[entry.scope].get(FUNCTIONS.name) not in (None, "complete"):
            status = statuses[entry.scope][FUNCTIONS.name]
            yield _wrong(commit, f"{entry.scope}: status complete, scope_resources has {status} for functions")


def check_read(commit: Manifest) -> Iterator[Damage]:
    """Compare which tables a commit says were read with the options of its run.

    Older releases did not record it, and wrote empty files of some tables that they did not read.
    """
    is_recorded = any(not entry.read for entry in commit.files)
    read = tables_read(commit.options)
    for table in resource_tables() if commit.is_snapshot else ():
        for entry in (entry for entry in commit.files if entry.table == table.name):
            if entry.read and table not in read and (is_recorded or entry.rows or table not in OF_EVERY_SNAPSHOT):
                yield _wrong(commit, f"{table.name} is said to be read, which the options of the run left out")
                break
            if not entry.read and table in read:
                yield _wrong(commit, f"{table.name} is said not to be read, which the options of the run include")
                break


def check_counts(files: LocalFiles, commit: Manifest) -> Iterator[Damage]:
    """Compare rows by account-region and the number of gaps with the manifest. Reads the whole tables."""
    groups = _groups(_batches(files, commit, FUNCTIONS, FUNCTION_KEY), FUNCTION_KEY)
    names = groupby((scope, group["function_name"]) for scope, group in groups)
    counts = {"functions": Counter(scope for (scope, _), _ in names)}
    for table in (FUNCTIONS, *COUNTED):
        name = "versions" if table is FUNCTIONS else table.name
        counts[name] = _count(_batches(files, commit, table, SCOPE_KEY))
    for entry in commit.scopes:
        for name, counted in counts.items():
            expected, actual = getattr(entry, name), counted[entry.scope]
            if expected != actual:
                yield _wrong(commit, f"{entry.scope}: {expected:,} {name}, the tables have {actual:,}")
    gaps = sum(pc.sum(batch.column("is_gap")).as_py() or 0 for batch in _batches(files, commit, ERRORS, ["is_gap"]))
    if gaps > commit.gaps or bool(gaps) != bool(commit.gaps):  # two equal errors may be one row
        yield _wrong(commit, f"{commit.gaps:,} gaps, errors has {gaps:,}")


def check_references(files: LocalFiles, commit: Manifest) -> Iterator[Damage]:
    """Compare the rows of ``functions`` and ``errors`` of each account-region with the references in the manifest.

    An account-region that was read whole must have at least as many rows as references. Duplicate rows and unreadable
    files are reported elsewhere. Commits of old releases, which did not count references, are not checked.
    """
    if all(entry.references is None for entry in commit.scopes):
        return
    try:
        rows = _count(_batches(files, commit, FUNCTIONS, SCOPE_KEY))
        lost = _count(map(_about_versions, _batches(files, commit, ERRORS, (*SCOPE_KEY, *_ERROR_COLUMNS))))
    except (pa.ArrowException, OSError, KeyError):
        return
    for entry in commit.scopes:
        if entry.references is None or entry.status != "complete":
            continue
        if rows[entry.scope] + lost[entry.scope] >= entry.references:
            continue
        detail = (
            f"{entry.scope}: {entry.references:,} versions were listed or named; functions has"
            f" {rows[entry.scope]:,} rows, errors has {lost[entry.scope]:,} gone or failed"
        )
        yield Damage(path=run_path(commit.snapshot_id), kind=LOST, detail=detail)


def _about_versions(errors: pa.Table) -> pa.Table:
    """Keep the errors of single versions: GetFunction could not read the version, or it was deleted."""
    is_lost = pc.or_(errors.column("is_gap"), pc.equal(errors.column("error_code"), "gone"))
    is_fetch = pc.is_in(errors.column("stage"), pa.array(["fetch", "flatten"]))
    is_call = pc.equal(errors.column("operation"), "GetFunction")
    return errors.filter(pc.and_(pc.and_(is_lost, is_fetch), pc.fill_null(is_call, fill_value=False)))


def _count(batches: Iterable[pa.Table]) -> Counter[Scope]:
    counts: Counter[Scope] = Counter()
    for scope, group in _groups(batches, SCOPE_KEY):
        counts[scope] += group["count_all"]
    return counts


def _groups(batches: Iterable[pa.Table], key: Sequence[str]) -> Iterator[tuple[Scope, dict[str, Any]]]:
    """Yield keys with the number of their rows, ``count_all``. The rows of a key may continue in the next group."""
    for batch in batches:
        for group in batch.group_by(list(key), use_threads=False).aggregate([([], "count_all")]).to_pylist():
            yield Scope(account_id=group["account_id"], region=group["region"]), group


def _batches(files: LocalFiles, commit: Manifest, table: Table, names: Sequence[str]) -> Iterator[pa.Table]:
    for entry in commit.entries(table.name):
        with pq.ParquetFile(files.path_of(entry.path)) as file:
            for batch in file.iter_batches(columns=list(names), use_threads=False):
                yield pa.Table.from_batches([batch])


def _wrong(commit: Manifest, detail: str) -> Damage:
    return Damage(path=run_path(commit.snapshot_id), kind="wrong_counts", detail=detail)
