"""Run one SELECT over a dataset and return Arrow. DuckDB runs in memory and can read the committed files alone."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import duckdb
import pyarrow as pa

from lexport.dataset.data_files import damage_text, has_values
from lexport.dataset.store import Store
from lexport.errors import LexportError, QueryError, RunError, ViewError
from lexport.query.catalog import DEFAULT_MAX_SKEW, Catalog, open_catalog
from lexport.query.dataset_tables import DatasetTables
from lexport.query.execute import Interruptible, Worker, connect, run_interruptibly
from lexport.query.parameters import ParameterValue, check_names, fill_parameters, hide_values
from lexport.query.query_result import QueryResult
from lexport.query.shipped_views import ShippedView, named_views, shipped_views, tables_read
from lexport.query.sql_text import LOSSY, cast_columns, cast_type, escape_glob, one_line, quote_name, quote_text
from lexport.tables.registry import BY_NAME
from lexport.tables.text import did_you_mean

_NAME = re.compile(r'\s*((?:(?P<space>main|snapshot|history)\.)?"?(?P<name>\w+)"?)\s*;?\s*', re.ASCII | re.IGNORECASE)
_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(?:ANALYZE\s+)?(?=\w)", re.IGNORECASE)
_WRITES_A_FILE = ("COPY", "EXPORT")
_DATA_FILE = re.compile(r"([a-z_]+)/snapshot_date=[0-9-]{10}/([0-9A-Z]{26})-[0-9]{4}\.parquet")
_FAILURES = (duckdb.Error, OSError, pa.ArrowException)
_BATCH_ROWS = 10_000  # about 20 MB of the widest table


OFTEN_READ = ("policy_grants", "function_exposure")
"""Views that many checks and questions of the report read, and that take long to plan and to compute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The rows of a query as a stream, the tables that it reads, and ``notes``: sentences about damaged files."""

    reader: pa.RecordBatchReader
    catalog: Catalog
    tables: frozenset[str]
    notes: tuple[str, ...] = ()

    def notices(self, *, max_skew: timedelta = DEFAULT_MAX_SKEW) -> tuple[str, ...]:
        """Return sentences about missing, old or damaged data in the tables that the query reads."""
        return (*self.catalog.notices(max_skew=max_skew, tables=self.tables), *self.notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySession:
    """A DuckDB connection that has the tables and views of one dataset and cannot read anything else.

    ``kept`` are views whose rows are kept once they were computed, where many queries of the session read them.
    """

    connection: duckdb.DuckDBPyConnection
    worker: Worker
    tables: DatasetTables
    views: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)

    @property
    def catalog(self) -> Catalog:
        """The commits that queries read."""
        return self.tables.catalog

    def read(
        self,
        query: str,
        *,
        casts: dict[str, str] = LOSSY,
        parameters: Mapping[str, ParameterValue] | None = None,
        is_ours: bool = False,
    ) -> pa.RecordBatchReader:
        """Run one SELECT and stream its rows; the next query ends the stream. Raises QueryError. Blocking.

        ``casts`` maps types to the types that replace them, as for ``cast_type``. ``parameters`` are the values of the
        query's ``$NAME``, which no error shows. A query that is ours comes with lexport and is known to write nothing.
        """
        values = parameters or {}
        statement = _one_select(self.connection, query, values)
        plan = _EXPLAIN.match(statement)
        if plan:
            statement = _one_select(self.connection, statement[plan.end() :], {})
        try:
            reader = self.worker.run(partial(self._open, statement, casts, plan[0] if plan else "", is_ours=is_ours))
        except _FAILURES as error:
            refusal = _refusal(error, self.catalog.store, values)
        else:
            return pa.RecordBatchReader.from_batches(reader.schema, self._batches(reader, values))
        raise refusal

    def parameters_of(self, query: str) -> set[str]:
        """Return the names of the parameters in a query; none if it has an error, which ``read`` reports."""
        try:
            statements = self.connection.extract_statements(query)
        except duckdb.Error:
            return set()
        return {str(name).lower() for statement in statements for name in statement.named_parameters}

    def _open(self, statement: str, casts: dict[str, str], plan: str, *, is_ours: bool) -> pa.RecordBatchReader:
        if self.tables.define(statement):
            self.views.clear()  # the tables below them were defined anew
        self._define_views(statement)
        # In DuckDB 2 a WITH can write (COPY, INSERT), and DuckDB still calls that a SELECT, but only at the top level.
        # A statement that binds as a subquery only reads. This binds it, which is half of the work of a small one.
        if not is_ours:
            self.connection.sql(f"FROM (\n{statement}\n)")
        if plan:
            return _lines_of_plan(self.connection.execute(plan + statement).fetchall())
        rows = self.connection.sql(statement)
        types = [cast_type(kind, casts) for kind in rows.types]
        if any(types):
            rows = self.connection.sql(cast_columns(statement, rows.columns, types))
        return rows.to_arrow_reader(_BATCH_ROWS)

    def _batches(self, reader: pa.RecordBatchReader, values: Mapping[str, ParameterValue]) -> Iterator[pa.RecordBatch]:
        while True:
            try:
                batch = self.worker.run(partial(next, reader, None))  # its end raises nothing: errors keep frames alive
            except _FAILURES as error:  # DuckDB fails on a later row
                refusal = _refusal(error, self.catalog.store, values)
                break
            if batch is None:
                return
            yield batch
        raise refusal

    def _define_views(self, statement: str) -> None:
        for view in named_views(shipped_views(), statement):
            if view.name not in self.views:
                if view.name in self.kept:
                    self.connection.execute(f"CREATE OR REPLACE TABLE main.{quote_name(view.name)} AS {view.query}")
                else:
                    create_view(self.connection, view)
                self.views.add(view.name)


def create_view(connection: duckdb.DuckDBPyConnection, view: ShippedView) -> None:
    """Create a shipped view. Raises ViewError if it does not fit the dataset."""
    try:
        connection.execute(f"CREATE OR REPLACE VIEW main.{quote_name(view.name)} AS {view.query}")
    except duckdb.Error as error:
        raise ViewError(
            f"{view.path.name} does not fit the dataset: {one_line(error)}", sql_file=view.path.name
        ) from error


async def sql(
    dest: str | os.PathLike[str],
    query: str,
    *,
    as_of: str | None = None,
    parameters: Mapping[str, ParameterValue] | None = None,
) -> QueryResult:
    """Run one SELECT over a dataset and return its rows, as an Arrow table that notebooks show.

    Plain table names show the latest rows of each account-region, ``snapshot.<table>`` the newest commit and
    ``history.<table>`` all commits. ``as_of``, a snapshot's id, a date or an instant, hides everything that was read
    later. ``parameters`` are the values of the query's ``$NAME``: texts, numbers, dates, times with a time zone, None,
    or lists of these. Raises QueryError if the query is not a SELECT, DuckDB rejects it, or a parameter has no value.
    Cancelled: DuckDB is interrupted.
    """

    def read(running: list[Interruptible]) -> QueryResult:
        with open_result(dest, query, as_of=as_of, running=running, parameters=parameters) as result:
            return QueryResult(result.reader.read_all())

    return await run_interruptibly(read)


@contextmanager
def open_result(
    dest: str | os.PathLike[str],
    query: str,
    *,
    as_of: str | None = None,
    running: list[Interruptible] | None = None,
    casts: dict[str, str] = LOSSY,
    parameters: Mapping[str, ParameterValue] | None = None,
) -> Iterator[Result]:
    """Run one SELECT over a dataset and stream Arrow batches, in bounded memory. Blocking.

    The connection and the store are appended to ``running``, if given, so that another thread can interrupt them.
    ``casts`` and ``parameters`` as for ``QuerySession.read``.
    """
    with _open_connection(running) as connection:
        _one_select(connection, query, parameters or {})  # a syntax error is reported before the dataset is opened
        with _open_dataset(connection, dest, as_of, running) as session:
            yield Result(
                reader=session.read(query, casts=casts, parameters=parameters),
                catalog=session.catalog,
                tables=frozenset(tables_read(query)),
                notes=tuple(session.tables.notes),
            )


@contextmanager
def open_query_session(
    dest: str | os.PathLike[str], *, as_of: str | None = None, running: list[Interruptible] | None = None
) -> Iterator[QuerySession]:
    """Open a dataset for any number of queries. Blocking; parameters as for ``open_result``."""
    with _open_connection(running) as connection, _open_dataset(connection, dest, as_of, running) as session:
        yield session


@contextmanager
def open_catalog_session(catalog: Catalog, *, running: list[Interruptible] | None = None) -> Iterator[QuerySession]:
    """Open those commits of a dataset that the catalog has, for any number of queries. Blocking."""
    with _open_connection(running) as connection, _open_tables(connection, catalog) as session:
        yield session


@contextmanager
def _open_connection(running: list[Interruptible] | None) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = connect(":memory:")
    try:
        if running is not None:
            running.append(connection)
        yield connection
    finally:
        with suppress(duckdb.Error):  # a query that no interrupt stops keeps the connection until the process ends
            connection.close()


@contextmanager
def _open_dataset(
    connection: duckdb.DuckDBPyConnection,
    dest: str | os.PathLike[str],
    as_of: str | None,
    running: list[Interruptible] | None,
) -> Iterator[QuerySession]:
    catalog = open_catalog(dest)
    if running is not None:
        running.append(catalog.store)
    if as_of is not None:
        catalog = catalog.as_of(as_of, option="--as-of")
    with _open_tables(connection, catalog) as session:
        yield session


@contextmanager
def _open_tables(connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> Iterator[QuerySession]:
    # DuckDB spills large sorts into this temporary folder instead of the working folder. The folder is created in the
    # other thread: a signal between its creation and the assignment here would leave it behind.
    worker = Worker(connection)

    def create() -> str:
        folder = tempfile.mkdtemp(prefix="lexport-sql-")
        removal.callback(weakref.finalize(worker, _remove_own, folder, os.getpid()))
        return folder

    with ExitStack() as removal:
        spill = worker.run(create)
        tables = worker.run(partial(DatasetTables, connection, catalog))
        worker.run(partial(_lock, connection, catalog, spill))
        yield QuerySession(connection=connection, worker=worker, tables=tables)


def _remove_own(folder: str, process: int) -> None:
    """Remove a folder of this process; one that was forked from its process leaves it, however it ends."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def is_name(text: str) -> bool:
    """Return whether a query is just the name of a table or view."""
    return _expand_name(text) != text


