"""Where the files of a dataset are, as paths relative to the destination. Pure: names alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from lexport.model import ULID_PATTERN

RUNS = "_runs"
STAGING = "_staging"
LATEST_HINT = "_latest.json"
PRUNED = "_pruned"
STORED_PACKAGES = "_packages"
FORMER_STORED_PACKAGES = "packages/sha256"
"""Where former releases stored packages: in the folder of the table ``packages``."""

_FIRST_FILE = "0000.parquet"
_FILE_NUMBER = re.compile(r"[0-9]{4}\.parquet")
DATA_FILES = f"snapshot_date=[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]/{ULID_PATTERN}-[0-9][0-9][0-9][0-9].parquet"
"""The paths that ``data_path`` returns, below a table's folder, as a pattern of file names for readers that list
folders."""


def run_path(snapshot_id: str) -> str:
    """Return the path of a commit. A snapshot exists exactly when this file does."""
    return f"{RUNS}/{snapshot_id}.json"


def pruned_path(snapshot_id: str) -> str:
    """Return the path of the mark that ``prune`` makes before it removes a commit."""
    return f"{PRUNED}/{snapshot_id}.json"


def data_path(table: str, snapshot_id: str, snapshot_at: datetime) -> str:
    """Return the path of a table's first file in a snapshot; further files have higher numbers."""
    return f"{table}{data_prefix(snapshot_id, snapshot_at)}{_FIRST_FILE}"


def data_prefix(snapshot_id: str, snapshot_at: datetime) -> str:
    """Return the part of a data file's path between the table's name and the number of the file."""
    return f"/snapshot_date={snapshot_at.astimezone(UTC):%Y-%m-%d}/{snapshot_id}-"


def is_data_path(path: str, table: str, prefix: str) -> bool:
    """Return whether a path can be that of a file of a table in the snapshot of a ``data_prefix``."""
    begin = table + prefix
    return path.startswith(begin) and _FILE_NUMBER.fullmatch(path, len(begin)) is not None


def package_path(sha256_hex: str) -> str:
    """Return the path under which a package is stored."""
    return _package_path(f"{STORED_PACKAGES}/sha256", sha256_hex)


def package_places(sha256_hex: str) -> tuple[str, str]:
    """Return the paths under which a package may be stored: that of today, and that of former releases."""
    return package_path(sha256_hex), _package_path(FORMER_STORED_PACKAGES, sha256_hex)


def _package_path(folder: str, sha256_hex: str) -> str:
    return f"{folder}/{sha256_hex[:2]}/{sha256_hex}.zip"
