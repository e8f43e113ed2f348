"""Publish the committed files of a dataset as the tables of a DuckLake, through DuckDB's extension. Blocking.

All tables are brought up to date in one transaction: it is there whole or not at all. What is missing is found out by
what the tables hold, as for Iceberg. DuckLake would repeat a transaction after that of another writer, although that
one may have added the same files; so this is switched off, and the tables are looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from lexport.dataset.address import parse_address
from lexport.dataset.commit import snapshot_row
from lexport.dataset.store import Store
from lexport.errors import CredentialsError, LexportError, PublishError, RunError, SettingsError
from lexport.model import is_ulid
from lexport.query.catalog import location, open_catalog
from lexport.query.passwords import refuse_password
from lexport.query.publish.plan import CommitFiles, Held, PublishedFile, id_in_path, publication_order
from lexport.query.publish.result import PublishedTable, PublishResult
from lexport.query.publish.s3 import s3_access
from lexport.query.publish.source import ATTEMPTS, Source, add_up, damaged, private_files, publish_from, wait_before
from lexport.query.sql_text import escape_glob, is_locked, one_line, quote_name, quote_text
from lexport.settings import Destination
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table
from lexport.tables.types import DUCKDB_TYPES

OPTION = "--catalog"
_LAKE = "lake"
_MARK = " Published by lexport."
"""What the comment of a published table ends with; a table without it is not lexport's."""
_SERVER = re.compile(r"(postgres|mysql|sqlite):")


def publish_ducklake(dest: Destination, *, catalog: str, namespace: str, is_dry_run: bool = False) -> PublishResult:
    """Publish every table of a dataset into a schema of a DuckLake.

    ``catalog`` is what follows ``ducklake:`` in ATTACH. Raises SettingsError where a table of that name is not
    lexport's, PublishError where other writers were faster each time or hold the file, ReadError and RunError.
    """
    catalog = catalog.removeprefix("ducklake:")
    _check_catalog(catalog)
    dataset = open_catalog(dest)
    if is_dry_run and not _SERVER.match(catalog) and not Path(catalog).exists():
        return publish_from(dataset, lambda source: _Publication(None, namespace, source, "").run(is_dry_run=True))
    with _errors(catalog), private_files(dataset), duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _load(connection, "ducklake")
        root = _open_files(connection, dest, dataset.store)
        connection.execute("SET ducklake_max_retry_count = 0")
        more = " (READ_ONLY)" if is_dry_run else ""
        connection.execute(f"ATTACH {quote_text(f'ducklake:{catalog}')} AS {_LAKE}{more}")
        return publish_from(
            dataset, lambda source: _Publication(connection, namespace, source, root).run(is_dry_run=is_dry_run)
        )


def _check_catalog(catalog: str) -> None:
    refuse_password(
        catalog, option=OPTION, instead="it comes from PGPASSWORD, PGPASSFILE or the server's own file of options"
    )
    if not catalog:
        raise SettingsError(f"{OPTION} is empty; name a file like metadata.ducklake", option=OPTION)
    if not _SERVER.match(catalog):
        path = Path(catalog).absolute()
        if path.is_dir() or not path.parent.is_dir():
            what = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
            raise SettingsError(f"{OPTION} {catalog}: {what}; name a file like metadata.ducklake", option=OPTION)


def _load(connection: duckdb.DuckDBPyConnection, extension: str) -> None:
    """Load an extension of DuckDB; it is downloaded where it is not installed."""
    try:
        connection.load_extension(extension)
    except duckdb.Error:
        try:
            connection.install_extension(extension)
            connection.load_extension(extension)
        except duckdb.Error as error:
            found = connection.execute("SELECT library_version FROM pragma_version()").fetchone()
            version, platform = str((found or ("?",))[0]), str(connection.execute("PRAGMA platform").fetchall()[0][0])
            raise RunError(
                f"DuckDB {version} could not download its extension {extension}: {one_line(error)}; where this machine"
                f" cannot reach extensions.duckdb.org, put {extension}.duckdb_extension of this version into"
                f" ~/.duckdb/extensions/{version}/{platform}"
            ) from error


