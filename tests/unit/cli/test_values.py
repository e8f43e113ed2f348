"""Every type of DuckDB, in every format: the value is written without loss, and can be read again."""

import json
import re
from decimal import Decimal

import duckdb
import pyarrow.parquet as pq
import pytest

import lexport as library
from lexport.cli._rows.formats import FORMATS

DATES = {
    "DATE '2026-01-02'": "2026-01-02",
    "DATE '9999-12-31'": "9999-12-31",
    "DATE '10000-01-01'": "10000-01-01",
    "DATE '12024-02-29'": "12024-02-29",
    "DATE '0001-01-01'": "0001-01-01",
    "DATE '0001-12-31 (BC)'": "0001-12-31 (BC)",
    "DATE '0044-03-15 (BC)'": "0044-03-15 (BC)",
    "DATE '5881580-07-10'": "5881580-07-10",
    "DATE '5877642-06-25 (BC)'": "5877642-06-25 (BC)",
    "DATE 'infinity'": "infinity",
    "DATE '-infinity'": "-infinity",
}
INSTANTS = {
    "TIMESTAMP '2026-01-02 03:04:05'": "2026-01-02T03:04:05",
    "TIMESTAMPTZ '2026-01-02 03:04:05.5+01'": "2026-01-02T02:04:05.500000Z",
    "TIMESTAMP '12024-01-01 00:00:00.000001'": "12024-01-01T00:00:00.000001",
    "TIMESTAMPTZ '0044-03-15 (BC) 01:02:03+00'": "0044-03-15 (BC)T01:02:03Z",
    "TIMESTAMP '1969-12-31 23:59:59.999999'": "1969-12-31T23:59:59.999999",
    "TIMESTAMP 'infinity'": "infinity",
    "TIMESTAMPTZ '-infinity'": "-infinity",
    "TIMESTAMP_S '2026-01-02 03:04:05'": "2026-01-02T03:04:05",
    "TIMESTAMP_MS '2026-01-02 03:04:05.678'": "2026-01-02T03:04:05.678000",
    "TIMESTAMP_NS '2026-01-02 03:04:05.123456789'": "2026-01-02T03:04:05.123456789",
    "TIMESTAMP_NS '2026-01-02 03:04:05.123456'": "2026-01-02T03:04:05.123456",
    "TIMESTAMP_NS 'infinity'": "infinity",
}
AS_DUCKDB_WRITES = {
    "INTERVAL 1 DAY": "1 day",
    "INTERVAL '2 years 3 months 04:05:06.5'": "2 years 3 months 04:05:06.5",
    "INTERVAL '-1 month 3 days -00:00:01'": "-1 month 3 days -00:00:01",
    "INTERVAL 0 SECOND": "00:00:00",
    "TIME '01:02:03'": "01:02:03.000000",
    "TIME_NS '01:02:03.123456789'": "01:02:03.123456789",
    "TIMETZ '01:02:03.5+05:30'": "01:02:03.5+05:30",
    "'0101'::BIT": "0101",
    "'x'::ENUM('x', 'y')": "x",
    "'00000000-0000-0000-0000-00000000abcd'::UUID": "00000000-0000-0000-0000-00000000abcd",
    "340282366920938463463374607431768211455::UHUGEINT": "340282366920938463463374607431768211455",
    "'123456789012345678901234567890123456789012345678901234567890'::BIGNUM": "1234567890" * 6,
    "union_value(days := INTERVAL 1 DAY)": "1 day",
}
NESTED = {
    "[DATE '12024-01-01', NULL]": ["12024-01-01", None],
    "array_value(TIMESTAMPTZ 'infinity', NULL)": ["infinity", None],
    "{'a': INTERVAL 1 DAY, 'b c': [TIMETZ '01:02:03+01'], 'd': 1}": {"a": "1 day", "b c": ["01:02:03+01"], "d": 1},
    "row(1, '1'::BIT)": {"element1": 1, "element2": "1"},
    "MAP {DATE '0044-03-15 (BC)': INTERVAL 1 DAY}": [["0044-03-15 (BC)", "1 day"]],
    "MAP {'k': {'t': TIMESTAMP_NS '2026-01-02 03:04:05.123456789'}}": [["k", {"t": "2026-01-02T03:04:05.123456789"}]],
    "[NULL, [], [{'a': NULL::DATE}]]": [None, [], [{"a": None}]],
    "{'a': {}}": {"a": {}},
    "NULL::DATE[]": None,
    "NULL::STRUCT(a DATE)": None,
    "NULL::MAP(DATE, DATE)": None,
}
TEXTS = DATES | INSTANTS | AS_DUCKDB_WRITES


def select(expressions):
    return "SELECT " + ", ".join(f"{expression} AS c{number}" for number, expression in enumerate(expressions))


@pytest.mark.parametrize("output", ["json", "jsonl"])
def test_json(dest, lexport, output):
    """JSON has each of them as a text that says all of it, also within lists, structs and maps."""
    done = lexport("sql", dest, select([*TEXTS, *NESTED]), "--output", output)
    rows = json.loads(done.out) if output == "json" else [json.loads(line) for line in done.out.splitlines()]

    assert (done.code, done.err) == (0, "")
    assert [list(row.values()) for row in rows] == [[*TEXTS.values(), *NESTED.values()]]


