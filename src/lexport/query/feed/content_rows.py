"""The rows of content tables about what new commits looked at. Blocking.

Content belongs to no account-region: of each package or layer, the rows of the newest commit count, whichever it is. A
commit that is loaded late may be older than one that was loaded before, so all commits are looked at. The values of
the key are kept in memory, one for each package or layer; rows are not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lexport.dataset.manifest import Manifest
from lexport.query.catalog import Catalog
from lexport.query.feed.part import FeedPart, aligned, fed_schema, with_deleted_at
from lexport.query.feed.read_rows import read_rows
from lexport.tables.content import CONTENT_RULES
from lexport.tables.fed import FedTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFiles:
    """The files of a table in one commit; ``is_fresh`` is off where the commit was loaded."""

    commit: Manifest
    files: Sequence[Path]
    is_fresh: bool


def commits_with(fed: FedTable, catalog: Catalog, fresh: Collection[Manifest]) -> tuple[Manifest, ...]:
    """Return the commits that decide the rows of a table about what fresh commits looked at, newest first.

    Commits before all fresh ones matter only for values that last.
    """
    touching = [commit.snapshot_id for commit in fresh if any(entry.rows for entry in commit.entries(fed.name))]
    if not touching:
        return ()
    oldest = "" if CONTENT_RULES[fed.table].lasting else min(touching)
    return tuple(commit for commit in catalog.manifests if commit.snapshot_id >= oldest and commit.entries(fed.name))


def content_rows(fed: FedTable, commits: Sequence[ContentFiles], *, deletes: bool) -> Iterator[FeedPart]:
    """Yield the values whose rows are replaced, unless all rows of the warehouse are, and then these rows.

    ``commits`` come newest first.
    """
    (key,) = fed.delete_by
    rule, schema, none = CONTENT_RULES[fed.table], fed_schema(fed), pa.array([], pa.string())
    touched = _distinct(values for each in commits if each.is_fresh for (values,) in _columns(fed, each, key))
    lasting = {name: _lasting(fed, commits, touched, key, name) for name in rule.lasting}
    newest: list[tuple[ContentFiles, pa.Array]] = []
    seen = none
    for each in commits:
        found = _distinct(_common(values, touched) for (values,) in _columns(fed, each, key))
        found = found.filter(pc.invert(pc.is_in(found, value_set=seen)))
        if len(found):
            newest.append((each, found))
            seen = pa.concat_arrays([seen, found])
    if deletes:
        for each, values in newest:
            keys = with_deleted_at(pa.table({key: values}), each.commit.snapshot_at)
            yield FeedPart(action="delete", table=fed, rows=keys)
    for each, values in newest:
        for stored in read_rows(each.files, fed.table, fed.names):
            rows = aligned(stored, schema)
            rows = rows.filter(pc.is_in(rows.column(key), value_set=values))
            for name, (keys, found) in lasting.items():
                last = found.take(pc.index_in(rows.column(key), value_set=keys))
                rows = rows.set_column(schema.get_field_index(name), schema.field(name), last)
            if len(rows):
                yield FeedPart(action="upsert", table=fed, rows=rows)


def _columns(fed: FedTable, commit: ContentFiles, *names: str) -> Iterator[tuple[pa.ChunkedArray, ...]]:
    """Yield some columns of the rows of a commit; a column that a file lacks is NULL."""
    schema = pa.schema([fed_schema(fed).field(name) for name in names])
    for rows in read_rows(commit.files, fed.table, names):
        yield tuple(aligned(rows, schema).columns)


def _distinct(parts: Iterator[pa.ChunkedArray]) -> pa.Array:
    """Return the distinct texts of some columns, without NULL."""
    found = [pc.drop_null(pc.unique(values)) for values in parts]
    return pc.unique(pa.concat_arrays([pa.array([], pa.string()), *found]))


def _common(values: pa.ChunkedArray, wanted: pa.Array) -> pa.ChunkedArray:
    return values.filter(pc.is_in(values, value_set=wanted))


def _lasting(
    fed: FedTable, commits: Sequence[ContentFiles], touched: pa.Array, key: str, name: str
) -> tuple[pa.Array, pa.ChunkedArray]:
    """Return the values of the key, of those touched, for which a column has a value, and the newest one of each."""
    keys, chunks = pa.array([], pa.string()), [pa.array([], fed_schema(fed).field(name).type)]
    for each in commits:
        for of_key, values in _columns(fed, each, key, name):
            is_new = pc.and_(pc.is_in(of_key, value_set=touched), pc.invert(pc.is_in(of_key, value_set=keys)))
            is_new = pc.and_(is_new, pc.is_valid(values))
            keys = pa.concat_arrays([keys, *of_key.filter(is_new).chunks])
            chunks += values.filter(is_new).chunks
    return keys, pa.chunked_array(chunks)
