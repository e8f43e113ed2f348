"""Every view shows the rows of the small hand-written fleet that were counted by hand."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session


def _load(name):
    return SimpleNamespace(**run_path(str(Path(__file__).with_name(f"{name}.py"))))


fleet, runtimes = _load("fleet"), _load("runtimes")
EXPECTED = {
    view: rows
    for name in ("expected_runtimes", "expected_code", "expected_settings")
    for view, rows in _load(name).EXPECTED.items()
}


@pytest.fixture(scope="module")
def session(tmp_path_factory, write_dataset):
    dest = tmp_path_factory.mktemp("views") / "fleet"
    write_dataset(dest, [fleet.FLEET])
    with open_query_session(dest) as session:
        yield session


def rows_of(session, query):
    return [tuple(row.values()) for row in session.read(query).read_all().to_pylist()]


@pytest.mark.parametrize("view", EXPECTED)
def test_rows(session, view):
    """A view returns exactly the expected rows, in order."""
    assert rows_of(session, f"SELECT * FROM {view}") == EXPECTED[view]


def test_a_runtime_version_is_usual_where_most_versions_of_three_functions_have_it(ask):
    """Rows that were carried over count as those that were read; a plurality, and two functions, say nothing."""
    column = "runtime_version_config_runtime_version_arn"

    def built(region, *arns):
        return [
            fleet.function(f"f{number}", region=region, **{column: arn}, carried_forward=number % 2 == 0)
            for number, arn in enumerate(arns)
        ]

    functions = [*built("r-most", "u", "o", "u", "u"), *built("r-half", "u", "u", "u", "o", "o", "o")]
    functions += built("r-plurality", "u", "u", "u", "o", "p", "q")
    functions += [*built("r-two", "u", "u", "o"), fleet.function("f1", "2", region="r-two", **{column: "u"})]
    scopes = [{"region": name} for name in ("r-most", "r-half", "r-plurality", "r-two")]
    night = {"at": fleet.AT, "scopes": scopes, "functions": functions}
    query = "SELECT region, function_name, usual_runtime_version_arn, usual_share FROM pinned_runtime_versions"

    assert ask([night], query) == [("r-most", "f1", "u", 0.75)]


def test_every_view_has_expected_rows():
    """Every view numbered 20 to 59 has expected rows, except for the list of runtimes."""
    names = {view.name for view in shipped_views() if 20 <= int(view.path.name[:2]) < 60}

    assert names == {*EXPECTED, "lambda_runtimes"}


def test_runtimes_are_those_of_the_csv(session):
    """The view of runtimes has the lines of data/runtimes.csv."""
    rows = runtimes.read()
    shown = rows_of(session, "SELECT * FROM lambda_runtimes")

    assert runtimes.VIEW.read_text(encoding="utf-8") == runtimes.render(rows)
    assert len({row["runtime"] for row in rows}) == len(rows) == len(shown)
    for row, cells in zip(rows, shown, strict=True):
        assert [row[name] for name in list(row)[:8]] == ["" if cell is None else _text(cell) for cell in cells]
    assert all(row["source"].startswith("https://docs.aws.amazon.com/") and row["stated_on"] for row in rows)


def _text(cell):
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def test_every_runtime_of_aws_is_known():
    """data/runtimes.csv has every value of the Runtime enumeration of the installed botocore."""
    from botocore.session import get_session

    enumeration = get_session().get_service_model("lambda").shape_for("Runtime").enum

    assert set(enumeration) <= {row["runtime"] for row in runtimes.read()}
