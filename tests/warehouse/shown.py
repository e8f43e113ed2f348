"""What ``lexport sql``, PostgreSQL and DuckDB show, as texts that can be compared."""

from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import psycopg

from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session
from lexport.tables import registry
from lexport.tables.fed import fed_tables

RUN_TABLES = [fed.name for fed in fed_tables() if fed.kind == "run"]
STATE_TABLES = [fed.name for fed in fed_tables() if fed.kind == "state"]
TABLES = [
    *(f"main.{table.name}" for table in registry.tables()),
    *(f"{space}.{name}" for space in ("history", "snapshot") for name in RUN_TABLES),
]
VIEWS = [f"main.{view.name}" for view in shipped_views()]
SCHEMAS = {"main": "lexport", "history": "lexport_history", "snapshot": "lexport_snapshot", "tables": "lexport_tables"}


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


def of_sql(dest, names, write=exact, **more):
    """What ``lexport sql`` shows."""
    with open_query_session(dest, **more) as session:
        read = {name: session.read(f"SELECT * FROM {name}").read_all() for name in names}
    return {name: sorted_rows((row.values() for row in rows.to_pylist()), write) for name, rows in read.items()}


def in_warehouse(name):
    space, _, table = name.partition(".")
    return f'"{SCHEMAS[space]}"."{table}"'


class Postgres:
    """A database of PostgreSQL."""

    kind = "postgres"

    def __init__(self, url):
        self.url = url

    def run(self, statement):
        with psycopg.connect(self.url) as connection:
            connection.execute(statement)

    def query(self, query):
        """The rows of a query, as texts."""
        with psycopg.connect(self.url) as connection:
            return sorted_rows(connection.execute(query).fetchall(), exact)

    def shows(self, names, write=exact):
        with psycopg.connect(self.url) as connection:
            return {
                name: sorted_rows(connection.execute(f"SELECT * FROM {in_warehouse(name)}").fetchall(), write)
                for name in names
            }


class DuckDB:
    """A database file of DuckDB."""

    kind = "duckdb"

    def __init__(self, path):
        self.url = str(path)

    def run(self, statement):
        with duckdb.connect(self.url) as connection:
            connection.execute(statement)

    def query(self, query):
        """The rows of a query, as texts."""
        return self._read([query], exact)[query]

    def shows(self, names, write=exact):
        queries = {name: f"FROM {in_warehouse(name)}" for name in names}
        read = self._read(queries.values(), write)
        return {name: read[query] for name, query in queries.items()}

    def _read(self, queries, write):
        with duckdb.connect(self.url, read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            read = {query: connection.sql(query).to_arrow_reader().read_all().to_pylist() for query in queries}
        return {query: sorted_rows((row.values() for row in rows), write) for query, rows in read.items()}
