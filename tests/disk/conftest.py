"""A disk that fails at the n-th call, for whole processes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("disk", Path(__file__).with_name("disk.py"))
disks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(disks)


@pytest.fixture(scope="session")
def shim(need_program, tmp_path_factory):
    """The library for LD_PRELOAD, compiled once."""
    return disks.build(need_program("cc", "gcc", "clang", package="gcc"), tmp_path_factory.mktemp("shim"))


@pytest.fixture
def disk(shim, tmp_path):
    """A disk that can fail, for the processes that are started with its variables."""
    return disks.Disk(shim, tmp_path / "disk")


@pytest.fixture(scope="session")
def no_hard_links():
    """The calls that a file system without hard links, and without another atomic way, refuses."""
    return disks.NO_HARD_LINKS
