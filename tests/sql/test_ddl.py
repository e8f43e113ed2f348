"""The DDL for every warehouse: its statements are as reviewed, and its views show the same rows as ``sql``."""

import base64
import io
import re
import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import anyio
import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot

import lexport
from lexport.cli._rows.formats import write_rows
from lexport.model import Scope
from lexport.query.row_values import arrow_rows
from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session
from lexport.query.warehouse.ddl import ddl
from lexport.query.warehouse.dialects import DIALECTS, SCHEMAS
from lexport.settings import SnapshotSettings
from lexport.simulator import Fleet, FleetSpec, open_simulator
from lexport.tables import registry
from lexport.tables.table import Type

ACCOUNT = "111122223333"
DOCUMENT = Path(__file__).parents[2] / "docs" / "guides" / "warehouses.md"
GOLDEN = Path(__file__).with_name("golden")
VIEWS = shipped_views()
ALL = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
ELSEWHERE = [name for name in DIALECTS if name not in {"duckdb", "postgres", "sqlite", "clickhouse"}]
TRANSLATED = pytest.mark.parametrize("dialect", [DIALECTS[name] for name in ELSEWHERE], ids=ELSEWHERE)
"""The warehouses that cannot run here. The others run below; ClickHouse does so in ``make dialects``."""

_TYPES = {
    Type.TEXT: "TEXT",
    Type.INT32: "INT",
    Type.INT64: "BIGINT",
    Type.BOOL: "BOOLEAN",
    Type.DOUBLE: "DOUBLE",
    Type.TIMESTAMP: "TIMESTAMPTZ",
    Type.DATE: "DATE",
}


def location(dialect):
    return "gs://bucket/prefix" if dialect.name == "bigquery" else "s3://bucket/prefix"


@cache
def statements(name):
    """The DDL of the dialect of this name. It takes seconds."""
    dialect = DIALECTS[name]
    return tuple(ddl(dialect, location(dialect) if dialect.reads_parquet else None))


@cache
def views_in_duckdb(name):
    """The views of that DDL, which sqlglot reads as that warehouse's and writes as DuckDB's."""
    made = []
    for statement in statements(name):
        if statement.startswith("CREATE OR REPLACE VIEW"):
            tree = sqlglot.parse_one(statement, read=name)
            body = tree.expression.sql("duckdb").replace("TEXT(MAX)", "TEXT")  # Redshift's longest
            made.append(f"CREATE VIEW {tree.this.sql('duckdb')} AS {body}")
    return made


@ALL
def test_golden(dialect, compare_golden):
    """The statements for the schemas, a table of the fleet and a table of packages are as reviewed."""
    shown = [
        statement
        for statement in statements(dialect.name)
        if statement.split("\n")[0].lower().strip('"`(').endswith(("tags", "package_files"))
        or any(f"{word} " in statement.split("\n")[0] for word in ("SCHEMA", "DATABASE", "STAGE"))
        or any(
            word in statement.split("\n")[0].lower()
            for word in ("newest_snapshot", "latest_scopes", "'tags'", ".`tags`", '."tags"')
        )
    ]

    compare_golden(GOLDEN / dialect.name / "_ddl.sql", "".join(f"{statement};\n\n" for statement in shown))


@ALL
def test_ddl_names_every_table_column_and_view(dialect):
    """Each table has its external table, all its columns and a name in each name space; every shipped view exists."""
    texts = statements(dialect.name)
    folded = str.upper if dialect.folds_up else str
    for table in registry.tables():
        quoted = {f"`{SCHEMAS['files']}`.`{table.name}`", dialect.quote(SCHEMAS["files"], table.name)}
        (made,) = [
            text
            for text in texts
            if re.match(r"CREATE (OR REPLACE )?(EXTERNAL )?(TABLE|VIEW)", text)
            and re.split(r" \(\n| AS\n", text)[0].endswith(tuple(quoted))
        ]
        lines = re.split(r"\(\n|SELECT\n", made, maxsplit=1)[1].splitlines()[: len(table.columns)]
        found = [line.split()[-1 if line.startswith("  CAST(") else 0].strip('`",') for line in lines]

        assert found == [folded(name) for name in table.names()]
        assert not dialect.reads_parquet or f"/{table.name}/" in made

    wanted = {(SCHEMAS[space], table.name) for space in ("main", "history", "snapshot") for table in registry.tables()}
    wanted |= {(SCHEMAS["main"], view.name) for view in VIEWS}
    made = [text for text in texts if re.match("CREATE (OR REPLACE )?VIEW ", text)]
    heads = {re.sub("CREATE (OR REPLACE )?VIEW ", "", text).split()[0] for text in made}

    assert {dialect.quote(*name) for name in wanted} <= heads
    assert len(heads) == len(made)


