"""Collect the rows of all tables as plain Python values, and turn them into batches of Arrow.

A function version is one row with everything that belongs to it: its variables, layers, subnets, security groups and
file systems are lists in that row. So it is sorted, merged and compared once, and not once for each of its children.

Of the value of a variable only its length stays readable, unless the user wants values. Each distinct value is hashed
once, and Arrow finds the few variables that the rules of secret_rules.py have to judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lexport.aws.signing import hmac_states
from lexport.dataset.runs import staged_batch
from lexport.extract.hash_key import HashKey
from lexport.extract.secret_formats import LEADS
from lexport.extract.secret_rules import name_means_secret, name_rule, value_rule
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
        self._hasher = hasher
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
            full[FUNCTIONS.name] = in_arrow(rows, children, self._hasher)
        self._start()
        return full


@dataclass(slots=True, kw_only=True)
class Children:
    """The child rows of one function version, by table, each kind sorted by its key.

    ``env_vars`` are the names, ``env_values`` the values until they are hashed, ``env_kept`` the values as they are to
    be stored; it is empty where no value is stored. ``layers`` and ``file_systems`` have the tables' own columns.
    """

    env_vars: Sequence[str] = ()
    env_values: Sequence[str] = field(default=(), repr=False)
    env_kept: Sequence[str] = field(default=(), repr=False)
    layers: Sequence[Sequence[Any]] = ()
    subnets: Sequence[str] = ()
    security_groups: Sequence[str] = ()
    file_systems: Sequence[Sequence[Any]] = ()


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
        return pa.StructArray.from_arrays(variable_columns(rows, values, kept, hasher), fields=list(type_))
    own = zip(*rows, strict=True) if table in (LAYERS, FILE_SYSTEMS) else [rows]
    arrays = [pa.array(column, field.type) for column, field in zip(own, type_, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=list(type_))


# --- variables -------------------------------------------------------------------------------------------------------


def variable_columns(
    names: Sequence[str], values: Sequence[str], kept: Sequence[str], hasher: ValueHasher
) -> list[pa.Array]:
    """Return the columns of ``env_vars`` after its key: name, value, value_length, value_hmac, key id, secret_rule.

    ``kept`` are the values as they are to be stored; it is empty where no value is stored.
    """
    name_column, value_column = pa.array(names, pa.string()), pa.array(values, pa.string())
    distinct = value_column.dictionary_encode()
    return [
        name_column,
        pa.array(kept, pa.string()) if kept else pa.nulls(len(names), pa.string()),
        pc.utf8_length(value_column),
        _value_hmacs(distinct, hasher),
        pa.repeat(pa.scalar(hasher.key_id), len(names)),
        pa.array(_secret_rules(names, values, name_column.dictionary_encode(), distinct), pa.string()),
    ]


def _value_hmacs(values: pa.DictionaryArray, hasher: ValueHasher) -> pa.Array:
    """Return the HMAC of each value in hex; values repeat over the versions of a function, so each is hashed once."""
    text = hasher.value_hmacs(values.dictionary.cast(pa.binary()).to_pylist()).hex().encode()
    width = 2 * HMAC_BYTES
    ends = pa.array(range(0, len(text) + 1, width), pa.int32())
    hmacs = pa.StringArray.from_buffers(len(text) // width, ends.buffers()[1], pa.py_buffer(text))
    return hmacs.take(values.indices)


def _secret_rules(
    names: Sequence[str], values: Sequence[str], distinct_names: pa.DictionaryArray, distinct_values: pa.DictionaryArray
) -> list[str | None]:
    """Return ``secret_rule`` of each variable; the rules judge only variables whose value or name suggests a secret."""
    rules: list[str | None] = [None] * len(names)
    has_lead = pc.match_substring_regex(distinct_values.dictionary, LEADS).take(distinct_values.indices)
    for index in pc.indices_nonzero(has_lead).to_pylist():
        rules[index] = value_rule(values[index])
    suggests_secret = [name_means_secret(name) is not None for name in distinct_names.dictionary.to_pylist()]
    is_suspect = pa.array(suggests_secret, pa.bool_()).take(distinct_names.indices)
    for index in pc.indices_nonzero(is_suspect).to_pylist():
        rules[index] = rules[index] or name_rule(names[index], values[index])
    return rules
