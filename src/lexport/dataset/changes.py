"""sorted rows before and now -> what changed between them.

Both snapshots are read side by side, some thousands of functions at a time, all tables of these functions together: so
memory does not depend on the fleet, and what belongs to a new or a deleted version is known as such. Rows are compared
column by column in Arrow; none is touched by Python.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from lexport.dataset.commits import DamagedCommit, newest_first, newest_whole
from lexport.dataset.data_files import find_files
from lexport.dataset.local import LocalStore
from lexport.dataset.manifest import Manifest
from lexport.dataset.scan import Scan
from lexport.model import LATEST, Scope
from lexport.tables.arrow import BELOW_ALL, differs, staged_schema
from lexport.tables.functions import ENV_VARS, FUNCTIONS, LAYERS, TAGS
from lexport.tables.registry import resource_of, state_tables
from lexport.tables.run import CHANGES
from lexport.tables.staged import ANSWER, CHILD_TABLES
from lexport.tables.table import SCOPE_KEY, VERSION_KEY, Table

SCHEMA = staged_schema(CHANGES)

_FUNCTION_KEY = VERSION_KEY[:3]
_LAYER = "layer"
"""The ARN of a layer without its version: what stays when a layer is updated. A version has each layer once."""

_OF_THE_RUN = {"snapshot_id", "snapshot_at", "fetched_at", "carried_forward", "hash_key_id"}
_OF_THE_RELEASE = {"extra_json", "secret_rule"}  # what lexport knows, not what AWS sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One snapshot as a side of a comparison: its files by table, and how it was asked for."""

    snapshot_id: str
    files: Mapping[str, Sequence[Path]]
    options: Mapping[str, Any]
    hash_key_id: str | None
    lexport_version: str

    @classmethod
    def of(cls, commit: Manifest, root: Path) -> Reading:
        """Take what a commit says; raises ReadError where one of its files is missing or damaged. Blocking."""
        return cls(
            snapshot_id=commit.snapshot_id,
            files={table.name: files for table in state_tables() if (files := find_files(root, commit, table))},
            options=commit.options,
            hash_key_id=commit.hash_key_id,
            lexport_version=commit.lexport_version,
        )


def readings_before(
    store: LocalStore, scopes: Collection[Scope], snapshot_id: str, on_damaged: Callable[[DamagedCommit], object]
) -> dict[Scope, Manifest]:
    """Return, for each scope, the newest commit before a snapshot that read the whole of it. Blocking."""
    earlier = (commit for commit in newest_first(store, on_damaged) if commit.snapshot_id < snapshot_id)
    return newest_whole(earlier, scopes)


def changes(scopes: Collection[Scope], *, now: Reading, before: Reading) -> Iterator[pa.Table]:
    """Yield what changed in some scopes that both snapshots read whole, as staged rows of ``changes``.

    What was asked for differently is no change, nor is what one of them was denied: it is left out. Children of what is
    new or gone are left out too, for they go without saying.
    Order: by ranges of functions; within one as tables, kinds and columns come. Blocking; raises ReadError.
    """
    kept = _kept_versions(now.options, before.options)
    tables = _comparable(now, before)
    with ExitStack() as opened:
        scans = {
            table: tuple(
                opened.enter_context(Scan(side.files[table.name], table, scopes, _wanted(table)))
                for side in (now, before)
            )
            for table in tables
        }
        compared = {table: _compared(table, *scans[table], now=now, before=before) for table in tables}
        is_withheld = "values" in (now.options.get("env"), before.options.get("env"))
        while True:
            ends = [end for scan in scans[FUNCTIONS] if (end := scan.whole_until()) is not None]
            cut = min(ends, default=None)
            found = [
                part.row_table(before.snapshot_id, withheld={"extra_json"} if is_withheld else set())
                for part in _range(
                    {table: [scan.take(cut) for scan in scans[table]] for table in tables}, compared, kept
                )
            ]
            yield pa.concat_tables([SCHEMA.empty_table(), *found])
            pa.default_memory_pool().release_unused()
            if cut is None:
                return


# --- what can be compared -----------------------------------------------------------------------------------------


def is_comparable(now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Tell whether two runs, by their options, looked at the same versions at all."""
    return {now.get("qualifiers"), before.get("qualifiers")} != {"latest", "published"}


def _identity(table: Table) -> tuple[str, ...]:
    """Return the columns that make two rows the same thing."""
    return (*VERSION_KEY, _LAYER) if table is LAYERS else table.key


def _parents(table: Table) -> Iterator[tuple[Table, tuple[str, ...]]]:
    """Yield the tables that a table's rows belong to, each with the columns that lead to its row."""
    parent = table.parent
    while parent is not None:
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(parent.key, table.key, strict=False))
        yield parent, tuple(name for name, _ in shared)
        parent = parent.parent


