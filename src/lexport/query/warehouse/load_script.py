"""``load.sql``: a script, to be run in a warehouse's own client, that loads the files of one feed folder.

It creates the tables, or fails where the first feed did not; shows the files as staging tables, checks that the
warehouse stands where the feed begins, and changes all tables and the cursor in one transaction, as far as the
warehouse has any.
"""

# ruff: noqa: S608 - the names in SQL are those of declared tables, and texts are written as literals

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lexport.errors import SettingsError
from lexport.query.feed import FeedResult
from lexport.query.feed.description import description
from lexport.query.warehouse.apply import load_of
from lexport.query.warehouse.dialects import DIALECTS, TABLES, Dialect, script
from lexport.query.warehouse.load import (
    LOCK,
    SCOPES,
    Load,
    cursor_is_since,
    insert_scopes,
    load_statements,
    scope_values,
    staged,
    staged_columns,
)
from lexport.query.warehouse.location import check_location
from lexport.query.warehouse.native_tables import LOADS, create_native_table, listed, native_tables
from lexport.query.warehouse.native_views import NATIVE_SCHEMAS, create_native_views
from lexport.query.warehouse.views import create_shipped_views
from lexport.tables.table import Column

_HOW = {
    "postgres": "cd into its folder and run: psql --no-psqlrc -f load.sql POSTGRESQL_URL",
    "duckdb": "cd into its folder and run: duckdb -bail -f load.sql WAREHOUSE.duckdb",
    "snowflake": "run it in snowsql with -o exit_on_error=true, or in snow sql",
    "bigquery": "run it as one script: bq query --use_legacy_sql=false < load.sql",
    "redshift": "run it in psql with -v ON_ERROR_STOP=1; the cluster's default IAM role has to read the files",
    "databricks": "run the statements in order, and stop at the first error",
    "athena": "run the statements one by one in order, and stop at the first error",
}
_WHOLE = "One transaction: readers see the tables as they were before, or all as they are after."
_ONE_BY_ONE = (
    "There is no transaction over several tables: readers can see some tables as they were before and others as they"
    " are after. A script that was cut off is run again from its beginning. Never run two at once."
)
_NO_TRANSACTION = frozenset({"databricks", "athena"})


_LOCAL = frozenset({"postgres", "duckdb", "snowflake"})
"""Warehouses whose clients read files of their own machine."""

_READS = {
    "postgres": ("s3", "gs", "az"),  # from where the folder is copied to the client's machine
    "duckdb": ("s3", "gs", "az"),
    "snowflake": ("s3", "gs"),
    "bigquery": ("gs",),
    "redshift": ("s3",),
    "databricks": ("s3", "gs"),
    "athena": ("s3",),
}
"""The buckets that warehouses read by the URL of the feed. An ``az://`` URL lacks the account that they need."""


def is_placed(dialect: Dialect, target: str | os.PathLike[str]) -> bool:
    """Return whether a warehouse can read a feed where it is written."""
    return dialect.name in _LOCAL or "://" in os.fspath(target)


def script_of(dialect: Dialect, target: str | os.PathLike[str]) -> Callable[[FeedResult, Path], str]:
    """Return what writes the script for a feed that will be in ``target``, given it and the folder where its files are.

    Raises SettingsError where the warehouse cannot read ``target``.
    """
    place = place_of(dialect, os.fspath(target).rstrip("/"))

    def write(feed: FeedResult, folder: Path) -> str:
        warnings = [*_psql_warnings(folder)] if dialect.name == "postgres" else []
        return Script(load_of(description(feed), folder), dialect, place, warnings).text()

    return write


def place_of(dialect: Dialect, target: str) -> str:
    """Return a local folder or a URL as the warehouse names it. Raises SettingsError where it cannot read the URL."""
    scheme, is_url, rest = target.partition("://")
    if not is_url:
        return str(Path(target).absolute()) if is_placed(dialect, target) else check_location(None, dialect)
    reads = _READS[dialect.name]
    if scheme not in reads:
        raise SettingsError(
            f"-o {target}: a script for {dialect.name} reads files from {' or '.join(f'{name}://' for name in reads)};"
            " write there, or to a local folder to be copied to where the warehouse reads",
            option="-o",
        )
    return f"gcs://{rest}" if (dialect.name, scheme) == ("snowflake", "gs") else target


