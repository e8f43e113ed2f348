"""Find what changed in account-regions between two snapshots, as rows of ``changes``. Blocking.

All tables of some thousands of functions are compared together, so that children of an added or removed version are
recognized. Rows are compared column by column in Arrow, never one by one in Python.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, takewhile
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from lexport.dataset.compare import (
    LAYER,
    NEW_IN_EVERY_RUN,
    SnapshotFiles,
    identity,
    key_array,
    match_rows,
    open_scans,
    range_ends,
)
from lexport.dataset.resource_rows import Unread
from lexport.dataset.scan import NoRows, Scan
from lexport.model import LATEST, Scope
from lexport.tables.arrow import differs, staged_schema
from lexport.tables.functions import ENV_VARS, FUNCTIONS, LAYERS, TAGS
from lexport.tables.registry import fleet_resources, resource_of, state_tables
from lexport.tables.run import CHANGES
from lexport.tables.staged import ANSWER, CHILD_TABLES
from lexport.tables.table import SCOPE_KEY, VERSION_KEY, Table

SCHEMA = staged_schema(CHANGES)

_FUNCTION_KEY = VERSION_KEY[:3]
_NOT_COMPARED = {*NEW_IN_EVERY_RUN, "hash_key_id"}
_DEPENDS_ON_RELEASE = {"extra_json", "secret_rule"}  # columns that depend on what a release of lexport knows

KeptVersions = Literal["latest", "published", "all"]


def find_changes(scopes: Collection[Scope], *, now: SnapshotFiles, before: SnapshotFiles) -> Iterator[pa.Table]:
    """Yield what changed in some scopes that both snapshots read whole, as staged rows of ``changes``.

    Against a retirement, everything was added or removed.
    A difference between the settings of the two runs is no change, nor is a value or a resource that one of them was
    denied. Children of an added or removed parent are left out, since their parent has a row.
    Order: by ranges of functions; within a range by table, kind and column. Blocking; raises ReadError.
    """
    unread = now.unread | before.unread if now.files and before.files else frozenset[Unread]()
    now, before = now.or_like(before), before.or_like(now)
    kept = _kept_versions(now.options, before.options)
    tables = _comparable(now, before)
    with ExitStack() as stack:
        scans = {
            table: open_scans(
                table, (now, before), _read_on_both(table, scopes, unread), _columns_to_read(table), stack
            )
            for table in tables
        }
        compared = {table: _columns_to_compare(table, *scans[table], now=now, before=before) for table in tables}
        has_values = "values" in (now.options.get("env"), before.options.get("env"))
        for end in range_ends(scans[FUNCTIONS]):
            slabs = {table: [scan.take(end) for scan in scans[table]] for table in tables}
            rows = [
                difference.rows_of_changes(before.snapshot_id, hidden={"extra_json"} if has_values else set())
                for difference in _compare_range(slabs, compared, kept)
            ]
            yield pa.concat_tables([SCHEMA.empty_table(), *rows])
            pa.default_memory_pool().release_unused()


def _read_on_both(table: Table, scopes: Collection[Scope], unread: Collection[Unread]) -> list[Scope]:
    """Return the account-regions in which both snapshots read the whole resource that fills a table."""
    resource = resource_of(table)
    if resource is None or resource.is_gap:  # both snapshots read these whole
        return list(scopes)
    return [scope for scope in scopes if (scope, resource.option) not in unread]


def is_comparable(now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Return whether the settings of two runs select any versions in common."""
    return {now.get("qualifiers"), before.get("qualifiers")} != {"latest", "published"}


def _parents(table: Table) -> Iterator[tuple[Table, tuple[str, ...]]]:
    """Yield the tables that a table's rows belong to, each with the columns that lead to its row."""
    parent = table.parent
    while parent is not None:
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(parent.key, table.key, strict=False))
        yield parent, tuple(name for name, _ in shared)
        parent = parent.parent


def _kept_versions(now: Mapping[str, Any], before: Mapping[str, Any]) -> KeptVersions:
    qualifiers = {now.get("qualifiers", "all"), before.get("qualifiers", "all")}
    return "latest" if "latest" in qualifiers else "published" if "published" in qualifiers else "all"


