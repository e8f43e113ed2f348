"""Load feeds into PostgreSQL by COPY, with psycopg (the extra ``lexport[postgres]``). Blocking.

libpq finds the password: PGPASSWORD, PGPASSFILE, ``~/.pgpass``, or a service file. ``apply_feed`` refuses
a URL with one.
"""

# ruff: noqa: S608 - the names in SQL are those of declared tables

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from lexport.errors import CredentialsError, ReadError, RunError, SettingsError
from lexport.query.warehouse.apply import PASSWORD_GOES, Loaded, check_load
from lexport.query.warehouse.dialects import SCHEMA, TABLES
from lexport.query.warehouse.existing import (
    MENDED,
    Existing,
    check_own,
    check_rows,
    missing_statements,
    view_statements,
)
from lexport.query.warehouse.load import (
    LOCK,
    SCOPES,
    Load,
    insert_scopes,
    load_statements,
    staged,
    staged_columns,
)
from lexport.query.warehouse.native_tables import LOADS, NATIVE_DIALECTS, listed
from lexport.query.warehouse.native_views import NATIVE_SCHEMAS
from lexport.tables.text import plural

if TYPE_CHECKING:
    import psycopg

    from lexport.query.feed import WriteMode

_DIALECT = NATIVE_DIALECTS["postgres"]
_ROWS_AT_ONCE = 8_192
_CONNECT_TIMEOUT_S = 30
_OLDEST = 140_000  # its hash of a whole key is what rows are found by
_RIGHTS = "the first load needs GRANT CREATE ON DATABASE for its user, who owns the tables and makes the later loads"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@contextmanager
def open_postgres(url: str) -> Iterator[PostgresWarehouse]:
    """Connect to a database.

    Raises SettingsError for a URL that is none, or if psycopg is not installed; CredentialsError
    where the server refuses the user or what the load needs; RunError where it cannot be reached, or fails.
    """
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict, make_conninfo
    except ImportError as error:
        raise SettingsError(
            "--apply postgres needs psycopg, which is not installed: pip install 'lexport[postgres]'", option="--apply"
        ) from error
    try:
        options = conninfo_to_dict(url)
    except psycopg.Error:
        options = None
    if options is None or not ("=" in url or re.match(r"postgres(ql)?://", url)):
        raise SettingsError(
            "--to is no PostgreSQL URL; expected postgresql://USER@HOST:PORT/DATABASE, or service=NAME", option="--to"
        )
    defaults = {"application_name": "lexport", "connect_timeout": str(_CONNECT_TIMEOUT_S), "client_encoding": "utf8"}
    try:
        with psycopg.connect(make_conninfo(url, **_absent(defaults, options)), autocommit=True) as connection:
            info = connection.info
            name = f"{info.dbname} on {info.host or 'localhost'}"
            if info.server_version < _OLDEST:
                raise SettingsError(f"{name} is PostgreSQL {info.server_version // 10_000}; 14 or newer is needed")
            yield PostgresWarehouse(connection, name)
    except psycopg.Error as error:
        refusal = _refusal(error)
    else:
        return
    raise refusal


def _absent(defaults: dict[str, str], options: Mapping[str, object]) -> dict[str, str]:
    return {name: value for name, value in defaults.items() if name not in options}


def _refusal(error: psycopg.Error) -> RunError:
    """Return our error for one of psycopg, in one line. Raise it outside the handler: theirs may quote values."""
    import psycopg

    state = error.sqlstate or ""
    line = " ".join((error.diag.message_primary or str(error)).split()) or type(error).__name__
    if isinstance(error, psycopg.OperationalError | psycopg.ProgrammingError) and not state:
        return _connection_refusal(line)
    if state == "42501":  # insufficient_privilege
        return CredentialsError(f"PostgreSQL refuses the load: {line}; nothing was changed; {_RIGHTS}")
    place = ".".join(name for name in (error.diag.schema_name, error.diag.table_name) if name)
    where = f" in {place}" if place else ""
    return RunError(f"PostgreSQL failed ({state or type(error).__name__}){where}: {line}; nothing was changed")