NAMES = [f"{space}.{table.name}" for space in ("history", "snapshot", "main") for table in registry.tables()]


def abort(dest):
    """Write the files of a run that never committed: copies of the newest ones, with a greater id."""
    newest = max(dest.glob("functions/*/*.parquet")).stem.partition("-")[0]
    aborted = "7" + newest[1:]
    for path in list(dest.glob(f"*/*/{newest}-*.parquet")):
        if path.parts[-3] != "snapshots":  # that row comes after the commit
            rows = pq.ParquetFile(path).read()
            ids = pa.array([aborted] * len(rows), pa.string())
            pq.write_table(rows.set_column(0, rows.schema.field(0), ids), path.with_name(f"{aborted}-0000.parquet"))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, make_old):
    """Three Regions; a night of one of them; a night of two listed functions; then a run that never committed.

    The first night is of an older schema version. At the end, a Region is retired.
    """
    dest = tmp_path_factory.mktemp("dialects") / "fleet"
    nights = [
        {"regions": ("us-east-1", "eu-west-1", "eu-north-1")},
        {"regions": ("eu-west-1",)},
        {"regions": ("us-east-1",)},
    ]

    async def take():
        for number, night in enumerate(nights):
            fleet = Fleet(FleetSpec(functions=20 + number, versions=3, seed=7))
            if number == 2:  # a list of functions is no fleet
                names = fleet.names(Scope(account_id=ACCOUNT, region="us-east-1"))
                night["functions"] = tuple(sorted(names)[:2])
            async with open_simulator(fleet, quotas=False) as aws:
                settings = SnapshotSettings(
                    endpoint_url=aws.url, get_function_rate_per_s=1e6, list_rate_per_s=1e6, **night
                )
                done = await lexport.snapshot(dest, settings)
            if number == 0:
                make_old(dest, done.manifest)
        await lexport.retire(dest, ACCOUNT, "eu-north-1")

    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        environment.setenv("LEXPORT_HASH_KEY", base64.b64encode(bytes(32)).decode())
        environment.setenv("NO_PROXY", "127.0.0.1")
        anyio.run(take)
    abort(dest)
    return dest


@pytest.fixture(scope="module")
def sql_shows(fleet):
    """Return the rows of ``sql`` for every name and every view."""
    names = [*NAMES, *(f"main.{view.name}" for view in VIEWS)]
    with open_query_session(fleet) as session:
        return {name: rows_of(session.read(f"SELECT * FROM {name}")) for name in names}


@pytest.fixture
def warehouse():
    """Return a function that returns the rows of the views of a dialect's DDL over what a glob finds of a dataset."""
    with ExitStack() as stack:

        def build(dialect, dest):
            connection = stack.enter_context(duckdb.connect())
            for statement in ("SET TimeZone = 'UTC'", *files(dest), *views_in_duckdb(dialect.name)):
                connection.execute(statement)
            connection.execute(f"SET schema = '{SCHEMAS['main']}'")

            def theirs(asked):
                query = re.sub(r"\b(history|snapshot|main|files)[.]", lambda found: SCHEMAS[found[1]] + ".", asked)
                if asked == query or " " in asked:
                    return connection.execute(query).fetchall()
                more = " EXCLUDE (snapshot_date)" if asked.startswith("history.") else ""
                return rows_of(connection.sql(f"SELECT *{more} FROM {query}"))

            return theirs

        yield build


def rows_of(answer):
    return sorted((tuple(row.values()) for row in pa.table(answer).to_pylist()), key=repr)


