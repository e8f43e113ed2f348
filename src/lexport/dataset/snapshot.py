"""Sorted runs and the results of shards -> Parquet files, and the manifest that will commit them. Blocking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anyio.from_thread import check_cancelled

from lexport.dataset import layout
from lexport.dataset.changes import find_changes, is_comparable
from lexport.dataset.commits import newest_first, newest_whole
from lexport.dataset.compare import SnapshotFiles
from lexport.dataset.manifest import COUNTED, OF_EVERY_SNAPSHOT, FileEntry, Manifest, ScopeEntry
from lexport.dataset.parquet import RowCounter, TableFolder, WrittenFile, end_if_cancelled
from lexport.dataset.references import count_distinct
from lexport.dataset.runs import Runs, RunWriter
from lexport.dataset.store import Store
from lexport.errors import ReadError
from lexport.model import Scope, ShardResult, __version__
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import SCHEMA_VERSION, fleet_tables, resources_read, state_tables
from lexport.tables.run import CHANGES, ERRORS, SCOPES
from lexport.tables.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedCommit:
    """A commit that is written and not yet published: its manifest, and the staged file of each path in it."""

    manifest: Manifest
    files: Mapping[str, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a manifest records of a run beside its files and account-regions."""

    gaps: int
    hash_key_id: str | None
    options: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTables:
    """The files of ``functions`` and its child tables, and the counted rows of ``functions``.

    They are written before the other tables, because packages are found by them.
    """

    files: Mapping[Table, WrittenFile]
    counter: RowCounter


def write_function_tables(folder: TableFolder, runs: Runs) -> FunctionTables:
    """Write ``functions`` and its child tables."""
    counter = RowCounter()
    files = folder.write_versions(runs.get(FUNCTIONS.name, []), watch=counter.watch, drop=counter.drop)
    return FunctionTables(files=files, counter=counter)


def write_snapshot(
    folder: TableFolder,
    runs: Runs,
    results: Sequence[ShardResult],
    *,
    functions: FunctionTables,
    package_tables: Collection[Table] = (),
    facts: RunFacts,
    store: Store,
    note: Callable[[str], None],
) -> StagedCommit:
    """Write the remaining tables of a snapshot into ``folder``, to be committed to ``store``.

    ``scopes`` is written after the tables whose rows it counts, ``changes`` after every table that it compares with the
    snapshot before. ``errors`` is the last, because it has a row where that snapshot is damaged. ``note`` is called
    with what could not be compared.
    """
    counters = {FUNCTIONS: functions.counter} | {table: RowCounter() for table in COUNTED}
    written = dict(functions.files)

    def write(table: Table) -> None:
        watch = counters[table].watch if table in counters else end_if_cancelled
        written[table] = folder.write(table, runs.get(table.name, []), watch=watch)

    def stage(table: Table, rows: Iterable[Sequence[object]]) -> None:
        writer = RunWriter(folder.path, file_mode=folder.file_mode, runs=runs)
        writer.add_rows(table, rows)
        writer.flush()

    read = {table for resource in resources_read(facts.options) for table in resource.tables}
    for table in (*fleet_tables(), *package_tables):
        if table in state_tables() and table not in read and table not in OF_EVERY_SNAPSHOT:
            continue  # no empty table of what was not requested
        if table not in (*functions.files, SCOPES, ERRORS):
            write(table)
    scopes = [_scope_entry(result, counters) for result in results]
    stage(SCOPES, (_scope_row(entry, result, facts.options) for entry, result in zip(scopes, results, strict=True)))
    write(SCOPES)
    now = SnapshotFiles(
        snapshot_id=folder.snapshot_id,
        files={table.name: [file.path] for table, file in written.items()},
        options=facts.options,
        hash_key_id=facts.hash_key_id,
        lexport_version=__version__,
    )
    whole = [entry.scope for entry in scopes if entry.is_whole]
    not_compared = _stage_changes(now, whole, folder=folder.path, runs=runs, store=store, note=note)
    write(CHANGES)
    stage(ERRORS, _error_rows(not_compared))
    write(ERRORS)
    return stage_commit(written, folder, facts, scopes)


