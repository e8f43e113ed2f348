"""FunctionRef -> what the last snapshot knows of it, where no call is needed (incremental).

Published versions are immutable but for a few fields, and a listing tells all but those. So a listed version that the
last snapshot has with the same code and the same last update is not fetched again: its row is made from this listing,
and only what listings omit is taken over. AWS lists in no promised order and the table is sorted, so listed versions
are held back until so many are together that one pass over the row groups serves them all. What may be secret in a
listing waits in memory, the rest in a file.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.commits import newest_first
from lexport.dataset.data_files import find_files
from lexport.dataset.local import LocalStore
from lexport.errors import ReadError
from lexport.extract.decode import join_listed, split_listed
from lexport.model import FunctionRef, Reply, Scope
from lexport.tables.arrow import with_current_names
from lexport.tables.functions import FUNCTIONS
from lexport.tables.table import SCOPE_KEY, VERSION_KEY

HELD = 32_768
"""Listed versions that all account-regions together hold back: some 300 bytes each, their listings in files."""
LEAST_HELD = 256
HELD_BYTES = 16 << 20
"""Bytes of their listings that all account-regions together keep in memory, since they may be secret."""

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
    for column in FUNCTIONS.columns
    if column.source in OMITTED_BY_LISTINGS
    or column.source.startswith(("Configuration.RuntimeVersionConfig.", "Code."))
)
"""The columns of a carried row that are as old as its ``fetched_at``; every other one is from the new listing."""

_TELLING = {"CodeSha256": "code_sha256", "LastModified": "last_modified"}
_TAKEN = [*_TELLING.values(), "fetched_at", "extra_json", *CARRIED]
_READ = (*VERSION_KEY, *_TAKEN)


def open_last(
    store: LocalStore, scope: Scope, *, env: str, hash_key_id: str | None, note: Callable[[str], object]
) -> tuple[LastSnapshot | None, str | None]:
    """Open what the last snapshot has of a scope, or say why there is nothing to build on. Blocking.

    That is the newest one which read the whole fleet of it with the same environment mode and hash key, and can be
    read; ``note`` hears of newer ones that are damaged.
    """
    why = None
    for commit in newest_first(store, lambda found: note(found.note)):
        is_alike = commit.options.get("env") == env and commit.hash_key_id == hash_key_id
        if not is_alike or scope not in commit.whole_scopes():
            continue
        try:
            last = LastSnapshot(find_files(store.root, commit, FUNCTIONS), scope)
        except (OSError, pa.ArrowException, ReadError) as error:
            why = why or f"{commit.snapshot_id} cannot be read ({error})"
            continue
        if why is not None:
            note(f"{scope.account_id} {scope.region}: {why}; {commit.snapshot_id} is built on instead")
        return last, None
    return None, why or f"no earlier whole snapshot with --env {env} and this hash key to build on"


class Room:
    """What may be held back, shared evenly by the account-regions that are being read."""

    def __init__(self) -> None:
        self._readers = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count as a reader."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    @property
    def share(self) -> int:
        """Return how many versions one account-region may hold back."""
        return max(LEAST_HELD, HELD // max(1, self._readers))

    def is_full(self, held: Held) -> bool:
        """Tell whether an account-region holds back all that it may."""
        return len(held) >= self.share or held.secret_bytes >= HELD_BYTES // max(1, self._readers)


class Waiting(NamedTuple):
    """A listed version that is held back; ``number`` leads to its listing."""

    ref: FunctionRef
    number: int


class Held:
    """Listed versions that are held back.

    What may be secret of their listings stays in memory: the variables, and the whole of a listing that has anything
    unknown. The rest lies in a file without a name, which others can read through /proc or on a share all the same.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed by ``__exit__``
        self._waiting: list[Waiting] = []
        self._ends = [0]
        self._secrets: list[bytes] = []
        self.secret_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, refs: Sequence[FunctionRef]) -> None:
        """Hold back versions whose listing is kept."""
        for ref in refs:
            plain, secret = split_listed(ref.listed or b"")
            self._file.write(plain)
            self._waiting.append(Waiting(ref.without_listing(), len(self._secrets)))
            self._ends.append(self._ends[-1] + len(plain))
            self._secrets.append(secret)
            self.secret_bytes += len(secret)
        self._file.flush()

    def take(self) -> list[Waiting]:
        """Hand over all, sorted by name. Their listings stay until the next ``clear``."""
        taken, self._waiting = sorted(self._waiting, key=_name), []
        return taken

    def listing(self, waiting: Waiting) -> Reply | None:
        """Read one listing."""
        start, end = self._ends[waiting.number : waiting.number + 2]
        return join_listed(os.pread(self._file.fileno(), end - start, start), self._secrets[waiting.number])

    def clear(self) -> None:
        """Forget the listings of what was taken."""
        self._file.seek(0)
        self._file.truncate()
        self._ends = [0]
        self._secrets = []
        self.secret_bytes = 0


