"""The engines that are judged: how each gets the names of the dataset and the shipped SQL, and gives its rows.

ClickHouse and Spark get the statements of ``schema --ddl``. DataFusion and polars have none: they read the files, and
run the rules of the names and the shipped SQL as they are, in DuckDB's words.
"""

# ruff: noqa: BLE001 - each engine has errors of its own

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from lexport.query.name_spaces import SPACES
from lexport.query.shipped_views import shipped_views
from lexport.query.warehouse.ddl import READING, ddl, rows_of_files
from lexport.query.warehouse.dialects import DIALECTS, SCHEMAS, translate
from lexport.query.warehouse.external_tables import PARTITION
from lexport.query.warehouse.views import select_readings
from lexport.tables import registry

Rows = tuple[list[str], list[tuple[Any, ...]]]
CHECK = "lexport_check"


class Engine(Protocol):
    """An engine that has the names and views of a dataset."""

    version: str
    failed: dict[str, str]
    """Why a view could not be defined, by name."""

    def read(self, name: str) -> Rows:
        """Return the columns and rows of ``space.table``."""

    def check(self, query: str, thresholds: Mapping[str, str]) -> Rows:
        """Run a check. ``thresholds`` are its tables of thresholds: name -> query without a table."""


def _definitions() -> Iterator[tuple[str, str]]:
    """Yield the names over ``files`` and their queries, in DuckDB's words and in order."""
    for space in SPACES:
        if space == "snapshot":
            yield from ((f"main.{name}", query) for name, query in select_readings(READING).items())
        for table in registry.tables():
            yield f"{space}.{table.name}", rows_of_files(space, table, is_current=True)
    for view in shipped_views():
        yield f"main.{view.name}", view.query


def _from_arrow(table: pa.Table) -> Rows:
    return table.column_names, [tuple(row.values()) for row in table.to_pylist()]


class ClickHouse:
    """chdb."""

    def __init__(self, dest: Path, _: Path) -> None:
        """Run the statements of the DDL."""
        import chdb
        from chdb import session

        self.version = f"ClickHouse {chdb.query('SELECT version()').data().strip()[1:-1]} (chdb {chdb.__version__})"
        self._dialect = DIALECTS["clickhouse"]
        self._session = session.Session()
        self.failed = _run_ddl(ddl(self._dialect, str(dest)), self._session.query)

    def read(self, name: str) -> Rows:
        """Return the columns and rows of ``space.table``."""
        return self._rows(f"SELECT * FROM {_in_warehouse(name)}")

    def check(self, query: str, thresholds: Mapping[str, str]) -> Rows:
        """Run a check."""
        for table, rows in thresholds.items():
            self._session.query(
                f"CREATE OR REPLACE VIEW lexport.{table} AS {translate(rows, self._dialect, name=table)}"
            )
        return self._rows(translate(query, self._dialect, name=CHECK))

    def _rows(self, query: str) -> Rows:
        answer = self._session.query(query, "Arrow").bytes()
        return _from_arrow(pa.ipc.open_file(answer).read_all())


class Spark:
    """pyspark, with a metastore in a folder."""

    def __init__(self, dest: Path, folder: Path) -> None:
        """Run the statements of the DDL."""
        from pyspark.sql import SparkSession

        self._spark = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.sql.adaptive.enabled", "false")  # else some plans of views over views fail
            .config("spark.driver.memory", "4g")  # plans of views over views are large
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.extraJavaOptions", f"-Dderby.system.home={folder}")
            .enableHiveSupport()
            .getOrCreate()
        )
        self._spark.sparkContext.setLogLevel("OFF")
        self.version = f"Spark {self._spark.version}"
        self._dialect = DIALECTS["spark"]
        self.failed = _run_ddl(ddl(self._dialect, f"file://{dest}"), self._spark.sql)

    def read(self, name: str) -> Rows:
        """Return the columns and rows of ``space.table``."""
        return self._rows(f"SELECT * FROM {_in_warehouse(name)}")

    def check(self, query: str, thresholds: Mapping[str, str]) -> Rows:
        """Run a check."""
        for table, rows in thresholds.items():
            self._spark.sql(f"CREATE OR REPLACE VIEW lexport.{table} AS {translate(rows, self._dialect, name=table)}")
        return self._rows(translate(query, self._dialect, name=CHECK))

    def _rows(self, query: str) -> Rows:
        found = self._spark.sql(query)
        return found.columns, [tuple(row) for row in found.collect()]


