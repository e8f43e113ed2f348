"""Load feeds into a DuckDB database file. Blocking."""

# ruff: noqa: S608 - the names in SQL are those of declared tables

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from lexport.errors import RunError, SettingsError
from lexport.query.sql_text import escape_glob, is_locked, one_line, quote_text
from lexport.query.warehouse.apply import Loaded, check_load
from lexport.query.warehouse.dialects import SCHEMA, TABLES
from lexport.query.warehouse.existing import (
    MENDED,
    Existing,
    check_own,
    check_rows,
    missing_statements,
    view_statements,
)
from lexport.query.warehouse.load import SCOPES, Load, insert_scopes, load_statements, staged, staged_columns
from lexport.query.warehouse.native_tables import LOADS, NATIVE_DIALECTS

if TYPE_CHECKING:
    from lexport.query.feed import WriteMode

_DIALECT = NATIVE_DIALECTS["duckdb"]


@contextmanager
def open_duckdb(path: str) -> Iterator[DuckDBWarehouse]:
    """Open a database file, or create it. Raises SettingsError where it cannot be one, RunError where it is in use."""
    file = Path(path)
    if "://" in path or path.startswith(("md:", ":")) or not path:
        raise SettingsError(f"--to {path}: the path of a DuckDB file is wanted", option="--to")
    if file.is_dir() or not file.absolute().parent.is_dir():
        what = "is a folder" if file.is_dir() else "is in a folder that does not exist"
        raise SettingsError(f"--to {path} {what}; the path of a DuckDB file is wanted", option="--to")
    is_new = not file.exists()
    try:
        connection = duckdb.connect(path)
    except duckdb.Error as error:
        raise RunError(_reason(error, path, "cannot open")) from error
    try:
        if is_new:
            file.chmod(0o600)  # rows can be secrets, such as values of the environment; there are none yet
        connection.execute("SET TimeZone = 'UTC'")
        yield DuckDBWarehouse(connection, path)
    except duckdb.Error as error:
        raise RunError(_reason(error, path, "cannot load")) from error
    finally:
        connection.close()
        if is_new and file.exists() and not _has_tables(path):
            for left in (file, _log(file)):  # the first load failed
                left.unlink(missing_ok=True)


def _create_log(file: Path) -> None:
    """Create the write-ahead log of an open file, so that nobody can read it who cannot read the file.

    DuckDB opens it when a transaction ends, and creates it for everybody.
    """
    with suppress(OSError):  # what is wrong with the folder, DuckDB says
        descriptor = os.open(_log(file), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, file.stat().st_mode & 0o777)
        finally:
            os.close(descriptor)


def _remove_empty_log(file: Path) -> None:
    with suppress(OSError):
        if not _log(file).stat().st_size:
            _log(file).unlink()


def _log(file: Path) -> Path:
    return file.with_name(f"{file.name}.wal")


def _reason(error: duckdb.Error, path: str, what: str) -> str:
    if is_locked(error):
        return f"{path} is in use by another process, and DuckDB lets one alone write; close it and run again"
    return f"{what} {path}: {one_line(error)}"


def _has_tables(path: str) -> bool:
    try:
        with duckdb.connect(path, read_only=True) as connection:
            return bool(connection.execute("SELECT 1 FROM duckdb_tables() LIMIT 1").fetchall())
    except duckdb.Error:
        return True


class DuckDBWarehouse:
    """A connection to a database file; see ``Warehouse``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: str) -> None:
        self.name = path
        self._connection = connection

    def loaded(self, existing: Existing) -> Loaded | None:
        """Return what was loaded last."""
        if LOADS.name not in existing.columns:
            return None
        row = self._connection.execute(
            f"SELECT next_since, write_mode, (SELECT max(try_cast(schema_version AS INT)) FROM {TABLES}.{LOADS.name})"
            f" FROM {TABLES}.{LOADS.name} ORDER BY loaded_at DESC, next_since DESC LIMIT 1"
        ).fetchone()
        return None if row is None else Loaded(next_since=row[0], write_mode=row[1], schema_version=str(row[2] or 0))

    def load(self, folder: Path, load: Load) -> list[str]:
        """Load a feed. The file is open in this process alone, so no other load comes between."""
        run = self._connection.execute
        with self.transaction():
            existing = self.existing()
            check_load(existing, self.loaded(existing), load, self.name)
            for statement in missing_statements(existing, load.write_mode, _DIALECT):
                run(statement)
            for statement in (*_stage(folder, load), *load_statements(load, _DIALECT)):
                run(statement)
            if not existing.has_views(load.write_mode, _DIALECT):
                for statement in view_statements(load.write_mode, _DIALECT):
                    run(statement)
        return []

    def mend(self, write_mode: WriteMode) -> list[str]:
        """Create what is missing or of another version, beside rows."""
        existing = self.existing()
        if existing.is_complete(write_mode, _DIALECT):
            return []
        with self.transaction():
            check_rows(existing, write_mode, (), self.name)
            for statement in missing_statements(existing, write_mode, _DIALECT):
                self._connection.execute(statement)
            for statement in view_statements(write_mode, _DIALECT):
                self._connection.execute(statement)
        return [MENDED]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction that is rolled back on an error."""
        run = self._connection.execute
        _create_log(Path(self.name))
        run("BEGIN TRANSACTION")
        try:
            yield
            run("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):  # a failed COMMIT has ended the transaction, and its error is the one to tell
                run("ROLLBACK")
            _remove_empty_log(Path(self.name))
            raise

    def existing(self) -> Existing:
        """Return what is there."""
        schemas = self._connection.execute(
            "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database()"
        ).fetchall()
        tables = self._connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()"
        ).fetchall()
        columns = self._connection.execute(
            "SELECT c.table_name, c.column_name FROM duckdb_columns() AS c"
            " SEMI JOIN duckdb_tables() AS t ON t.table_oid = c.table_oid AND t.database_name = c.database_name"
            " AND t.schema_name = c.schema_name AND t.table_name = c.table_name"
            " WHERE schema_name = ? AND NOT internal"
            " AND database_name = current_database() ORDER BY column_index",
            [TABLES],
        ).fetchall()
        views = self._connection.execute(
            "SELECT schema_name, view_name, comment FROM duckdb_views() WHERE database_name = current_database()"
        ).fetchall()
        comments = {(schema, name): comment for schema, name, comment in views}
        kinds = (*((*name, "table") for name in tables), *((*name, "view") for name in comments))
        comment = comments.get((SCHEMA, "latest_scopes"))
        existing = Existing.of((name for (name,) in schemas), kinds, columns, comment)
        check_own(existing, self.name)
        return existing


def _stage(folder: Path, load: Load) -> Iterator[str]:
    """Write the statements that show the files of a feed as tables."""
    for name in load.staged():
        path = quote_text(escape_glob(str(folder / f"{name}.parquet")))
        yield f"CREATE TEMPORARY VIEW {staged(_DIALECT, name)} AS SELECT * FROM read_parquet({path})"
    columns = ", ".join(map(_DIALECT.define, staged_columns(SCOPES)))
    yield f"CREATE TEMPORARY TABLE {staged(_DIALECT, SCOPES)} ({columns})"
    yield from insert_scopes(load, _DIALECT)
