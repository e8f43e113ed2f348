"""Find the listed versions that the last snapshot has already, so that no call is needed for them (``--incremental``).

A published version is immutable but for a few fields, and a listing has all but those. So a listed version that the
last snapshot has with the same code and the same last update is not fetched again: its row is made from this listing,
and only what listings omit is carried over.

AWS promises no order of a listing, and the table is sorted. So listed versions are kept pending until there are enough
of them for one pass over the row groups. Parts of a listing that may be secret wait in memory, the rest in a file.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.commits import fleet_commits
from lexport.dataset.data_files import find_files
from lexport.dataset.store import Store
from lexport.errors import ReadError
from lexport.extract.decode import join_listed, split_listed
from lexport.model import FunctionRef, Reply, Scope
from lexport.tables.arrow import with_current_names
from lexport.tables.functions import FUNCTIONS
from lexport.tables.table import SCOPE_KEY, VERSION_KEY

MAX_PENDING = 32_768
"""Versions that all account-regions together may keep pending: some 300 bytes each, their listings in files."""
MIN_PENDING = 256
MAX_SECRET_BYTES = 16 << 20
"""Bytes of their listings that all account-regions together may keep in memory, since they may be secret."""

OMITTED_BY_LISTINGS = (
    "Configuration.State",
    "Configuration.StateReason",
    "Configuration.StateReasonCode",
    "Configuration.LastUpdateStatus",
    "Configuration.LastUpdateStatusReason",
    "Configuration.LastUpdateStatusReasonCode",
    "Configuration.RuntimeVersionConfig",
)
"""ListFunctions and ListVersionsByFunction omit these. Source: AWS Lambda API reference, ListFunctions."""

CARRIED = tuple(
    column.name
    for column in FUNCTIONS.columns
    if column.source in OMITTED_BY_LISTINGS
    or column.source.startswith(("Configuration.RuntimeVersionConfig.", "Code."))
)
"""The columns of a carried row that are as old as its ``fetched_at``; every other one is from the new listing."""

_COMPARED = {"CodeSha256": "code_sha256", "LastModified": "last_modified"}
_COMPARED_OF_LATEST = {**_COMPARED, "RevisionId": "revision_id"}
_LOOKED_UP = [*_COMPARED.values(), "fetched_at", "extra_json", *CARRIED]
_READ = (*VERSION_KEY, *_LOOKED_UP)


def open_last(
    store: Store, scope: Scope, *, env: str, hash_key_id: str | None, note: Callable[[str], object]
) -> tuple[LastSnapshot | None, str | None]:
    """Open the last snapshot of a scope, or return the reason why there is none to build on. Blocking.

    It is the newest readable one that read the whole fleet of the scope with the same environment mode and hash key.
    ``note`` gets a message about each newer one that is damaged.
    """
    problem = None
    for commit in fleet_commits(store, lambda damaged: note(damaged.note)):
        if commit.is_retirement and scope in commit.settled_scopes():
            return None, problem or f"it was retired in {commit.snapshot_id}, and nothing older is built on"
        is_alike = commit.options.get("env") == env and commit.hash_key_id == hash_key_id
        if not is_alike or scope not in commit.whole_scopes():
            continue
        try:
            last = LastSnapshot(find_files(store, commit, FUNCTIONS), scope)
        except (OSError, pa.ArrowException, ReadError) as error:
            problem = problem or f"{commit.snapshot_id} cannot be read ({error})"
            continue
        if problem is not None:
            note(f"{scope}: {problem}; {commit.snapshot_id} is built on instead")
        return last, None
    return None, problem or f"no earlier whole snapshot with --env {env} and this hash key to build on"


class PendingBudget:
    """How much may be pending, shared evenly by the account-regions that are being read."""

    def __init__(self) -> None:
        self._readers = 0

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Count one more account-region that is being read."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    @property
    def share(self) -> int:
        """How many versions one account-region may keep pending."""
        return max(MIN_PENDING, MAX_PENDING // max(1, self._readers))

    def is_used_up_by(self, pending: PendingVersions) -> bool:
        """Return whether an account-region has as much pending as it may."""
        return len(pending) >= self.share or pending.secret_bytes >= MAX_SECRET_BYTES // max(1, self._readers)


class Pending(NamedTuple):
    """A pending version; ``number`` is that of its listing."""

    ref: FunctionRef
    number: int


class PendingVersions:
    """The pending versions of one account-region.

    The parts of their listings that may be secret stay in memory: the variables, and the whole of a listing with an
    unknown field. The rest is in a file without a name, which other users may still be able to read: through /proc, or
    on a network share.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed by ``__exit__``
        self._pending: list[Pending] = []
        self._ends = [0]
        self._secrets: list[bytes] = []
        self.secret_bytes = 0

    def __len__(self) -> int:
        return len(self._pending)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, refs: Sequence[FunctionRef]) -> None:
        """Add versions with their listings."""
        for ref in refs:
            plain, secret = split_listed(ref.listed or b"")
            self._file.write(plain)
            self._pending.append(Pending(ref.without_listing(), len(self._secrets)))
            self._ends.append(self._ends[-1] + len(plain))
            self._secrets.append(secret)
            self.secret_bytes += len(secret)
        self._file.flush()

    def take(self) -> list[Pending]:
        """Remove and return all versions, sorted by name. Their listings stay until the next ``clear``."""
        taken, self._pending = sorted(self._pending, key=_name), []
        return taken

    def listing(self, version: Pending) -> Reply | None:
        """Return the listing of one version; None if it cannot be used exactly."""
        start, end = self._ends[version.number : version.number + 2]
        return join_listed(os.pread(self._file.fileno(), end - start, start), self._secrets[version.number])

    def clear(self) -> None:
        """Delete the listings of all versions that were taken."""
        self._file.seek(0)
        self._file.truncate()
        self._ends = [0]
        self._secrets = []
        self.secret_bytes = 0


