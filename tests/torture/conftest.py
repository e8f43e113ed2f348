"""Commands that are killed: forked from one process, on a disk that can fail, at a time that stands still."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from commands import Forks, fork_server
from recovery import REGIONS, Recovery

from disk import Disk, build
from lexport.simulator import Fleet, FleetSpec


@pytest.fixture(scope="session")
def torture_disk(need_program, tmp_path_factory):
    """A disk that can fail, for the commands that are forked here."""
    folder = tmp_path_factory.mktemp("shim")
    return Disk(build(need_program("cc", "gcc", "clang", package="gcc"), folder), folder / "disk")


@pytest.fixture(scope="session")
def torture_server(torture_disk):
    """The process that the commands are forked from."""
    with fork_server(has_fixed_clock=True, **torture_disk.variables()) as started:
        yield started


@pytest.fixture
def forks(torture_server, environment, tmp_path):
    """Run commands in ``tmp_path``."""
    return Forks(torture_server, tmp_path, environment)


@pytest.fixture(scope="session")
def second_server():
    """A process that other commands are forked from at the same time; their disk is sound."""
    with fork_server(has_fixed_clock=True) as started:
        yield started


@pytest.fixture
def second_forks(second_server, environment, tmp_path):
    """Run commands at the same time as ``forks`` does."""
    (tmp_path / "second").mkdir()
    return Forks(second_server, tmp_path / "second", environment)


@pytest.fixture
def five_regions():
    """A fleet of five account-regions with some twenty versions."""
    return Fleet(FleetSpec(functions=8, versions=2, regions=REGIONS))


@pytest.fixture
def recovery(forks, torture_disk):
    """Break runs into a place, and resume them."""

    def make(aws, place, **variables):
        return Recovery(forks, aws, place, began_at=datetime.now(UTC), variables=variables)

    return make