def test_csv(dest, lexport):
    """CSV has the same texts; nested values are JSON, and NULL is empty."""
    done = lexport("sql", dest, select([*TEXTS, *NESTED]), "--output", "csv")
    cells = done.cells[1]

    assert cells[: len(TEXTS)] == [*TEXTS.values()]
    assert [json.loads(cell) if cell else None for cell in cells[len(TEXTS) :]] == [*NESTED.values()]


def test_table(dest, lexport):
    """A table shows the same texts, one for each column."""
    done = lexport("sql", dest, select(TEXTS))

    assert re.split("  +", done.out.decode().splitlines()[2]) == [*TEXTS.values()]


@pytest.mark.parametrize("expression", [*DATES, *INSTANTS, *AS_DUCKDB_WRITES])
def test_it_reads_again(expression):
    """DuckDB reads each text as the value that it was."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    query = f"SELECT ?::{{}} IS NOT DISTINCT FROM ({expression})"
    ((kind,),) = connection.execute(f"SELECT typeof({expression})").fetchall()
    if kind.startswith("UNION"):
        kind = "INTERVAL"

    assert connection.execute(query.format(kind), [TEXTS[expression]]).fetchall() == [(True,)]


NUMBERS = {
    "170141183460469231731687303715884105727::HUGEINT": "170141183460469231731687303715884105727",
    "(-170141183460469231731687303715884105728)::HUGEINT": "-170141183460469231731687303715884105728",
    "1.10::DECIMAL(38, 10)": "1.1000000000",
    "18446744073709551615::UBIGINT": "18446744073709551615",
    "(-128)::TINYINT": "-128",
}


@pytest.mark.parametrize("output", FORMATS)
def test_numbers(dest, lexport, output):
    """Numbers stay exact, however large; NaN and infinity are null in JSON and words elsewhere."""
    odd = {"'nan'::DOUBLE": "nan", "'inf'::FLOAT": "inf", "'-inf'::DOUBLE": "-inf"}
    done = lexport("sql", dest, select([*NUMBERS, *odd]), "--output", output)
    text = done.out.decode()
    if output in ("json", "jsonl"):
        found = json.loads(text.strip("[]\n"), parse_float=Decimal)
        assert [str(value) for value in found.values()] == [*NUMBERS.values(), "None", "None", "None"]
    elif output == "line":
        values = [line.partition(" = ")[2] for line in text.splitlines()]
        assert values == [*NUMBERS.values(), *odd.values()]
    else:
        assert text.replace(",", " ").split()[-8:] == [*NUMBERS.values(), *odd.values()]


def test_parquet(dest, lexport, tmp_path):
    """A Parquet file holds every type, and two columns of one name; or one line says that it cannot."""
    expressions = [expression for expression in (*TEXTS, *NESTED) if "{}" not in expression]
    done = lexport("sql", dest, f"{select(expressions)}, 1 AS c0", "-o", "x.parquet")
    file = pq.ParquetFile(tmp_path / "x.parquet")

    assert (done.code, done.err) == (0, "")
    assert (file.metadata.num_rows, file.schema_arrow.names[-1]) == (1, "c0_2")
    assert len(set(file.schema_arrow.names)) == len(expressions) + 1

    done = lexport("sql", dest, "SELECT {'a': {}} AS c", "-o", "y.parquet")
    assert done.code == 2
    assert done.err.startswith("lexport: Parquet cannot hold this result: ")
    assert done.err.endswith("; cast it to VARCHAR\n")
    assert not (tmp_path / "y.parquet").exists()


def test_the_library_loses_nothing(dest):
    """Values that Arrow cannot hold are text in the library too; an interval stays an interval."""
    answer = library.Dataset(dest).sql(
        "SELECT 340282366920938463463374607431768211455::UHUGEINT AS n, TIMETZ '01:02:03+05:30' AS t, "
        "[{'b': '0101'::BIT}] AS l, INTERVAL 1 DAY AS i, '{\"a\": [1]}'::JSON::VARIANT AS v ORDER BY n"
    )
    row = answer.to_pylist()[0]

    assert (row["n"], row["t"], row["l"]) == (
        "340282366920938463463374607431768211455",
        "01:02:03+05:30",
        [{"b": "0101"}],
    )
    assert json.loads(row["v"]) == {"a": [1]}
    assert str(answer.schema.field("i").type) == "month_day_nano_interval"


def test_order_stays(dest, lexport):
    """Rows come in the order of the query, cast columns or not, and columns of one name stay two."""
    done = lexport(
        "sql", dest, "SELECT INTERVAL (r) DAY AS x, r AS x FROM range(3) t(r) ORDER BY r DESC", "--output", "jsonl"
    )

    assert [json.loads(line) for line in done.out.splitlines()] == [
        {"x": "2 days", "x_2": 2},
        {"x": "1 day", "x_2": 1},
        {"x": "00:00:00", "x_2": 0},
    ]
