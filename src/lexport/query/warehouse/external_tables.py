"""The statements that let a warehouse read a table's Parquet files in place.

An external table shows every file below ``<table>/``, also those of a run that never committed. The views of ``ddl``
hide these rows. The folder's ``snapshot_date`` is the partition. PostgreSQL and SQLite read no Parquet: they get a
table that the rows of ``history.<table>`` are loaded into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from lexport.query.warehouse.dialects import DIALECTS, FILES, SCHEMAS, Dialect
from lexport.tables.table import TIMESTAMP, Column, Table

PARTITION = "snapshot_date"
FIRST_DATE = "2026-01-01"  # lexport wrote no snapshot before; Athena looks at every day since
DAY = "YYYY-MM-DD"  # Redshift needs one statement a day


def schemas(dialect: Dialect, location: str) -> Iterator[str]:
    """Write the statements that create the schemas, and the stage that Snowflake needs."""
    for name in dict.fromkeys(SCHEMAS.values()) if dialect.has_schemas else ():
        if dialect.name == "redshift" and name == FILES:
            yield (
                f"CREATE EXTERNAL SCHEMA IF NOT EXISTS {dialect.quote(name)}\n"
                f"FROM DATA CATALOG DATABASE {dialect.literal(name + '_redshift')}\n"
                "IAM_ROLE default\n"
                "CREATE EXTERNAL DATABASE IF NOT EXISTS"
            )
        else:
            yield dialect.create_schema(name)
    if dialect.name == "snowflake":
        url = dialect.literal(f"{location}/")
        yield f"CREATE STAGE IF NOT EXISTS {STAGE} URL = {url} STORAGE_INTEGRATION = LEXPORT"


def create_table(table: Table, dialect: Dialect, location: str) -> str:
    """Write the statement that makes one external table."""
    return _CREATE[dialect.name](table, dialect, f"{location}/{table.name}")


def describe_table(table: Table, dialect: Dialect) -> Iterator[str]:
    """Write the statements that add the meanings where the one that creates the table has no place for them."""
    if dialect.name not in {"postgres", "duckdb"}:
        return
    kind = "VIEW" if dialect.name == "duckdb" else "TABLE"
    yield from dialect.comment_on(kind, dialect.quote(FILES, table.name), table.meaning, table.columns)


def refresh_table(table: Table, dialect: Dialect, location: str) -> str | None:
    """Write the statement that makes a warehouse list the files again; None if it lists them for each query."""
    name = dialect.quote(FILES, table.name)
    match dialect.name:
        case "redshift":
            folder = dialect.literal(f"{location}/{table.name}/{PARTITION}={DAY}/")
            return f"ALTER TABLE {name} ADD IF NOT EXISTS PARTITION ({PARTITION} = '{DAY}') LOCATION {folder}"
        case "snowflake":
            return f"ALTER EXTERNAL TABLE {name} REFRESH"
        case "spark" | "databricks":
            return f"MSCK REPAIR TABLE {name}"
        case "trino":
            return f"CALL system.sync_partition_metadata('{FILES}', '{table.name}', 'FULL')"
        case _:
            return None


_OURS = f"{PARTITION}=[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}/[0-7][0-9A-HJKMNP-TV-Z]{{25}}-[0-9]{{4}}[.]parquet"
"""The names that lexport gives to files, as a regular expression: other files in a folder belong to no table."""
_OUR_GLOB = f"{PARTITION}=????-??-??/{'?' * 26}-????.parquet"
STAGE = '"LEXPORT_FILES"."DATASET"'


def _columns(table: Table, write: Callable[[Column], str], *more: str) -> str:
    """Write the columns of today, then those that only files of older schema versions have, then ``more``."""
    former = (
        replace(column, name=name, meaning=f"{column.name} of older files.")
        for column in table.columns
        for name in column.former_names
    )
    return ",\n".join(f"  {line}" for line in (*map(write, (*table.columns, *former)), *more))


def _described(dialect: Dialect, comment: str = "") -> Callable[[Column], str]:
    """Write a column with its type and, where ``comment`` has a place for it, its meaning."""
    return lambda column: dialect.define(column) + comment.format(dialect.literal(column.meaning))


def _athena(table: Table, _: Dialect, folder: str) -> str:
    hive = DIALECTS["spark"]  # Athena creates tables in the SQL of Hive, as Spark does
    properties = {
        "projection.enabled": "true",
        f"projection.{PARTITION}.type": "date",
        f"projection.{PARTITION}.format": "yyyy-MM-dd",
        f"projection.{PARTITION}.range": f"{FIRST_DATE},NOW+1DAY",
        "storage.location.template": f"{folder}/{PARTITION}=${{{PARTITION}}}/",
    }
    listed = ",\n".join(f"  {hive.literal(key)} = {hive.literal(value)}" for key, value in properties.items())
    columns = _columns(table, _described(hive, " COMMENT {}"))
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS {hive.quote(FILES, table.name)} (\n{columns}\n)\n"
        f"COMMENT {hive.literal(table.meaning)}\n"
        f"PARTITIONED BY (`{PARTITION}` DATE)\n"
        f"STORED AS PARQUET\n"
        f"LOCATION {hive.literal(folder + '/')}\n"
        f"TBLPROPERTIES (\n{listed}\n)"
    )


def _trino(table: Table, dialect: Dialect, folder: str) -> str:
    columns = _columns(table, _described(dialect, " COMMENT {}"), f"{dialect.quote(PARTITION)} DATE")
    return (
        f"CREATE TABLE IF NOT EXISTS {dialect.quote(FILES, table.name)} (\n{columns}\n)\n"
        f"COMMENT {dialect.literal(table.meaning)}\n"
        f"WITH (\n  external_location = {dialect.literal(folder + '/')},\n  format = 'PARQUET',\n"
        f"  partitioned_by = ARRAY['{PARTITION}']\n)"
    )


def _spark(table: Table, dialect: Dialect, folder: str) -> str:
    columns = _columns(table, _described(dialect, " COMMENT {}"), f"{dialect.quote(PARTITION)} DATE")
    return (
        f"CREATE TABLE IF NOT EXISTS {dialect.quote(FILES, table.name)} (\n{columns}\n)\n"
        f"USING PARQUET\n"
        f"PARTITIONED BY ({dialect.quote(PARTITION)})\n"
        f"COMMENT {dialect.literal(table.meaning)}\n"
        f"LOCATION {dialect.literal(folder + '/')}"
    )


def _snowflake(table: Table, dialect: Dialect, folder: str) -> str:
    def described(column: Column) -> str:
        value = f'VALUE:"{column.name}"'
        # Snowflake reads an instant as a number of microseconds or as text. The text of both can be cast, in UTC.
        kind = dialect.type_name(column.type)
        cast = f"TO_TIMESTAMP_NTZ({value}::VARCHAR)" if column.type is TIMESTAMP else f"{value}::{kind}"
        return f"{dialect.quote(column.name)} {kind} AS ({cast})"

    date = f"TO_DATE(REGEXP_SUBSTR(METADATA$FILENAME, '{PARTITION}=([0-9-]+)', 1, 1, 'e'))"
    columns = _columns(table, described, f"{dialect.quote(PARTITION)} DATE AS ({date})")
    return (
        f"CREATE OR REPLACE EXTERNAL TABLE {dialect.quote(FILES, table.name)} (\n{columns}\n)\n"
        f"PARTITION BY ({dialect.quote(PARTITION)})\n"
        f"LOCATION = @{STAGE}/{folder.rsplit('/', 1)[1]}/\n"
        "AUTO_REFRESH = FALSE\n"
        f"PATTERN = '.*{_OURS}'\n"
        "FILE_FORMAT = (TYPE = PARQUET)\n"
        f"COMMENT = {dialect.literal(table.meaning)}"
    )


def _bigquery(table: Table, dialect: Dialect, folder: str) -> str:
    columns = _columns(table, _described(dialect, " OPTIONS (description = {})"))
    return (
        f"CREATE OR REPLACE EXTERNAL TABLE {dialect.quote(FILES, table.name)} (\n{columns}\n)\n"
        f"WITH PARTITION COLUMNS ({dialect.quote(PARTITION)} DATE)\n"
        f"OPTIONS (\n  format = 'PARQUET',\n  uris = [{dialect.literal(f'{folder}/{PARTITION}=*')}],\n"
        f"  hive_partition_uri_prefix = {dialect.literal(folder)},\n"
        f"  description = {dialect.literal(table.meaning)}\n)"
    )


def _redshift(table: Table, dialect: Dialect, folder: str) -> str:
    columns = _columns(table, _described(dialect))
    return (
        f"CREATE EXTERNAL TABLE {dialect.quote(FILES, table.name)} (\n{columns}\n)\n"
        f"PARTITIONED BY ({dialect.quote(PARTITION)} DATE)\n"
        "STORED AS PARQUET\n"
        f"LOCATION {dialect.literal(folder + '/')}"
    )


def _duckdb(table: Table, dialect: Dialect, folder: str) -> str:
    """Begin with no row of all columns: files of an older schema version lack some."""
    kinds = _columns(
        table, lambda column: f"CAST(NULL AS {dialect.type_name(column.type)}) AS {dialect.quote(column.name)}"
    )
    return (
        f"CREATE OR REPLACE VIEW {dialect.quote(FILES, table.name)} AS\n"
        f"SELECT\n{kinds},\n  CAST(NULL AS DATE) AS {dialect.quote(PARTITION)}\nWHERE FALSE\n"
        f"UNION ALL BY NAME\nSELECT * FROM read_parquet(\n  {dialect.literal(f'{folder}/{_OUR_GLOB}')},\n"
        f"  hive_partitioning = TRUE, hive_types = {{{PARTITION}: DATE}}, union_by_name = TRUE\n)"
    )


def _clickhouse(table: Table, dialect: Dialect, folder: str) -> str:
    columns = _columns(table, _described(dialect, " COMMENT {}"), f"{dialect.quote(PARTITION)} Date")
    path = dialect.literal(f"{folder}/{_OUR_GLOB}")
    engine = f"File('Parquet', {path})" if folder.startswith("/") else f"S3({path}, 'Parquet')"
    return (
        f"CREATE OR REPLACE TABLE {dialect.quote(FILES, table.name)} (\n{columns}\n)\n"
        f"ENGINE = {engine}\n"
        f"COMMENT {dialect.literal(table.meaning)}"
    )


_DAY = {
    "postgres": "DATE GENERATED ALWAYS AS (CAST(\"snapshot_at\" AT TIME ZONE 'UTC' AS DATE)) STORED",
    "sqlite": 'TEXT GENERATED ALWAYS AS (DATE("snapshot_at")) STORED',
}


def _loaded(table: Table, dialect: Dialect, _: str) -> str:
    """Rows have to be loaded here: no folder says their day, and there are no files with former columns."""
    day = f"{dialect.quote(PARTITION)} {_DAY[dialect.name]}"
    lines = ",\n".join(f"  {line}" for line in (*map(dialect.define, table.columns), day))
    return f"CREATE TABLE IF NOT EXISTS {dialect.quote(FILES, table.name)} (\n{lines}\n)"


_CREATE: dict[str, Callable[[Table, Dialect, str], str]] = {
    "athena": _athena,
    "snowflake": _snowflake,
    "bigquery": _bigquery,
    "redshift": _redshift,
    "spark": _spark,
    "trino": _trino,
    "databricks": _spark,
    "duckdb": _duckdb,
    "clickhouse": _clickhouse,
    "postgres": _loaded,
    "sqlite": _loaded,
}

HAVE_EXTERNAL_TABLES = frozenset(_CREATE) - {"duckdb", "postgres", "sqlite"}
"""The dialects whose warehouses read the files in place, by external tables."""
