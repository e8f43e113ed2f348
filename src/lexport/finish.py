"""sorted runs and outcomes -> Parquet files and the manifest that will commit them. Blocking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from anyio.from_thread import check_cancelled

from lexport import __version__, columns, manifest
from lexport.columns import Table
from lexport.flow.parquet import WrittenFile, write_table
from lexport.flow.stage import Runs, write_columns
from lexport.manifest import FileEntry, Manifest, ScopeEntry
from lexport.model import Scope
from lexport.quota.pacer import Pacer
from lexport.rows import FLEET_TABLES
from lexport.target import ScopeOutcome


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
        self._last: tuple[Scope, str] | None = None

    def watch(self, rows: pa.Table) -> None:
        check_cancelled()
        for group in (
            rows.group_by([*columns.SCOPE_KEY, "function_name"], use_threads=False)
            .aggregate([([], "count_all")])
            .to_pylist()
        ):
            scope = Scope(account_id=group["account_id"], region=group["region"])
            self.rows[scope] += group["count_all"]
            function = (scope, group["function_name"])
            self.functions[scope] += function != self._last  # one function may go on in the next row group
            self._last = function


def write_snapshot(
    folder: Path,
    runs: Runs,
    outcomes: Sequence[ScopeOutcome],
    pacer: Pacer,
    *,
    snapshot_id: str,
    snapshot_at: datetime,
    gaps: int,
    hash_key_id: str | None,
    options: dict[str, Any],
    file_mode: int,
) -> Draft:
    """Write every table of a snapshot into ``folder``. ``scopes`` comes last: it counts the rows of the others."""
    counts = {columns.FUNCTIONS: _Counts(), columns.ALIASES: _Counts()}
    written: dict[Table, WrittenFile] = {}

    def write(table: Table) -> None:
        watch = counts[table].watch if table in counts else lambda _: check_cancelled()
        written[table] = write_table(
            table,
            runs.get(table.name, []),
            folder / f"{table.name}.parquet",
            snapshot_id=snapshot_id,
            snapshot_at=snapshot_at,
            file_mode=file_mode,
            watch=watch,
        )

    for table in FLEET_TABLES:
        if table is not columns.SCOPES:
            write(table)
    scopes = [_scope_entry(outcome, counts, pacer) for outcome in outcomes]
    if scopes:
        rows = [_scope_row(entry, outcome) for entry, outcome in zip(scopes, outcomes, strict=True)]
        path = folder / f"{columns.SCOPES.name}-0000.arrow"
        write_columns(columns.SCOPES, [list(column) for column in zip(*rows, strict=True)], path, file_mode)
        runs[columns.SCOPES.name] = [path]
    write(columns.SCOPES)

    paths = {table: manifest.data_path(table.name, snapshot_id, snapshot_at) for table in written}
    entries = [
        FileEntry(table=table.name, path=paths[table], size_bytes=file.size_bytes, rows=file.rows, sha256=file.sha256)
        for table, file in written.items()
    ]
    return Draft(
        manifest=Manifest(
            snapshot_id=snapshot_id,
            snapshot_at=snapshot_at,
            committed_at=snapshot_at,
            status="partial" if gaps else "complete",
            gaps=gaps,
            lexport_version=__version__,
            schema_version=columns.SCHEMA_VERSION,
            hash_key_id=hash_key_id,
            options=options,
            files=tuple(entries),
            scopes=tuple(scopes),
        ),
        files={paths[table]: file.path for table, file in written.items()},
    )


def _scope_entry(outcome: ScopeOutcome, counts: Mapping[Table, _Counts], pacer: Pacer) -> ScopeEntry:
    scope = outcome.target.scope
    get_function, listing = pacer.readings(scope)
    return ScopeEntry(
        account_id=scope.account_id,
        region=scope.region,
        coverage=outcome.target.coverage,
        status=outcome.status,
        functions=counts[columns.FUNCTIONS].functions[scope],
        versions=counts[columns.FUNCTIONS].rows[scope],
        aliases=counts[columns.ALIASES].rows[scope],
        get_function_calls=get_function.calls,
        list_calls=listing.calls,
        throttles=get_function.throttles + listing.throttles,
    )


def _scope_row(entry: ScopeEntry, outcome: ScopeOutcome) -> tuple[Any, ...]:
    return (
        entry.account_id,
        entry.region,
        entry.coverage,
        entry.status,
        entry.functions,
        entry.versions,
        entry.aliases,
        outcome.function_count_reported,
        entry.get_function_calls,
        entry.list_calls,
        entry.throttles,
        outcome.carried_rows,
        outcome.started_at,
        outcome.ended_at,
        "",
    )