class Match(NamedTuple):
    """A listed version with its listing and its row in the last snapshot; both are None where it must be fetched."""

    ref: FunctionRef
    listed: Reply | None = None
    older: dict[str, Any] | None = None


class LastSnapshot:
    """The versions of one scope in one committed snapshot. Blocking; one caller at a time.

    ``damage`` is the error after which nothing more was read.
    """

    def __init__(self, paths: Sequence[Path], scope: Scope) -> None:
        self.damage: str | None = None
        self._scope = scope
        files = [pq.ParquetFile(path, page_checksum_verification=True) for path in paths]
        self._groups = [group for file in files for group in self._groups_of_scope(file)]

    def find(self, versions: list[Pending], pending: PendingVersions, not_before: datetime | None) -> Iterator[Match]:
        """Yield each of the taken versions with its listing in ``pending`` and with what its row carries over.

        A row that was fetched before ``not_before`` is not used. Order: by name; versions that the snapshot does not
        have come last.
        """
        for low, high, file, number in self._groups:
            start, end = bisect_left(versions, low, key=_name), bisect_right(versions, high, key=_name)
            if start == end or self.damage is not None:
                continue
            try:
                rows, is_in_group = self._look_up(file, number, versions[start:end])
            except (OSError, pa.ArrowException) as error:
                self.damage = str(error)
                continue
            older = _as_dicts(rows)
            missing = []  # a function may continue in the next row group
            for version, is_here in zip(versions[start:end], is_in_group, strict=True):
                if is_here:
                    yield _match(version.ref, pending.listing(version), next(older), not_before)
                else:
                    missing.append(version)
            versions[start:end] = missing
        yield from (Match(version.ref) for version in versions)

    def _groups_of_scope(self, file: pq.ParquetFile) -> Iterator[tuple[str, str, pq.ParquetFile, int]]:
        """Yield least name, greatest name, file and number of each row group that may have rows of the scope."""
        metadata = file.metadata
        columns = {metadata.schema.column(index).name: index for index in range(metadata.num_columns)}
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            bounds = {name: group.column(columns[name]).statistics for name in VERSION_KEY[:3]}
            if all(
                bounds[name].min <= value <= bounds[name].max
                for name, value in (("account_id", self._scope.account_id), ("region", self._scope.region))
            ):
                yield bounds["function_name"].min, bounds["function_name"].max, file, number

    def _look_up(self, file: pq.ParquetFile, number: int, versions: Sequence[Pending]) -> tuple[pa.Table, list[bool]]:
        rows = file.read_row_group(number, columns=FUNCTIONS.stored_names(_READ))
        rows = with_current_names(rows, FUNCTIONS)
        of_scope = (pc.equal(rows.column(name), getattr(self._scope, name)) for name in SCOPE_KEY)
        rows = rows.filter(pc.and_(*of_scope))
        keys = pc.binary_join_element_wise(rows.column("function_name"), rows.column("version"), "/")
        requested = pa.array([f"{version.ref.function_name}/{version.ref.qualifier}" for version in versions])
        indexes = pc.index_in(requested, value_set=keys.combine_chunks())
        return rows.select(_LOOKED_UP).take(indexes.drop_null()), indexes.is_valid().to_pylist()


def _as_dicts(rows: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in rows.to_batches(max_chunksize=256):
        for values in zip(*map(_values, batch.columns), strict=True):
            yield dict(zip(_LOOKED_UP, values, strict=True))


def _values(column: pa.Array) -> list[Any]:
    if not pa.types.is_timestamp(column.type):
        values: list[Any] = column.to_pylist()
        return values
    encoded = column.dictionary_encode()  # an instant takes 3 µs to make, and many rows share one
    instants = encoded.dictionary.to_pylist()
    return [None if index is None else instants[index] for index in encoded.indices.to_pylist()]


def _name(version: Pending) -> str:
    return version.ref.function_name


def _match(ref: FunctionRef, listed: Reply | None, older: dict[str, Any], not_before: datetime | None) -> Match:
    """Return the row of a version that has not changed since it was fetched, and was fetched late enough."""
    is_fresh = not_before is None or older["fetched_at"] >= not_before
    return Match(ref, listed, older) if is_unchanged(listed, older) and is_fresh else Match(ref)


def is_unchanged(listed: Reply | None, older: Mapping[str, Any], *, is_latest: bool = False) -> bool:
    """Return whether a listing shows the code and the last update of an older row; of ``$LATEST`` the revision too.

    The revision of a published version also changes where its row does not, for example with its policy.
    """
    compared = _COMPARED_OF_LATEST if is_latest else _COMPARED
    return listed is not None and all(
        value is not None and value == older[name]
        for value, name in zip(_values_of(listed, compared), compared.values(), strict=True)
    )


def revision_of(reply: Reply) -> str | None:
    """Return the revision that a listing or a response of GetFunction names."""
    (revision_id,) = _values_of(reply, ("RevisionId",))
    return revision_id if isinstance(revision_id, str) else None


def _values_of(listed: Reply, names: Iterable[str]) -> Iterable[Any]:
    if listed.typed is not None:
        return map(partial(getattr, listed.typed.Configuration), names)
    return map(listed.document["Configuration"].get, names)
