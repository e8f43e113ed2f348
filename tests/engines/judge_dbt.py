"""Build the dbt project over files and over fed databases, and compare each model with ``lexport sql``, row by row.

``make dbt`` sets it up: dbt is in an environment of its own. Arguments: the command ``dbt``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import anyio
import duckdb
import psycopg
import pyarrow as pa
from fleet import write_fleet
from postgres_server import OWNER, PostgresServer, postgres_programs, run_postgres

from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session
from lexport.query.warehouse.dbt.models import staging_models, view_name
from lexport.query.warehouse.dbt.profiles import DBT_DIALECTS
from lexport.query.warehouse.dialects import Dialect


def models_of(dialect: Dialect, *, is_fed: bool) -> Iterator[tuple[str, str, str]]:
    """Yield each model, the name that ``lexport sql`` has for it, and the columns to compare."""
    for model in staging_models(dialect):
        if model.is_in_a_feed or not is_fed:
            yield model.name, f"{model.space}.{model.table.name}", ", ".join(model.table.names())
    for view in shipped_views():
        yield view_name(view), f"main.{view.name}", ", ".join(view.columns)


def plain(rows: Iterable[Sequence[object]]) -> list[tuple[object, ...]]:
    """Convert rows into one form and order: the last digits of a sum depend on the order of its parts."""

    def one(value: object) -> object:
        if isinstance(value, datetime):
            return value.astimezone(UTC).replace(tzinfo=None)
        if isinstance(value, Decimal):  # PostgreSQL's sums of integers
            value = int(value) if value == int(value) else float(value)
        return round(value, 9) if isinstance(value, float) else value

    return sorted((tuple(map(one, row)) for row in rows), key=repr)


def run(*command: str, cwd: Path, **environment: str) -> None:
    """Run a command in another time zone than UTC; print what it says if it fails."""
    settings = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "0", "DBT_USE_COLORS": "0", "TZ": "Asia/Tokyo"}
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **settings, **environment}, check=False, capture_output=True, text=True
    )
    if done.returncode:
        print(*command, done.stdout, done.stderr, sep="\n")
        raise SystemExit(1)
    for line in done.stdout.splitlines():
        if "Done." in line:
            print(line)


class Judge:
    """Builds projects over one dataset and compares their models with ``lexport sql``."""

    def __init__(self, dbt: str, folder: Path) -> None:
        """Take the command ``dbt`` and a folder that has the dataset ``fleet``."""
        self.dbt, self.folder, self.dest = dbt, folder, folder / "fleet"
        self.differ = 0

    def lexport(self, *arguments: str) -> None:
        """Run our command."""
        run(str(Path(sys.executable).with_name("lexport")), *arguments, cwd=self.folder)

    def build(self, project: str, *arguments: str, **environment: str) -> None:
        """Run models and tests; a warning is an error."""
        run(self.dbt, "--warn-error", "build", *arguments, cwd=self.folder / project, **environment)

    def compare(self, title: str, dialect: str, read: Callable[[str], Iterable[Sequence[object]]]) -> None:
        """Print and count the models whose rows differ."""
        is_fed = title != "files"
        models = list(models_of(DBT_DIALECTS[dialect], is_fed=is_fed))
        differ = 0
        with open_query_session(self.dest) as session:
            for model, name, columns in models:
                rows = session.read(f"SELECT {columns} FROM {name}").read_all().to_pylist()
                ours = plain(list(row.values()) for row in rows)
                theirs = plain(read(f"SELECT {columns} FROM {model}"))
                if ours != theirs:
                    differ += 1
                    print(f"{model}: {name} has {len(ours)} rows, the model {len(theirs)}, and they differ")
                    print(*[pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]][:1], sep="\n")
        print(f"dbt-{dialect} over {title}: {len(models)} models, {differ} differ")
        self.differ += differ

    def on_duckdb(self, title: str, database: Path) -> None:
        """Compare the models in a DuckDB file."""
        with duckdb.connect(str(database), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            self.compare(
                title,
                "duckdb",
                lambda query: [list(row.values()) for row in pa.table(connection.sql(query)).to_pylist()],
            )

    def files(self) -> None:
        """Build over the files."""
        self.lexport("schema", "--dbt", "files", "--location", str(self.dest))
        self.build("files")
        self.on_duckdb("files", self.folder / "files" / "lexport_dbt.duckdb")

    def fed_duckdb(self) -> None:
        """Build over a DuckDB file that a feed was loaded into."""
        self.lexport("feed", str(self.dest), "--apply", "duckdb", "--to", "fed.duckdb")
        database = self.folder / "fed.duckdb"
        self.build("files", "--vars", "lexport_source: feed", DBT_DUCKDB_PATH=str(database))
        self.on_duckdb("a fed database", database)

    def fed_postgres(self, server: PostgresServer) -> None:
        """Build over a PostgreSQL that a feed was loaded into; its time zone is not UTC."""
        url = server.create_database()
        self.lexport("feed", str(self.dest), "--apply", "postgres", "--to", url)
        self.lexport("schema", "--dbt", "fed", "--dialect", "postgres")
        login = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": OWNER, "PGPASSWORD": server.password}
        self.build("fed", **login, PGDATABASE=url.split("/")[3].split("?")[0])
        with psycopg.connect(url, options="-c timezone=UTC -c search_path=lexport_dbt") as connection:
            self.compare("a fed database", "postgres", lambda query: connection.execute(query).fetchall())


def main(dbt: str) -> int:
    """Compare all rows; return 1 if they differ."""
    with tempfile.TemporaryDirectory(prefix="lexport-dbt-") as folder:
        judge = Judge(dbt, Path(folder))
        anyio.run(write_fleet, judge.dest)
        judge.lexport("retire", str(judge.dest), "111122223333", "eu-west-1")
        started = time.perf_counter()
        judge.files()
        judge.fed_duckdb()
        programs = postgres_programs()
        if programs is None:
            print("dbt-postgres: there is no PostgreSQL server on this machine")
            return 1
        with run_postgres(programs) as server:
            judge.fed_postgres(server)
        print(f"{time.perf_counter() - started:.0f} s")
    return 1 if judge.differ else 0


if __name__ == "__main__":
    sys.exit(main(str(Path(sys.argv[1]).resolve())))
