"""The meaning of names in SQL, and the limits of a query."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import anyio
import anyio.to_thread
import pytest

import lexport
from lexport.errors import QueryError, RunError, SettingsError
from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_result

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def rows(dest, query):
    with open_result(dest, query) as result:
        return [tuple(row.values()) for row in result.reader.read_all().to_pylist()]


def function(name, **more):
    return {"function_name": name, "version": "$LATEST", **more}


@pytest.fixture
def fleet(tmp_path, write_dataset):
    """Write a complete snapshot, a partial one, a list of functions, and files that were never committed."""
    write_dataset(
        tmp_path,
        [
            {"at": AT, "functions": [function("whole"), function("far", region="us-east-1")],
             "scopes": [{}, {"region": "us-east-1"}]},
            {"at": AT + DAY, "functions": [function("newer"), function("half", region="us-east-1")],
             "scopes": [{}, {"region": "us-east-1", "status": "partial"}], "status": "partial"},
            {"at": AT + 2 * DAY, "functions": [function("picked")], "scopes": [{"coverage": "selection"}],
             "heal": False},
            {"at": AT + 3 * DAY, "functions": [function("aborted")], "commit": False},
        ],
    )  # fmt: skip
    return tmp_path


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("functions", ["far", "newer"]),
        ("snapshot.functions", ["picked"]),
        ("history.functions", ["far", "half", "newer", "picked", "whole"]),
    ],
)
def test_name_spaces(fleet, table, names):
    """A plain name shows the newest whole reading of each account-region, snapshot the newest commit, history all."""
    assert names == [name for (name,) in rows(fleet, f"SELECT function_name FROM {table} ORDER BY 1")]


def test_snapshots_never_lag(fleet):
    """A commit has its row in snapshots even if the run ended before it wrote the file of that row."""
    expected = [
        ("01K00000000000000000000001", AT, None, "complete"),
        ("01K00000000000000000000002", AT + DAY, None, "partial"),
    ]
    query = "SELECT snapshot_id, committed_at, account_id, status FROM {} ORDER BY 1"

    assert expected == rows(fleet, query.format("snapshots"))
    assert rows(fleet, query.format("snapshot.snapshots")) == [
        ("01K00000000000000000000003", AT + 2 * DAY, None, "complete")
    ]
    assert len(rows(fleet, query.format("history.snapshots"))) == 3


def test_packages_are_those_of_the_latest_functions(tmp_path, write_dataset, package_commits):
    """A table of packages shows the newest rows for the latest functions; a commit of packages is not a snapshot."""
    commits, answers = package_commits
    write_dataset(tmp_path, commits)

    assert {query: rows(tmp_path, query) for query in answers} == answers


def test_partition_is_no_column(fleet):
    """The folder snapshot_date is not a column."""
    assert rows(fleet, "SELECT 1 FROM duckdb_columns() WHERE column_name = 'snapshot_date'") == []


def test_older_files(tmp_path, write_dataset):
    """A column that an older release did not write is NULL."""
    write_dataset(
        tmp_path,
        [
            {"functions": [function("old")], "without": ["config_sha256"], "version": "0.0.9"},
            {"functions": [function("new", config_sha256="x")]},
        ],
    )

    query = "SELECT function_name, config_sha256 FROM history.functions ORDER BY 1"
    assert rows(tmp_path, query) == [("new", "x"), ("old", None)]


def test_oldest_files_alone(tmp_path, write_dataset):
    """Every view works on a dataset whose files all lack a column."""
    write_dataset(tmp_path, [{"functions": [function("old")], "without": ["tags_error_code"], "version": "0.0.9"}])

    assert rows(tmp_path, "SELECT functions FROM tag_coverage") == [(1,)]


@pytest.mark.parametrize("name", ["two words", 'it\'s "q"', "a[x]b", "a*b", "a?b", "k=v", "ü{a,b}"])
def test_odd_destinations(tmp_path, write_dataset, name):
    """A destination with a name that is a glob pattern is read, and no other folder."""
    write_dataset(tmp_path / name, [{"functions": [function("mine")]}])
    write_dataset(tmp_path / "aXb", [{"functions": [function("neighbour")]}])

    assert rows(tmp_path / name, "SELECT function_name FROM history.functions") == [("mine",)]
    assert rows(tmp_path / name, "SELECT status FROM snapshots") == [("complete",)]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "expected one SELECT statement, got 0"),
        ("SELECT 1; SELECT 2", "expected one SELECT statement, got 2"),
        ("COPY functions TO 'x'", "only SELECT is allowed"),
        ("ATTACH 'x'", "only SELECT is allowed"),
        ("INSTALL httpfs", "only SELECT is allowed"),
        ("PRAGMA enable_profiling", "only SELECT is allowed"),
        ("SET threads = 1", "only SELECT is allowed"),
        (
            "EXPLAIN COPY functions TO 'x'",
            "only SELECT is allowed, or EXPLAIN SELECT, not COPY",
        ),
        ("EXPLAIN ANALYZE WITH x AS (COPY functions TO 'x') SELECT 1", "contains a statement that writes"),
        ("EXPLAIN SELECT * FROM read_text('/etc/passwd')", "a query reads the tables of its dataset and nothing else"),
        ("EXPLAIN SELECT 1; SELECT 2", "expected one SELECT statement, got 2"),
        ("EXPLAIN", "no table or view has the name EXPLAIN"),
        ("EXPLAIN EXPLAIN SELECT 1", "syntax error"),
        ("SELCT 1", 'syntax error at or near "SELCT"'),
        ("SELECT ?", "parameter"),
        ("SELECT nope FROM functions", '"nope" not found'),
        ("SELECT * FROM nope", "Tables: functions, aliases.*history.<table>.*Views: runtimes"),
        ("SELECT error('row ' || i) FROM range(3) AS t(i)", "row 0"),
    ],
)
def test_refused(fleet, query, text):
    """A query that is not one valid SELECT is rejected, with a reason in one line."""
    with pytest.raises(QueryError, match=text) as caught:
        rows(fleet, query)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('{}/../secret.csv')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('https://example.com/x.parquet')",
        "SELECT * FROM query",
        "WITH a AS (COPY (SELECT 1) TO '{}/functions/written.csv') SELECT * FROM a",
    ],
)
def test_out_of_reach(fleet, query):
    """A query can read the tables of the dataset; it cannot read files, network or Python's variables, or write."""
    (fleet.parent / "secret.csv").write_text("a\n1\n")
    before = sorted(fleet.rglob("*"))

    with pytest.raises(QueryError):
        rows(fleet, query.format(fleet))

    assert before == sorted(fleet.rglob("*"))


