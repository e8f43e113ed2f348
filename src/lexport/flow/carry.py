"""FunctionRef -> what the last snapshot knows of it, where no call is needed (incremental).

Published versions are immutable but for a few fields, and a listing tells all but those. So a listed version that the
last snapshot has with the same code and the same last update is not fetched again: its row is made from this listing,
and only what listings omit is taken over. The last snapshot is read a row group at a time, found by its statistics.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lexport import columns
from lexport.manifest import Manifest
from lexport.model import FunctionRef, Scope
from lexport.store.commits import newest_first
from lexport.store.local import LocalStore

CACHED_GROUPS = 8  # decoded row groups of 8,192 versions, some 5 MB each: listings are near the order of the table

OMITTED_BY_LISTINGS = (
    "Configuration.State",
    "Configuration.StateReason",
    "Configuration.StateReasonCode",
    "Configuration.LastUpdateStatus",
    "Configuration.LastUpdateStatusReason",
    "Configuration.LastUpdateStatusReasonCode",
    "Configuration.RuntimeVersionConfig",
)
"""ListFunctions and ListVersionsByFunction leave these out. Source: AWS Lambda API reference, ListFunctions."""

CARRIED = tuple(
    column.name
    for column in columns.FUNCTIONS.columns
    if column.source in OMITTED_BY_LISTINGS
    or column.source.startswith(("Configuration.RuntimeVersionConfig.", "Code."))
)
"""The columns of a carried row that are as old as its ``fetched_at``; every other one is from the new listing."""

_TELLING = ("code_sha256", "last_modified")
_READ = (*columns.VERSION_KEY, *_TELLING, "fetched_at", "extra_json", *CARRIED)


def last_of(store: LocalStore, scope: Scope, *, env: str, hash_key_id: str | None) -> Manifest | None:
    """Find the newest snapshot that read the whole fleet of a scope with the same environment mode and hash key."""
    for commit in newest_first(store):
        if commit.options.get("env") == env and commit.hash_key_id == hash_key_id:
            for entry in commit.scopes:
                is_whole = entry.status == "complete" and entry.coverage == "fleet"
                if is_whole and (entry.account_id, entry.region) == (scope.account_id, scope.region):
                    return commit
    return None


def open_last(
    store: LocalStore, scope: Scope, *, env: str, hash_key_id: str | None
) -> tuple[LastSnapshot | None, str | None]:
    """Open what the last snapshot has of a scope, or say why there is nothing to build on. Blocking."""
    commit = last_of(store, scope, env=env, hash_key_id=hash_key_id)
    if commit is None:
        return None, "no earlier snapshot to build on"
    try:
        path = next(entry.path for entry in commit.files if entry.table == columns.FUNCTIONS.name)
        return LastSnapshot(store.root / path, scope), None
    except (OSError, pa.ArrowException) as error:
        return None, f"{commit.snapshot_id} cannot be read ({error})"


class LastSnapshot:
    """The versions of one scope in one committed snapshot. Blocking; one caller at a time."""

    def __init__(self, path: Path, scope: Scope) -> None:
        self._file = pq.ParquetFile(path)
        self._scope = scope
        self._groups = list(self._groups_of_scope())
        self._cache: OrderedDict[int, _Group] = OrderedDict()

    def find(self, ref: FunctionRef, not_before: datetime | None) -> dict[str, Any] | None:
        """Return what is to be carried into the row of a listed version; None where it must be fetched.

        ``not_before`` refuses rows that were fetched earlier.
        """
        listed = ref.listed
        if ref.qualifier is None or listed is None:
            return None
        for low, high, number in self._groups:
            if low <= ref.function_name <= high:
                older = self._group(number).get(ref.function_name, ref.qualifier)
                if older is not None:
                    told = listed.get("CodeSha256"), listed.get("LastModified")
                    is_same = None not in told and told == (older["code_sha256"], older["last_modified"])
                    is_fresh = not_before is None or older["fetched_at"] >= not_before
                    return older if is_same and is_fresh else None
        return None

    def _groups_of_scope(self) -> Iterator[tuple[str, str, int]]:
        """Yield least name, greatest name and number of each row group that may hold rows of the scope."""
        metadata = self._file.metadata
        places = {metadata.schema.column(index).name: index for index in range(metadata.num_columns)}
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            bounds = {name: group.column(places[name]).statistics for name in columns.VERSION_KEY[:3]}
            if all(
                bounds[name].min <= value <= bounds[name].max
                for name, value in (("account_id", self._scope.account_id), ("region", self._scope.region))
            ):
                yield bounds["function_name"].min, bounds["function_name"].max, number

    def _group(self, number: int) -> _Group:
        group = self._cache.pop(number, None)
        if group is None:
            group = _Group(self._file.read_row_group(number, columns=list(_READ)), self._scope)
            if len(self._cache) >= CACHED_GROUPS:
                self._cache.popitem(last=False)
        self._cache[number] = group
        return group


class _Group:
    """One decoded row group: a place for each version of the scope, and columns of shared values."""

    def __init__(self, rows: pa.Table, scope: Scope) -> None:
        values: Mapping[str, list[Any]] = {name: _shared(rows.column(name)) for name in _READ}
        keys = zip(*(values[name] for name in columns.VERSION_KEY), strict=True)
        self._places = {
            (name, version): place
            for place, (account_id, region, name, version) in enumerate(keys)
            if account_id == scope.account_id and region == scope.region
        }
        self._values = {name: values[name] for name in _READ[len(columns.VERSION_KEY) :]}

    def get(self, function_name: str, version: str) -> dict[str, Any] | None:
        place = self._places.get((function_name, version))
        return None if place is None else {name: column[place] for name, column in self._values.items()}


def _shared(column: pa.ChunkedArray) -> list[Any]:
    """Turn a column into a list in which equal values are one object."""
    encoded = column.combine_chunks().dictionary_encode()
    words = encoded.dictionary.to_pylist()
    return [None if index is None else words[index] for index in encoded.indices.to_pylist()]
