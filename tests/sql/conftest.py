"""``write_dataset`` and ``ask`` for the tests of the shipped views."""

import importlib.util
import os
from pathlib import Path

import pytest

from lexport.query.sql import open_result


def _load(path):
    spec = importlib.util.spec_from_file_location("lexport_tests_dataset", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def compare_golden():
    """Return a function: compare a text with a golden file, or write it (``make golden``)."""

    def compare(path, text):
        if os.environ.get("LEXPORT_WRITE_GOLDEN"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path.name} is new: make golden, and review it"
        assert text == path.read_text(encoding="utf-8"), f"{path} differs: make golden, and review the change"

    return compare


@pytest.fixture
def ask(tmp_path, write_dataset):
    """Return a function: snapshots and a query -> rows."""

    def run(snapshots, query):
        write_dataset(tmp_path / "fleet", snapshots)
        with open_result(tmp_path / "fleet", query) as result:
            return [tuple(row.values()) for row in result.reader.read_all().to_pylist()]

    return run


@pytest.fixture(scope="session")
def simulated(tmp_path_factory, write_dataset):
    """Return a dataset of 2,000 simulated functions in two accounts and two Regions, and the rows it was made from."""
    pages = _load(Path(__file__).with_name("pages.py"))
    rows, scopes = pages.simulated_rows()
    dest = tmp_path_factory.mktemp("simulated") / "fleet"
    write_dataset(dest, [{"at": pages.AT, "scopes": scopes, **rows}])
    return dest, rows, scopes