def _one_select(connection: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, ParameterValue]) -> str:
    check_names(values)
    statements = _statements(connection, query, values)
    if len(statements) != 1:
        raise QueryError(f"expected one SELECT statement, got {len(statements)}")
    text, kind = _without_semicolon(fill_parameters(statements[0], values)), statements[0].type
    is_plan = kind == duckdb.StatementType.EXPLAIN and _EXPLAIN.match(text) is not None
    if kind != duckdb.StatementType.SELECT and not is_plan:
        hint = "; to write a file, use: lexport sql -o FILE" if kind.name in _WRITES_A_FILE else ""
        raise QueryError(f"only SELECT is allowed, or EXPLAIN SELECT, not {kind.name}{hint}")
    return text


def _statements(
    connection: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, ParameterValue]
) -> list[duckdb.Statement]:
    try:
        return connection.extract_statements(_expand_name(query))
    except duckdb.Error as error:
        refusal = _refusal(error, None, values)
    if match := _NAME.fullmatch(query):
        near = did_you_mean(match["name"], [*BY_NAME, *(view.name for view in shipped_views())])
        raise QueryError(f"no table or view has the name {match[1]}{near}")
    raise refusal


def _expand_name(query: str) -> str:
    """Write a SELECT of all rows if the query is just the name of a table or view."""
    match = _NAME.fullmatch(query)
    if match is None:
        return query
    has_views = (match["space"] or "main").lower() == "main"
    names = {*BY_NAME, *(view.name for view in shipped_views() if has_views)}
    return f"FROM {match[1]}" if match["name"].lower() in names else query


