"""``write_dataset``, borrowed from the tests of the shipped views."""

import importlib.util
from pathlib import Path

import pytest


def _load(path):
    spec = importlib.util.spec_from_file_location("lexport_tests_dataset", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def write_dataset():
    """Write a tiny dataset from dict rows; see ``tests/sql/dataset.py``."""
    return _load(Path(__file__).parents[2] / "sql" / "dataset.py").write_dataset


@pytest.fixture(scope="session")
def package_commits():
    """Commits of packages between and after snapshots, and what queries over them answer."""
    found = _load(Path(__file__).parents[2] / "sql" / "dataset.py")
    return found.PACKAGE_COMMITS, found.PACKAGE_ANSWERS


@pytest.fixture(scope="session")
def make_old():
    """Rewrite a commit as an older schema version wrote it; see ``tests/sql/dataset.py``."""
    return _load(Path(__file__).parents[2] / "sql" / "dataset.py").make_old