def files(dest):
    """Return the external tables over every file, committed or not."""
    for schema in SCHEMAS.values():
        yield f"CREATE SCHEMA IF NOT EXISTS {schema}"
    for table in registry.tables():
        types = ", ".join(
            f'NULL::{_TYPES[column.type]} AS "{name}"'
            for column in table.columns
            for name in (column.name, *column.former_names)
        )
        empty = f"SELECT {types}, NULL::DATE AS snapshot_date WHERE false"
        glob = f"read_parquet('{dest}/{table.name}/*/*.parquet', hive_partitioning = true, union_by_name = true)"
        rows = f" UNION ALL BY NAME SELECT * FROM {glob}" if list(dest.glob(f"{table.name}/*/*.parquet")) else ""
        yield f"CREATE TABLE {SCHEMAS['files']}.{table.name} AS {empty}{rows}"


@TRANSLATED
def test_ddl_shows_what_sql_shows(dialect, fleet, sql_shows, warehouse):
    """With the files of an aborted run in the folders, every name and every view shows the rows of ``sql``."""
    theirs = warehouse(dialect, fleet)

    assert [name for name, rows in sql_shows.items() if rows != theirs(name)] == []
    assert len(theirs("main.functions")) > 100
    assert theirs("SELECT COUNT(*) FROM main.functions WHERE region = 'eu-north-1'") == [(0,)]
    assert theirs("SELECT COUNT(*) FROM main.function_lifetimes WHERE region = 'eu-north-1' AND is_deleted") > [(9,)]
    assert theirs("SELECT COUNT(*) FROM history.functions WHERE region = 'eu-north-1'") > [(9,)]
    assert theirs("SELECT COUNT(*) FROM history.functions WHERE capacity_provider_arn IS NOT NULL") > [(0,)]
    assert len(theirs("files.functions")) > len(theirs("history.functions"))


@TRANSLATED
def test_ddl_shows_packages_as_sql_does(dialect, tmp_path, write_dataset, package_commits, warehouse):
    """The tables of packages show what the latest functions refer to; other commits do not show."""
    commits, answers = package_commits
    write_dataset(tmp_path, commits)
    theirs = warehouse(dialect, tmp_path)
    same = {query: rows for query, rows in answers.items() if "snapshot.packages" not in query}

    assert {query: theirs(query) for query in same} == same


def shown_by(names, select):
    """Return the rows of each name in a warehouse, whose ``select`` takes a schema and a name there."""
    found = {}
    for name in names:
        space, table = name.split(".")
        columns, rows = select(SCHEMAS[space], table)
        if space == "history":
            assert columns[-1] == "snapshot_date"
            rows = [row[:-1] for row in rows]
        found[name] = sorted(map(tuple, rows), key=repr)
    return found