def _psql_warnings(folder: Path) -> Iterator[str]:
    """Say of texts that PostgreSQL or its client refuses, in files for them."""
    files = [path for path in sorted(folder.glob("*.csv")) if path.stat().st_size]
    for pattern, text in (
        (rb"(?m)^\\\.\r?$", r"a line of \. alone, at which psql before version 18 stops"),
        (rb"\0", "the character U+0000, which PostgreSQL does not keep"),
    ):
        if any(_has(path, pattern) for path in files):
            yield f"A text has {text}, so that this script fails and changes nothing: lexport feed --apply loads it."


def _has(path: Path, pattern: bytes) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return re.search(pattern, content) is not None


@dataclass(frozen=True, slots=True)
class Script:
    """A script to load one feed. ``location`` is where its files are, as the warehouse names it.

    ``warnings`` are sentences for its head.
    """

    load: Load
    dialect: Dialect
    location: str
    warnings: Sequence[str] = ()

    def text(self) -> str:
        """Write the script."""
        return "".join((*(f"-- {line}\n" for line in self._head()), "\n", *self._body()))

    def _head(self) -> Iterator[str]:
        load, name = self.load, self.dialect.name
        begins = f"from commit {load.since}" if load.since else "from nothing: it replaces every row"
        yield f"lexport feed {load.load_id} ({load.write_mode}), {begins}, to commit {load.next_since}."
        yield f"{load.upserts:,} rows to upsert, {load.deletes:,} keys to delete. To load it, {_HOW[name]}."
        yield _ONE_BY_ONE if name in _NO_TRANSACTION else _WHOLE
        yield "It fails, and changes nothing, where the warehouse does not stand where the feed begins."
        if load.since is not None:
            yield f"So it does where a table is missing: delete all rows of {TABLES}.{LOADS.name}, and load a feed"
            yield "without --since, which creates the tables and replaces every row."
        yield from self.warnings
        if name not in ("postgres", "duckdb"):
            yield f"The files are read from {self.location}."
        if name == "athena":
            yield "Athena reads folders: first copy each part there into a folder of its own, as in"
            yield f"  aws s3 cp {self.location}/tags.parquet {self.location}/tags/tags.parquet"
            yield "Athena reads instants in Parquet files to the millisecond."

    def _body(self) -> Iterator[str]:
        name = self.dialect.name
        in_transaction = name in ("postgres", "duckdb", "redshift")
        if name == "postgres":
            yield "\\set ON_ERROR_STOP on\n\\encoding UTF8\n\n"
        if name == "snowflake":
            yield script(["ALTER SESSION SET TIMEZONE = 'UTC'"])
        if in_transaction:
            yield script(self._begin())
        yield "-- What is missing.\n\n" if self.load.since is None else "-- Are all tables there?\n\n"
        yield script(self._create())
        yield "-- The files of the feed.\n\n"
        yield from self._stage()
        if not in_transaction:
            yield script(self._begin())
        yield "-- Does the warehouse stand where the feed begins?\n\n"
        yield script(self._guards())
        yield "-- The rows.\n\n"
        yield script(load_statements(self.load, self.dialect))
        yield script(self._end())

    def _begin(self) -> Iterator[str]:
        loads = self.dialect.quote(TABLES, LOADS.name)
        match self.dialect.name:
            case "postgres":
                yield "SET client_min_messages = 'warning'"  # not a line for each table that is there
                yield "BEGIN ISOLATION LEVEL READ COMMITTED"
                yield f"SELECT PG_ADVISORY_XACT_LOCK({LOCK})"
            case "duckdb":
                yield "BEGIN TRANSACTION"
            case "redshift":
                yield "BEGIN"
            case "snowflake" | "bigquery":
                yield "BEGIN TRANSACTION"
                same = f"SET {self.dialect.quote('since')} = {self.dialect.quote('since')}"
                yield f"UPDATE {loads} {same} WHERE TRUE"  # one load alone changes this table at a time

    def _create(self) -> Iterator[str]:
        if self.load.since is None:
            for name in NATIVE_SCHEMAS:
                yield self.dialect.create_schema(name)
            for table in native_tables(self.load.write_mode):
                yield from create_native_table(table, self.dialect, self.location)
            yield from create_native_views(self.dialect, self.load.write_mode)
            yield from create_shipped_views(self.dialect)
        else:
            yield self._read_all()
        if self.dialect.name == "redshift":
            yield f"LOCK TABLE {self.dialect.quote(TABLES, LOADS.name)}"

    def _read_all(self) -> str:
        """Write the statement that fails where a table is missing: created here, it would have what changed alone."""
        tables = (self.dialect.quote(TABLES, table.name) for table in native_tables(self.load.write_mode))
        return "\nUNION ALL ".join(f"SELECT 1 AS one FROM {table} WHERE 1 = 0" for table in tables)

    def _end(self) -> Iterator[str]:
        if self.dialect.name == "bigquery":
            yield "COMMIT TRANSACTION"
        elif self.dialect.name not in _NO_TRANSACTION:
            yield "COMMIT"
        if self.dialect.name in ("bigquery", "athena"):
            for name, _ in self._staged():
                yield f"DROP TABLE IF EXISTS {self._written(name)}"
            if self._needs_scopes() and self.dialect.name == "bigquery":
                yield f"DROP TABLE IF EXISTS {self._written(SCOPES)}"
            elif self._needs_scopes():
                yield f"DROP VIEW IF EXISTS {staged(self.dialect, SCOPES)}"

    # --- the files ----------------------------------------------------------------------------------------------------

    def _staged(self) -> Iterator[tuple[str, tuple[Column, ...]]]:
        """Yield the files that have rows, and their columns."""
        yield from ((name, staged_columns(name)) for name in self.load.staged())

    def _needs_scopes(self) -> bool:
        if self.load.write_mode == "scd2":
            return bool(self.load.scopes)
        return self.load.since is not None and any(scope.replaced for scope in self.load.scopes)

    def _stage(self) -> Iterator[str]:
        if self.dialect.name == "snowflake":
            yield script([self._snowflake_stage()])
        for name, columns in self._staged():
            yield from self._stage_file(name, columns)
        if not self._needs_scopes():
            return
        view = staged(self.dialect, SCOPES)
        if self.dialect.name in _NO_TRANSACTION:
            temporary = "TEMPORARY " if self.dialect.name == "databricks" else ""
            values = scope_values(self.load, self.dialect)
            yield script([f"CREATE OR REPLACE {temporary}VIEW {view} AS\n{values}"])
        else:
            create = self._create_staging(SCOPES, staged_columns(SCOPES))
            yield script([create, *insert_scopes(self.load, self.dialect)])

    def _stage_file(self, name: str, columns: tuple[Column, ...]) -> Iterator[str]:
        dialect, table = self.dialect, staged(self.dialect, name)
        file = dialect.literal(f"{self.location}/{name}.parquet")
        match dialect.name:
            case "postgres":
                yield script([self._create_staging(name, columns)])
                names = listed(dialect, [column.name for column in columns])
                form = "FORMAT csv, HEADER true, ENCODING 'UTF8'"
                yield f"\\copy {table} ({names}) FROM '{name}.csv' WITH ({form})\n\n"
                yield script([f"ANALYZE {table}"])
            case "duckdb":
                read = f"CREATE OR REPLACE TEMPORARY VIEW {table} AS SELECT * FROM READ_PARQUET('{name}.parquet')"
                yield script([read])
            case "redshift":
                copy = f"COPY {table} FROM {file} IAM_ROLE default FORMAT AS PARQUET"
                yield script([self._create_staging(name, columns), copy])
            case "snowflake":
                yield script([self._create_staging(name, columns), *self._snowflake_copy(name, table)])
            case "bigquery":
                body = ",\n".join(f"  {self.dialect.define(column)}" for column in columns)
                source = f"FROM FILES (format = 'PARQUET', uris = [{file}])"
                yield script([f"LOAD DATA OVERWRITE {table} (\n{body}\n)\n{source}"])
            case "databricks":
                read = f"SELECT * FROM PARQUET.{dialect.quote(f'{self.location}/{name}.parquet')}"
                yield script([f"CREATE OR REPLACE TEMPORARY VIEW {table} AS {read}"])
            case _:
                yield script(self._athena(name, columns))

    def _create_staging(self, name: str, columns: tuple[Column, ...]) -> str:
        body = ",\n".join(f"  {self.dialect.define(column)}" for column in columns)
        after = " ON COMMIT DROP" if self.dialect.name == "postgres" else ""
        word = {"bigquery": "CREATE OR REPLACE TABLE", "snowflake": "CREATE OR REPLACE TEMPORARY TABLE"}.get(
            self.dialect.name, "CREATE TEMPORARY TABLE"
        )
        return f"{word} {staged(self.dialect, name)} (\n{body}\n){after}"

    def _snowflake_stage(self) -> str:
        stage = self.dialect.quote(TABLES, "feed")
        if "://" not in self.location:
            return f"CREATE OR REPLACE TEMPORARY STAGE {stage}"
        url = self.dialect.literal(f"{self.location}/")
        return f"CREATE OR REPLACE TEMPORARY STAGE {stage} URL = {url} STORAGE_INTEGRATION = LEXPORT"

    def _snowflake_copy(self, name: str, table: str) -> Iterator[str]:
        stage = self.dialect.quote(TABLES, "feed")
        if "://" not in self.location:
            yield f"PUT {self.dialect.literal(f'file://{self.location}/{name}.parquet')} @{stage} AUTO_COMPRESS = FALSE"
        yield (
            f"COPY INTO {table} FROM @{stage}/{name}.parquet\n"
            "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
        )

    def _written(self, name: str) -> str:
        """Return the name of a staging table where Athena creates and drops it, in the SQL of Hive."""
        return staged(DIALECTS["spark"] if self.dialect.name == "athena" else self.dialect, name, schema=TABLES)

    def _athena(self, name: str, columns: tuple[Column, ...]) -> Iterator[str]:
        hive = DIALECTS["spark"]
        body = ",\n".join(f"  {hive.define(column)}" for column in columns)
        folder = hive.literal(f"{self.location}/{name}/")
        yield f"DROP TABLE IF EXISTS {self._written(name)}"
        yield f"CREATE EXTERNAL TABLE {self._written(name)} (\n{body}\n)\nSTORED AS PARQUET\nLOCATION {folder}"

    # --- the checks ---------------------------------------------------------------------------------------------------

    def _guards(self) -> Iterator[str]:
        loads, quote, literal = self.dialect.quote(TABLES, LOADS.name), self.dialect.quote, self.dialect.literal
        where = self.load.since or "nothing"
        yield self._guard(
            cursor_is_since(self.load, self.dialect), f"lexport_loads does not end where this feed begins: {where}"
        )
        mode = f"{quote('write_mode')} <> {literal(self.load.write_mode)}"
        yield self._guard(
            f"(SELECT COUNT(*) FROM {loads} WHERE {mode}) = 0",
            f"another write mode than {self.load.write_mode} is in use",
        )
        kind = {"bigquery": "INT64", "databricks": "INT"}.get(self.dialect.name, "INTEGER")
        newer = f"CAST({quote('schema_version')} AS {kind}) > {int(self.load.schema_version)}"
        yield self._guard(
            f"(SELECT COUNT(*) FROM {loads} WHERE {newer}) = 0", "a newer lexport has loaded this warehouse; upgrade"
        )

    def _guard(self, condition: str, message: str) -> str:
        """Write the statement that fails with a message unless a condition holds."""
        text = self.dialect.literal(message)
        holds = f"COALESCE({condition}, FALSE)"
        return {
            "postgres": f"DO $lexport$ BEGIN IF NOT {holds} THEN RAISE EXCEPTION USING MESSAGE = {text};"
            " END IF; END $lexport$",
            "duckdb": f"SELECT CASE WHEN NOT {holds} THEN ERROR({text}) END",
            "snowflake": f"EXECUTE IMMEDIATE $$\nDECLARE refused EXCEPTION (-20001, {text});\n"
            f"BEGIN\n  IF (NOT {holds}) THEN RAISE refused; END IF;\nEND\n$$",
            "bigquery": f"SELECT IF({holds}, TRUE, ERROR({text}))",
            # Redshift raises errors in procedures alone: a division by zero here.
            "redshift": f"SELECT 1 / CASE WHEN {condition} THEN 1 ELSE 0 END AS {self.dialect.quote(message)}",
            "databricks": f"SELECT ASSERT_TRUE({holds}, {text})",
            "athena": f"SELECT CASE WHEN {holds} THEN TRUE ELSE CAST(FAIL({text}) AS BOOLEAN) END",
        }[self.dialect.name]
