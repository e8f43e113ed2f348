"""The DuckDB views that define each table in each name space. ``sql`` and ``views`` differ in the rows below them."""

# ruff: noqa: S608 - names and texts in SQL go through quote_name and quote_text

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lexport.query.name_spaces import Space, current_values, named_values
from lexport.query.sql_text import quote_name
from lexport.tables.content import CONTENT_RULES
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table
from lexport.tables.types import DUCKDB_TYPES

_COMMITTED = "WHERE snapshot_id IN (SELECT snapshot_id FROM _lexport.committed)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableViews:
    """The SQL that defines every table in ``main``, ``snapshot`` and ``history``.

    The fields are SELECTs. ``committed`` returns ``snapshot_id`` of every commit, ``newest`` of the commit that
    ``snapshot.<table>`` shows; ``latest_scopes`` returns account_id, region and snapshot_id of the latest complete
    reading of each account-region; ``snapshots`` returns the rows of that table. ``rows`` returns at least the rows of
    a table that belong into one name space; it is None where the table has no file.

    A table has its declared columns, then the unknown ones of newer files. A column that old files lack is NULL, one
    that they store under a former name has its name of today.
    """

    committed: str
    newest: Callable[[str], str]
    latest_scopes: str
    rows: Callable[[Space, str], str | None]
    snapshots: str

    def schemas(self) -> Iterator[str]:
        """Write the statements that come before every table."""
        for schema in ("_lexport", "history", "snapshot"):
            yield f"CREATE SCHEMA IF NOT EXISTS {schema}"
        yield f"CREATE OR REPLACE VIEW _lexport.committed AS {self.committed}"

    def latest(self) -> str:
        """Write the statement that comes before the tables of ``main``."""
        return f"CREATE OR REPLACE VIEW _lexport.latest_scopes AS {self.latest_scopes}"

    def table(self, space: Space, table: Table) -> str:
        """Write the definition of one table; those of ``tables_below`` have to exist already."""
        declared = ", ".join(
            f"NULL::{DUCKDB_TYPES[column.type]} AS {quote_name(name)}"
            for column in table.columns
            for name in (column.name, *column.former_names)
        )
        former = f" EXCLUDE ({', '.join(table.renames())})" if table.renames() else ""
        values = current_values(table) | (_lasting_values(table) if space == "main" else {})
        replaced = ", ".join(f"{value} AS {name}" for name, value in values.items())
        shown = f"*{former}" + (f" REPLACE ({replaced})" if replaced else "")
        stored = self.snapshots if table is SNAPSHOTS else self.rows(space, table.name)
        body = f"SELECT {declared} WHERE false" + (f" UNION ALL BY NAME {stored}" if stored else "")
        condition = {
            "history": _COMMITTED,
            "snapshot": f"WHERE snapshot_id = ({self.newest(table.name)})",
            "main": _latest_only(table),
        }[space]
        return (
            f"CREATE OR REPLACE VIEW {space}.{table.name} AS SELECT {shown} FROM ({body}) AS {table.name} {condition}"
        )


def tables_below(space: Space, table: Table) -> tuple[Table, ...]:
    """Return the tables, of the same name space, that a table's definition reads."""
    return CONTENT_RULES[table].reads if space == "main" and table in CONTENT_RULES else ()


def _latest_only(table: Table) -> str:
    rule = CONTENT_RULES.get(table)
    if rule is not None:
        newest = f"QUALIFY snapshot_id = max(snapshot_id) OVER (PARTITION BY {rule.key})"
        return f"{_COMMITTED} AND {rule.key} IN ({named_values(rule)}) {newest}"
    key = "snapshot_id" if table is SNAPSHOTS else "snapshot_id, account_id, region"
    return f"SEMI JOIN _lexport.latest_scopes USING ({key})"


def _lasting_values(table: Table) -> dict[str, str]:
    rule = CONTENT_RULES.get(table)
    if rule is None:
        return {}
    all_rows = "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
    window = f"PARTITION BY {rule.key} ORDER BY snapshot_id {all_rows}"
    return {name: f"last_value({name} IGNORE NULLS) OVER ({window})" for name in rule.lasting}
