"""Sorted runs and the results of shards -> Parquet files, and the manifest that will commit them. Blocking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from anyio.from_thread import check_cancelled

from lexport.dataset import layout
from lexport.dataset.compare import SnapshotFiles
from lexport.dataset.manifest import COUNTED, OF_EVERY_SNAPSHOT, FileEntry, Manifest, ScopeEntry
from lexport.dataset.parquet import (
    VERSION_TABLES,
    RowCounter,
    TableFolder,
    TableWriter,
    VersionsWriter,
    Watch,
    WrittenFile,
    counting,
    end_if_cancelled,
)
from lexport.dataset.references import count_distinct
from lexport.dataset.resource_rows import resource_rows, unread_resources
from lexport.dataset.runs import SORT_KEY, Runs, RunWriter, Section
from lexport.dataset.stage_changes import snapshots_before, stage_changes
from lexport.dataset.staging import open_result
from lexport.dataset.store import Store
from lexport.errors import ReadError
from lexport.model import Scope, ShardResult, __version__
from lexport.tables.functions import FUNCTIONS
from lexport.tables.packages import PACKAGES
from lexport.tables.registry import SCHEMA_VERSION, resource_tables, tables, tables_read
from lexport.tables.run import CHANGES, ERRORS, SCOPE_RESOURCES, SCOPES, SNAPSHOTS
from lexport.tables.table import Table

Files: TypeAlias = Sequence[WrittenFile | FileEntry]
"""The files of one table, in the order of their rows: on this machine, or in the store already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedCommit:
    """A commit that is written and not yet published: its manifest, and its files that are on this machine alone.

    The other ones that the manifest names are in the store already.
    """

    manifest: Manifest
    files: Mapping[str, WrittenFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a manifest records of a run beside its files, gaps and account-regions."""

    hash_key_id: str | None
    options: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The files of ``changes``, and the account-regions without changes: the snapshot before, by its id, is damaged."""

    files: tuple[WrittenFile, ...]
    not_compared: Mapping[Scope, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCounts:
    """The distinct packages that a run should have and those of them that are stored: in all, and by account-region."""

    total: int
    stored: int
    by_scope: Mapping[Scope, tuple[int, int]]


CountPackages = Callable[[Sequence[Path]], PackageCounts | None]
"""Counts the packages by the files of the table ``packages``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTables:
    """The files of the tables that shards fill, and the counted rows of ``functions`` and of ``COUNTED``.

    They are written before the other tables, because packages are found by them. ``has_values`` says that they have
    environment values in the clear. ``changes`` is None where they are found when the other tables are written.
    """

    files: Mapping[Table, Files]
    counters: Mapping[Table, RowCounter]
    has_values: bool = False
    changes: Changes | None = None

    def paths(self, table: Table, store: Store) -> list[Path]:
        """Return local copies of the files of a table, in the order of their rows. Blocking; raises ReadError."""
        return local_paths(self.files[table], store, has_values=self.has_values)


def local_paths(files: Files, store: Store, *, has_values: bool) -> list[Path]:
    """Return files that were written here, and copies of those that are in the store. Blocking; raises ReadError."""
    placed = [file for file in files if isinstance(file, FileEntry)]
    try:
        copies = dict(zip(placed, store.local_copies(placed, has_values=has_values), strict=True))
    except OSError as error:
        raise ReadError(
            f"cannot read the new files of {placed[0].table}: {error.strerror or error}", path=placed[0].path
        ) from error
    return [copies[file] if isinstance(file, FileEntry) else file.path for file in files]


def tables_of_shards(options: Mapping[str, Any]) -> tuple[Table, ...]:
    """Return the tables that shards fill in a run with these options, those of the resources that it reads."""
    read = tables_read(options)
    others = (table for table in resource_tables() if table in read or table in OF_EVERY_SNAPSHOT)
    return (*VERSION_TABLES, *(table for table in others if table not in VERSION_TABLES))


def stage_errors(sections: Iterable[Section], errors: RunWriter) -> None:
    """Add the rows of ``errors`` among the sections of a shard to those of the run."""
    for section in sections:
        if section.table == ERRORS.name:
            for block in section.blocks():
                errors.add(ERRORS, block.drop_columns([SORT_KEY]))


def write_fleet_tables(
    folder: TableFolder,
    results: Sequence[ShardResult],
    *,
    options: Mapping[str, Any],
    store: Store,
    errors: RunWriter,
) -> FleetTables:
    """Write every table that shards fill, one shard after the other in the order of their keys.

    Only the runs of one shard are merged: the keys of all these tables begin with account and Region. The rows of
    ``errors`` go to ``errors``, since later steps add to that table. Raises ReadError for damaged runs.
    """
    counters = {FUNCTIONS: RowCounter()} | {table: RowCounter() for table in COUNTED}

    with ExitStack() as stack:
        versions = VersionsWriter(folder, watch=counting(counters[FUNCTIONS]), drop=counters[FUNCTIONS].drop)
        stack.enter_context(versions)
        writers = [
            stack.enter_context(TableWriter(table, folder, watch=counting(counters.get(table))))
            for table in tables_of_shards(options)
            if table not in VERSION_TABLES
        ]
        for result in results:
            check_cancelled()
            scope = result.shard.scope
            with TemporaryDirectory(dir=folder.path, prefix=".fetched-") as fetched:
                runs: Runs = defaultdict(list)
                for section in open_result(store, folder.snapshot_id, scope, result.runs, Path(fetched)):
                    runs[section.table].append(section)
                versions.add_runs(runs[FUNCTIONS.name])
                for writer in writers:
                    writer.add_runs(runs[writer.table.name])
                stage_errors(runs[ERRORS.name], errors)
        files = versions.close() | {writer.table: writer.close() for writer in writers}
    errors.flush()
    return FleetTables(files=files, counters=counters, has_values=options.get("env") == "values")


def write_snapshot(
    folder: TableFolder,
    runs: Runs,
    results: Sequence[ShardResult],
    *,
    fleet: FleetTables,
    package_tables: Collection[Table] = (),
    count_packages: CountPackages | None = None,
    facts: RunFacts,
    store: Store,
    note: Callable[[str], None],
    watch_errors: Watch,
) -> StagedCommit:
    """Write the remaining tables of a snapshot into ``folder``, to be committed to ``store``.

    ``scopes`` is written after the tables whose rows it counts, then ``scope_resources``; ``changes`` after every table
    that it compares with the snapshot before. ``errors`` is the last, because it has a row where that snapshot is
    damaged. Every other table gets an empty file, because programs that list folders need one.
    ``count_packages`` is called with the files of ``packages``, where they are among the ``package_tables``,
    ``note`` with what could not be compared, ``watch_errors`` with the rows of ``errors``.
    """
    written: dict[Table, Files] = dict(fleet.files)
    gaps = 0

    def write(table: Table, watch: Watch = end_if_cancelled) -> None:
        written[table] = folder.write(table, runs.get(table.name, []), watch=watch)

    def count_gaps(rows: pa.Table) -> None:
        nonlocal gaps
        check_cancelled()
        gaps += pc.sum(rows.column("is_gap")).as_py() or 0
        watch_errors(rows)

    def stage(table: Table, rows: Iterable[Sequence[object]]) -> None:
        writer = RunWriter(folder.path, file_mode=folder.file_mode, runs=runs)
        writer.add_rows(table, rows)
        writer.flush()

    for table in package_tables:
        write(table)
    packages = None
    if count_packages is not None:
        packages = count_packages(local_paths(written[PACKAGES], store, has_values=False))
    scopes = [_scope_entry(result, fleet.counters) for result in results]
    of_results = zip(scopes, results, strict=True)
    stage(SCOPES, (_scope_row(entry, result, facts.options, packages) for entry, result in of_results))
    write(SCOPES)
    stage(SCOPE_RESOURCES, (row for result in results for row in resource_rows(result, facts.options)))
    write(SCOPE_RESOURCES)
    if (changes := fleet.changes) is None:
        now = SnapshotFiles(
            snapshot_id=folder.snapshot_id,
            files={table.name: fleet.paths(table, store) for table in fleet.files},
            options=facts.options,
            hash_key_id=facts.hash_key_id,
            lexport_version=__version__,
            unread=unread_resources(results, facts.options),
        )
        whole = [result.shard.scope for result in results if result.is_whole]
        changes = _find_changes(now, whole, folder, store=store, note=note)
    written[CHANGES] = changes.files
    stage(ERRORS, _error_rows(changes.not_compared))
    write(ERRORS, count_gaps)
    unread = {table for table in tables() if table not in written and table is not SNAPSHOTS}
    for table in sorted(unread, key=tables().index):
        check_cancelled()
        written[table] = (folder.write_empty(table),)
    unread |= {*resource_tables()} - tables_read(facts.options)
    return stage_commit(written, folder, facts, scopes, unread=unread, gaps=gaps, packages=packages)


def stage_commit(
    written: Mapping[Table, Files],
    folder: TableFolder,
    facts: RunFacts,
    scopes: Sequence[ScopeEntry] = (),
    *,
    unread: Collection[Table] = (),
    gaps: int,
    packages: PackageCounts | None = None,
) -> StagedCommit:
    """Make the manifest of the written files; without scopes, that of a commit of packages alone.

    The files of the ``unread`` tables are empty.
    """
    here: dict[str, WrittenFile] = {}
    entries: list[FileEntry] = []
    for table, files in written.items():
        for number, file in enumerate(files):
            if isinstance(file, FileEntry):
                entries.append(replace(file, read=table not in unread))
                continue
            path = layout.data_path(table.name, folder.snapshot_id, folder.snapshot_at, number)
            here[path] = file
            entries.append(
                FileEntry(
                    table=table.name,
                    path=path,
                    size_bytes=file.size_bytes,
                    rows=file.rows,
                    sha256=file.sha256,
                    read=table not in unread,
                )
            )
    return StagedCommit(
        manifest=Manifest(
            snapshot_id=folder.snapshot_id,
            snapshot_at=folder.snapshot_at,
            committed_at=folder.snapshot_at,
            status="partial" if gaps else "complete",
            gaps=gaps,
            packages=None if packages is None else packages.total,
            packages_stored=None if packages is None else packages.stored,
            lexport_version=__version__,
            schema_version=SCHEMA_VERSION,
            hash_key_id=facts.hash_key_id,
            options=facts.options,
            files=tuple(entries),
            scopes=tuple(scopes),
        ),
        files=here,
    )


def _find_changes(
    now: SnapshotFiles,
    scopes: Collection[Scope],
    folder: TableFolder,
    *,
    store: Store,
    note: Callable[[str], None],
) -> Changes:
    """Compare each scope with the newest snapshot before that read it whole, and write ``changes``."""
    not_compared: dict[Scope, str] = {}
    runs: Runs = defaultdict(list)
    for before in snapshots_before(now.snapshot_id, scopes, now.options, store=store, note=note):
        writer = RunWriter(folder.path, file_mode=store.file_mode, runs=runs)
        damage = stage_changes(
            now, before.commit, before.scopes, writer, store=store, watch=lambda _: check_cancelled()
        )
        if damage is not None:
            note(before.note_of(damage))
            not_compared |= dict.fromkeys(before.scopes, before.commit.snapshot_id)
    return Changes(files=folder.write(CHANGES, runs[CHANGES.name], watch=end_if_cancelled), not_compared=not_compared)


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


def _scope_row(
    entry: ScopeEntry, result: ShardResult, options: Mapping[str, Any], packages: PackageCounts | None
) -> tuple[Any, ...]:
    read = tables_read(options)
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
        result.shard.account_name,
        *((None, None) if packages is None else packages.by_scope.get(entry.scope, (0, 0))),
        "",
    )
