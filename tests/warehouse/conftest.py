"""A dataset that grows in stages, what ``lexport sql`` shows of each, and the databases that feeds are loaded into."""

import importlib.util
import shutil
from functools import cache
from pathlib import Path

import pytest


def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shown = _load("shown")


@pytest.fixture(scope="session")
def nights():
    """The module ``nights.py``."""
    return _load("nights")


@pytest.fixture(scope="session")
def show():
    """The module ``shown.py``."""
    return shown


@pytest.fixture(scope="session")
def stages(tmp_path_factory, write_dataset, nights):
    """Return the dataset as it is at each stage, in folders of its own; not to be changed."""
    folder = tmp_path_factory.mktemp("stages")
    found = []
    for number, _ in enumerate(nights.write_stages(folder / "fleet", write_dataset)):
        found.append(folder / f"stage{number}")
        shutil.copytree(folder / "fleet", found[-1])
    return found


@pytest.fixture(scope="session")
def sql_shows():
    """Return a function: what ``lexport sql`` shows of every name at a stage."""
    return cache(lambda stage: shown.of_sql(stage, shown.TABLES))


@pytest.fixture(scope="session")
def view_rows(stages):
    """Return a function: what every shipped view shows at the last stage."""
    return cache(lambda: shown.of_sql(stages[-1], shown.VIEWS, shown.number))


@pytest.fixture(params=["postgres", "duckdb"])
def warehouse(request, tmp_path):
    """An empty database."""
    if request.param == "duckdb":
        return shown.DuckDB(tmp_path / "warehouse.duckdb")
    return shown.Postgres(request.getfixturevalue("postgres_server").create_database())


@pytest.fixture
def apply():
    """Return a function that loads a feed into a database."""
    from lexport.query.warehouse.apply import apply_feed

    def load(dest, warehouse, since=None, write_mode="hard-delete"):
        return apply_feed(dest, warehouse.kind, warehouse.url, since=since, write_mode=write_mode)

    return load


@pytest.fixture
def differing(show):
    """Return a function that names what a database shows otherwise than expected."""

    def compare(warehouse, expected, write=show.exact):
        theirs = warehouse.shows(list(expected), write)
        return [name for name, rows in expected.items() if rows != theirs[name]]

    return compare
