"""The format of a command's output: --output, or the suffix of the file. And CSV that is safe for spreadsheets."""

import json

import pyarrow.parquet as pq
import pytest

ONE_CHECK = ("--check", "deprecated_runtime", "--fail-on", "none")
QUERY = "SELECT function_name AS name FROM functions"


def kind_of(body):
    """Tell which format bytes are."""
    if body.startswith(b"PAR1"):
        return "parquet"
    if body.startswith(b"[\n"):
        return "json"
    if body.startswith(b"{"):
        return "sarif" if b"sarif" in body else "jsonl"
    if body.startswith(b"<?xml"):
        return "junit"
    return "csv" if b"\r\n" in body else "table"


@pytest.mark.parametrize(
    ("name", "output", "kind"),
    [
        ("x.parquet", None, "parquet"),
        ("x.csv", None, "csv"),
        ("X.CSV", None, "csv"),
        ("x.json", None, "json"),
        ("x.jsonl", None, "jsonl"),
        ("x", None, "table"),
        ("x.txt", None, "table"),
        ("x.ndjson", None, "jsonl"),
        ("x.tsv", "table", "table"),
        ("x.csv.gz", "csv", "csv"),
        (".csv", None, "table"),
        ("x.parquet", "parquet", "parquet"),
        ("x.txt", "csv", "csv"),
        ("parquet", "jsonl", "jsonl"),
    ],
)
def test_sql(dest, lexport, tmp_path, name, output, kind):
    """The suffix says the format; a name that says nothing leaves it to --output."""
    done = lexport("sql", dest, QUERY, "-o", name, *(["--output", output] if output else []))

    assert (done.code, done.out, done.err) == (0, b"", "")
    assert kind_of((tmp_path / name).read_bytes()) == kind


@pytest.mark.parametrize("name", ["x.csv.gz", "x.tsv", "X.XLSX"])
def test_a_format_that_is_not_written(dest, lexport, tmp_path, name):
    """No table is written under a name that says another format, unless --output asks for it."""
    done = lexport("sql", dest, QUERY, "-o", name)

    assert (done.code, done.out) == (2, b"")
    assert (
        "is not a format of this command: table, line, json, jsonl, csv, parquet. Choose one with --output" in done.err
    )
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("x.sarif", "sarif"), ("x.xml", "junit"), ("x.json", "json"), ("x.csv", "csv"), ("x.jsonl", "jsonl")],
)
def test_check(dest, lexport, tmp_path, name, kind):
    """``check`` follows the same rule for its own formats."""
    assert lexport("check", dest, *ONE_CHECK, "-o", name).code == 0
    assert kind_of((tmp_path / name).read_bytes()) == kind


def test_sarif_is_json(dest, lexport, tmp_path):
    """SARIF is JSON, so it may be in a file that says so."""
    assert lexport("check", dest, *ONE_CHECK, "--output", "sarif", "-o", "x.json").code == 0
    assert json.loads((tmp_path / "x.json").read_bytes())["version"] == "2.1.0"


def test_feed(dest, lexport, tmp_path):
    """``feed`` makes a folder of a name that ends as Parquet does, and a file of one that ends as JSON lines do."""
    assert lexport("feed", dest, "-o", "x.parquet").code == 0
    assert lexport("feed", dest, "-o", "x.jsonl").code == 0

    assert pq.ParquetFile(tmp_path / "x.parquet/functions.parquet").read().num_rows == 1
    assert json.loads((tmp_path / "x.jsonl").read_bytes().splitlines()[0])["type"] == "feed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sql", "DEST", QUERY, "-o", "x.parquet", "--output", "csv"), "--output csv and -o x.parquet contradict"),
        (("sql", "DEST", QUERY, "-o", "x.json", "--output", "jsonl"), "--output jsonl and -o x.json contradict"),
        (("sql", "DEST", QUERY, "-o", "x.json", "--output", "table"), "--output table and -o x.json contradict"),
        (("check", "DEST", "-o", "x.sarif", "--output", "csv"), "--output csv and -o x.sarif contradict"),
        (
            ("check", "DEST", "-o", "x.parquet"),
            ".parquet is not a format of this command: table, line, json, jsonl, csv",
        ),
        (("sql", "DEST", QUERY, "-o", "x.sarif"), ".sarif is not a format of this command"),
        (("feed", "DEST", "-o", "x.sarif"), ".sarif is not a format of this command: jsonl, parquet, csv"),
        (("sql", "DEST", QUERY, "--output", "parquet"), "--output parquet needs -o FILE"),
    ],
)
def test_what_contradicts_is_wrong_use(dest, lexport, tmp_path, arguments, said):
    """Two formats in one command are refused with exit code 2, before anything is written."""
    done = lexport(*(dest if argument == "DEST" else argument for argument in arguments))

    assert done.code == 2
    assert said in done.err
    assert [*tmp_path.iterdir()] == []


