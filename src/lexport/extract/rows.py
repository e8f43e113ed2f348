"""Collect the rows of all tables as plain Python values, turn them into batches of Arrow, and stage those on disk.

A function version is one row with everything that belongs to it: its variables, layers, subnets, security groups and
file systems are lists in that row. So it is sorted, merged and compared once, and not once for each of its children.

Of the value of a variable only its length stays readable, unless the user wants values. Each is hashed once in a batch.

One limit of memory holds for all shards of a process. Where it is reached, the shard with the most rows in memory
writes them. Every shard also writes what it has at least every minute, so a killed run loses no more.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate, chain, count
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from anyio import CancelScope, CapacityLimiter, Event, Lock, current_time, sleep, to_thread

from lexport.aws.signing import hmac_states
from lexport.aws.waits import scaled
from lexport.dataset.runs import RUN_BYTES, Runs, RunWriter, row_counts, staged_batch
from lexport.extract.failures import Failures
from lexport.extract.hash_key import HashKey
from lexport.extract.secret_rules import secret_rules, with_lead
from lexport.model import FunctionRef, StagedRun
from lexport.settings import FLUSH_AFTER_S
from lexport.tables.arrow import versions_schema
from lexport.tables.functions import ENV_VARS, FILE_SYSTEMS, FUNCTIONS, LAYERS
from lexport.tables.registry import BY_NAME, staged_tables
from lexport.tables.staged import CHILD_TABLES, Batch, staged_names
from lexport.tables.table import Table

HMAC_BYTES = 16


class ValueHasher:
    """Hashes values with one key: HMAC-SHA-256, cut to ``HMAC_BYTES``."""

    def __init__(self, key: HashKey) -> None:
        self.key_id = key.key_id
        self._inner, self._outer = hmac_states(key.secret)

    def value_hmacs(self, values: Iterable[bytes]) -> bytes:
        """Return the ``HMAC_BYTES`` of each value, one after the other."""
        start_inner, start_outer = self._inner.copy, self._outer.copy
        hmacs: list[bytes] = []
        for value in values:
            inner, outer = start_inner(), start_outer()
            inner.update(value)
            outer.update(inner.digest())
            hmacs.append(outer.digest()[:HMAC_BYTES])
        return b"".join(hmacs)


class Rows:
    """Rows of every staged table since the last ``take``; ``items`` counts the responses and failures they are from."""

    def __init__(self, hasher: ValueHasher | None = None) -> None:
        self.hasher = hasher
        self._start()

    def _start(self) -> None:
        self.items = 0
        self.versions: list[tuple[Sequence[Any], Children]] = []
        self._columns: dict[str, list[list[Any]]] = {
            table.name: [[] for _ in staged_names(table)]
            for table in staged_tables()
            if table is not FUNCTIONS and table not in CHILD_TABLES
        }

    def extend(self, table: Table, *values: list[Any]) -> None:
        """Append to every column of a table; the lists are of one length."""
        for column, more in zip(self._columns[table.name], values, strict=True):
            column.extend(more)

    def append(self, table: Table, *values: Any) -> None:
        """Append one row to a table."""
        for column, value in zip(self._columns[table.name], values, strict=True):
            column.append(value)

    def add_item(self, table: Table, *values: Any) -> None:
        """Append one row that is an item by itself."""
        self.items += 1
        self.append(table, *values)

    def take(self) -> Batch:
        """Remove and return the rows of every table that has any."""
        full = {name: staged_batch(BY_NAME[name], lists) for name, lists in self._columns.items() if lists[0]}
        if self.versions:
            rows, children = zip(*self.versions, strict=True)
            full[FUNCTIONS.name] = in_arrow(rows, children, self.hasher)
        self._start()
        return full


@dataclass(slots=True, kw_only=True)
class Children:
    """The child rows of one function version, by table, each kind sorted by its key.

    ``env_vars`` are the names, ``env_values`` the values until they are hashed, ``env_kept`` the values as they are to
    be stored; it is empty where no value is stored. ``layers`` and ``file_systems`` have the tables' own columns.
    ``has_lead`` is whether a value may be a secret, None before ``find_leads``.
    """

    env_vars: Sequence[str] = ()
    env_values: Sequence[str] = field(default=(), repr=False)
    env_kept: Sequence[str] = field(default=(), repr=False)
    layers: Sequence[Sequence[Any]] = ()
    subnets: Sequence[str] = ()
    security_groups: Sequence[str] = ()
    file_systems: Sequence[Sequence[Any]] = ()
    has_lead: bool | None = None


def find_leads(children: Iterable[Children]) -> None:
    """Find out which versions have a value that may be a secret; a search takes a millisecond to begin."""
    new = [each for each in children if each.has_lead is None]
    for each, has_lead in zip(new, with_lead([each.env_values for each in new]), strict=True):
        each.has_lead = has_lead


def in_arrow(rows: Sequence[Sequence[Any]], children: Sequence[Children], hasher: ValueHasher | None) -> pa.RecordBatch:
    """Return staged rows of ``functions`` with their children as rows of ``versions_schema``."""
    schema = versions_schema()
    arrays = [
        pa.array(column, field.type)
        for column, field in zip(zip(*rows, strict=True), schema, strict=False)  # the children come after
    ]
    for table in CHILD_TABLES:
        lists = list(map(attrgetter(table.name), children))
        ends = pa.array(accumulate(map(len, lists), initial=0), pa.int32())
        structs = _structs(table, list(chain.from_iterable(lists)), children, hasher)
        arrays.append(pa.ListArray.from_arrays(ends, structs))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _structs(table: Table, rows: list[Any], children: Sequence[Children], hasher: ValueHasher | None) -> pa.StructArray:
    """Return the child rows of many versions, one after the other, with the table's own columns."""
    type_ = versions_schema().field(table.name).type.value_type
    if not rows:
        return pa.array([], type_)
    if table is ENV_VARS:
        assert hasher is not None, "variables are only read where they are hashed"
        values = list(chain.from_iterable(map(attrgetter("env_values"), children)))
        kept = list(chain.from_iterable(map(attrgetter("env_kept"), children)))
        find_leads(children)
        leads = list(chain.from_iterable([each.has_lead] * len(each.env_values) for each in children))
        return pa.StructArray.from_arrays(variable_columns(rows, values, kept, hasher, leads), fields=list(type_))
    own = zip(*rows, strict=True) if table in (LAYERS, FILE_SYSTEMS) else [rows]
    arrays = [pa.array(column, field.type) for column, field in zip(own, type_, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=list(type_))


# --- staging ----------------------------------------------------------------------------------------------------------

BATCH_ITEMS = 1024  # items of one shard flattened into lists before they go into Arrow: some 8 MB
MOST_ITEMS = 8_192  # those of all shards: some 64 MB
LEAST_ITEMS = 16  # fewer cost more to turn into Arrow than to flatten
MOST_BYTES = 2 * RUN_BYTES  # batches of all shards in memory
NEVER = math.inf
WRITES_AT_ONCE = 4  # run files on their way to the destination

Keep = Callable[[Path], StagedRun]
"""Takes a finished run file to where it survives this process. Blocking."""


MINUTE_OF_ANSWER = slice(5, 15)
"""The characters of an answer's id that hold the minute of the response, since 1970."""


class StagingMemory:
    """The rows of all shards in memory, and the one lock under which they become Arrow and files.

    ``items_each`` is how many items one shard collects before they go into Arrow.
    """

    def __init__(self, *, flush_after_s: float = FLUSH_AFTER_S) -> None:
        self.open: set[Staging] = set()
        self.items_each = BATCH_ITEMS
        self.converting = Lock()
        self.keeping = CapacityLimiter(WRITES_AT_ONCE)
        self._flush_after_s = scaled(flush_after_s)

    def join(self, staging: Staging) -> None:
        """Let one more staging share the memory."""
        self.open.add(staging)
        self._divide()

    def leave(self, staging: Staging) -> None:
        """Leave its share to the others."""
        self.open.discard(staging)
        self._divide()

    def _divide(self) -> None:
        self.items_each = max(LEAST_ITEMS, min(BATCH_ITEMS, MOST_ITEMS // (len(self.open) or 1)))

    def together(self, first: Staging) -> list[Staging]:
        """Return the shards that have half of their items, ``first`` first, as long as all are no more than a batch."""
        chosen, items = [], 0
        for each in (first, *(self.open - {first})):
            if 2 * each.rows.items >= self.items_each and (each is first or items + each.rows.items <= BATCH_ITEMS):
                chosen.append(each)
                items += each.rows.items
        return chosen

    def fullest(self) -> Staging | None:
        """Return the staging that has to write its rows; None while there is room."""
        most = max(self.open, key=lambda staging: staging.size_bytes, default=None)
        if most is None or most.size_bytes >= RUN_BYTES:
            return most
        total_bytes = sum(staging.size_bytes for staging in self.open)
        return most if total_bytes >= MOST_BYTES else None

    async def keep_flushing(self) -> None:
        """Let every shard write its rows before they are older than the limit. Runs until it is cancelled."""
        while True:
            await sleep(self._flush_after_s / 12)
            for staging in tuple(self.open):
                if staging.oldest_s == NEVER and staging.rows.items:
                    staging.oldest_s = current_time()
                if staging.oldest_s < current_time() - self._flush_after_s * 0.75:
                    await staging.flush_all()


class Staging:
    """The rows of one shard, or of a run beside its shards.

    ``keep`` takes each finished run file to the destination; without it, the files stay in ``folder`` as ``runs``.
    ``attempt`` is that of the shard: of two answers of one kind, that of the later attempt wins. ``row_counts`` has the
    rows so far by table.
    """

    def __init__(
        self,
        folder: Path,
        *,
        file_mode: int,
        hasher: ValueHasher | None = None,
        memory: StagingMemory | None = None,
        keep: Keep | None = None,
        attempt: int = 1,
    ) -> None:
        self.folder, self.file_mode, self.attempt = folder, file_mode, attempt
        self.rows = Rows(hasher)
        self.failures = Failures(self.rows.add_item, lambda: datetime.now(UTC))
        self.kept: list[StagedRun] = []
        self.row_counts: Counter[str] = Counter()
        self.oldest_s = NEVER
        self._memory = memory or StagingMemory()
        self._memory.join(self)
        self._writer = RunWriter(folder, file_mode=file_mode)
        self._keep = keep
        self._newness = f"{9999 - attempt:04d}"  # the answer of a later attempt sorts first
        self._minute, self._time = -1, ""  # the last minute, and how answer ids write it
        self._serials = count()
        self._files_under_way = 0
        self._is_idle = Event()
        self._taken: Event | None = None  # while a task waits to take the rows

    @property
    def runs(self) -> Runs:
        """The sorted runs in ``folder``; the other steps of a run add theirs."""
        return self._writer.runs

    @property
    def size_bytes(self) -> int:
        """The size of the batches in memory."""
        return self._writer.size_bytes

    def answer_id(self, ref: FunctionRef | None = None) -> str:
        """Name one response. The unqualified call knows most, a call by alias least; see tables/staged.py.

        Of one rank, the latest attempt sorts first. ``MINUTE_OF_ANSWER`` is the minute of the response.
        """
        rank = 0 if ref is None or ref.qualifier is None else 2 if ref.is_alias else 1
        minute = int(time.time()) // 60
        if minute != self._minute:
            self._minute, self._time = minute, f"{self._newness}{minute:010d}"
        return f"{rank}{self._time}{next(self._serials):012x}"

    async def flush(self) -> None:
        """Stage the rows if they are a full batch. Waits while other rows are written: so memory is bounded.

        One task waits for its turn and takes all rows that are there by then; so the others hold none while they wait.
        """
        if self.rows.items < self._memory.items_each:
            if self.oldest_s == NEVER and self.rows.items:
                self.oldest_s = current_time()
        elif self._taken is None:
            self._taken = Event()
            await self._stage(self._take_together)
        elif self.rows.items >= 2 * self._memory.items_each:
            await self._taken.wait()

    def _take_together(self) -> Batch:
        """Collect the rows, if another shard has not just done so, and those of others: secrets are searched once."""
        assert self._taken is not None
        self._taken.set()
        self._taken = None
        together = self._memory.together(self)
        find_leads(children for each in together for _, children in each.rows.versions)
        for each in together:
            each._collect(each.rows.take())  # noqa: SLF001 - of this class
        return {}

    async def flush_all(self) -> None:
        """Write every row that is left, to where it survives this process."""
        await self.add(self.rows.take(), is_last=True)

    async def add(self, batch: Batch, *, is_last: bool = False) -> None:
        """Stage a batch of rows. It is not cancelled with the task that hands it over, whose rows it has taken."""
        await self._stage(lambda: batch, is_last=is_last)

    async def _stage(self, take: Callable[[], Batch], *, is_last: bool = False) -> None:
        """Collect a batch; where memory is full, write a run file in a thread."""
        with CancelScope(shield=True):
            async with self._memory.converting:
                self._collect(take())
                fullest = self if is_last else self._memory.fullest()
                path = None if fullest is None else await to_thread.run_sync(fullest._write)  # noqa: SLF001
            if fullest is not None and path is not None:
                await fullest._take_away(path)  # noqa: SLF001 - of this class

    async def finish(self) -> tuple[StagedRun, ...]:
        """Write every row that is left; return all run files of the shard, also those that other tasks write for it."""
        await self.flush_all()
        while self._files_under_way:
            self._is_idle = Event()
            await self._is_idle.wait()
        return tuple(self.kept)

    def close(self) -> None:
        """Take no part in the limit of memory any more."""
        self._memory.leave(self)

    def _collect(self, batch: Batch) -> None:
        if self.oldest_s == NEVER and batch:
            self.oldest_s = current_time()
        for name, rows in batch.items():
            self.row_counts.update(row_counts(BY_NAME[name], rows))
            self._writer.collect(BY_NAME[name], rows)

    def _write(self) -> Path | None:
        self.oldest_s = NEVER
        path = self._writer.flush()
        if self._keep is None or path is None:
            return None
        self._writer.runs.clear()
        self._files_under_way += 1
        return path

    async def _take_away(self, path: Path) -> None:
        """Move a run file to the destination."""
        assert self._keep is not None
        try:
            self.kept.append(await to_thread.run_sync(self._keep, path, limiter=self._memory.keeping))
        finally:
            self._files_under_way -= 1
            self._is_idle.set()


# --- variables -------------------------------------------------------------------------------------------------------


def variable_columns(
    names: Sequence[str], values: Sequence[str], kept: Sequence[str], hasher: ValueHasher, leads: Iterable[bool | None]
) -> list[pa.Array]:
    """Return the columns of ``env_vars`` after its key: name, value, value_length, value_hmac, key id, secret_rule.

    ``kept`` are the values as they are to be stored; it is empty where no value is stored. ``leads`` are false for
    values that ``with_lead`` has ruled out.
    """
    name_column, value_column = pa.array(names, pa.string()), pa.array(values, pa.string())
    distinct = value_column.dictionary_encode()
    return [
        name_column,
        pa.array(kept, pa.string()) if kept else pa.nulls(len(names), pa.string()),
        pc.utf8_length(value_column),
        _value_hmacs(distinct, hasher),
        pa.repeat(pa.scalar(hasher.key_id), len(names)),
        pa.array(secret_rules(names, values, name_column.dictionary_encode(), leads), pa.string()),
    ]


def _value_hmacs(values: pa.DictionaryArray, hasher: ValueHasher) -> pa.Array:
    """Return the HMAC of each value in hex; values repeat over the versions of a function, so each is hashed once."""
    text = hasher.value_hmacs(values.dictionary.cast(pa.binary()).to_pylist()).hex().encode()
    hex_ = pa.Array.from_buffers(pa.binary(2 * HMAC_BYTES), len(values.dictionary), [None, pa.py_buffer(text)])
    return hex_.cast(pa.string()).take(values.indices)
