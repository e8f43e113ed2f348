"""Each view shows, on 2,000 simulated functions, what Python counts in the rows that the simulator expects."""

from pathlib import Path
from runpy import run_path

import pytest

from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session

EXPECTATIONS = {
    name: value
    for part in ("expectations_code.py", "expectations_settings.py")
    for name, value in run_path(str(Path(__file__).with_name(part))).items()
}
VIEWS = [
    view.name
    for view in shipped_views()
    if 20 <= int(view.path.name[:2]) < 60 and view.name != "lambda_runtimes"  # see test_fleet_views
]


@pytest.fixture(scope="module")
def session(simulated):
    with open_query_session(simulated[0]) as session:
        yield session


def _sortable(row):
    return tuple((value is not None, str(value)) for _, value in sorted(row.items()))


@pytest.mark.parametrize("view", VIEWS)
def test_rows(simulated, session, view):
    """A view has exactly the expected rows, each once."""
    _, rows, scopes = simulated
    shown = sorted(session.read(f"SELECT * FROM {view}").read_all().to_pylist(), key=_sortable)
    expected = sorted(EXPECTATIONS[view](rows | {"scopes": scopes}), key=_sortable)

    assert expected == shown
    assert expected or view == "errors_by_kind"