def test_a_flag_is_stronger_than_a_variable(dest, lexport, tmp_path, monkeypatch):
    """-o as a flag beats LEXPORT_OUTPUT and lexport.toml; --output as a flag beats LEXPORT_OUTPUT_FILE."""
    monkeypatch.setenv("LEXPORT_OUTPUT", "json")
    assert lexport("sql", dest, QUERY, "-o", "x.csv").code == 0
    assert kind_of((tmp_path / "x.csv").read_bytes()) == "csv"
    assert kind_of(lexport("sql", dest, QUERY).out) == "json"

    monkeypatch.setenv("LEXPORT_OUTPUT_FILE", "y.csv")
    assert lexport("sql", dest, QUERY, "--output", "jsonl").code == 0
    assert kind_of((tmp_path / "y.csv").read_bytes()) == "jsonl"
    assert lexport("sql", dest, QUERY).code == 2

    monkeypatch.delenv("LEXPORT_OUTPUT")
    (tmp_path / "lexport.toml").write_text('[sql]\noutput = "json"\n')
    assert lexport("sql", dest, QUERY).code == 0
    assert kind_of((tmp_path / "y.csv").read_bytes()) == "csv"


@pytest.mark.parametrize(
    "command", [("sql", "DEST", QUERY), ("check", "DEST", *ONE_CHECK), ("sbom", "DEST"), ("feed", "DEST")]
)
def test_a_dash_is_stdout(dest, lexport, tmp_path, command):
    """``-o -`` is standard output for every command, and no file of that name."""
    lexport(*(dest if argument == "DEST" else argument for argument in command), "-o", "-")

    assert [*tmp_path.iterdir()] == []


# --- CSV for spreadsheets ---------------------------------------------------------------------------------------------

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]
HARMLESS = ["", "a=1", "1-2", "'=1", " x", '"=1"', "$LATEST", "[1]"]


@pytest.fixture(scope="module")
def formulas(tmp_path_factory, write_dataset):
    """A dataset whose descriptions a spreadsheet would run."""
    folder = tmp_path_factory.mktemp("formulas") / "fleet"
    functions = [
        {"function_name": f"f{number:02}", "version": "$LATEST", "description": text, "memory_size": -1}
        for number, text in enumerate([*FORMULAS, *HARMLESS])
    ]
    write_dataset(folder, [{"functions": functions}])
    return folder


def test_csv_is_exact_by_default(formulas, lexport):
    """Without --csv-safe every text is as AWS sent it."""
    done = lexport(
        "sql",
        formulas,
        "SELECT description FROM functions ORDER BY function_name",
        "--output",
        "csv",
        "--max-skew",
        "9d",
    )

    assert [row[0] for row in done.cells[1:]] == [*FORMULAS, *HARMLESS]


def test_csv_safe(formulas, lexport):
    """With --csv-safe no text begins as a formula does, names of columns included; numbers and other texts stay."""
    done = lexport(
        "sql",
        formulas,
        'SELECT description AS "=evil", memory_size FROM functions ORDER BY function_name',
        *("--csv-safe", "-o", "-", "--output", "csv"),
    )

    assert done.cells[0] == ["'=evil", "memory_size"]
    assert [row[0] for row in done.cells[1:]] == [*(f"'{text}" for text in FORMULAS), *HARMLESS]
    assert {row[1] for row in done.cells[1:]} == {"-1"}


def test_csv_safe_is_for_every_csv(dest, lexport, monkeypatch, tmp_path):
    """Each command that writes CSV takes it; with another format it is wrong use, unless a variable set it for all."""
    commands = [("sql", dest, "SELECT '=1' AS a"), ("check", dest, *ONE_CHECK), ("diff", dest), ("status", dest)]
    for command in [*commands, ("verify", dest), ("schema",)]:
        assert lexport(*command, "--output", "csv", "--csv-safe").code in (0, 1, 4), command
        refused = lexport(*command, "--output", "json", "--csv-safe")
        assert (refused.code, refused.out) == (2, b"")
        assert "--csv-safe goes with --output csv, not with json" in refused.err
    monkeypatch.setenv("LEXPORT_CSV_SAFE", "1")
    assert lexport("sql", dest, "SELECT '=1' AS a", "--output", "jsonl").out == b'{"a": "=1"}\n'
    assert lexport("sql", dest, "SELECT '=1' AS a", "-o", "x.csv").code == 0
    assert (tmp_path / "x.csv").read_bytes() == b"a\r\n'=1\r\n"
