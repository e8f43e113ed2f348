"""Where the files of a dataset are, as paths relative to the destination. Pure: names alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from lexport.model import ULID_PATTERN, Scope

RUNS = "_runs"
STAGING = "_staging"
LATEST_HINT = "_latest.json"
PRUNED = "_pruned"
PACKAGE_MARK = "packages-"
"""What the names of marks about stored packages begin with, in ``_pruned``."""
STORED_PACKAGES = "_packages"
FORMER_STORED_PACKAGES = "packages/sha256"
"""Where former releases stored packages: in the folder of the table ``packages``."""

NUMBERS_OF_ATTEMPT = 64
"""An attempt at a run has so many numbers of files before those of the next begin: 64 million rows of a table."""
_NUMBERS = 9_600
"""So many numbers are dealt out to attempts, 150 of 64 each; the number in the name of a file has four digits."""
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


def data_path(table: str, snapshot_id: str, snapshot_at: datetime, number: int = 0) -> str:
    """Return the path of a file of a table in a snapshot; the files of a table have rising numbers."""
    return f"{table}{data_prefix(snapshot_id, snapshot_at)}{number:04d}.parquet"


def number_of_data_path(path: str) -> int:
    """Return the number of a file of a table in its snapshot."""
    return int(path[-len("0000.parquet") :].partition(".")[0])


def first_number(attempt: int, taken: Iterable[int], *, files: int) -> int:
    """Return the first number for ``files`` files of an attempt at a run: above all that are taken.

    Where a table has more files than an attempt has numbers, each attempt has more of them, so fewer are apart.
    """
    each = NUMBERS_OF_ATTEMPT
    while each < files and each < _NUMBERS:
        each *= 2
    begin = each * ((attempt - 1) % (_NUMBERS // each or 1))
    return max([begin, *(number + 1 for number in taken)])


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


# --- what a run has read and not yet published ------------------------------------------------------------------------

_RUN_FILE = re.compile(r"[0-9]{4,}-([0-9a-f]{64})\.run")
_SHARD = re.compile(r"[0-9]{12}-[a-z0-9-]{1,64}")
_ATTEMPT = re.compile(r"[0-9]{4,9}")
_CLAIM = re.compile(r"claim-([0-9]{4})\.json")


def staging_folder(run: str) -> str:
    """Return the folder of a run that is not published yet."""
    return f"{STAGING}/{run}"


def spec_path(run: str) -> str:
    """Return the path of what a run reads; its shards are in ``shards_path``."""
    return f"{STAGING}/{run}/run.json"


def shards_path(run: str) -> str:
    """Return the path of the shards of a run, one JSON object a line."""
    return f"{STAGING}/{run}/shards.jsonl"


def regions_path(run: str, scope: Scope) -> str:
    """Return the path of the shards that a shard of ``aws-global`` stands for, as in ``shards_path``."""
    return f"{shard_folder(run, scope)}/shards.jsonl"


def claim_path(run: str, attempt: int) -> str:
    """Return the path of the claim of one attempt at a run."""
    return f"{STAGING}/{run}/claim-{attempt:04d}.json"


def attempt_of_claim(name: str) -> int | None:
    """Return the attempt that a file name in the folder of a run claims; None for another file."""
    match = _CLAIM.fullmatch(name)
    return int(match[1]) if match else None


def errors_path(run: str, attempt: int, number: int = 0) -> str:
    """Return the path of the table ``errors`` of an attempt that was refused; a second file has a number above 0."""
    more = f"-{number:04d}" if number else ""
    return f"{STAGING}/{run}/errors-{attempt:04d}{more}.parquet"


def is_shard_folder(name: str) -> bool:
    """Return whether a name in the folder of a run is that of a shard."""
    return _SHARD.fullmatch(name) is not None


def shard_folder(run: str, scope: Scope) -> str:
    """Return the folder of one shard of a run."""
    return f"{STAGING}/{run}/{scope.account_id}-{scope.region}"


def result_path(run: str, scope: Scope) -> str:
    """Return the path of the result of a shard, which is created last."""
    return f"{shard_folder(run, scope)}/shard.json"


def attempt_of_folder(name: str) -> int | None:
    """Return the attempt whose folder a name in the folder of a shard is; None for another name."""
    return int(name) if _ATTEMPT.fullmatch(name) else None


def begun_path(run: str, scope: Scope, attempt: int) -> str:
    """Return the path of the file with which a process of its own begins an attempt at a shard."""
    return f"{shard_folder(run, scope)}/{attempt:04d}/begun.json"


def run_file_path(run: str, scope: Scope, attempt: int, number: int, sha256: str) -> str:
    """Return the path of one file of sorted rows of a shard."""
    return f"{shard_folder(run, scope)}/{attempt:04d}/{number:04d}-{sha256}.run"


def changes_path(run: str, attempt: int, number: int, sha256: str) -> str:
    """Return the path of one file of sorted rows that a task of an attempt at a commit left for ``changes``."""
    return f"{STAGING}/{run}/changes/{attempt:04d}/{number:04d}-{sha256}.run"


def hash_in_name(path: str) -> str | None:
    """Return the SHA-256 in the path of a file of sorted rows; None for another file."""
    match = _RUN_FILE.fullmatch(path.rpartition("/")[2])
    return match[1] if match else None
