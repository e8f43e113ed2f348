"""The statements that let a warehouse read a table's Parquet files in place.

An external table shows every file below ``<table>/``, also those of a run that never committed. The views of ``ddl``
hide these rows. The folder's ``snapshot_date`` is the partition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from lexport.query.warehouse.dialects import FILES, SCHEMAS, Dialect
from lexport.tables.table import Column, Table

PARTITION = "snapshot_date"
FIRST_DATE = "2026-01-01"  # lexport wrote no snapshot before; Athena looks at every day since
DAY = "YYYY-MM-DD"  # Redshift needs one statement a day


def schemas(dialect: Dialect, location: str) -> Iterator[str]:
    """Write the statements that create the schemas, and the stage that Snowflake needs."""
    for name in dict.fromkeys(SCHEMAS.values()):
        if dialect.name == "redshift" and name == FILES:
            yield (
                f"CREATE EXTERNAL SCHEMA IF NOT EXISTS {dialect.quote(name)}\n"
                f"FROM DATA CATALOG DATABASE {dialect.literal(name + '_redshift')}\n"
                "IAM_ROLE default\n"
                "CREATE EXTERNAL DATABASE IF NOT EXISTS"
            )
        elif dialect.name == "athena":
            yield f"CREATE DATABASE IF NOT EXISTS `{name}`"
        else:
            yield f"CREATE SCHEMA IF NOT EXISTS {dialect.quote(name)}"
    if dialect.name == "snowflake":
        url = dialect.literal(f"{location}/")
        yield f"CREATE STAGE IF NOT EXISTS {_STAGE} URL = {url} STORAGE_INTEGRATION = LEXPORT"


def create_table(table: Table, dialect: Dialect, location: str) -> str:
    """Write the statement that makes one external table."""
    return _CREATE[dialect.name](table, dialect, f"{location}/{table.name}")


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
_STAGE = '"LEXPORT_FILES"."DATASET"'


def _columns(table: Table, write: Callable[[Column], str], *more: str) -> str:
    return ",\n".join(f"  {line}" for line in (*map(write, _stored_columns(table)), *more))


def _stored_columns(table: Table) -> Iterator[Column]:
    """Yield the columns of today, then those that only files of older schema versions have."""
    yield from table.columns
    for column in table.columns:
        for former in column.former_names:
            yield replace(column, name=former, meaning=f"{column.name} of older files.")


def _athena(table: Table, dialect: Dialect, folder: str) -> str:
    def text(value: str) -> str:  # Hive's
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    properties = {
        "projection.enabled": "true",
        f"projection.{PARTITION}.type": "date",
        f"projection.{PARTITION}.format": "yyyy-MM-dd",
        f"projection.{PARTITION}.range": f"{FIRST_DATE},NOW+1DAY",
        "storage.location.template": f"{folder}/{PARTITION}=${{{PARTITION}}}/",
    }
    listed = ",\n".join(f"  {text(key)} = {text(value)}" for key, value in properties.items())
    described = _columns(
        table, lambda column: f"`{column.name}` {dialect.type_name(column.type)} COMMENT {text(column.meaning)}"
    )
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS `{FILES}`.`{table.name}` (\n{described}\n)\n"
        f"COMMENT {text(table.meaning)}\n"
        f"PARTITIONED BY (`{PARTITION}` DATE)\n"
        f"STORED AS PARQUET\n"
        f"LOCATION {text(folder + '/')}\n"
        f"TBLPROPERTIES (\n{listed}\n)"
    )


def _trino(table: Table, dialect: Dialect, folder: str) -> str:
    described = _columns(
        table,
        lambda column: (
            f"{dialect.quote(column.name)} {dialect.type_name(column.type)} COMMENT {dialect.literal(column.meaning)}"
        ),
        f"{dialect.quote(PARTITION)} DATE",
    )
    return (
        f"CREATE TABLE IF NOT EXISTS {dialect.quote(FILES, table.name)} (\n{described}\n)\n"
        f"COMMENT {dialect.literal(table.meaning)}\n"
        f"WITH (\n  external_location = {dialect.literal(folder + '/')},\n  format = 'PARQUET',\n"
        f"  partitioned_by = ARRAY['{PARTITION}']\n)"
    )


def _spark(table: Table, dialect: Dialect, folder: str) -> str:
    described = _columns(
        table,
        lambda column: (
            f"{dialect.quote(column.name)} {dialect.type_name(column.type)} COMMENT {dialect.literal(column.meaning)}"
        ),
        f"{dialect.quote(PARTITION)} DATE",
    )
    return (
        f"CREATE TABLE IF NOT EXISTS {dialect.quote(FILES, table.name)} (\n{described}\n)\n"
        f"USING PARQUET\n"
        f"PARTITIONED BY ({dialect.quote(PARTITION)})\n"
        f"COMMENT {dialect.literal(table.meaning)}\n"
        f"LOCATION {dialect.literal(folder + '/')}"
    )


def _snowflake(table: Table, dialect: Dialect, folder: str) -> str:
    def described(column: Column) -> str:
        value = f'VALUE:"{column.name}"'
        # Snowflake reads an instant as a number of microseconds or as text. The text of both can be cast, in UTC.
        is_instant = dialect.type_name(column.type) == dialect.timestamp
        cast = f"TO_TIMESTAMP_NTZ({value}::VARCHAR)" if is_instant else f"{value}::{dialect.type_name(column.type)}"
        return f"{dialect.quote(column.name)} {dialect.type_name(column.type)} AS ({cast})"

    date = f"TO_DATE(REGEXP_SUBSTR(METADATA$FILENAME, '{PARTITION}=([0-9-]+)', 1, 1, 'e'))"
    columns = _columns(table, described, f"{dialect.quote(PARTITION)} DATE AS ({date})")
    return (
        f"CREATE OR REPLACE EXTERNAL TABLE {dialect.quote(FILES, table.name)} (\n{columns}\n)\n"
        f"PARTITION BY ({dialect.quote(PARTITION)})\n"
        f"LOCATION = @{_STAGE}/{folder.rsplit('/', 1)[1]}/\n"
        "AUTO_REFRESH = FALSE\n"
        f"PATTERN = '.*{_OURS}'\n"
        "FILE_FORMAT = (TYPE = PARQUET)\n"
        f"COMMENT = {dialect.literal(table.meaning)}"
    )


def _bigquery(table: Table, dialect: Dialect, folder: str) -> str:
    described = _columns(
        table,
        lambda column: (
            f"{dialect.quote(column.name)} {dialect.type_name(column.type)} "
            f"OPTIONS (description = {dialect.literal(column.meaning)})"
        ),
    )
    return (
        f"CREATE OR REPLACE EXTERNAL TABLE {dialect.quote(FILES, table.name)} (\n{described}\n)\n"
        f"WITH PARTITION COLUMNS ({dialect.quote(PARTITION)} DATE)\n"
        f"OPTIONS (\n  format = 'PARQUET',\n  uris = [{dialect.literal(f'{folder}/{PARTITION}=*')}],\n"
        f"  hive_partition_uri_prefix = {dialect.literal(folder)},\n"
        f"  description = {dialect.literal(table.meaning)}\n)"
    )


def _redshift(table: Table, dialect: Dialect, folder: str) -> str:
    described = _columns(table, lambda column: f"{dialect.quote(column.name)} {dialect.type_name(column.type)}")
    return (
        f"CREATE EXTERNAL TABLE {dialect.quote(FILES, table.name)} (\n{described}\n)\n"
        f"PARTITIONED BY ({dialect.quote(PARTITION)} DATE)\n"
        "STORED AS PARQUET\n"
        f"LOCATION {dialect.literal(folder + '/')}"
    )


_CREATE: dict[str, Callable[[Table, Dialect, str], str]] = {
    "athena": _athena,
    "snowflake": _snowflake,
    "bigquery": _bigquery,
    "redshift": _redshift,
    "spark": _spark,
    "trino": _trino,
    "databricks": _spark,
}
