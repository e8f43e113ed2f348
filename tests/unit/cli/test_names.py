"""Near misses of users: names of views instead of queries, misspelled options, commands and views."""

import csv
import io

import pytest

from lexport.query.shipped_views import shipped_views
from lexport.tables.registry import BY_NAME
from lexport.tables.text import nearest

VIEWS = [view.name for view in shipped_views()]


def rows(done):
    return list(csv.reader(io.StringIO(done.out.decode())))


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("runtimes", "FROM runtimes"),
        ("functions", "FROM functions"),
        ("  Functions ;\n", "FROM functions"),
        ('"tags"', "FROM tags"),
        ("main.runtimes", "FROM runtimes"),
        ("history.functions", "FROM history.functions"),
        ("SNAPSHOT.scopes", "FROM snapshot.scopes"),
    ],
)
def test_a_name_is_a_query(dest, lexport, name, query):
    """The name of a table or view means all its rows."""
    by_name = lexport("sql", dest, name, "--output", "csv")

    assert (by_name.code, by_name.err) == (0, "")
    assert by_name.out == lexport("sql", dest, query, "--output", "csv").out
    assert len(rows(by_name)[0]) > 3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runtime", "no table or view has the name runtime; did you mean runtimes?"),
        ("history.function", "no table or view has the name history.function; did you mean functions"),
        ("snapshot.runtimes", "no table or view has the name snapshot.runtimes"),
        ("zzz", "no table or view has the name zzz"),
    ],
)
def test_no_such_name(dest, lexport, name, said):
    """An unknown name is wrong use; the error suggests near names, and does not list all."""
    done = lexport("sql", dest, name)

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith(f"lexport: {said}")
    assert len(done.err) < 150


@pytest.mark.parametrize("query", ["EXPLAIN SELECT count(*) FROM runtimes", "explain analyze\n from functions;"])
def test_explain(dest, lexport, query):
    """EXPLAIN shows the plan of a SELECT, a line in each row."""
    done = lexport("sql", dest, query, "--output", "csv")

    assert (done.code, done.err) == (0, "")
    assert rows(done)[0] == ["plan"]
    assert "\n" not in "".join(line for (line,) in rows(done))
    assert any("Scan" in line or "SCAN" in line for (line,) in rows(done))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("snapsot", "x"), "lexport: there is no command 'snapsot'; did you mean snapshot? (see lexport --help)"),
        (("staus",), "lexport: there is no command 'staus'; did you mean status? (see lexport --help)"),
        (("bananas",), "lexport: there is no command 'bananas' (see lexport --help)"),
        (
            ("snapshot", "x", "--regoin", "us-east-1"),
            "lexport snapshot: there is no option --regoin; did you mean --region? (see lexport snapshot --help)",
        ),
        (("sql", "x", "y", "--zzzzz"), "lexport sql: there is no option --zzzzz (see lexport sql --help)"),
        (("schema", "--dbt"), "lexport schema: Option '--dbt' requires an argument. (see lexport schema --help)"),
        (
            ("publish", "x"),
            "lexport publish: Missing argument 'FORMAT'. Choose from: iceberg, ducklake (see lexport publish --help)",
        ),
        (
            ("check", "x", "--fail-one", "low"),
            "lexport check: there is no option --fail-one; did you mean --fail-on? (see lexport check --help)",
        ),
        (
            ("sql", "--print", "deprecated"),
            f"lexport: none of the {len(VIEWS)} views has the name deprecated; did you mean deprecated_runtimes?",
        ),
        (
            ("sql", "--print", "nope"),
            f"lexport: none of the {len(VIEWS)} views has the name nope; docs/reference/views.md lists them",
        ),
    ],
)
def test_a_slip(lexport, arguments, said):
    """The error for an unknown command, option or view suggests the nearest names, nearest first."""
    done = lexport(*arguments)

    assert (done.code, done.out) == (2, b"")
    assert done.err == f"{said}\n"


def test_the_nearest_comes_first():
    """Names are ordered by how alike they are, not by the alphabet; a part of a name finds it, too."""
    assert nearest("--regoin", ["--env", "--origin", "--region"])[0] == "--region"
    assert nearest("FUNCTIONS", BY_NAME)[0] == "functions"
    assert nearest("fuctions", BY_NAME)[0] == "functions"
    assert nearest("prunable", VIEWS) == ["prunable_versions"]
    assert nearest("x", BY_NAME) == []
