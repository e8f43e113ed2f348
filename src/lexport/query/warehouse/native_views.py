"""The views of a fed warehouse: the names of ``lexport sql`` over the fed tables, and the shipped views.

Rows of the state lack the columns of their reading: a plain name takes them from the newest whole reading of each
account-region. So a night without changes moves rows of ``scopes`` alone. What runs say of themselves has all three
name spaces; what packages hold, and the state, the plain name only.
"""

# ruff: noqa: S608 - the names in SQL are those of declared tables

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lexport.query.name_spaces import SPACES, named_values
from lexport.query.shipped_views import shipped_views
from lexport.query.warehouse.dialects import SCHEMAS, TABLES, Dialect
from lexport.query.warehouse.location import check_location
from lexport.query.warehouse.native_tables import (
    create_native_table,
    native_tables,
    shown_only,
)
from lexport.query.warehouse.views import (
    SCOPE_VIEWS,
    SNAPSHOT_ID,
    create_scope_views,
    create_shipped_views,
    create_view,
    listed,
    rows_of_latest,
    rows_of_newest,
)
from lexport.tables.content import CONTENT_RULES
from lexport.tables.fed import OF_THE_READING, FedTable, fed_tables
from lexport.tables.table import FETCHED_AT

if TYPE_CHECKING:
    from lexport.query.feed import WriteMode

NATIVE_SCHEMAS = (TABLES, *(SCHEMAS[space] for space in ("history", "snapshot", "main")))
_BY_READING = (SNAPSHOT_ID,)


def native_ddl(dialect: Dialect, mode: WriteMode = "hard-delete", location: str | None = None) -> Iterator[str]:
    """Write every statement that makes a warehouse ready for feeds, in order, without the semicolon after it.

    Raises SettingsError if the location cannot be one, or if sqlglot is not installed.
    """
    root = check_location(location, dialect)
    for name in NATIVE_SCHEMAS:
        yield dialect.create_schema(name)
    for table in native_tables(mode):
        yield from create_native_table(table, dialect, root)
    yield from create_native_views(dialect, mode)
    yield from create_shipped_views(dialect)


def native_view_names() -> Iterator[tuple[str, str]]:
    """Yield schema and name of every view."""
    for fed in fed_tables():
        for space in SPACES if fed.kind == "run" else ("main",):
            yield SCHEMAS[space], fed.name
    yield from ((SCHEMAS["main"], name) for name in SCOPE_VIEWS)
    yield from ((SCHEMAS["main"], view.name) for view in shipped_views())


def create_native_views(dialect: Dialect, mode: WriteMode) -> Iterator[str]:
    """Write the statements that create the views of the name spaces, over which the shipped views stand."""
    of_runs = [fed for fed in fed_tables() if fed.kind == "run"]
    for fed in of_runs:
        history = f"SELECT {listed(fed.table)} FROM tables.{fed.name}"
        yield create_view(dialect, SCHEMAS["history"], fed.name, history, fed.table.meaning)
    yield from create_scope_views(dialect, OF_THE_READING)
    for fed in of_runs:
        yield create_view(
            dialect, SCHEMAS["snapshot"], fed.name, rows_of_newest(fed.table, _BY_READING), fed.table.meaning
        )
    for fed in fed_tables():
        yield create_view(dialect, SCHEMAS["main"], fed.name, _plain(fed, mode), fed.table.meaning)


def _plain(fed: FedTable, mode: WriteMode) -> str:
    gone = shown_only(fed, mode)
    if fed.kind == "state":
        read = dict.fromkeys(OF_THE_READING, "l.{0}")
        if fed.takes_fetched_at:
            read[FETCHED_AT.name] = f"COALESCE(t.{FETCHED_AT.name}, l.snapshot_at) AS {{0}}"
        names = ", ".join(read.get(name, "t.{0}").format(name) for name in fed.table.names())
        where = f" WHERE t.{gone} IS NULL" if gone else ""
        return (
            f"SELECT {names} FROM tables.{fed.name} AS t JOIN latest_scopes AS l "
            f"ON l.account_id = t.account_id AND l.region = t.region{where}"
        )
    if fed.kind == "content":
        rule = CONTENT_RULES[fed.table]
        where = f" AND t.{gone} IS NULL" if gone else ""
        return (
            f"SELECT {listed(fed.table, 't.')} FROM tables.{fed.name} AS t"
            f" WHERE t.{rule.key} IN ({named_values(rule)}){where}"
        )
    return rows_of_latest(fed.table, _BY_READING)