def _lines_of_plan(rows: list[tuple[str, str]]) -> pa.RecordBatchReader:
    lines = [line for _, text in rows for line in text.splitlines()]
    return pa.table({"plan": pa.array(lines, pa.string())}).to_reader()


def _without_semicolon(statement: str) -> str:
    """Remove the semicolons, and the comments after them, from the end of one statement."""
    text = statement.encode()
    end = len(text)
    for offset, kind in reversed(duckdb.tokenize(statement)):  # offsets count bytes
        if kind != duckdb.token_type.comment and text[offset : offset + 1] != b";":
            break
        end = offset
    return text[:end].decode()


def _lock(connection: duckdb.DuckDBPyConnection, catalog: Catalog, spill: str) -> None:
    """Deny queries everything but the dataset: other files, network, extensions, settings, Python's variables."""
    roots = {  # DuckDB follows links before it compares
        os.path.realpath(catalog.store.local_root(has_values=kind)) for kind in map(has_values, catalog.manifests)
    }
    folders = {f"{text}/" for root in roots for text in (root, escape_glob(root))}
    for statement in (
        f"SET allowed_directories = [{', '.join(map(quote_text, sorted(folders)))}]",
        f"SET temp_directory = {quote_text(spill)}",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        "SET allow_community_extensions = false",
        "SET python_enable_replacements = false",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)


def _refusal(error: Exception, store: Store | None, values: Mapping[str, ParameterValue]) -> LexportError:
    """Return our error for an error of DuckDB, or of Arrow's stream, which has only DuckDB's text.

    Raise it outside the handler: a traceback would show DuckDB's error, which quotes the values of parameters.
    """
    if isinstance(error, LexportError):
        return error
    line = hide_values(one_line(error), values)
    if line.startswith("Out of Memory Error") or isinstance(error, MemoryError):
        most = re.search(r"/([0-9.]+ \w+) used", line)
        return RunError(
            f"the query needs more memory than {f'the {most[1]} that ' if most else ''}it may use here;"
            " select less at once, or give the process more memory"
        )
    damaged = _DATA_FILE.search(line)
    if store is not None and damaged is not None and "Failed to read file" in line:  # its footer was sound
        return RunError(damage_text(store, damaged[1], damaged[2], damaged[0], line))
    if line.startswith(("IO Error", "Internal Error", "FATAL Error")):
        return RunError(f"the query failed: {line}")
    return QueryError(_wrong_use(line))


def _wrong_use(line: str) -> str:
    if line.startswith("Permission Error"):
        return f"a query reads the tables of its dataset and nothing else: {line}"
    if "Table with name" in line:
        views = ", ".join(view.name for view in shipped_views())
        return (
            f"{line.split(' Did you mean', maxsplit=1)[0]} Tables: {', '.join(BY_NAME)}; "
            f"each also as snapshot.<table> and history.<table>. Views: {views}"
        )
    if "must be at the top level" in line:
        return "only SELECT is allowed, and this WITH contains a statement that writes"
    return f"{line} (see lexport schema for tables and columns)"
