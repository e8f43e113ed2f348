"""What loaders need to take in the files of one run: manifests, partitions, load jobs, COPY statements. Pure.

Everything follows from the manifest, so what never committed is never named. Which loaders can read the files depends
on where they are: Redshift and Glue read S3 alone, BigQuery's load jobs read Google Cloud Storage alone. Loading a run
twice changes nothing: Redshift and Snowflake delete its rows first, and BigQuery refuses a job whose id it knows.
"""

# ruff: noqa: S608 - the names in SQL are those of declared tables, the values those of a checked manifest

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

from lexport.dataset.manifest import FileEntry, Manifest
from lexport.query.warehouse.dialects import DIALECTS, FILES, Dialect, script
from lexport.query.warehouse.external_tables import PARTITION, STAGE
from lexport.tables import registry
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table

COPIED = "lexport_copied"
"""The schema of the tables that rows are copied into, with the columns of the files in their order."""
DESCRIPTION = "run.json"
FORMAT = "lexport-load-files/1"
PROJECT = "PROJECT"
_MOST_FILES = 1000  # that one COPY of Snowflake names
_GLUE = "org.apache.hadoop.hive.ql.io.parquet"


def load_files(commit: Manifest, *, location: str, manifests: str) -> dict[str, str]:
    """Return the texts of the files by name, the description last.

    ``location`` is the URL of the dataset; Redshift reads its manifests below the URL ``manifests``.
    """
    tables = _with_rows(commit)
    files: dict[str, str] = {}
    if location.startswith("s3://"):
        files |= {
            f"redshift-{table.name}.manifest": _json(_redshift_manifest(entries, location))
            for table, entries in tables.items()
        }
        files["redshift-partitions.sql"] = script(_redshift_partitions(commit, location))
        files["redshift-copy.sql"] = script(_redshift_copy(commit, tables, manifests))
        files |= {f"glue-{table.name}.json": _json(_glue(table, commit, location)) for table in _with_folder(commit)}
    if location.startswith("gs://"):
        files |= {
            f"bigquery-{table.name}.json": _json(_bigquery(table, commit, entries, location))
            for table, entries in tables.items()
        }
    files["snowflake.sql"] = script(_snowflake(commit, tables))
    files["spark.sql"] = script(_spark(commit, location))
    files[DESCRIPTION] = _json(_description(commit, tables, location))
    return files


def _with_rows(commit: Manifest) -> dict[Table, list[FileEntry]]:
    """Return the files with rows of each table that was read."""
    named = {table: [entry for entry in commit.entries(table.name) if entry.rows] for table in registry.tables()}
    return {table: entries for table, entries in named.items() if entries}


def _with_folder(commit: Manifest) -> list[Table]:
    """Return the tables with a folder of this run's day; the row of ``snapshots`` is in no manifest."""
    named = {entry.table for entry in commit.files}
    return [table for table in registry.tables() if table.name in named or table is SNAPSHOTS]


def _day(commit: Manifest) -> str:
    return f"{commit.snapshot_at.astimezone(UTC):%Y-%m-%d}"


def _folder(table: Table, commit: Manifest, location: str) -> str:
    return f"{location}/{table.name}/{PARTITION}={_day(commit)}/"


# --- Redshift ---------------------------------------------------------------------------------------------------------


def _redshift_manifest(entries: Sequence[FileEntry], location: str) -> dict[str, Any]:
    """Name the files with their sizes, which a COPY of Parquet needs; a lost file is no error unless ``mandatory``."""
    return {
        "entries": [
            {"url": f"{location}/{entry.path}", "mandatory": True, "meta": {"content_length": entry.size_bytes}}
            for entry in entries
        ]
    }


def _redshift_partitions(commit: Manifest, location: str) -> Iterator[str]:
    """Add the day to the external tables of ``schema --ddl``, which no transaction may do."""
    dialect = DIALECTS["redshift"]
    for table in _with_folder(commit):
        folder = dialect.literal(_folder(table, commit, location))
        yield (
            f"ALTER TABLE {dialect.quote(FILES, table.name)}\n"
            f"ADD IF NOT EXISTS PARTITION ({PARTITION} = '{_day(commit)}') LOCATION {folder}"
        )


def _redshift_copy(commit: Manifest, tables: Mapping[Table, Sequence[FileEntry]], manifests: str) -> Iterator[str]:
    dialect = DIALECTS["redshift"]
    yield from _create(dialect, tables)
    yield "BEGIN"
    for table in tables:
        yield _delete(dialect, table, commit)
        name, manifest = (
            dialect.quote(COPIED, table.name),
            dialect.literal(f"{manifests}/redshift-{table.name}.manifest"),
        )
        yield f"COPY {name}\nFROM {manifest}\nIAM_ROLE default\nFORMAT AS PARQUET\nMANIFEST"
    yield "COMMIT"