@pytest.mark.parametrize(
    "query",
    ["SELECT 1; -- done", "SELECT 1 -- done; really", "/* a; */ FROM (VALUES (1)) ;;", "WITH a AS (SELECT 1) TABLE a"],
)
def test_accepted(fleet, query):
    """Semicolons at the end and comments anywhere are accepted."""
    assert rows(fleet, query) == [(1,)]


def test_utc(fleet):
    """Times are UTC, whatever the time zone of the machine is."""
    assert rows(fleet, "SELECT DISTINCT hour(snapshot_at) FROM functions") == [(2,)]


def test_late_failure_is_a_query_error(fleet):
    """An error on a late row of the stream is a QueryError too."""
    query = "SELECT CASE WHEN i = 900000 THEN error('late') ELSE i END FROM range(1000000) AS t(i)"
    with open_result(fleet, query) as result, pytest.raises(QueryError, match="late"):
        for _ in result.reader:
            pass


def test_missing_file(fleet):
    """A missing committed file is an error of the dataset, not of the query, and is named."""
    gone = next((fleet / "functions").rglob("*3-0000.parquet"))
    gone.unlink()

    with pytest.raises(RunError, match=gone.name) as caught:
        rows(fleet, "SELECT count(*) FROM history.functions")

    assert caught.value.exit_code == 1


