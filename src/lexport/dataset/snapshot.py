"""sorted runs and results of shards -> Parquet files and the manifest that will commit them. Blocking."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from anyio.from_thread import check_cancelled

from lexport.dataset import layout
from lexport.dataset.changes import find_changes, is_comparable
from lexport.dataset.commits import newest_first, newest_whole
from lexport.dataset.compare import SnapshotFiles
from lexport.dataset.local import LocalStore
from lexport.dataset.manifest import COUNTED, FileEntry, Manifest, ScopeEntry
from lexport.dataset.parquet import TableFolder, WrittenFile
from lexport.dataset.references import count_distinct
from lexport.dataset.runs import Runs, RunWriter
from lexport.errors import ReadError
from lexport.model import Scope, ShardResult, __version__
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import SCHEMA_VERSION, fleet_tables, resources_read
from lexport.tables.run import CHANGES, ERRORS, SCOPES
from lexport.tables.table import SCOPE_KEY, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A snapshot that is all written and not yet published: its manifest, and where each file lies now."""

    manifest: Manifest
    files: Mapping[str, Path]


class _Counts:
    """Counts rows per scope while they pass, sorted, on their way into Parquet."""

    def __init__(self) -> None:
        self.rows: Counter[Scope] = Counter()
        self.functions: Counter[Scope] = Counter()
        self.dropped: Counter[Scope] = Counter()
        self._last: tuple[Scope, str] | None = None

    def drop(self, rows: pa.Table) -> None:
        """Count rows that fall out of the merge."""
        for values in zip(*(rows.column(name).to_pylist() for name in SCOPE_KEY), strict=True):
            self.dropped[Scope(account_id=values[0], region=values[1])] += 1

    def watch(self, rows: pa.Table) -> None:
        check_cancelled()
        for group in (
            rows.group_by([*SCOPE_KEY, "function_name"], use_threads=False).aggregate([([], "count_all")]).to_pylist()
        ):
            scope = Scope(account_id=group["account_id"], region=group["region"])
            self.rows[scope] += group["count_all"]
            function = (scope, group["function_name"])
            self.functions[scope] += function != self._last  # one function may go on in the next row group
            self._last = function


@dataclass(frozen=True, slots=True, kw_only=True)
class Early:
    """The tables of function versions: written before the others, because packages are found by them."""

    files: Mapping[Table, WrittenFile]
    functions: _Counts


def write_early(folder: TableFolder, runs: Runs) -> Early:
    """Write ``functions`` and the tables of its children ahead of ``write_snapshot``."""
    counts = _Counts()
    files = folder.write_versions(runs.get(FUNCTIONS.name, []), watch=counts.watch, drop=counts.drop)
    return Early(files=files, functions=counts)


def write_snapshot(
    folder: TableFolder,
    runs: Runs,
    results: Sequence[ShardResult],
    *,
    early: Early,
    package_tables: Collection[Table] = (),
    gaps: int,
    hash_key_id: str | None,
    options: dict[str, Any],
    store: LocalStore,
    note: Callable[[str], None],
) -> Draft:
    """Write every table of a snapshot into ``folder``, to be committed to ``store``.

    ``scopes`` counts the rows of the others, so it comes after them, and ``changes`` compares them with the snapshot
    before. What could not be compared is told to ``note``; where that snapshot is damaged, ``errors`` has it too, so
    they come last. Tables of packages are those that the run looked at.
    """
    counts = {FUNCTIONS: early.functions} | {table: _Counts() for table in COUNTED}
    written = dict(early.files)

    def write(table: Table) -> None:
        watch = counts[table].watch if table in counts else lambda _: check_cancelled()
        written[table] = folder.write(table, runs.get(table.name, []), watch=watch)

    for table in (*fleet_tables(), *package_tables):
        if table not in (*early.files, SCOPES, ERRORS):
            write(table)
    scopes = [_scope_entry(result, counts) for result in results]
    if scopes:
        rows = [_scope_row(entry, result, options) for entry, result in zip(scopes, results, strict=True)]
        writer = RunWriter(folder.path, file_mode=folder.file_mode, runs=runs)
        writer.add_rows(SCOPES, rows)
        writer.flush()
    write(SCOPES)
    reading = SnapshotFiles(
        snapshot_id=folder.snapshot_id,
        files={table.name: [file.path] for table, file in written.items()},
        options=options,
        hash_key_id=hash_key_id,
        lexport_version=__version__,
    )
    whole = [entry.scope for entry in scopes if entry.is_whole]
    untold = _stage_changes(reading, whole, folder=folder.path, runs=runs, store=store, note=note)
    write(CHANGES)
    if untold:
        writer = RunWriter(folder.path, file_mode=folder.file_mode, runs=runs)
        writer.add_rows(ERRORS, _error_rows(untold))
        writer.flush()
    write(ERRORS)

    return draft_of(
        written,
        folder,
        gaps=gaps,
        hash_key_id=hash_key_id,
        options=options,
        scopes=scopes,
    )