def _kept_versions(now: Mapping[str, Any], before: Mapping[str, Any]) -> Literal["latest", "published", "all"]:
    """Return which versions both runs looked at."""
    asked = {now.get("qualifiers", "all"), before.get("qualifiers", "all")}
    return "latest" if "latest" in asked else "published" if "published" in asked else "all"


def _comparable(now: Reading, before: Reading) -> list[Table]:
    """Return the tables that both runs filled alike."""
    sides = (now, before)

    def is_alike(table: Table) -> bool:
        resource = resource_of(table)
        if resource is not None and not all(resource.is_read(side.options) for side in sides):
            return False
        if table is ENV_VARS:
            return all(side.options.get("env", "keys") != "none" for side in sides)
        if table is TAGS:  # that they were denied stands on the row of $LATEST
            return all(side.options.get("qualifiers", "all") != "published" for side in sides)
        return True

    return [table for table in state_tables() if all(table.name in side.files for side in sides) and is_alike(table)]


def _wanted(table: Table) -> list[str]:
    """Return the columns to read: all that are compared, and the key."""
    return [
        column.name
        for column in table.columns
        if column.name in table.key or not (column.name in _OF_THE_RUN or column.kind == "secret")
    ]


def _compared(table: Table, scan: Scan, other: Scan, *, now: Reading, before: Reading) -> list[str]:
    """Return the columns of a table that mean the same in both snapshots, but for those that tell rows apart."""
    names = [name for name in _wanted(table) if scan.types.get(name) == other.types.get(name) is not None]
    left_out = set(_identity(table))
    if now.hash_key_id != before.hash_key_id:
        left_out.add("value_hmac")
    if now.lexport_version != before.lexport_version:
        left_out |= _OF_THE_RELEASE
    if (now.options.get("env") == "values") != (before.options.get("env") == "values"):  # which masks nothing
        left_out.add("extra_json")
    return [name for name in names if name not in left_out and (not table.compared or name in table.compared)]


# --- one range of functions ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Things of one table that were added, removed, or changed in one column."""

    table: Table
    kind: str
    rows: pa.Table
    column: str | None = None
    old: pa.Array | None = None
    new: pa.Array | None = None

    def row_table(self, previous_snapshot_id: str, withheld: Collection[str]) -> pa.Table:
        count = len(self.rows)

        def same(text: str | None) -> pa.Array:
            return pa.repeat(pa.scalar(text, pa.string()), count)

        is_hidden = self.old is None or self.new is None or self.column in withheld
        values = {
            "account_id": self.rows.column("account_id"),
            "region": self.rows.column("region"),
            "kind": same(self.kind),
            "table_name": same(self.table.name),
            "key": _join([_text(self.rows.column(name)) for name in _identity(self.table)[2:]], "/", count),
            "column_name": same(self.column),
            "old_value": same(None) if is_hidden else _text(self.old),
            "new_value": same(None) if is_hidden else _text(self.new),
            "previous_snapshot_id": same(previous_snapshot_id),
            ANSWER: same(""),
        }
        return pa.Table.from_arrays([values[name] for name in SCHEMA.names], schema=SCHEMA)


def _range(
    slabs: dict[Table, list[pa.Table]], compared: Mapping[Table, list[str]], kept: Literal["latest", "published", "all"]
) -> Iterator[_Found]:
    """Compare all tables of some functions."""
    for table in (FUNCTIONS, *CHILD_TABLES):
        if table in slabs and kept != "all":
            slabs[table] = [_of_versions(rows, kept) for rows in slabs[table]]

    @cache
    def one_sided(parent: Table, key: tuple[str, ...]) -> pa.Array:
        return _one_sided(slabs.get(parent, []), key)

    denied: dict[Table, list[tuple[tuple[str, ...], pa.Array]]] = {
        ENV_VARS: [(VERSION_KEY, _where_set(slabs[FUNCTIONS], "environment_error_code", VERSION_KEY))],
        TAGS: [(_FUNCTION_KEY, _where_set(slabs[FUNCTIONS], "tags_error_code", _FUNCTION_KEY))],
    }
    left_out = {
        table: [(key, one_sided(parent, key)) for parent, key in _parents(table)] + denied.get(table, [])
        for table in slabs
    }
    for table, pair in slabs.items():
        new, old = (_without(rows, left_out[table]) for rows in pair)
        if table is LAYERS:
            new, old = _with_layer(new), _with_layer(old)
        yield from _compare(table, new, old, compared[table])


