"""Build the dbt project with dbt-duckdb over a dataset's files, and compare each model with ``lexport sql`` by row.

``make dbt`` sets it up: dbt is in an environment of its own. Arguments: the command ``dbt``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import duckdb
import pyarrow as pa
from fleet import write_fleet

from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session
from lexport.query.warehouse.dbt.models import staging_models, view_name
from lexport.query.warehouse.dbt.profiles import DBT_DIALECTS
from lexport.query.warehouse.dialects import Dialect

Rows = list[tuple[object, ...]]


def models_of(dialect: Dialect) -> Iterator[tuple[str, str, str]]:
    """Yield each model, the name that ``lexport sql`` has for it, and the columns to compare."""
    for model in staging_models(dialect):
        yield model.name, f"{model.space}.{model.table.name}", ", ".join(model.table.names())
    for view in shipped_views():
        yield view_name(view), f"main.{view.name}", ", ".join(view.columns)


def compare(dest: Path, dialect: Dialect, theirs: Callable[[str], Rows]) -> int:
    """Print the models whose rows differ; return their number."""
    differ = 0
    with open_query_session(dest) as session:
        for model, name, columns in models_of(dialect):
            ours = plain(session.read(f"SELECT {columns} FROM {name}").read_all())
            found = theirs(f"SELECT {columns} FROM {model}")
            if ours != found:
                differ += 1
                print(f"{model}: {name} has {len(ours)} rows, the model {len(found)}, and they differ")
    return differ


def plain(table: pa.Table) -> Rows:
    """Convert rows into one form and order: the last digits of a sum depend on the order of its parts."""
    rows = [tuple(round(x, 9) if isinstance(x, float) else x for x in row.values()) for row in table.to_pylist()]
    return sorted(rows, key=repr)


def run(*command: str, cwd: Path, **environment: str) -> None:
    """Run a command; print what it says if it fails."""
    settings = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "0", "DBT_USE_COLORS": "0", "TZ": "Asia/Tokyo"}
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **settings, **environment}, check=False, capture_output=True, text=True
    )
    if done.returncode:
        print(*command, done.stdout, done.stderr, sep="\n")
        raise SystemExit(1)
    print(*(line for line in done.stdout.splitlines() if "Done." in line or "WARN " in line), sep="\n")


def build_on_duckdb(dbt: str, dest: Path, folder: Path) -> int:
    """Build over the files; return the number of models that differ."""
    lexport = str(Path(sys.executable).with_name("lexport"))
    run(lexport, "schema", "--dbt", str(folder), "--location", str(dest), cwd=folder.parent)
    run(dbt, "build", "--warn-error", cwd=folder)
    with duckdb.connect(str(folder / "lexport_dbt.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return compare(
            dest,
            DBT_DIALECTS["duckdb"],
            lambda query: plain(pa.table(connection.sql(query))),
        )


def main(dbt: str) -> int:
    """Compare all rows; return 1 if they differ."""
    with tempfile.TemporaryDirectory(prefix="lexport-dbt-") as folder:
        dest = Path(folder, "fleet")
        anyio.run(write_fleet, dest)
        started = time.perf_counter()
        differ = build_on_duckdb(dbt, dest, Path(folder, "project"))
        names = len(list(models_of(DBT_DIALECTS["duckdb"])))
        print(f"dbt-duckdb: {names} models, {differ} differ, {time.perf_counter() - started:.0f} s")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(str(Path(sys.argv[1]).resolve())))
