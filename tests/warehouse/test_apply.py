"""Feeds that are loaded into PostgreSQL and DuckDB: the warehouses show what ``lexport sql`` shows, to the row."""

import importlib.util
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg

from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session
from lexport.query.warehouse.apply import apply_feed
from lexport.tables import registry
from lexport.tables.fed import fed_tables


def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


nights = _load("nights")
RUN_TABLES = [fed.name for fed in fed_tables() if fed.kind == "run"]
TABLES = [
    *(f"main.{table.name}" for table in registry.tables()),
    *(f"{space}.{name}" for space in ("history", "snapshot") for name in RUN_TABLES),
]
VIEWS = [f"main.{view.name}" for view in shipped_views()]
WAITING = {
    f"main.{name}" for name in ("canary_aliases", "deprecated_runtimes", "runtimes_by_age", "unhealthy_functions")
}
"""Views with a difference of dates, which sqlglot writes wrongly for PostgreSQL."""
SCHEMAS = {"main": "lexport", "history": "lexport_history", "snapshot": "lexport_snapshot"}


def exact(value):
    """Return a value so that equal ones have the same text, and 1, 1.0 and true do not."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return repr(value)


def number(value):
    """The same, for what views compute: a count is a count in any type of whole numbers."""
    if isinstance(value, Decimal):
        return repr(int(value) if value == int(value) else float(value))
    return exact(value)


def sorted_rows(rows, write):
    return sorted(tuple(map(write, row)) for row in rows)


def of_sql(dest, names, write=exact):
    """What ``lexport sql`` shows."""
    with open_query_session(dest) as session:
        return {
            name: sorted_rows(
                (row.values() for row in session.read(f"SELECT * FROM {name}").read_all().to_pylist()), write
            )
            for name in names
        }


def in_warehouse(name):
    space, _, table = name.partition(".")
    return f'"{SCHEMAS[space]}"."{table}"'


def of_postgres(url, names, write=exact):
    with psycopg.connect(url) as connection:
        return {
            name: sorted_rows(connection.execute(f"SELECT * FROM {in_warehouse(name)}").fetchall(), write)
            for name in names
        }


def of_duckdb(path, names, write=exact):
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        read = {name: connection.sql(f"FROM {in_warehouse(name)}").to_arrow_reader().read_all() for name in names}
    return {name: sorted_rows((row.values() for row in rows.to_pylist()), write) for name, rows in read.items()}


def differing(theirs, ours):
    return [name for name, rows in ours.items() if rows != theirs[name]]


def test_five_feeds(tmp_path, write_dataset, postgres):
    """After each of five feeds every name, and at the end every view, shows in both what ``lexport sql`` shows."""
    dest, file = tmp_path / "fleet", tmp_path / "warehouse.duckdb"
    for _ in nights.write_stages(dest, write_dataset):
        apply_feed(dest, "postgres", postgres, since=None, write_mode="hard-delete")
        apply_feed(dest, "duckdb", str(file), since=None, write_mode="hard-delete")

        ours = of_sql(dest, TABLES)
        assert differing(of_postgres(postgres, TABLES), ours) == []
        assert differing(of_duckdb(file, TABLES), ours) == []
    views = of_sql(dest, VIEWS, number)

    assert {*differing(of_postgres(postgres, VIEWS, number), views)} <= WAITING
    assert differing(of_duckdb(file, VIEWS, number), views) == []