class Found(NamedTuple):
    """A listed version: what the listing and the last snapshot have of it, or neither where it must be fetched."""

    ref: FunctionRef
    listed: Reply | None = None
    older: dict[str, Any] | None = None


class LastSnapshot:
    """The versions of one scope in one committed snapshot. Blocking; one caller at a time.

    ``damage`` says why no more can be told of it, once that is so.
    """

    def __init__(self, paths: Sequence[Path], scope: Scope) -> None:
        self.damage: str | None = None
        self._scope = scope
        files = [pq.ParquetFile(path, page_checksum_verification=True) for path in paths]
        self._groups = [group for file in files for group in self._groups_of_scope(file)]

    def find(self, held: Held, not_before: datetime | None) -> Iterator[Found]:
        """Take what is held back; yield each version with its listing and what is to be carried into its row.

        ``not_before`` refuses rows that were fetched earlier. Order: by name, and those that nobody knows last.
        """
        waiting = held.take()
        for low, high, file, number in self._groups:
            start, end = bisect_left(waiting, low, key=_name), bisect_right(waiting, high, key=_name)
            if start == end or self.damage is not None:
                continue
            try:
                known, is_known = self._look_up(file, number, waiting[start:end])
            except (OSError, pa.ArrowException) as error:
                self.damage = str(error)
                continue
            older = _each(known)
            unknown = []  # a function may go on in the next row group
            for each, is_here in zip(waiting[start:end], is_known, strict=True):
                if is_here:
                    yield _judge(each.ref, held.listing(each), next(older), not_before)
                else:
                    unknown.append(each)
            waiting[start:end] = unknown
        yield from (Found(each.ref) for each in waiting)
        held.clear()

    def _groups_of_scope(self, file: pq.ParquetFile) -> Iterator[tuple[str, str, pq.ParquetFile, int]]:
        """Yield least name, greatest name and number of each row group of a file that may hold rows of the scope."""
        metadata = file.metadata
        places = {metadata.schema.column(index).name: index for index in range(metadata.num_columns)}
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            bounds = {name: group.column(places[name]).statistics for name in VERSION_KEY[:3]}
            if all(
                bounds[name].min <= value <= bounds[name].max
                for name, value in (("account_id", self._scope.account_id), ("region", self._scope.region))
            ):
                yield bounds["function_name"].min, bounds["function_name"].max, file, number

    def _look_up(self, file: pq.ParquetFile, number: int, waiting: Sequence[Waiting]) -> tuple[pa.Table, list[bool]]:
        """Look versions up in one row group; return the rows of those that it holds, and which those are."""
        rows = file.read_row_group(number, columns=FUNCTIONS.stored_names(_READ))
        rows = with_current_names(rows, FUNCTIONS)
        of_scope = (pc.equal(rows.column(name), getattr(self._scope, name)) for name in SCOPE_KEY)
        rows = rows.filter(pc.and_(*of_scope))
        keys = pc.binary_join_element_wise(rows.column("function_name"), rows.column("version"), "/")
        wanted = pa.array([f"{each.ref.function_name}/{each.ref.qualifier}" for each in waiting])
        places = pc.index_in(wanted, value_set=keys.combine_chunks())
        return rows.select(_TAKEN).take(places.drop_null()), places.is_valid().to_pylist()


def _each(rows: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in rows.to_batches(max_chunksize=256):
        for values in zip(*map(_values, batch.columns), strict=True):
            yield dict(zip(_TAKEN, values, strict=True))


def _values(column: pa.Array) -> list[Any]:
    if not pa.types.is_timestamp(column.type):
        values: list[Any] = column.to_pylist()
        return values
    encoded = column.dictionary_encode()  # an instant takes 3 µs to make, and many rows have the same one
    instants = encoded.dictionary.to_pylist()
    return [None if place is None else instants[place] for place in encoded.indices.to_pylist()]


def _name(waiting: Waiting) -> str:
    return waiting.ref.function_name


def _judge(ref: FunctionRef, listed: Reply | None, older: dict[str, Any], not_before: datetime | None) -> Found:
    """Decide whether a version is still the one that was fetched, and fetched late enough."""
    is_same = listed is not None and all(
        now is not None and now == older[name] for now, name in zip(_told(listed), _TELLING.values(), strict=True)
    )
    is_fresh = not_before is None or older["fetched_at"] >= not_before
    return Found(ref, listed, older) if is_same and is_fresh else Found(ref)


def _told(listed: Reply) -> Iterable[Any]:
    """Return what a listing says of the fields that tell versions apart."""
    if listed.answer is not None:
        return map(partial(getattr, listed.answer.Configuration), _TELLING)
    return map(listed.document["Configuration"].get, _TELLING)
