"""``lexport.Dataset``: its description, its results, and that it leaves no files behind."""

import gc
import pickle
import re
import tempfile
import traceback
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import lexport
from lexport.errors import NoSnapshotError, QueryError, SettingsError
from lexport.query.shipped_views import shipped_views
from lexport.tables.registry import BY_NAME

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
NAMES = [f"f{number:05d}" for number in range(25_000)]  # more than one batch


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, write_dataset):
    dest = tmp_path_factory.mktemp("notebook") / "fleet"
    old = [{"function_name": name, "version": "$LATEST"} for name in NAMES]
    write_dataset(dest, [{"at": AT, "functions": old}, {"at": AT + timedelta(days=1), "functions": old[:2]}])
    return dest


def test_sql_is_a_table(fleet):
    """A result is used as the Arrow table that it has, and plain names mean the same as for ``sql``."""
    answer = lexport.Dataset(fleet).sql("SELECT function_name FROM functions ORDER BY 1")
    rows = [{"function_name": "f00000"}, {"function_name": "f00001"}]

    assert isinstance(answer.table, pa.Table)
    assert answer.to_pylist() == [*answer] == rows
    assert pa.table(answer) == answer.table
    assert answer == lexport.Dataset(fleet).sql("FROM functions SELECT function_name ORDER BY 1")
    assert (answer.num_rows, len(answer), answer["function_name"][1].as_py()) == (2, 2, "f00001")
    assert duckdb.sql("SELECT max(function_name) FROM answer").fetchall() == [("f00001",)]
    assert pickle.loads(pickle.dumps(answer)) == answer
    assert repr(answer) == "<2 rows of function_name>"
    with pytest.raises(AttributeError, match="nothing"):
        _ = answer.nothing


def test_a_result_shows_itself(fleet):
    """A notebook shows the first rows and columns of a result, says how many there are, and runs nothing in them."""
    dataset = lexport.Dataset(fleet)
    short = dataset.sql(
        "SELECT '<b>' AS \"<i>\", NULL AS n, repeat('x', 1000) AS long, 'a' || chr(27) AS control"
    )._repr_html_()
    long = dataset.sql("SELECT function_name FROM history.functions")._repr_html_()
    wide = dataset.sql("FROM functions")._repr_html_()

    assert "<th>&lt;i&gt;</th><th>n</th>" in short
    assert "<td>&lt;b&gt;</td><td><i>NULL</i></td><td>xxx" in short
    assert "x" * 200 not in short
    assert "\x1b" not in short
    assert long.count("<tr>") == 21
    assert "<p>20 of 25,002 rows shown</p>" in long
    assert re.search(r"<p>30 of \d+ columns shown</p>", wide)


@pytest.mark.asyncio
async def test_parameters(fleet):
    """Values for ``$NAME`` are given as Python has them, to a dataset and to ``sql``; a message shows none of them."""
    query = "SELECT function_name FROM functions WHERE function_name IN $names AND last_modified_at IS NULL OR $all"
    values = {"names": ["f00001", "it's"], "all": False}
    answer = lexport.Dataset(fleet).sql(query, parameters=values)

    assert answer.to_pylist() == [{"function_name": "f00001"}]
    assert await lexport.sql(fleet, query, parameters=values) == answer
    with pytest.raises(QueryError, match=r"without a value: give --param all=VALUE [(]parameters= in Python"):
        lexport.Dataset(fleet).sql(query, parameters={"names": []})
    for wrong in (["all"], {1: True}):
        with pytest.raises(QueryError, match="parameters are a mapping of names to values"):
            lexport.Dataset(fleet).sql("SELECT $all FROM", parameters=wrong)
    with pytest.raises(QueryError, match=r"[$]x") as caught:
        await lexport.sql(fleet, "SELECT $x::INT", parameters={"x": NAMES[7]})
    assert NAMES[7] not in "".join(traceback.format_exception(caught.value))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_tables_by_name(fleet):
    """The tables, their meanings and their columns can be read by name."""
    tables = lexport.Dataset(fleet).tables

    assert tables["functions"].meaning.startswith("One row per function version")
    assert {column.name for column in tables["aliases"].columns} >= {"function_version", "revision_id"}
    assert list(tables) == [*BY_NAME]


def test_a_data_frame(fleet):
    """With pandas a query gives a DataFrame; without it, the error says what to install."""
    dataset = lexport.Dataset(fleet)
    if find_spec("pandas") is None:
        with pytest.raises(SettingsError, match="pip install pandas"):
            dataset.df("functions")
    else:
        assert list(dataset.df("functions")["function_name"]) == ["f00000", "f00001"]