def _comparable(now: SnapshotFiles, before: SnapshotFiles) -> list[Table]:
    """Return the tables that both runs filled by the same rules."""
    sides = (now, before)

    def is_filled(table: Table) -> bool:
        filled_by = [resource for resource in fleet_resources() if table in resource.tables]
        read_now, read_before = ([each for each in filled_by if each.is_read(side.options)] for side in sides)
        if read_now != read_before or (filled_by and not read_now):
            return False
        if any(column.is_hashed for column in table.columns if column.name in table.key):
            return now.hash_key_id == before.hash_key_id
        if table is ENV_VARS:
            return all(side.options.get("env", "keys") != "none" for side in sides)
        if table is TAGS:  # the row of $LATEST has whether tags were denied
            return all(side.options.get("qualifiers", "all") != "published" for side in sides)
        return True

    return [table for table in state_tables() if all(table.name in side.files for side in sides) and is_filled(table)]


def _columns_to_read(table: Table) -> list[str]:
    return [
        column.name
        for column in table.columns
        if column.name in table.key or not (column.name in _NOT_COMPARED or column.kind == "secret")
    ]


def _columns_to_compare(
    table: Table, scan: Scan | NoRows, other: Scan | NoRows, *, now: SnapshotFiles, before: SnapshotFiles
) -> list[str]:
    """Return the columns of a table that mean the same in both snapshots, without those that identify a row."""
    names = [name for name in _columns_to_read(table) if scan.types.get(name) == other.types.get(name) is not None]
    left_out = set(identity(table))
    if now.hash_key_id != before.hash_key_id:
        hashed = {column.name for column in table.columns if column.is_hashed}
        left_out |= hashed | {"extra_json"} if hashed else hashed
    if now.lexport_version != before.lexport_version:
        left_out |= _DEPENDS_ON_RELEASE
    if (now.options.get("env") == "values") != (before.options.get("env") == "values"):  # there, nothing is masked
        left_out.add("extra_json")
    return [name for name in names if name not in left_out and (not table.compared or name in table.compared)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    """Rows of one table that were added, removed, or changed in one column."""

    table: Table
    kind: str
    rows: pa.Table
    column: str | None = None
    old: pa.Array | None = None
    new: pa.Array | None = None

    def rows_of_changes(self, previous_snapshot_id: str, hidden: Collection[str]) -> pa.Table:
        count = len(self.rows)

        def repeat(text: str | None) -> pa.Array:
            return pa.repeat(pa.scalar(text, pa.string()), count)

        is_hidden = self.old is None or self.new is None or self.column in hidden
        values = {
            "account_id": self.rows.column("account_id"),
            "region": self.rows.column("region"),
            "kind": repeat(self.kind),
            "table_name": repeat(self.table.name),
            "key": _path(self.rows, identity(self.table)[2:]),
            "column_name": repeat(self.column),
            "old_value": repeat(None) if is_hidden else _text(self.old),
            "new_value": repeat(None) if is_hidden else _text(self.new),
            "previous_snapshot_id": repeat(previous_snapshot_id),
            ANSWER: repeat(""),
        }
        return pa.Table.from_arrays([values[name] for name in SCHEMA.names], schema=SCHEMA)


def _compare_range(
    slabs: dict[Table, list[pa.Table]], compared: Mapping[Table, list[str]], kept: KeptVersions
) -> Iterator[_Difference]:
    for table in (FUNCTIONS, *CHILD_TABLES):
        if table in slabs and kept != "all":
            compare = pc.equal if kept == "latest" else pc.not_equal
            slabs[table] = [rows.filter(compare(rows.column("version"), LATEST)) for rows in slabs[table]]

    @cache
    def one_sided(parent: Table, key: tuple[str, ...]) -> pa.Array:
        return _one_sided(slabs.get(parent, []), key)

    denied: dict[Table, list[tuple[tuple[str, ...], pa.Array]]] = {
        ENV_VARS: [(VERSION_KEY, _keys_with(slabs[FUNCTIONS], "environment_error_code", VERSION_KEY))],
        TAGS: [(_FUNCTION_KEY, _keys_with(slabs[FUNCTIONS], "tags_error_code", _FUNCTION_KEY))],
    }
    left_out = {
        table: [(key, one_sided(parent, key)) for parent, key in _parents(table)] + denied.get(table, [])
        for table in slabs
    }
    for table, pair in slabs.items():
        new, old = (_without(rows, left_out[table]) for rows in pair)
        if table is LAYERS:
            new, old = _with_layer(new), _with_layer(old)
        yield from _compare_table(table, new, old, compared[table])


def _compare_table(table: Table, new: pa.Table, old: pa.Table, names: Collection[str]) -> Iterator[_Difference]:
    key = identity(table)
    if not all(new.column(name).equals(old.column(name)) for name in key):
        indices, is_removed = match_rows(new, old, key)
        if table.key != SCOPE_KEY:  # a missing row of an account-region means that the call failed, not a removal
            yield _Difference(table=table, kind="added", rows=new.filter(pc.is_null(indices)))
            yield _Difference(table=table, kind="removed", rows=old.filter(is_removed))
        new, old = new.filter(pc.is_valid(indices)), old.take(pc.drop_null(indices))
    for name in names:
        new_values, old_values = new.column(name), old.column(name)
        if not new_values.equals(old_values):
            where = pc.indices_nonzero(differs(new_values, old_values))
            yield _Difference(
                table=table,
                kind="changed",
                rows=new.select(list(key)).take(where),
                column=name,
                old=old_values.take(where),
                new=new_values.take(where),
            )


def _one_sided(sides: list[pa.Table], key: tuple[str, ...]) -> pa.Array:
    if not sides or all(sides[0].column(name).equals(sides[1].column(name)) for name in key):
        return pa.array([], pa.string())
    keys = [key_array(rows, key) for rows in sides]
    return pa.concat_arrays(
        [one.filter(pc.invert(pc.is_in(one, value_set=other))) for one, other in pairwise([*keys, keys[0]])]
    )


def _keys_with(sides: list[pa.Table], name: str, key: tuple[str, ...]) -> pa.Array:
    return pa.concat_arrays(
        [key_array(rows.filter(pc.is_valid(rows.column(name))), key) for rows in sides if name in rows.column_names]
    )


def _without(rows: pa.Table, left_out: list[tuple[tuple[str, ...], pa.Array]]) -> pa.Table:
    for key, values in left_out:
        if len(values):
            rows = rows.filter(pc.invert(pc.is_in(key_array(rows, key), value_set=values)))
    return rows


def _with_layer(rows: pa.Table) -> pa.Table:
    """Add the column that identifies a layer of a version: its ARN without the layer version.

    Where a version has two of one ARN, which AWS refuses, it is the whole ARN, or the position where even that repeats.
    """
    position = pc.cast(rows.column("position"), pa.string())
    arn = pc.coalesce(rows.column("layer_arn"), position)
    layer = pc.replace_substring_regex(arn, pattern=":[0-9]+$", replacement="")
    for longer in (arn, position):
        keys = key_array(rows.append_column(LAYER, layer), identity(LAYERS))
        counts = pc.value_counts(keys)
        repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
        is_repeated = pc.is_in(keys, value_set=repeated)
        layer = pc.if_else(is_repeated, longer, layer)
    return rows.append_column(LAYER, layer)


def _path(rows: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    """Join columns to one text with slashes; empty texts where there is no column."""
    if not names:
        return pa.repeat(pa.scalar("", pa.string()), len(rows))
    return pc.binary_join_element_wise(*(_text(rows.column(name)) for name in names), "/")


def _text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write values as texts: instants in ISO 8601 with ``Z``, booleans as ``true`` and ``false``."""
    if pa.types.is_timestamp(values.type):
        plain = pc.cast(pc.cast(values, pa.timestamp("us")), pa.string())
        return pc.binary_join_element_wise(pc.replace_substring(plain, " ", "T"), "Z", "")
    return values if pa.types.is_string(values.type) else pc.cast(values, pa.string())
