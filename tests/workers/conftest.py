"""Schedulers and workers of dask, and how the datasets are compared that they make."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from dask_processes import run_dask

IS_WHOLE = os.environ.get("LEXPORT_WORKERS") == "whole"
CHANGING = ("errors", "scopes", "snapshots")
"""The tables that tell of the run itself."""


@pytest.fixture
def dask(environment, tmp_path) -> Callable[..., AbstractContextManager[Any]]:
    """Start a scheduler and workers: ``with dask(3) as running:``. A keyword sets a variable of theirs."""

    def start(workers: int, **variables: str) -> AbstractContextManager[Any]:
        return run_dask(tmp_path / "scheduler", environment | variables, workers=workers)

    return start


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
        if hasattr(dest, "client"):
            files = {
                key: dest.client.get_object(Bucket=dest.name, Key=key)["Body"].read()
                for key in sorted(dest.keys())
                if key.endswith(".parquet")
            }
        else:
            files = look.tree(dest)
        return [
            (path.rpartition("-")[0], body)
            for path, body in files.items()
            if path.endswith(".parquet") and path.split("/")[0] not in CHANGING and not path.startswith("_staging/")
        ]

    return read
