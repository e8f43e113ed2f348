"""The views of a warehouse: what the name spaces show, and the shipped views. External files and fed tables share them.

``columns`` of a rule are those by which rows of one reading are found, besides account and Region: ``snapshot_id``, and
for files the day of their folder too, so that a warehouse reads only these days.
"""

# ruff: noqa: S608 - the names in SQL are those of declared tables

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lexport.query.name_spaces import is_read, is_settled, is_whole
from lexport.query.shipped_views import shipped_views
from lexport.query.warehouse.dialects import SCHEMA, Dialect, translate
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table

SNAPSHOT_ID = "snapshot_id"
SCOPE_VIEWS = ("newest_snapshot", "latest_scopes")
"""The views that say which readings the name spaces show."""


def create_scope_views(dialect: Dialect, columns: Sequence[str]) -> Iterator[str]:
    """Write the views that say which readings the name spaces show, with these columns of ``scopes``."""
    meanings = {"newest_snapshot": "What lexport_snapshot shows.", "latest_scopes": "What lexport shows."}
    for name, query in select_readings(columns).items():
        yield create_view(dialect, SCHEMA, name, query, meanings[name])


def select_readings(columns: Sequence[str]) -> dict[str, str]:
    """Select, for each of these views, the readings that a name space shows, with these columns of ``scopes``."""
    latest = f"""\
SELECT DISTINCT s.account_id, s.region, {", ".join(f"s.{name}" for name in columns)}
FROM history.scopes AS s
JOIN (
  SELECT account_id, region, MAX(snapshot_id) AS snapshot_id
  FROM history.scopes
  WHERE {is_settled()}
  GROUP BY account_id, region
) AS n ON n.account_id = s.account_id AND n.region = s.region AND n.snapshot_id = s.snapshot_id
WHERE {is_whole("s.{}")}"""
    newest = f"SELECT DISTINCT {', '.join(columns)}\nFROM history.scopes\nWHERE snapshot_id = ({_NEWEST})"
    return {"newest_snapshot": newest, "latest_scopes": latest}


_NEWEST = f"SELECT MAX(snapshot_id) FROM history.scopes WHERE {is_read()}"


def create_shipped_views(dialect: Dialect) -> Iterator[str]:
    """Write the shipped views, which need all name spaces."""
    for view in shipped_views():
        yield create_view(dialect, SCHEMA, view.name, view.query, view.question)


def rows_of_newest(table: Table, columns: Sequence[str]) -> str:
    """Select the rows of the newest snapshot."""
    return (
        f"SELECT {listed(table, 't.')} FROM history.{table.name} AS t JOIN newest_snapshot AS n "
        f"ON {_same('n', columns)}"
    )


def rows_of_latest(table: Table, columns: Sequence[str]) -> str:
    """Select the rows of the latest whole reading of each account-region; of ``snapshots``, these readings."""
    if table is SNAPSHOTS:
        latest = "SELECT snapshot_id FROM latest_scopes"
        return f"SELECT {listed(table)} FROM history.snapshots WHERE snapshot_id IN ({latest})"
    return (
        f"SELECT {listed(table, 't.')} FROM history.{table.name} AS t JOIN latest_scopes AS l "
        f"ON {_same('l', (*columns, 'account_id', 'region'))}"
    )


def listed(table: Table, alias: str = "") -> str:
    """Write the columns of a table."""
    return ", ".join(f"{alias}{name}" for name in table.names())


def _same(alias: str, columns: Sequence[str]) -> str:
    return " AND ".join(f"{alias}.{name} = t.{name}" for name in columns)


def create_view(dialect: Dialect, schema: str, name: str, query: str, meaning: str) -> str:
    """Write the statement that makes a view of one of our SELECTs."""
    body = translate(query, dialect, name=name)
    meaning = dialect.literal(meaning)
    before, after = {
        "snowflake": (f"\nCOMMENT = {meaning}", ""),
        "bigquery": (f"\nOPTIONS (description = {meaning})", ""),
        "redshift": ("", "\nWITH NO SCHEMA BINDING"),  # required of a view over external tables
        "spark": (f"\nCOMMENT {meaning}", ""),
        "trino": (f"\nCOMMENT {meaning}", ""),
        "databricks": (f"\nCOMMENT {meaning}", ""),
        "clickhouse": ("", f"\nCOMMENT {meaning}"),
    }.get(dialect.name, ("", ""))
    create = "CREATE VIEW" if dialect.name == "sqlite" else "CREATE OR REPLACE VIEW"
    return f"{create} {dialect.quote(schema, name)}{before} AS\n{body}{after}"