@pytest.mark.asyncio
async def test_works_in_a_running_loop(fleet):
    """It works inside a running event loop."""
    assert lexport.Dataset(fleet).sql("SELECT count(*) AS n FROM history.functions").to_pylist() == [{"n": 25_002}]


@pytest.mark.parametrize(("space", "rows"), [("latest", 2), ("snapshot", 2), ("history", 25_002)])
def test_tables_stream(fleet, space, rows):
    """A table streams in batches through Arrow's C interface, from each of the three name spaces."""
    batches = lexport.Dataset(fleet).table("functions", space=space)
    taken = pa.RecordBatchReader.from_stream(batches)

    assert hasattr(batches, "__arrow_c_stream__")
    sizes = [batch.num_rows for batch in taken]
    assert sum(sizes) == rows
    assert max(sizes) <= 10_000


def test_views_are_tables_too(fleet):
    """Each shipped view can be streamed, and its question and columns read."""
    dataset = lexport.Dataset(fleet)

    assert list(dataset.views) == [view.name for view in shipped_views()]
    assert dataset.table("runtimes").schema.names == list(dataset.views["runtimes"].columns)


def test_a_stream_that_nobody_reads_is_closed(fleet, tmp_path, monkeypatch):
    """A stream that is dropped, read or not, removes its folder for spilled data."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    unread = lexport.Dataset(fleet).table("functions", space="history")
    begun = lexport.Dataset(fleet).table("functions", space="history")
    begun.read_next_batch()
    assert len(list(tmp_path.iterdir())) == 2
    del unread, begun
    gc.collect()

    assert list(tmp_path.iterdir()) == []


def test_a_new_snapshot_shows(tmp_path, write_dataset):
    """A snapshot that was committed after the object was made is seen; with as_of it is not."""
    nights = [
        {"at": AT + timedelta(days=night), "functions": [{"function_name": str(night), "version": "1"}]}
        for night in range(2)
    ]
    write_dataset(tmp_path, nights[:1])
    dataset, before = lexport.Dataset(tmp_path), lexport.Dataset(tmp_path, as_of="2026-11-22")
    write_dataset(tmp_path, nights)

    assert dataset.sql("SELECT function_name FROM functions").to_pylist() == [{"function_name": "1"}]
    assert before.table("functions").read_all().column("function_name").to_pylist() == ["0"]


def test_it_shows_itself(fleet):
    """The description has the path, the number and age of snapshots, and each account-region with its counts."""
    page = lexport.Dataset(fleet)._repr_html_()

    assert f"<code>{fleet}</code>: 2 snapshots, the newest 01K00000000000000000000002 (complete)" in page
    assert "<td>111122223333</td><td>eu-west-1</td><td>01K00000000000000000000002</td>" in page
    assert repr(lexport.Dataset(str(fleet))) == f"lexport.Dataset({str(fleet)!r})"


def test_hostile_names_stay_text(tmp_path, write_dataset):
    """Names are escaped in cells, in the name of the folder and in notices."""
    evil = "<script>alert(1)</script>"
    dest = tmp_path / evil.replace("/", "")
    _, damaged = write_dataset(dest, [{}, {}])
    path = dest / "_runs" / f"{damaged.snapshot_id}.json"
    path.write_text(path.read_text().replace('"path": "tags', f'"path": "{evil}tags'))
    page = lexport.Dataset(dest)._repr_html_()

    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3  # twice in the folder, once in a notice


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (
            lambda d: d.table("function"),
            SettingsError,
            "has the name function; did you mean functions?",
        ),
        (lambda d: d.table("runtimes", space="history"), SettingsError, "no table of history has the name runtimes"),
        (lambda d: d.table("tags", space="past"), SettingsError, "space past: expected latest, snapshot, history"),
        (lambda d: d.sql("DROP TABLE functions"), QueryError, "only SELECT is allowed"),
        (lambda d: d.sql("SELECT * FROM read_text('/etc/passwd')"), QueryError, "reads the tables of its dataset"),
    ],
)
def test_wrong_questions(fleet, ask, error, message):
    """An unknown name and a statement that writes are rejected in one line."""
    with pytest.raises(error, match=message):
        ask(lexport.Dataset(fleet))


def test_no_dataset(tmp_path):
    """A folder without a snapshot is rejected when the object is created."""
    with pytest.raises(NoSnapshotError):
        lexport.Dataset(tmp_path)
    with pytest.raises(SettingsError):
        lexport.Dataset(Path(tmp_path, "nowhere"))
