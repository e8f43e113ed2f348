"""Parameters of a query: values are data, never SQL, and stand in no message."""

from datetime import UTC, date, datetime, timedelta, timezone

import duckdb
import pytest

from lexport.errors import QueryError
from lexport.query.parameters import fill_parameters, hide_values


def fill(query, **values):
    """Return the query with its parameters replaced."""
    (statement,) = duckdb.extract_statements(query)
    return fill_parameters(statement, values)


def rows(query, **values):
    """Run the query."""
    return duckdb.sql(fill(query, **values)).fetchall()


@pytest.mark.parametrize("value", ["", "it's", "'; DROP TABLE x; --", "$other", "\\", "ü\n表", "$$a$$", "/*"])
def test_value_is_data(value):
    """Any text comes back as it is."""
    assert rows("SELECT $x || '', $X || ''", x=value) == [(value, value)]


def test_cast():
    """DuckDB casts a value to the type that the query compares it with."""
    assert rows("SELECT count(*) FROM range(10) AS t(i) WHERE i>=$least AND i<$most", least="3", most="10") == [(7,)]
    assert rows("SELECT DATE '2026-01-02'>$day, [1]=$list, $n::INT + 1", day="2026-01-01", list="[1]", n="2") == [
        (True, True, 3)
    ]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (-5, "INTEGER", "-5"),
        (2**127 - 1, "HUGEINT", str(2**127 - 1)),
        (1.5, "DOUBLE", "1.5"),
        (float("-inf"), "DOUBLE", "-inf"),
        (True, "BOOLEAN", "true"),
        (None, '"NULL"', None),
        (date(2026, 1, 2), "DATE", "2026-01-02"),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), "TIMESTAMP WITH TIME ZONE", "2026-01-02 03:00:00+00"),
        (
            datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=9))),
            "TIMESTAMP WITH TIME ZONE",
            "2026-01-01 18:00:00+00",
        ),
        ([["it is"], None], "VARCHAR[][]", "[[it is], NULL]"),
        ((), '"NULL"[]', "[]"),
    ],
)
def test_types(value, kind, text):
    """A value of Python has the type in SQL that it has in Python."""
    duckdb.sql("SET TimeZone = 'UTC'")

    assert rows("SELECT typeof($x), $x::VARCHAR", x=value) == [(kind, text)]


def test_minus_of_a_negative_number():
    """A negative number is one value: no operator before it turns it into something else."""
    assert rows("SELECT -$x, 2-$x", x=-1) == [(1, 3)]


def test_places():
    """Only parameters are replaced: not the same letters in texts, names, comments and dollar quotes."""
    query = "SELECT '$x' AS \"$x\", $$ $x $$, a$x, $x, /* $x */ ü$x -- $x\nFROM (SELECT 1 AS a$x, 2 AS ü$x)"

    assert fill(query, x="1") == query.replace(", $x,", ", '1',")


@pytest.mark.parametrize(
    ("query", "values", "text"),
    [
        (
            "SELECT $x, $y",
            {"y": "1"},
            "the query has the parameter [$]x without a value: give --param x=VALUE [(]parameters= in Python",
        ),
        (
            "SELECT $region",
            {"region": "1", "regoin": "secret"},
            "no parameter [$]regoin, for which .*; did you mean region",
        ),
        ("SELECT 1", {"x": "secret"}, "the query has no parameter [$]x"),
        ("SELECT ?", {}, "such as [$]region; [?] and [$]1 have none"),
        ("SELECT $1", {}, "such as [$]region"),
        ("SELECT $x", {"x": "secret", "X": "secret"}, "the parameter [$]x has two values"),
        ("SELECT $x", {"x": {"secret"}}, "the value of [$]x has the type set: expected a text, a number"),
        ("SELECT $x", {"x": ["secret", b"secret"]}, "the value of [$]x has the type bytes"),
        ("SELECT $x", {"x": datetime.fromisoformat("2026-01-01")}, "the value of [$]x is a time without a time zone"),
        ("SELECT $x", {"x": "secret\udcff"}, "the value of [$]x is not valid Unicode"),
        ("SELECT $x", {"x": 2**127}, "the value of [$]x is a number of more than 128 bits"),
    ],
)
def test_wrong_names(query, values, text):
    """A parameter without a value and a value without a parameter are errors that name it, without the value."""
    with pytest.raises(QueryError, match=text) as caught:
        fill(query, **values)

    assert "secret" not in str(caught.value)


def test_hidden_values():
    """A message shows the name instead of the value, as DuckDB quotes it."""
    with pytest.raises(duckdb.ConversionException) as caught:
        rows("SELECT $x::INT", x="my  secret")

    assert hide_values(" ".join(str(caught.value).split("\n\n")[0].split()), {"x": "my  secret"}).endswith(
        "Could not convert string $x to INT32"
    )
    assert hide_values("Could not convert string 'secret' to INT32", {"x": [["secret"]]}).endswith("string $x to INT32")