def _connection_refusal(line: str) -> RunError:
    line = line.removeprefix("connection failed: ").removeprefix("connection is bad: ")
    if re.search(r"authentication failed|no password supplied|role .* does not exist|no pg_hba.conf entry", line):
        told = f"PostgreSQL refuses the connection: {line}"
        is_password = re.search(r"password|(LDAP|PAM|RADIUS|BSD) authentication", line)
        return CredentialsError(f"{told}; a password goes into {PASSWORD_GOES}" if is_password else told)
    if re.search(r'database ".*" does not exist', line):
        return SettingsError(f"--to: {line}; create it first", option="--to")
    if re.search(_WRONG_OPTION, line):
        return SettingsError(f"--to: {line}", option="--to")
    return RunError(f"the connection to PostgreSQL failed: {line}; nothing was changed")


_WRONG_OPTION = (
    r"definition of service|service file|^(missing|invalid|bad) .*(value|option|port number)|could not (match|parse) "
)
"""What libpq and psycopg say of options, those of a service file included, before they connect."""


class PostgresWarehouse:
    """A connection to a database; see ``Warehouse``."""

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        self.name = name
        self._connection = connection

    def loaded(self, existing: Existing) -> Loaded | None:
        """Return what was loaded last."""
        if LOADS.name not in existing.columns:
            return None
        loads = _DIALECT.quote(TABLES, LOADS.name)
        row = self._connection.execute(
            f"SELECT next_since, write_mode, (SELECT MAX(schema_version::INT)::TEXT FROM {loads})"
            f" FROM {loads} ORDER BY loaded_at DESC, next_since DESC LIMIT 1"
        ).fetchone()
        return None if row is None else Loaded(next_since=row[0], write_mode=row[1], schema_version=row[2])

    def load(self, folder: Path, load: Load) -> list[str]:
        """Load a feed in one transaction, under a lock; return sentences for the user."""
        notes: list[str] = []
        with self._alone():
            existing = self.existing()
            check_load(existing, self.loaded(existing), load, self.name)
            for statement in missing_statements(existing, load.write_mode, _DIALECT):
                self._run(statement)
            replaced = self._stage(folder, load)
            for statement in load_statements(load, _DIALECT):
                self._run(statement)
            if not existing.has_views(load.write_mode, _DIALECT):
                notes += self._create_views(load.write_mode, existing)
        if replaced:
            notes.append(f"PostgreSQL keeps no U+0000 in texts: it is U+FFFD in {plural(replaced, 'value')}")
        return notes

    def mend(self, write_mode: WriteMode) -> list[str]:
        """Create what is missing or of another version, beside rows."""
        if self.existing().is_complete(write_mode, _DIALECT):
            return []
        with self._alone():
            existing = self.existing()
            check_rows(existing, write_mode, (), self.name)
            for statement in missing_statements(existing, write_mode, _DIALECT):
                self._run(statement)
            return [MENDED, *self._create_views(write_mode, existing)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Open a transaction in which no other load runs."""
        from psycopg import IsolationLevel

        self._connection.isolation_level = IsolationLevel.READ_COMMITTED  # what comes after the lock sees other loads
        with self._connection.transaction():
            self._run(f"SELECT pg_advisory_xact_lock({LOCK})")
            yield

    def _run(self, statement: str) -> None:
        self._connection.execute(statement)

    def existing(self) -> Existing:
        """Return what is there."""
        schemas = self._connection.execute("SELECT nspname FROM pg_catalog.pg_namespace").fetchall()
        kinds = self._connection.execute(
            "SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN"
            " 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'i' THEN 'index' WHEN 'S'"
            " THEN 'sequence' ELSE 'relation of another kind' END"
            " FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname = ANY(%s)",
            [[*NATIVE_SCHEMAS]],
        ).fetchall()
        columns = self._connection.execute(
            "SELECT c.relname, a.attname FROM pg_catalog.pg_attribute AS a"
            " JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid"
            " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped",
            [TABLES],
        ).fetchall()
        comment = self._connection.execute(
            "SELECT obj_description(to_regclass(%s), 'pg_class')", [f"{SCHEMA}.latest_scopes"]
        ).fetchone()
        existing = Existing.of((name for (name,) in schemas), kinds, columns, comment[0] if comment else None)
        check_own(existing, self.name)
        return existing

    # --- the rows of a feed -------------------------------------------------------------------------------------------

    def _stage(self, folder: Path, load: Load) -> int:
        """Copy the files of a feed into temporary tables; return in how many values U+0000 was replaced."""
        replaced = 0
        for name in load.staged():
            self._create_staging(name)
            path = folder / f"{name}.parquet"
            try:
                with pq.ParquetFile(path) as file:
                    replaced += self._copy(staged(_DIALECT, name), file)
            except (OSError, pa.ArrowException) as error:
                raise ReadError(f"cannot read {path}: {str(error).splitlines()[0]}", path=str(path)) from error
            self._run(f"ANALYZE {staged(_DIALECT, name)}")  # nobody else does it for a temporary table
        self._create_staging(SCOPES)
        for statement in insert_scopes(load, _DIALECT):
            self._run(statement)
        return replaced

    def _create_staging(self, name: str) -> None:
        columns = ", ".join(map(_DIALECT.define, staged_columns(name)))
        self._run(f"CREATE TEMPORARY TABLE {staged(_DIALECT, name)} ({columns}) ON COMMIT DROP")

    def _copy(self, table: str, file: pq.ParquetFile) -> int:
        replaced = 0
        columns = listed(_DIALECT, file.schema_arrow.names)
        statement = f"COPY {table} ({columns}) FROM STDIN (FORMAT csv, ENCODING 'UTF8')"
        with self._connection.cursor().copy(statement) as copy:
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                text = _csv(batch)
                if b"\0" in text:
                    cleaned, count = _without_nul(batch)
                    replaced += count
                    text = _csv(cleaned)
                copy.write(text)
        return replaced

    # --- the views ----------------------------------------------------------------------------------------------------

    def _create_views(self, mode: WriteMode, existing: Existing) -> list[str]:
        """Create the views, or replace them; where PostgreSQL cannot replace one, all of lexport are dropped first."""
        import psycopg

        statements = list(view_statements(mode, _DIALECT))
        try:
            with self._connection.transaction():
                for statement in statements:
                    self._run(statement)
        except psycopg.errors.InvalidTableDefinition:  # a column has come, which may stand at the end alone
            self._drop_views(existing)
            for statement in statements:
                self._run(statement)
            return ["the views were created anew, for they have new columns: grant again what was granted on them"]
        return []

    def _drop_views(self, existing: Existing) -> None:
        import psycopg

        names = [_DIALECT.quote(*name) for name in existing.views()]
        try:
            self._run(f"DROP VIEW {', '.join(names)}")
        except psycopg.errors.DependentObjectsStillExist as error:
            what = " ".join((error.diag.message_detail or "").split())
            raise RunError(
                f"{self.name}: the views have new columns, so they must be dropped and created again, but others depend"
                f" on them; drop those and run again: {what}"
            ) from error


def _csv(batch: pa.RecordBatch) -> bytes:
    """Write rows as COPY reads them: texts in quotes, NULL as nothing."""
    text = io.BytesIO()
    pa_csv.write_csv(batch, text, pa_csv.WriteOptions(include_header=False))
    return text.getvalue()


def _without_nul(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
    """Replace U+0000 in all texts; return in how many."""
    columns, count = [], 0
    for column in batch.columns:
        if column.type == pa.string():
            has_nul = pc.match_substring(column, "\0")
            count += pc.sum(has_nul).as_py() or 0
            columns.append(pc.replace_substring(column, "\0", _REPLACEMENT))
        else:
            columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema), count