def test_ddl_runs_in_duckdb(fleet, sql_shows):
    """DuckDB reads the files in place and shows the rows of ``sql``, whatever the time zone of the session is."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Pacific/Apia'")
        for statement in ddl(DIALECTS["duckdb"], str(fleet)):
            folder = re.search(r"read_parquet[(]\s*'(.*?)/snapshot_date", statement)
            is_empty = folder and not any(Path(folder[1]).glob("*/*.parquet"))
            connection.execute(statement.split("\nUNION ALL")[0] if is_empty else statement)

        def select(schema, name):
            table = connection.sql(f'SELECT * FROM "{schema}"."{name}"').arrow().read_all()
            return table.column_names, [tuple(row.values()) for row in table.to_pylist()]

        found = shown_by(OF_FILES_AND_DAYS, select)

    assert [name for name, rows in found.items() if _in_utc(rows) != _in_utc(sql_shows[name])] == []


OF_FILES_AND_DAYS = [
    *(f"{space}.{name}" for space in ("history", "snapshot", "main") for name in ("functions", "changes", "scopes")),
    *(f"main.{name}" for name in ("runtimes_by_age", "deprecated_runtimes", "canary_aliases", "unhealthy_functions")),
]
"""Names that differ in how their files are found, and views that depend on the day of an instant."""


def _in_utc(rows):
    """Return rows with their instants in UTC, in order."""
    moved = [tuple(cell.astimezone(UTC) if isinstance(cell, datetime) else cell for cell in row) for row in rows]
    return sorted(moved, key=repr)


def test_ddl_runs_in_sqlite(fleet, sql_shows):
    """SQLite shows the rows of ``sql`` where those of ``history`` were loaded, with instants as text and 1 for true."""

    def plain(cell):
        cell = cell.astimezone(UTC).isoformat() if isinstance(cell, datetime) else cell
        cell = cell.isoformat() if isinstance(cell, date) else cell
        return float(f"{cell:.9g}") if isinstance(cell, float) else cell

    with open_query_session(fleet) as session, closing(sqlite3.connect(":memory:")) as connection:
        statements = list(ddl(DIALECTS["sqlite"]))
        for statement in [*statements, *statements]:  # the second time nothing is lost
            connection.execute(statement)
        for table in registry.tables():
            rows = session.read(f"SELECT * FROM history.{table.name}").read_all().to_pylist()
            marks = ", ".join("?" * len(table.columns))
            values = [[plain(cell) for cell in row.values()] for row in rows]
            connection.executemany(f"INSERT INTO files_{table.name} VALUES ({marks})", values)

        def select(schema, name):
            cursor = connection.execute(f"SELECT * FROM {DIALECTS['sqlite'].quote(schema, name)}")
            return [column[0] for column in cursor.description], [[plain(cell) for cell in row] for row in cursor]

        found = shown_by(sql_shows, select)

    plain_rows = {
        name: sorted(([plain(cell) for cell in row] for row in rows), key=_as_numbers)
        for name, rows in sql_shows.items()
    }
    assert [name for name, rows in plain_rows.items() if rows != sorted(map(list, found[name]), key=_as_numbers)] == []


def _as_numbers(row):
    """Order rows alike whether they have true or 1."""
    return repr([int(cell) if isinstance(cell, bool) else cell for cell in row])


def test_ddl_runs_in_postgres(fleet, sql_shows, postgres):
    """PostgreSQL shows the rows of ``sql`` where those of ``history`` were loaded as CSV with a header."""
    with open_query_session(fleet) as session, psycopg.connect(postgres) as connection:
        connection.execute("SET TimeZone = 'Pacific/Apia'")
        connection.execute(";".join(ddl(DIALECTS["postgres"])))
        for table in registry.tables():
            reader, text = session.read(f"SELECT * FROM history.{table.name}"), io.BytesIO()
            write_rows(reader.schema.names, arrow_rows(reader), output="csv", stream=text)
            with connection.cursor().copy(
                f"COPY lexport_files.{table.name} FROM STDIN WITH (FORMAT csv, HEADER MATCH)"
            ) as copy:
                copy.write(text.getvalue())

        def select(schema, name):
            cursor = connection.execute(f'SELECT * FROM "{schema}"."{name}"')
            return [column.name for column in cursor.description], cursor.fetchall()

        found = shown_by(sql_shows, select)

    instants = {name: _rounded(_in_utc(rows)) for name, rows in sql_shows.items()}
    assert [name for name, rows in instants.items() if rows != _rounded(_in_utc(found[name]))] == []


def _rounded(rows):
    """Return rows with floats of 9 digits and without Decimal, which PostgreSQL's sums are."""
    return sorted(
        (tuple(float(f"{cell:.9g}") if isinstance(cell, float | Decimal) else cell for cell in row) for row in rows),
        key=repr,
    )


def run(lexport_path, *arguments, cwd):
    return anyio.run(lambda: anyio.run_process([lexport_path, *arguments], check=False, cwd=cwd))


def test_command(lexport_path, tmp_path):
    """``schema --ddl`` prints every statement with its semicolon, and a note if the location is a placeholder."""
    given = run(lexport_path, "schema", "--ddl", "trino", "--location", "s3://b/p/", cwd=tmp_path)
    invented = run(lexport_path, "schema", "--ddl", "trino", cwd=tmp_path)
    expected = "".join(f"{statement};\n\n" for statement in ddl(DIALECTS["trino"], "s3://b/p"))

    assert (given.returncode, given.stdout.decode(), given.stderr) == (0, expected, b"")
    assert invented.stdout.decode() == expected.replace("s3://b/p", "s3://BUCKET/PREFIX")
    assert (
        invented.stderr.decode() == "lexport: no --location: replace BUCKET/PREFIX with the bucket and prefix of DEST\n"
    )


def test_documentation_is_true(lexport_path, monkeypatch):
    """Every command of docs/guides/warehouses.md prints the output below it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    shown = [part.split("\n", 1) for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    monkeypatch.setenv("PATH", str(Path(lexport_path).parent), prepend=":")

    assert len(shown) == 3
    assert dict(shown) == {
        command: anyio.run(anyio.run_process, ["bash", "-c", command]).stdout.decode() for command, _ in shown
    }