def draft_of(
    written: Mapping[Table, WrittenFile],
    folder: TableFolder,
    *,
    gaps: int,
    hash_key_id: str | None,
    options: dict[str, Any],
    scopes: Sequence[ScopeEntry],
) -> Draft:
    """Make the manifest of what is written."""
    paths = {table: layout.data_path(table.name, folder.snapshot_id, folder.snapshot_at) for table in written}
    entries = [
        FileEntry(table=table.name, path=paths[table], size_bytes=file.size_bytes, rows=file.rows, sha256=file.sha256)
        for table, file in written.items()
    ]
    return Draft(
        manifest=Manifest(
            snapshot_id=folder.snapshot_id,
            snapshot_at=folder.snapshot_at,
            committed_at=folder.snapshot_at,
            status="partial" if gaps else "complete",
            gaps=gaps,
            lexport_version=__version__,
            schema_version=SCHEMA_VERSION,
            hash_key_id=hash_key_id,
            options=options,
            files=tuple(entries),
            scopes=tuple(scopes),
        ),
        files={paths[table]: file.path for table, file in written.items()},
    )


def _stage_changes(
    now: SnapshotFiles,
    scopes: Collection[Scope],
    *,
    folder: Path,
    runs: Runs,
    store: LocalStore,
    note: Callable[[str], None],
) -> dict[Scope, str]:
    """Compare account-regions that were read whole with the last time they were, into sorted runs.

    Return the account-regions whose snapshot before is damaged, with its id.
    """
    earlier = newest_first(store, lambda damaged: note(damaged.note), before=now.snapshot_id)
    commits = newest_whole(earlier, scopes)
    by_commit: dict[str, list[Scope]] = defaultdict(list)
    for scope, commit in commits.items():
        by_commit[commit.snapshot_id].append(scope)
    untold: dict[Scope, str] = {}
    for snapshot_id in sorted(by_commit):
        compared = by_commit[snapshot_id]
        commit = commits[compared[0]]
        if not is_comparable(now.options, commit.options):
            note(f"no changes are told since {snapshot_id}: one of both read $LATEST alone, the other all but $LATEST")
            continue
        writer = RunWriter(folder, file_mode=store.file_mode, runs=runs)
        try:
            for rows in find_changes(compared, now=now, before=SnapshotFiles.of(commit, store.root)):
                check_cancelled()
                for batch in rows.to_batches():
                    writer.add(CHANGES, batch)
            writer.flush()
        except ReadError as error:
            if Path(error.path) not in [store.root / entry.path for entry in commit.files]:
                raise
            writer.discard()
            title = f"{compared[0].account_id} {compared[0].region}"
            more = f" and {len(compared) - 1:,} more" if len(compared) > 1 else ""
            note(f"no changes are told of {title}{more}: {snapshot_id}, the snapshot before, is damaged: {error}")
            untold |= dict.fromkeys(compared, snapshot_id)
    return untold


def _error_rows(untold: Mapping[Scope, str]) -> Iterator[tuple[object, ...]]:
    """Say in ``errors`` where ``changes`` has a hole, for who reads the history and never saw the night's log."""
    now = datetime.now(UTC)
    for scope, snapshot_id in sorted(untold.items(), key=lambda item: (item[0].account_id, item[0].region)):
        message = f"no changes are told since {snapshot_id}: its files are damaged; see lexport verify"
        place = (scope.account_id, scope.region)
        yield (*place, "changes", None, None, None, "damaged", None, message, False, 0, now, "")


def _scope_entry(result: ShardResult, counts: Mapping[Table, _Counts]) -> ScopeEntry:
    scope = result.shard.scope
    return ScopeEntry(
        account_id=scope.account_id,
        region=scope.region,
        coverage=result.shard.coverage,
        status=result.status,
        functions=counts[FUNCTIONS].functions[scope],
        versions=counts[FUNCTIONS].rows[scope],
        **{table.name: counts[table].rows[scope] for table in COUNTED},
        get_function_calls=result.get_function_calls,
        list_calls=result.list_calls,
        throttles=result.throttles,
        references=count_distinct(result.references, dropped=counts[FUNCTIONS].dropped[scope]),
    )


def _scope_row(entry: ScopeEntry, result: ShardResult, options: Mapping[str, Any]) -> tuple[Any, ...]:
    read = {table for resource in resources_read(options) for table in resource.tables}
    counts = [getattr(entry, table.name) if table in read else None for table in COUNTED]
    return (
        entry.account_id,
        entry.region,
        entry.coverage,
        entry.status,
        entry.functions,
        entry.versions,
        *counts,
        result.function_count_reported,
        entry.get_function_calls,
        entry.list_calls,
        entry.throttles,
        result.carried_rows,
        result.started_at,
        result.ended_at,
        "",
    )
