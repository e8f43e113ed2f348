"""Schedulers and workers of dask, and how the datasets are compared that they make."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from dask_processes import run_dask
from worker_runs import IS_WHOLE

from disk import Disk, build


@pytest.fixture
def dask(environment, tmp_path) -> Callable[..., AbstractContextManager[Any]]:
    """Start a scheduler and workers: ``with dask(3) as running:``. A keyword sets a variable of theirs."""

    def start(workers: int, *, host: str = "127.0.0.1", **variables: str) -> AbstractContextManager[Any]:
        return run_dask(tmp_path / "scheduler", environment | variables, workers=workers, host=host)

    return start


@pytest.fixture
def disk(need_program, tmp_path) -> Disk:
    """A disk that can fail, for the workers that are started with its variables."""
    return Disk(build(need_program("cc", "gcc", "clang", package="gcc"), tmp_path), tmp_path / "disk")


@pytest.fixture
def is_whole() -> bool:
    """Whether everything is run at its full size: ``make workers``."""
    return IS_WHOLE


@pytest.fixture
def table_bytes(look) -> Callable[[Any], list[tuple[str, bytes]]]:
    """Return the bytes of every table that does not tell of the run itself, of a folder or a bucket.

    The names of the files have the number of the attempt, which is left out.
    """

    def read(dest: Any) -> list[tuple[str, bytes]]:
        if not hasattr(dest, "client"):
            return look.table_bytes(dest)
        keys = (key for key in sorted(dest.keys()) if key.endswith(".parquet"))
        files = {key: dest.client.get_object(Bucket=dest.name, Key=key)["Body"].read() for key in keys}
        return look.table_bytes(None, files)

    return read
