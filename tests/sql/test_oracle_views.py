"""Each view on 2,000 simulated functions shows what Python counts from the oracle's rows."""

import importlib.util
from pathlib import Path

import pytest

from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session


def _load(name):
    spec = importlib.util.spec_from_file_location(f"lexport_tests_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


expectations = _load("expectations")
VIEWS = [
    view.name
    for view in shipped_views()
    if 20 <= int(view.path.name[:2]) < 60 and view.name != "lambda_runtimes"  # that one is data, see test_fleet_views
]


@pytest.fixture(scope="module")
def session(simulated):
    with open_query_session(simulated[0]) as opened:
        yield opened


def _sortable(row):
    return tuple((value is not None, str(value)) for _, value in sorted(row.items()))


@pytest.mark.parametrize("view", VIEWS)
def test_rows(simulated, session, view):
    """A view has these rows, each once, and no other."""
    _, rows, scopes = simulated
    shown = sorted(session.read(f"SELECT * FROM {view}").read_all().to_pylist(), key=_sortable)
    expected = sorted(getattr(expectations, view)(rows | {"scopes": scopes}), key=_sortable)

    assert expected == shown
    assert expected or view == "errors_by_kind"