def test_views_are_listed(fleet):
    """Every shipped view can be queried by its name."""
    for view in shipped_views():
        rows(fleet, f"SELECT * FROM {view.name}")


@pytest.mark.asyncio
async def test_inside_a_loop(fleet):
    """The public function runs two queries at once inside a running event loop, which continues meanwhile."""
    first, second = await asyncio.gather(
        lexport.sql(fleet, "SELECT count(*) AS n FROM functions"), lexport.sql(fleet, "SELECT 2 AS n")
    )

    assert [{"n": 2}] == first.to_pylist() == second.to_pylist()


@pytest.mark.asyncio
async def test_cancelled(fleet):
    """A cancelled query ends at once, although DuckDB would count for minutes."""
    query = "SELECT count(*) FROM range(100000000) AS a(i), range(1000) AS b(i) WHERE hash(a.i, b.i) = 1"

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lexport.sql(fleet, query), 0.2)


@pytest.mark.asyncio
async def test_cancelled_before_it_began(fleet):
    """A query that is cancelled before its thread starts ends at once."""
    limiter, release = anyio.to_thread.current_default_thread_limiter(), threading.Event()
    free, limiter.total_tokens = limiter.total_tokens, 1
    try:
        with anyio.fail_after(10), anyio.CancelScope() as at_once:
            at_once.cancel()
            await lexport.sql(fleet, "SELECT 1")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, release.wait)  # the only thread that there may be
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(10), anyio.move_on_after(0.05) as waiting:
                await lexport.sql(fleet, "SELECT 1")
            release.set()
    finally:
        release.set()
        limiter.total_tokens = free

    assert at_once.cancelled_caught
    assert waiting.cancelled_caught


@pytest.mark.asyncio
async def test_as_of(tmp_path, write_dataset):
    """As of a moment, plain names, snapshot.*, history.* and the views show nothing that was read later."""
    nights = [
        {"at": AT + day * timedelta(days=1), "functions": [{"function_name": f"f{day}", "version": "$LATEST"}]}
        for day in range(3)
    ]
    write_dataset(tmp_path, nights)
    query = (
        "SELECT (SELECT any_value(function_name) FROM functions), (SELECT any_value(function_name) FROM"
        " snapshot.functions), (SELECT count(*) FROM history.functions), (SELECT count(*) FROM history.snapshots)"
    )

    async def seen(as_of):
        return tuple((await lexport.sql(tmp_path, query, as_of=as_of)).to_pylist()[0].values())

    assert await seen(None) == ("f2", "f2", 3, 3)
    assert await seen(f"{AT:%Y-%m-%d}") == ("f0", "f0", 1, 1)
    assert await seen(f"{AT + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}") == ("f1", "f1", 2, 2)
    assert await seen("01K00000000000000000000002") == ("f1", "f1", 2, 2)
    with pytest.raises(SettingsError, match="--as-of 2020-01-01: no snapshot is that old"):
        await seen("2020-01-01")


def test_what_was_left_out_is_said_through_views(tmp_path, write_dataset):
    """A view over variables that were left out does not look like a fleet without secrets."""
    (written,) = write_dataset(tmp_path, [{"at": AT, "functions": [function("f")]}])
    path = tmp_path / "_runs" / f"{written.snapshot_id}.json"
    path.write_text(path.read_text().replace('"options": {}', '"options": {"env": "none"}'))
    with open_result(tmp_path, "FROM suspected_secrets") as secrets, open_result(tmp_path, "FROM runtimes") as runtimes:
        said = [result.notices() for result in (secrets, runtimes)]

    assert said == [("111122223333 eu-west-1: variables were left out (--env none)",), ()]
