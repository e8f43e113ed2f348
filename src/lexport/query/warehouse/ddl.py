"""The statements that make a warehouse show a dataset as ``lexport sql`` does.

They create the schemas, one external table per table, the three name spaces as views over those, and the shipped
views. A warehouse does not read ``_runs``: it sees every file below a folder. So every view joins ``snapshots``, which
gets one row per commit after the commit. The files of a run that never committed stay hidden.
"""

# ruff: noqa: S608 - the names in SQL are those of declared tables

from __future__ import annotations

import re
from collections.abc import Iterator

from lexport.errors import SettingsError
from lexport.query.name_spaces import SPACES, current_values, is_whole, named_values
from lexport.query.shipped_views import shipped_views
from lexport.query.warehouse.dialects import SCHEMA, SCHEMAS, Dialect, translate
from lexport.query.warehouse.external_tables import PARTITION, create_table, refresh_table, schemas
from lexport.tables import registry
from lexport.tables.content import CONTENT_RULES, ContentRule
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table

PLACEHOLDER = "BUCKET/PREFIX"

_COMMITTED = "snapshot_id IN (SELECT snapshot_id FROM files.snapshots)"

_NEWEST_SNAPSHOT = f"""\
SELECT DISTINCT snapshot_id, {PARTITION}
FROM history.scopes
WHERE snapshot_id = (SELECT MAX(snapshot_id) FROM history.scopes)"""

_LATEST_SCOPES = f"""\
SELECT DISTINCT s.account_id, s.region, s.snapshot_id, s.{PARTITION}
FROM history.scopes AS s
JOIN (
  SELECT account_id, region, MAX(snapshot_id) AS snapshot_id
  FROM history.scopes
  WHERE {is_whole()}
  GROUP BY account_id, region
) AS n ON n.account_id = s.account_id AND n.region = s.region AND n.snapshot_id = s.snapshot_id
WHERE {is_whole("s.{}")}"""


def ddl(dialect: Dialect, location: str | None = None) -> Iterator[str]:
    """Write every statement, in order, without the semicolon after it.

    Raises SettingsError if the location cannot be one, or if sqlglot is not installed.
    """
    root = _check_location(location or f"{'gs' if dialect.name == 'bigquery' else 's3'}://{PLACEHOLDER}")
    yield from schemas(dialect, root)
    for table in registry.tables():
        yield create_table(table, dialect, root)
    for table in registry.tables():
        refresh = refresh_table(table, dialect, root)
        if refresh is not None:
            yield refresh
    for space in SPACES:
        if space == "snapshot":
            yield _create_view(dialect, SCHEMA, "newest_snapshot", _NEWEST_SNAPSHOT, "What lexport_snapshot shows.")
            yield _create_view(dialect, SCHEMA, "latest_scopes", _LATEST_SCOPES, "What lexport shows.")
        for table in registry.tables():
            query = {"history": _history, "snapshot": _snapshot, "main": _latest}[space](table)
            yield _create_view(dialect, SCHEMAS[space], table.name, query, table.meaning)
    for view in shipped_views():
        yield _create_view(dialect, SCHEMA, view.name, view.query, view.question)


def _check_location(location: str) -> str:
    if re.fullmatch(r"([a-z][a-z0-9]*:/)?/[^\s'\"\\]+", location) is None:
        raise SettingsError(
            f"--location {location}: expected the location of DEST as the warehouse names it, such as s3://bucket/prefix",
            option="--location",
        )
    return location.rstrip("/")


def _names(table: Table, alias: str = "") -> str:
    return ", ".join(f"{alias}{name}" for name in table.names())


def _history(table: Table) -> str:
    where = "" if table is SNAPSHOTS else f" WHERE {_COMMITTED}"
    current = current_values(table)
    shown = ", ".join(f"{current[name]} AS {name}" if name in current else name for name in table.names())
    return f"SELECT {shown}, {PARTITION} FROM files.{table.name}{where}"


def _snapshot(table: Table) -> str:
    history = f"history.{table.name}"
    if table in CONTENT_RULES:
        return f"SELECT {_names(table)} FROM {history} WHERE snapshot_id = (SELECT MAX(snapshot_id) FROM {history})"
    return (
        f"SELECT {_names(table, 't.')} FROM {history} AS t JOIN newest_snapshot AS n "
        f"ON n.{PARTITION} = t.{PARTITION} AND n.snapshot_id = t.snapshot_id"
    )


def _latest(table: Table) -> str:
    rule = CONTENT_RULES.get(table)
    if rule is not None:
        return _latest_content(table, rule)
    if table is SNAPSHOTS:
        latest = "SELECT snapshot_id FROM latest_scopes"
        return f"SELECT {_names(table)} FROM history.snapshots WHERE snapshot_id IN ({latest})"
    return (
        f"SELECT {_names(table, 't.')} FROM history.{table.name} AS t JOIN latest_scopes AS l "
        f"ON l.{PARTITION} = t.{PARTITION} AND l.snapshot_id = t.snapshot_id "
        "AND l.account_id = t.account_id AND l.region = t.region"
    )


def _latest_content(table: Table, rule: ContentRule) -> str:
    """Select with joins and MAX, because not every warehouse has QUALIFY and IGNORE NULLS."""
    key, names, join = rule.key, _names(table, "t."), ""
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


def _create_view(dialect: Dialect, schema: str, name: str, query: str, meaning: str) -> str:
    body = translate(query, dialect, name=name)
    meaning = dialect.literal(meaning)
    before, after = {
        "snowflake": (f"\nCOMMENT = {meaning}", ""),
        "bigquery": (f"\nOPTIONS (description = {meaning})", ""),
        "redshift": ("", "\nWITH NO SCHEMA BINDING"),  # required of a view over external tables
        "spark": (f"\nCOMMENT {meaning}", ""),
        "trino": (f"\nCOMMENT {meaning}", ""),
        "databricks": (f"\nCOMMENT {meaning}", ""),
    }.get(dialect.name, ("", ""))
    return f"CREATE OR REPLACE VIEW {dialect.quote(schema, name)}{before} AS\n{body}{after}"