def _compare(table: Table, new: pa.Table, old: pa.Table, names: Collection[str]) -> Iterator[_Found]:
    identity = _identity(table)
    if not all(new.column(name).equals(old.column(name)) for name in identity):
        places = pc.index_in(_key(new, identity), value_set=_key(old, identity))
        if table.key != SCOPE_KEY:  # where an account-region has one row, no row means that it could not be read
            added = new.filter(pc.is_null(places))
            removed = old.filter(pc.invert(pc.is_in(_key(old, identity), value_set=_key(new, identity))))
            yield _Found(table=table, kind="added", rows=added)
            yield _Found(table=table, kind="removed", rows=removed)
        new, old = new.filter(pc.is_valid(places)), old.take(pc.drop_null(places))
    for name in names:
        ours, theirs = new.column(name), old.column(name)
        if not ours.equals(theirs):
            where = pc.indices_nonzero(differs(ours, theirs))
            yield _Found(
                table=table,
                kind="changed",
                rows=new.select(list(identity)).take(where),
                column=name,
                old=theirs.take(where),
                new=ours.take(where),
            )


def _of_versions(rows: pa.Table, kept: Literal["latest", "published", "all"]) -> pa.Table:
    is_latest = pc.equal(rows.column("version"), LATEST)
    return rows.filter(is_latest if kept == "latest" else pc.invert(is_latest))


def _one_sided(sides: list[pa.Table], key: tuple[str, ...]) -> pa.Array:
    """Return the keys that one of both sides lacks."""
    if not sides or all(sides[0].column(name).equals(sides[1].column(name)) for name in key):
        return pa.array([], pa.string())
    keys = [_key(rows, key) for rows in sides]
    return pa.concat_arrays(
        [mine.filter(pc.invert(pc.is_in(mine, value_set=others))) for mine, others in pairwise([*keys, keys[0]])]
    )


def _where_set(sides: list[pa.Table], name: str, key: tuple[str, ...]) -> pa.Array:
    """Return the keys of the rows in which a column is not NULL."""
    return pa.concat_arrays(
        [_key(rows.filter(pc.is_valid(rows.column(name))), key) for rows in sides if name in rows.column_names]
    )


def _without(rows: pa.Table, left_out: list[tuple[tuple[str, ...], pa.Array]]) -> pa.Table:
    for key, things in left_out:
        if len(things):
            rows = rows.filter(pc.invert(pc.is_in(_key(rows, key), value_set=things)))
    return rows


def _with_layer(rows: pa.Table) -> pa.Table:
    """Add what a layer is known by.

    That is its name; where a version has two of one name, which AWS refuses, the ARN as it is, or the place where even
    the ARN is there twice.
    """
    place = pc.cast(rows.column("position"), pa.string())
    arn = pc.coalesce(rows.column("layer_arn"), place)
    known_by = pc.replace_substring_regex(arn, pattern=":[0-9]+$", replacement="")
    for other in (arn, place):
        is_twice = _is_twice(_key(rows.append_column(_LAYER, known_by), _identity(LAYERS)))
        known_by = pc.if_else(is_twice, other, known_by)
    return rows.append_column(_LAYER, known_by)


def _is_twice(keys: pa.Array) -> pa.Array:
    counts = pc.value_counts(keys)
    return pc.is_in(keys, value_set=counts.field("values").filter(pc.greater(counts.field("counts"), 1)))


def _key(rows: pa.Table, names: tuple[str, ...]) -> pa.Array:
    """Return one text per row that only rows with the same values share."""
    return _join([pc.fill_null(_text(rows.column(name)), "") for name in names], BELOW_ALL, len(rows))


def _join(parts: list[pa.ChunkedArray], separator: str, count: int) -> pa.Array:
    if not parts:
        return pa.repeat(pa.scalar("", pa.string()), count)
    joined = pc.binary_join_element_wise(*parts, separator)
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write values as texts: instants as ISO 8601 with ``Z``, claims as ``true`` and ``false``."""
    if pa.types.is_timestamp(values.type):
        plain = pc.cast(pc.cast(values, pa.timestamp("us")), pa.string())
        return pc.binary_join_element_wise(pc.replace_substring(plain, " ", "T"), "Z", "")
    return values if pa.types.is_string(values.type) else pc.cast(values, pa.string())