# --- Glue and Spark: the partitions of the tables of ``schema --ddl`` -------------------------------------------------


def _glue(table: Table, commit: Manifest, location: str) -> dict[str, Any]:
    """Write the input of BatchCreatePartition."""
    types = DIALECTS["spark"]
    columns = [
        {"Name": column.name, "Type": types.type_name(column.type).lower(), "Comment": column.meaning[:255]}
        for column in table.columns
    ]
    storage = {
        "Columns": columns,
        "Location": _folder(table, commit, location),
        "InputFormat": f"{_GLUE}.MapredParquetInputFormat",
        "OutputFormat": f"{_GLUE}.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": f"{_GLUE}.serde.ParquetHiveSerDe"},
    }
    return {
        "DatabaseName": FILES,
        "TableName": table.name,
        "PartitionInputList": [{"Values": [_day(commit)], "StorageDescriptor": storage}],
    }


def _spark(commit: Manifest, location: str) -> Iterator[str]:
    dialect = DIALECTS["spark"]
    for table in _with_folder(commit):
        folder = dialect.literal(_folder(table, commit, location))
        yield (
            f"ALTER TABLE {dialect.quote(FILES, table.name)}\n"
            f"ADD IF NOT EXISTS PARTITION ({dialect.quote(PARTITION)} = DATE '{_day(commit)}') LOCATION {folder}"
        )


# --- BigQuery ---------------------------------------------------------------------------------------------------------


def _bigquery(table: Table, commit: Manifest, entries: Sequence[FileEntry], location: str) -> dict[str, Any]:
    """Write a load job, whose id is the same each time."""
    dialect = DIALECTS["bigquery"]
    fields = [
        {"name": column.name, "type": dialect.type_name(column.type), "mode": "NULLABLE", "description": column.meaning}
        for column in table.columns
    ]
    return {
        "jobReference": {"projectId": PROJECT, "jobId": f"lexport_{commit.snapshot_id}_{table.name}"},
        "configuration": {
            "load": {
                "sourceUris": [f"{location}/{entry.path}" for entry in entries],
                "sourceFormat": "PARQUET",
                "destinationTable": {"projectId": PROJECT, "datasetId": COPIED, "tableId": table.name},
                "schema": {"fields": fields},
                "schemaUpdateOptions": ["ALLOW_FIELD_ADDITION"],
                "createDisposition": "CREATE_IF_NEEDED",
                "writeDisposition": "WRITE_APPEND",
            }
        },
    }


# --- Snowflake --------------------------------------------------------------------------------------------------------


def _snowflake(commit: Manifest, tables: Mapping[Table, Sequence[FileEntry]]) -> Iterator[str]:
    """Copy from the stage of ``schema --ddl``. Instants of the files are in UTC, and so has the session to be."""
    dialect = DIALECTS["snowflake"]
    yield from _create(dialect, tables)
    yield "ALTER SESSION SET TIMEZONE = 'UTC'"
    yield "BEGIN"
    for table, entries in tables.items():
        yield _delete(dialect, table, commit)
        for start in range(0, len(entries), _MOST_FILES):
            paths = [entry.path.removeprefix(f"{table.name}/") for entry in entries[start : start + _MOST_FILES]]
            names = ",\n  ".join(dialect.literal(path) for path in paths)
            yield (
                f"COPY INTO {dialect.quote(COPIED, table.name)}\nFROM @{STAGE}/{table.name}/\nFILES = (\n  {names}\n)\n"
                "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)\n"
                "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE\nON_ERROR = ABORT_STATEMENT\nFORCE = TRUE"
            )
    yield "COMMIT"


# --- common -----------------------------------------------------------------------------------------------------------


def _create(dialect: Dialect, tables: Mapping[Table, Sequence[FileEntry]]) -> Iterator[str]:
    """Create the tables with the columns of the files in their order: Redshift goes by position."""
    yield dialect.create_schema(COPIED)
    for table in tables:
        lines = [f"  {dialect.define(column)}" for column in table.columns]
        yield f"CREATE TABLE IF NOT EXISTS {dialect.quote(COPIED, table.name)} (\n" + ",\n".join(lines) + "\n)"


def _delete(dialect: Dialect, table: Table, commit: Manifest) -> str:
    name = dialect.quote(COPIED, table.name)
    return f"DELETE FROM {name} WHERE {dialect.quote('snapshot_id')} = '{commit.snapshot_id}'"


def _description(commit: Manifest, tables: Mapping[Table, Sequence[FileEntry]], location: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "snapshot_id": commit.snapshot_id,
        "snapshot_at": commit.snapshot_at.isoformat(),
        "status": commit.status,
        "location": location,
        "tables": [
            {
                "table": table.name,
                "files": [f"{location}/{entry.path}" for entry in entries],
                "rows": sum(entry.rows for entry in entries),
            }
            for table, entries in tables.items()
        ],
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"
