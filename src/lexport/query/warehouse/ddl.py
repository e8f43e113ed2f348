"""A dialect and a location -> the statements that make a warehouse show a dataset as ``sql`` does.

Schemas, one external table per table, the three name spaces as views over them, then the shipped views. A warehouse
cannot follow ``_runs``; it sees every file below a folder. So every view joins ``snapshots``, whose one row per commit
is written after it: a run that never committed stays hidden.
"""

# ruff: noqa: S608 - the names in SQL are those of declared tables

from __future__ import annotations

import re
from collections.abc import Iterator

from lexport.errors import SettingsError
from lexport.query.schema_versions import current_values
from lexport.query.shipped_views import shipped_views
from lexport.query.warehouse.dialects import SCHEMA, SCHEMAS, Dialect, translate
from lexport.query.warehouse.external_tables import PARTITION, create_table, look_again, schemas
from lexport.tables import registry
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGE_DEPENDENCIES, PACKAGE_FILES, PACKAGES
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table

PLACEHOLDER = "BUCKET/PREFIX"

_COMMITTED = "snapshot_id IN (SELECT snapshot_id FROM files.snapshots)"
_WHOLE = "coverage = 'fleet' AND status = 'complete'"

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
  WHERE {_WHOLE}
  GROUP BY account_id, region
) AS n ON n.account_id = s.account_id AND n.region = s.region AND n.snapshot_id = s.snapshot_id
WHERE s.{_WHOLE.replace(" AND ", " AND s.")}"""

_CODES = "(SELECT code_sha256 FROM functions UNION SELECT code_sha256 FROM layer_versions)"
_CONTENTS = "(SELECT sha256_hex FROM packages)"
_OF_PACKAGES = {
    PACKAGES: ("code_sha256", _CODES),
    LAYER_VERSIONS: ("layer_arn", "(SELECT layer_arn FROM layers)"),
    PACKAGE_FILES: ("sha256_hex", _CONTENTS),
    PACKAGE_DEPENDENCIES: ("sha256_hex", _CONTENTS),
}
"""What tells contents apart, and which of them the latest functions refer to; as in ``dataset/names.py``."""
_INSPECTED = (
    " LEFT JOIN (SELECT p.code_sha256, p.dependencies_status FROM history.packages AS p JOIN ("
    "SELECT code_sha256, MAX(snapshot_id) AS snapshot_id FROM history.packages"
    " WHERE NOT dependencies_status IS NULL GROUP BY code_sha256"
    ") AS m ON m.code_sha256 = p.code_sha256 AND m.snapshot_id = p.snapshot_id"
    ") AS i ON i.code_sha256 = t.code_sha256"
)
"""What came of the last inspection of each package, whichever commit that was."""


def ddl(dialect: Dialect, location: str | None = None) -> Iterator[str]:
    """Write every statement, in order, without the semicolon after it.

    Raises SettingsError where the location is none or sqlglot is missing.
    """
    place = _check_location(location or f"{'gs' if dialect.name == 'bigquery' else 's3'}://{PLACEHOLDER}")
    yield from schemas(dialect, place)
    for table in registry.tables():
        yield create_table(table, dialect, place)
    for table in registry.tables():
        again = look_again(table, dialect, place)
        if again is not None:
            yield again
    for space in ("history", "snapshot", "main"):
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
            f"--location {location}: expected where DEST is, as the warehouse calls it, such as s3://bucket/prefix",
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
    if table in _OF_PACKAGES:
        return f"SELECT {_names(table)} FROM {history} WHERE snapshot_id = (SELECT MAX(snapshot_id) FROM {history})"
    return (
        f"SELECT {_names(table, 't.')} FROM {history} AS t JOIN newest_snapshot AS n "
        f"ON n.{PARTITION} = t.{PARTITION} AND n.snapshot_id = t.snapshot_id"
    )


def _latest(table: Table) -> str:
    if table in _OF_PACKAGES:
        key, wanted = _OF_PACKAGES[table]
        names, inspected = _names(table, "t."), ""
        if table is PACKAGES:
            names, inspected = names.replace("t.dependencies_status", "i.dependencies_status"), _INSPECTED
        return (
            f"SELECT {names} FROM history.{table.name} AS t JOIN ("
            f"SELECT {key}, MAX(snapshot_id) AS snapshot_id FROM history.{table.name} GROUP BY {key}"
            f") AS n ON n.{key} = t.{key} AND n.snapshot_id = t.snapshot_id{inspected} WHERE t.{key} IN {wanted}"
        )
    if table is SNAPSHOTS:
        wanted = "(SELECT snapshot_id FROM latest_scopes)"
        return f"SELECT {_names(table)} FROM history.snapshots WHERE snapshot_id IN {wanted}"
    return (
        f"SELECT {_names(table, 't.')} FROM history.{table.name} AS t JOIN latest_scopes AS l "
        f"ON l.{PARTITION} = t.{PARTITION} AND l.snapshot_id = t.snapshot_id "
        "AND l.account_id = t.account_id AND l.region = t.region"
    )


def _create_view(dialect: Dialect, schema: str, name: str, query: str, meaning: str) -> str:
    body = translate(query, dialect, name=name)
    meaning = dialect.literal(meaning)
    before, after = {
        "snowflake": (f"\nCOMMENT = {meaning}", ""),
        "bigquery": (f"\nOPTIONS (description = {meaning})", ""),
        "redshift": ("", "\nWITH NO SCHEMA BINDING"),  # a view over external tables must be so
        "spark": (f"\nCOMMENT {meaning}", ""),
        "trino": (f"\nCOMMENT {meaning}", ""),
        "databricks": (f"\nCOMMENT {meaning}", ""),
    }.get(dialect.name, ("", ""))
    return f"CREATE OR REPLACE VIEW {dialect.quote(schema, name)}{before} AS\n{body}{after}"