def stage_commit(
    written: Mapping[Table, WrittenFile], folder: TableFolder, facts: RunFacts, scopes: Sequence[ScopeEntry] = ()
) -> StagedCommit:
    """Make the manifest of the written files; without scopes, that of a commit of packages alone."""
    paths = {table: layout.data_path(table.name, folder.snapshot_id, folder.snapshot_at) for table in written}
    entries = [
        FileEntry(table=table.name, path=paths[table], size_bytes=file.size_bytes, rows=file.rows, sha256=file.sha256)
        for table, file in written.items()
    ]
    return StagedCommit(
        manifest=Manifest(
            snapshot_id=folder.snapshot_id,
            snapshot_at=folder.snapshot_at,
            committed_at=folder.snapshot_at,
            status="partial" if facts.gaps else "complete",
            gaps=facts.gaps,
            lexport_version=__version__,
            schema_version=SCHEMA_VERSION,
            hash_key_id=facts.hash_key_id,
            options=facts.options,
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
    store: Store,
    note: Callable[[str], None],
) -> dict[Scope, str]:
    """Compare each scope with the newest snapshot before that read it whole, into sorted runs of ``changes``.

    Return the scopes whose snapshot before is damaged, with its id.
    """
    earlier = newest_first(store, lambda damaged: note(damaged.note), before=now.snapshot_id)
    commits = newest_whole(earlier, scopes)
    scopes_of: dict[str, list[Scope]] = defaultdict(list)
    for scope, commit in commits.items():
        scopes_of[commit.snapshot_id].append(scope)
    not_compared: dict[Scope, str] = {}
    for snapshot_id, compared in sorted(scopes_of.items()):
        commit = commits[compared[0]]
        if not is_comparable(now.options, commit.options):
            note(
                f"changes since {snapshot_id} are not recorded: one of the two snapshots has $LATEST alone, the other"
                " all but $LATEST"
            )
            continue
        writer = RunWriter(folder, file_mode=store.file_mode, runs=runs)
        damageable = {f"{store.url}/{entry.path}" for entry in commit.files}
        try:
            before = SnapshotFiles.of(commit, store)
            damageable |= {str(path) for files in before.files.values() for path in files}
            for rows in find_changes(compared, now=now, before=before):
                check_cancelled()
                for batch in rows.to_batches():
                    writer.add(CHANGES, batch)
            writer.flush()
        except ReadError as error:
            if error.path not in damageable:
                raise
            writer.discard()
            what = f"{compared[0]}" + (f" and {len(compared) - 1:,} more" if len(compared) > 1 else "")
            note(f"changes of {what} are not recorded: the snapshot before, {snapshot_id}, is damaged: {error}")
            not_compared |= dict.fromkeys(compared, snapshot_id)
    return not_compared


def _error_rows(not_compared: Mapping[Scope, str]) -> Iterator[tuple[object, ...]]:
    """Yield a row of ``errors`` for each scope without changes, since readers of the history do not see the notes."""
    now = datetime.now(UTC)
    for scope, snapshot_id in sorted(not_compared.items()):
        message = f"changes since {snapshot_id} are not recorded: its files are damaged; see lexport verify"
        yield scope.account_id, scope.region, "changes", None, None, None, "damaged", None, message, False, 0, now, ""


def _scope_entry(result: ShardResult, counters: Mapping[Table, RowCounter]) -> ScopeEntry:
    scope = result.shard.scope
    return ScopeEntry(
        account_id=scope.account_id,
        region=scope.region,
        coverage=result.shard.coverage,
        status=result.status,
        functions=counters[FUNCTIONS].functions[scope],
        versions=counters[FUNCTIONS].rows[scope],
        **{table.name: counters[table].rows[scope] for table in COUNTED},
        get_function_calls=result.get_function_calls,
        list_calls=result.list_calls,
        throttles=result.throttles,
        references=count_distinct(result.references, dropped=counters[FUNCTIONS].dropped[scope]),
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