class DataFusion:
    """datafusion, with DuckDB's SQL."""

    def __init__(self, dest: Path, _: Path) -> None:
        """Create external tables and views."""
        import datafusion

        self.version = f"DataFusion {datafusion.__version__}"
        settings = datafusion.SessionConfig().with_default_catalog_and_schema("datafusion", "main")
        self._context = datafusion.SessionContext(settings.with_create_default_catalog_and_schema(enabled=True))
        self.failed: dict[str, str] = {}
        for schema in ("files", "history", "snapshot"):
            self._context.sql(f"CREATE SCHEMA {schema}")
        duckdb = DIALECTS["duckdb"]
        for table in registry.tables():
            columns = ", ".join(
                f'"{column.name}" {duckdb.type_name(column.type).replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")}'
                for column in table.columns
            )
            self._context.sql(
                f"CREATE EXTERNAL TABLE files.{table.name} ({columns}, {PARTITION} DATE)"
                f" STORED AS PARQUET PARTITIONED BY ({PARTITION}) LOCATION '{dest}/{table.name}/'"
            )
        for name, query in _definitions():
            try:
                self._context.sql(f"CREATE VIEW {name} AS {query}")
            except Exception as error:
                self.failed[name] = str(error)

    def read(self, name: str) -> Rows:
        """Return the columns and rows of ``space.table``."""
        return _from_arrow(self._context.sql(f"SELECT * FROM {name}").to_arrow_table())

    def check(self, query: str, thresholds: Mapping[str, str]) -> Rows:
        """Run a check."""
        for table, rows in thresholds.items():
            self._context.sql(f"CREATE OR REPLACE VIEW {table} AS {rows}")
        return _from_arrow(self._context.sql(query).to_arrow_table())


class Polars:
    """polars, with DuckDB's SQL."""

    def __init__(self, dest: Path, _: Path) -> None:
        """Register the files and a frame of each name."""
        import polars as pl

        self.version = f"polars {pl.__version__}"
        self._context = pl.SQLContext()
        self.failed: dict[str, str] = {}
        for table in registry.tables():
            scan = pl.scan_parquet(
                f"{dest}/{table.name}/*/*.parquet", hive_partitioning=True, hive_schema={PARTITION: pl.Date}
            )
            self._context.register(f"files.{table.name}", scan)
        for name, query in _definitions():
            try:
                frame = self._context.execute(query, eager=True)  # lazy frames over others would be computed each time
            except Exception as error:
                self.failed[name] = str(error)
                continue
            self._context.register(name, frame)
            if name.startswith("main."):
                self._context.register(name.removeprefix("main."), frame)

    def read(self, name: str) -> Rows:
        """Return the columns and rows of ``space.table``."""
        return self._rows(f'SELECT * FROM "{name}"')

    def check(self, query: str, thresholds: Mapping[str, str]) -> Rows:
        """Run a check."""
        for table, rows in thresholds.items():
            self._context.register(table, self._context.execute(rows))
        return self._rows(query)

    def _rows(self, query: str) -> Rows:
        frame = self._context.execute(query, eager=True)
        return frame.columns, frame.rows()


ENGINES: dict[str, type[ClickHouse | Spark | DataFusion | Polars]] = {
    "chdb": ClickHouse,
    "datafusion": DataFusion,
    "polars": Polars,
    "spark": Spark,
}


def _run_ddl(statements: Iterator[str], run: Any) -> dict[str, str]:
    failed = {}
    for statement in statements:
        try:
            run(statement)
        except Exception as error:
            failed[" ".join(statement.split()[:6])] = str(error)
    return failed


def _in_warehouse(name: str) -> str:
    space, table = name.split(".")
    return f"{SCHEMAS[space]}.{table}"
