"""A dataset of three nights, to be copied and damaged."""

from pathlib import Path
from runpy import run_path

import pytest


@pytest.fixture(scope="session")
def three_nights(tmp_path_factory, write_dataset):
    """Return a dataset with a snapshot of ten functions on each of three nights; not to be changed."""
    night = run_path(str(Path(__file__).with_name("three_nights.py")))["night"]
    dest = tmp_path_factory.mktemp("three_nights") / "fleet"
    write_dataset(dest, [night(day) for day in range(3)])
    return dest