def _open_files(connection: duckdb.DuckDBPyConnection, dest: Destination, store: Store) -> str:
    """Let DuckDB read the files of the destination; return the path or URL before their paths."""
    address = parse_address(dest)
    if address is None:
        return location(store)
    if address.scheme != "s3":
        raise SettingsError(f"DEST {address.url}: only a folder and s3:// can be published to DuckLake", option="DEST")
    access = s3_access(address, dest)
    _load(connection, "httpfs")
    values = {
        "KEY_ID": access.key_id,
        "SECRET": access.secret,
        "SESSION_TOKEN": access.token or "",
        "REGION": access.region,
        "ENDPOINT": access.host,
        "URL_STYLE": "vhost" if access.is_virtual else "path",
        "SCOPE": f"s3://{address.bucket}",
    }
    named = ", ".join(f"{name} {quote_text(value)}" for name, value in values.items() if value)
    connection.execute(f"CREATE SECRET (TYPE s3, {named}, USE_SSL {str(access.scheme == 'https').lower()})")
    return address.url


class _Publication:
    """One publication. ``connection`` is None where the DuckLake does not exist yet and is not to be made."""

    def __init__(self, connection: duckdb.DuckDBPyConnection | None, namespace: str, source: Source, root: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._source = source
        self._root = root

    def run(self, *, is_dry_run: bool) -> PublishResult:
        """Publish every table in one transaction."""
        for attempt in range(ATTEMPTS):
            if attempt:
                wait_before(attempt)
            self._run("BEGIN TRANSACTION")
            try:
                tables = self._planned() if is_dry_run else self._publish()
                self._run("ROLLBACK" if is_dry_run else "COMMIT")
            except duckdb.TransactionException as error:
                failure = error
                self._end()
            except BaseException:
                self._end()
                raise
            else:
                return PublishResult(is_dry_run=is_dry_run, tables=tables, notes=self._source.notes())
        raise PublishError(
            f"the DuckLake was changed by another writer in each of {ATTEMPTS} attempts ({one_line(failure)}); run it"
            " again",
            destination=self._namespace,
        ) from failure

    def _end(self) -> None:
        try:
            self._run("ROLLBACK")
        except duckdb.Error:  # a COMMIT that failed has ended it
            return

    def _run(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return [] if self._connection is None else self._connection.execute(statement, [*values]).fetchall()

    def _name(self, table: Table) -> str:
        return ".".join((_LAKE, quote_name(self._namespace), quote_name(table.name)))

    def _present(self) -> set[str]:
        """Return the names of the tables; raises SettingsError where one is not lexport's."""
        query = f"SELECT table_name, comment FROM duckdb_tables() WHERE database_name = '{_LAKE}' AND schema_name = ?"  # noqa: S608
        found = dict(self._run(query, [self._namespace]))
        for table in publication_order():
            if table.name in found and not (found[table.name] or "").endswith(_MARK):
                raise SettingsError(
                    f"the table {self._namespace}.{table.name} of the DuckLake is not lexport's (its comment does not"
                    f" end with {_MARK.strip()!r}); publish into another --namespace",
                    option="--namespace",
                )
        return set(found)

    def _planned(self) -> tuple[PublishedTable, ...]:
        """Return what would be done."""
        present, planned = self._present(), []
        for table in publication_order():
            is_new = table.name not in present
            plan = self._source.plan(table, Held() if is_new else self._held(table))
            result = add_up(PublishedTable(table=table.name, is_new=is_new), plan)
            rows = None if plan.delete else result.rows_added + (0 if is_new else self._count(table))
            planned.append(replace(result, rows=rows))
        return tuple(planned)

    def _publish(self) -> tuple[PublishedTable, ...]:
        self._run(f"CREATE SCHEMA IF NOT EXISTS {_LAKE}.{quote_name(self._namespace)}")
        present, columns, done = self._present(), self._columns(), []
        for table in publication_order():
            self._bring_up_to_date(table, columns.get(table.name))
            plan = self._source.plan(table, self._held(table))
            add = plan.add
            if plan.delete and self._delete(table, plan.delete):
                add = self._source.plan(table, Held()).add
            if table is SNAPSHOTS:
                self._insert(add)
            for commit in add:
                for file in commit.files:
                    self._add(table, commit.snapshot_id, file)
            result = add_up(PublishedTable(table=table.name, is_new=table.name not in present), plan)
            done.append(replace(result, rows=self._count(table)))
        return tuple(done)

    def _columns(self) -> dict[str, dict[str, str]]:
        """Return the comment of each column of each table."""
        where = f"WHERE database_name = '{_LAKE}' AND schema_name = ?"
        query = f"SELECT table_name, column_name, comment FROM duckdb_columns() {where}"  # noqa: S608
        columns: dict[str, dict[str, str]] = {}
        for table, column, comment in self._run(query, [self._namespace]):
            columns.setdefault(table, {})[column] = comment or ""
        return columns

    def _bring_up_to_date(self, table: Table, present: dict[str, str] | None) -> None:
        """Create the table, or rename and add columns; then write the comments that differ."""
        name = self._name(table)
        if present is None:
            declared = ", ".join(f"{quote_name(column.name)} {DUCKDB_TYPES[column.type]}" for column in table.columns)
            self._run(f"CREATE TABLE {name} ({declared})")
            self._run(f"COMMENT ON TABLE {name} IS {quote_text(table.meaning + _MARK)}")
            present = {column.name: "" for column in table.columns}
        for former, current in table.renames().items():
            if former in present and current not in present:
                self._rename(table, former, current)
                present = {current if each == former else each: comment for each, comment in present.items()}
        for column in table.columns:
            if column.name not in present:
                self._run(f"ALTER TABLE {name} ADD COLUMN {quote_name(column.name)} {DUCKDB_TYPES[column.type]}")
            if present.get(column.name) != column.meaning:
                meaning = quote_text(column.meaning)
                self._run(f"COMMENT ON COLUMN {name}.{quote_name(column.name)} IS {meaning}")

    def _rename(self, table: Table, before: str, after: str) -> None:
        self._run(f"ALTER TABLE {self._name(table)} RENAME COLUMN {quote_name(before)} TO {quote_name(after)}")

    def _held(self, table: Table) -> Held:
        """Return the commits that a table has rows of; one that was compacted or written to is asked for its rows."""
        held = Held()
        files = self._files(table)
        for path in files:
            found = id_in_path(path)
            if found is not None:
                held.add(found, is_here=path.startswith(f"{self._root}/"))
        if table is SNAPSHOTS or not all(map(id_in_path, files)):
            for (found,) in self._run(f"SELECT DISTINCT snapshot_id FROM {self._name(table)}"):  # noqa: S608
                if isinstance(found, str) and is_ulid(found):
                    held.add(found, is_here=False)
        return held

    def _files(self, table: Table) -> list[str]:
        query = f"SELECT data_file FROM ducklake_list_files('{_LAKE}', ?, schema => ?)"  # noqa: S608
        return [str(path) for (path,) in self._run(query, [table.name, self._namespace])]

    def _delete(self, table: Table, snapshot_ids: Sequence[str]) -> bool:
        """Delete the rows of commits; return whether the table was made anew, so that all files have to be added again.

        DuckLake reads a file to delete its rows. Where one is gone, because a prune came long before, it cannot.
        """
        name, files, begin = self._name(table), self._files(table), f"{self._root}/"
        if any(
            id_in_path(path) in snapshot_ids and self._source.lacks_file(path.removeprefix(begin))
            for path in files
            if path.startswith(begin)
        ):
            others = [path for path in files if not path.startswith(begin)]
            if others:
                raise RunError(
                    f"{self._namespace}.{table.name} names files of pruned snapshots that are gone, and {others[0]},"
                    " which is not of this dataset; drop the table, and publish again"
                )
            self._run(f"DROP TABLE {name}")
            self._bring_up_to_date(table, None)
            return True
        self._run(f"DELETE FROM {name} WHERE snapshot_id IN ({', '.join(map(quote_text, snapshot_ids))})")  # noqa: S608
        return False

    def _insert(self, commits: Sequence[CommitFiles]) -> None:
        """Insert rows of ``snapshots``."""
        if commits and self._connection is not None:
            rows = pa.concat_tables([snapshot_row(each.commit) for each in commits])
            self._connection.register("lexport_rows", rows)
            self._run(f"INSERT INTO {self._name(SNAPSHOTS)} BY NAME SELECT * FROM lexport_rows")  # noqa: S608
            self._connection.unregister("lexport_rows")

    def _add(self, table: Table, snapshot_id: str, file: PublishedFile) -> None:
        path = f"{self._root}/{file.path}"
        pattern = escape_glob(path)
        former = self._check(table, snapshot_id, file, pattern, path)
        # A file is mapped by the names that the columns have when it is added.
        for name, current in former.items():
            self._rename(table, current, name)
        self._run(
            f"CALL ducklake_add_data_files('{_LAKE}', ?, ?, schema => ?, allow_missing => true,"
            " hive_partitioning => false)",
            [table.name, pattern, self._namespace],
        )
        for name, current in former.items():
            self._rename(table, name, current)

    def _check(self, table: Table, snapshot_id: str, file: PublishedFile, pattern: str, path: str) -> dict[str, str]:
        """Compare the footer of a file with the manifest; return the former names that its columns have."""
        query = (
            "SELECT sum(row_group_num_rows) FILTER (path_in_schema = 'snapshot_id'),"
            " min(stats_min_value) FILTER (path_in_schema = 'snapshot_id'),"
            " max(stats_max_value) FILTER (path_in_schema = 'snapshot_id'),"
            " list(DISTINCT path_in_schema) FROM parquet_metadata(?)"
        )
        try:
            ((rows, lowest, highest, names),) = self._run(query, [pattern])
        except duckdb.Error as error:
            raise damaged(table, snapshot_id, path, one_line(error)) from error
        if (lowest, highest) != (snapshot_id, snapshot_id):
            raise damaged(table, snapshot_id, path, "its rows are of another snapshot")
        if file.rows != rows:
            raise damaged(table, snapshot_id, path, f"it has {rows:,} rows, the manifest says {file.rows:,}")
        renames = table.renames()
        unknown = sorted(set(names) - {*table.names(), *renames})
        if unknown:
            raise RunError(
                f"{path} has the column {unknown[0]}, which this release of lexport has not; upgrade lexport"
            )
        return {former: name for former, name in renames.items() if former in names}

    def _count(self, table: Table) -> int:
        return int(self._run(f"SELECT count(*) FROM {self._name(table)}")[0][0])  # noqa: S608


@contextmanager
def _errors(catalog: str) -> Iterator[None]:
    """Raise one line for an error of DuckDB."""
    try:
        yield
    except LexportError:
        raise
    except duckdb.Error as error:
        line = one_line(error)
        if is_locked(error):
            raise PublishError(
                f"{catalog} is in use by another process, and DuckDB lets one alone write; close it and run it again",
                destination=catalog,
            ) from error
        if "HTTP 403" in line or "HTTP 401" in line:
            raise CredentialsError(f"the files of the DuckLake {catalog} may not be read: {line}") from error
        raise RunError(f"the DuckLake {catalog} failed: {line}") from error
