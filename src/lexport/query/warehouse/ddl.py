"""The statements that make a warehouse show a dataset as ``lexport sql`` does.

They create the schemas, one external table per table, the three name spaces as views over those, and the shipped
views. Where a warehouse reads no Parquet, the tables are its own, and rows have to be loaded into them. A warehouse
does not read ``_runs``: it sees every file below a folder. So every view joins ``snapshots``, which gets one row per
commit after the commit. The files of a run that never committed stay hidden.
"""

# ruff: noqa: S608 - the names in SQL are those of declared tables

from __future__ import annotations

from collections.abc import Iterator

from lexport.errors import SettingsError
from lexport.query.name_spaces import SPACES, Space, current_values, named_values
from lexport.query.warehouse.dialects import SCHEMAS, Dialect
from lexport.query.warehouse.external_tables import PARTITION, create_table, describe_table, refresh_table, schemas
from lexport.query.warehouse.location import check_location
from lexport.query.warehouse.views import (
    SNAPSHOT_ID,
    create_scope_views,
    create_shipped_views,
    create_view,
    listed,
    rows_of_latest,
    rows_of_newest,
)
from lexport.tables import registry
from lexport.tables.content import CONTENT_RULES, ContentRule
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table

_COMMITTED = "snapshot_id IN (SELECT snapshot_id FROM files.snapshots)"

READING = (SNAPSHOT_ID, PARTITION)
"""The columns by which the rows of one reading are found in the files."""
_BY_READING = (PARTITION, SNAPSHOT_ID)


def ddl(dialect: Dialect, location: str | None = None) -> Iterator[str]:
    """Write every statement, in order, without the semicolon after it.

    Raises SettingsError if the location cannot be one or the warehouse reads no files, or if sqlglot is not installed.
    """
    if location is not None and not dialect.reads_parquet:
        raise SettingsError(
            f"--location {location}: {dialect.name} reads no Parquet files; load the rows into its tables instead, "
            f"or see lexport feed",
            option="--location",
        )
    root = check_location(location, dialect)
    yield from schemas(dialect, root)
    for table in registry.tables():
        yield create_table(table, dialect, root)
        yield from describe_table(table, dialect)
    for table in registry.tables():
        refresh = refresh_table(table, dialect, root)
        if refresh is not None:
            yield refresh
    for view in _views(dialect):
        if dialect.name == "sqlite":  # which has no CREATE OR REPLACE
            yield f"DROP VIEW IF EXISTS {view.split()[2]}"
        yield view


def _views(dialect: Dialect) -> Iterator[str]:
    for space in SPACES:
        if space == "snapshot":
            yield from create_scope_views(dialect, READING)
        for table in registry.tables():
            query = rows_of_files(space, table, is_current=not dialect.reads_parquet)
            yield create_view(dialect, SCHEMAS[space], table.name, query, table.meaning)
    yield from create_shipped_views(dialect)


def rows_of_files(space: Space, table: Table, *, is_current: bool = False) -> str:
    """Select a table's rows in a name space. It reads ``files``, ``history`` and the views of ``READING``.

    ``is_current``: the rows of ``files`` have the columns of today, whichever release wrote them.
    """
    if space == "history":
        return _history(table, is_current=is_current)
    return _snapshot(table) if space == "snapshot" else _latest(table)


def _history(table: Table, *, is_current: bool) -> str:
    where = "" if table is SNAPSHOTS else f" WHERE {_COMMITTED}"
    current = {} if is_current else current_values(table)
    shown = ", ".join(f"{current[name]} AS {name}" if name in current else name for name in table.names())
    return f"SELECT {shown}, {PARTITION} FROM files.{table.name}{where}"


def _snapshot(table: Table) -> str:
    if table in CONTENT_RULES:
        history = f"history.{table.name}"
        return f"SELECT {listed(table)} FROM {history} WHERE snapshot_id = (SELECT MAX(snapshot_id) FROM {history})"
    return rows_of_newest(table, _BY_READING)


def _latest(table: Table) -> str:
    rule = CONTENT_RULES.get(table)
    return rows_of_latest(table, _BY_READING) if rule is None else _latest_content(table, rule)


def _latest_content(table: Table, rule: ContentRule) -> str:
    """Select with joins and MAX, because not every warehouse has QUALIFY and IGNORE NULLS."""
    key, names, join = rule.key, listed(table, "t."), ""
    for number, lasting in enumerate(rule.lasting):
        newest = f"i{number or ''}"
        names = names.replace(f"t.{lasting}", f"{newest}.{lasting}")
        join += (
            f" LEFT JOIN (SELECT p.{key}, p.{lasting} FROM history.{table.name} AS p JOIN ("
            f"SELECT {key}, MAX(snapshot_id) AS snapshot_id FROM history.{table.name}"
            f" WHERE NOT {lasting} IS NULL GROUP BY {key}"
            f") AS m ON m.{key} = p.{key} AND m.snapshot_id = p.snapshot_id"
            f") AS {newest} ON {newest}.{key} = t.{key}"
        )
    return (
        f"SELECT {names} FROM history.{table.name} AS t JOIN ("
        f"SELECT {key}, MAX(snapshot_id) AS snapshot_id FROM history.{table.name} GROUP BY {key}"
        f") AS n ON n.{key} = t.{key} AND n.snapshot_id = t.snapshot_id{join} WHERE t.{key} IN ({named_values(rule)})"
    )
