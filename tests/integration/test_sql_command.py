"""The installed command as a subprocess: dataset -> answers, files and exit codes."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from commands import completed

from lexport.tables.registry import resources_read

pytestmark = pytest.mark.slow

HOSTILE = 'f\x1b]0;owned\x07\n"x",ü\u202e'


def lexport(*arguments, stdin="", cwd=None, **variables):
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"} | variables
    return completed(*arguments, env=environment, cwd=cwd or Path.cwd(), stdin=stdin.encode())


@pytest.fixture(scope="module")
def dest(tmp_path_factory, write_dataset):
    folder = tmp_path_factory.mktemp("fleet")
    at = datetime.now(UTC).replace(microsecond=0)
    functions = [
        {"function_name": HOSTILE, "version": "$LATEST", "memory_size": 128, "description": ""},
        {
            "function_name": "g",
            "version": "$LATEST",
            "memory_size": 10240,
            "last_modified_at": datetime(2026, 5, 1, 1, 2, 3, 4, tzinfo=UTC),
        },
    ]
    write_dataset(
        folder,
        [
            {"at": at - timedelta(days=3), "scopes": [{"region": "us-east-1"}]},
            {"at": at - timedelta(hours=3), "functions": functions},
        ],
    )
    return folder


QUERY = "SELECT function_name, memory_size, description, last_modified_at FROM functions ORDER BY memory_size"


def test_table(dest):
    """The default is an aligned table that cannot steer a terminal; notices go to stderr."""
    done = lexport("sql", dest, QUERY)

    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [
        "function_name                   memory_size  description  last_modified_at",
        "------------------------------  -----------  -----------  ---------------------------",
        'f\\x1b]0;owned\\x07\\n"x",ü\\u202e          128               NULL',
        "g                                     10240  NULL         2026-05-01T01:02:03.000004Z",
    ]
    assert b"lexport: the latest parts differ in age by more than 36h" in done.stderr
    assert lexport("sql", dest, QUERY, "--max-skew", "7d").stderr == b""
    assert lexport("sql", dest, QUERY, LEXPORT_MAX_SKEW="7d").stderr == b""


def test_json(dest):
    """JSON is exact: big integers, instants with Z, NaN as null, bytes in base64."""
    query = (
        "SELECT sum(9223372036854775807) AS big, 1.10 AS price, 'nan'::DOUBLE AS nan, 'a'::BLOB AS bytes, "
        "TIMESTAMPTZ '2026-01-02 03:04:05+01' AS at, DATE '2026-01-02' AS day, TIMESTAMPTZ 'infinity' AS never, "
        "[1, NULL] AS list, {'a': true} AS object FROM range(2)"
    )
    done = lexport("sql", dest, "-", "--output", "json", stdin=query)

    assert json.loads(done.stdout, parse_float=str) == [
        {
            "big": 2 * (2**63 - 1),
            "price": "1.10",
            "nan": None,
            "bytes": base64.b64encode(b"a").decode(),
            "at": "2026-01-02T02:04:05Z",
            "day": "2026-01-02",
            "never": "infinity",
            "list": [1, None],
            "object": {"a": True},
        }
    ]


def test_json_lines_and_csv(dest):
    """JSON lines and CSV keep the text as it is, in any locale; in CSV an empty text differs from NULL."""
    lines = lexport("sql", dest, QUERY, "--output", "jsonl", LC_ALL="C").stdout.splitlines()
    table = lexport("sql", dest, QUERY, "--output", "csv").stdout.decode()

    assert [json.loads(line)["function_name"] for line in lines] == [HOSTILE, "g"]
    assert table == (
        "function_name,memory_size,description,last_modified_at\r\n"
         '"' + HOSTILE.replace('"', '""') + '",128,"",\r\n'
        + "g,10240,,2026-05-01T01:02:03.000004Z\r\n"
    )  # fmt: skip


def test_parameters(dest):
    """--param gives values to the query; a message shows none of them."""
    query = "SELECT function_name FROM functions WHERE memory_size > $least AND function_name = $name"
    done = lexport("sql", dest, query, "--param", "least=200", "--param", "name=g", "--output", "csv")
    wrong = lexport("sql", dest, query, "--param", "least=secret", "--param", "name=g")

    assert done.stdout == b"function_name\r\ng\r\n"
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert b"secret" not in wrong.stderr


def test_lines(dest):
    """--output line writes one value a line, and an empty line between rows."""
    done = lexport("sql", dest, "SELECT version, description FROM functions ORDER BY description", "--output", "line")

    assert done.stdout.decode().splitlines() == [
        "    version = $LATEST",
        "description = ",
        "",
        "    version = $LATEST",
        "description = NULL",
    ]


def test_no_rows(dest):
    """No rows is still a table with a header, and an empty JSON array."""
    empty = "SELECT function_name FROM functions WHERE false"

    assert lexport("sql", dest, empty).stdout == b"function_name\n-------------\n"
    assert json.loads(lexport("sql", dest, empty, "--output", "json").stdout) == []


def test_parquet_file(dest, tmp_path):
    """Parquet goes to the file of -o, whole, and replaces an old one."""
    (tmp_path / "x.parquet").write_text("old")
    done = lexport("sql", dest, QUERY, "--output", "parquet", "-o", tmp_path / "x.parquet")

    assert (done.returncode, done.stdout) == (0, b"")
    assert pq.read_table(tmp_path / "x.parquet")["memory_size"].to_pylist() == [128, 10240]
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_failed_file(dest, tmp_path):
    """A query that fails on a late row leaves the old file as it was, and no draft."""
    (tmp_path / "x.csv").write_text("old")
    query = "SELECT CASE WHEN i = 400000 THEN error('late') ELSE i END FROM range(500000) AS t(i)"
    done = lexport("sql", dest, query, "--output", "csv", "-o", tmp_path / "x.csv")

    assert done.returncode == 2
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["sql", "{}", "DELETE FROM functions"], 2, "only SELECT is allowed"),
        (["sql", "{}", "SELECT * FROM nope"], 2, "Tables: functions"),
        (["sql", "{}", "SELECT * FROM read_text('/etc/passwd')"], 2, "nothing else"),
        (["sql", "{}", "SELECT 1", "--output", "parquet"], 2, "needs -o FILE"),
        (["sql", "{}", "SELECT $x"], 2, "give --param x=VALUE"),
        (["sql", "{}", "SELECT 1", "--param", "x=1"], 2, "no parameter $x"),
        (["sql", "{}", "SELECT $x", "--param", "x"], 2, "write NAME=VALUE: there is no ="),
        (["sql", "{}", "SELECT 1", "--max-skew", "soon"], 2, "not a duration"),
        (["sql", "{}", "SELECT 1", "-o", "/dev/null"], 2, "is not a file"),
        (["sql", "{}/nope", "SELECT 1"], 2, "does not exist"),
        (["status", "{}", "--max-age", "1h"], 1, "the newest complete snapshot is 3h old, more than 1h"),
        (["views", "{}", "--db", "/dev/null"], 2, "is not a file"),
        (["iam-policy", "--account", "12"], 2, "not 12 digits"),
        (["schema", "--table", "nope"], 2, "nope"),
    ],
)
def test_bad_input(dest, arguments, code, text):
    """Bad input gets the right exit code and says why in its last line, with nothing on stdout but data."""
    done = lexport(*(argument.format(dest) for argument in arguments))

    assert code == done.returncode
    assert text in done.stderr.decode().splitlines()[-1]
    assert "Traceback" not in done.stderr.decode()


def test_no_snapshot(tmp_path):
    """An empty destination is exit code 1, and the error names the command to run."""
    for command in (["sql", tmp_path, "SELECT 1"], ["status", tmp_path]):
        done = lexport(*command)

        assert done.returncode == 1
        assert done.stderr.decode() == f"lexport: {tmp_path} holds no snapshot yet; run: lexport snapshot {tmp_path}\n"


def test_status(dest):
    """A fresh complete snapshot is exit code 0; machines get seconds and counts."""
    done = lexport("status", dest, "--output", "jsonl")
    newest = json.loads(done.stdout.splitlines()[0])

    assert done.returncode == 0
    assert tuple(newest[name] for name in ("scopes_complete", "scopes_total", "status", "gaps")) == (
        1,
        1,
        "complete",
        0,
    )
    assert 0 <= newest["age_s"] - 3 * 3600 < 600


def test_views(dest, tmp_path):
    """The DuckDB file can be queried by any DuckDB."""
    assert lexport("views", dest, "--db", "fleet.duckdb", cwd=tmp_path).returncode == 0

    with duckdb.connect(str(tmp_path / "fleet.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT sum(versions) FROM runtimes").fetchall() == [(2,)]


def test_schema(tmp_path):
    """The schema lists a table's columns with type and meaning."""
    done = lexport("schema", "--table", "tags", "--output", "jsonl")

    assert json.loads(done.stdout.splitlines()[-1]) == {
        "table": "tags",
        "column": "value",
        "type": "text",
        "unit": "",
        "kind": "fact",
        "meaning": "Tag value.",
        "source": "Tags{}",
    }


def test_iam_policy():
    """The policy names every operation that a snapshot can ask for, and ListTags, and nothing else of Lambda."""
    done = lexport("iam-policy", "--partition", "aws-cn", "--account", "111122223333")
    policy = json.loads(done.stdout)
    by_sid = {statement["Sid"]: statement for statement in policy["Statement"]}

    assert {"List", "Read", "ReadCodeSigningConfig", "Regions"} == by_sid.keys()
    calls = [call for resource in resources_read({}) for call in (resource.call, *resource.lists)]
    assert {action for call in calls for action in call.iam} == {
        *by_sid["List"]["Action"],
        *by_sid["Read"]["Action"],
        *by_sid["ReadCodeSigningConfig"]["Action"],
    }
    assert by_sid["List"]["Resource"] == "*"
    assert by_sid["Read"]["Resource"] == "arn:aws-cn:lambda:*:111122223333:function:*"
    assert by_sid["ReadCodeSigningConfig"]["Resource"] == "arn:aws-cn:lambda:*:111122223333:code-signing-config:*"
