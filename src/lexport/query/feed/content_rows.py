"""The rows of content tables about what new commits looked at. Blocking.

Content belongs to no account-region: of each package or layer, the rows of the newest commit count, whichever it is. A
commit that is loaded late may be older than one that was loaded before, so all commits are looked at.
"""

# ruff: noqa: S608 - the names in SQL are those of declared tables

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import pyarrow as pa

from lexport.dataset.manifest import Manifest
from lexport.query.catalog import Catalog
from lexport.query.feed.part import DELETED_AT, FeedPart, aligned, fed_schema
from lexport.query.sql import QuerySession, open_catalog_session
from lexport.query.sql_text import quote_name, quote_text
from lexport.tables.content import CONTENT_RULES
from lexport.tables.fed import FedTable


def commits_with(fed: FedTable, catalog: Catalog, fresh: Collection[Manifest]) -> tuple[Manifest, ...]:
    """Return the commits that decide the rows of a table about what fresh commits looked at, newest first.

    Commits before all fresh ones matter only for values that last.
    """
    touching = [commit.snapshot_id for commit in fresh if any(entry.rows for entry in commit.entries(fed.name))]
    if not touching:
        return ()
    oldest = "" if CONTENT_RULES[fed.table].lasting else min(touching)
    return tuple(commit for commit in catalog.manifests if commit.snapshot_id >= oldest and commit.entries(fed.name))


def content_rows(
    fed: FedTable, catalog: Catalog, commits: tuple[Manifest, ...], fresh: Collection[Manifest], *, deletes: bool
) -> Iterator[FeedPart]:
    """Yield the values whose rows are replaced, unless all rows of the warehouse are, and then these rows."""
    with open_catalog_session(replace(catalog, manifests=commits)) as session:
        newest = _newest(fed, fresh)
        if deletes:
            (key,) = fed.delete_by
            keys = f"SELECT DISTINCT t.{quote_name(key)}, t.snapshot_at AS {DELETED_AT} FROM {newest} ORDER BY ALL"
            schema = pa.schema([fed_schema(fed).field(key), pa.field(DELETED_AT, pa.timestamp("us", "UTC"))])
            for rows in _read(session, keys, schema):
                yield FeedPart(action="delete", table=fed, rows=rows)
        lasting = CONTENT_RULES[fed.table].lasting
        columns = ", ".join(f"{'n' if name in lasting else 't'}.{quote_name(name)}" for name in fed.names)
        order = ", ".join(f"t.{quote_name(name)}" for name in fed.key)
        for rows in _read(session, f"SELECT {columns} FROM {newest} ORDER BY {order}", fed_schema(fed)):
            yield FeedPart(action="upsert", table=fed, rows=rows)


def _newest(fed: FedTable, fresh: Collection[Manifest]) -> str:
    """Write the join of a table with the newest commit of each value that fresh commits touch, and what lasts."""
    rule, table = CONTENT_RULES[fed.table], f"history.{fed.name}"
    key = quote_name(rule.key)
    ids = ", ".join(quote_text(commit.snapshot_id) for commit in fresh)
    lasting = "".join(
        f", arg_max({name}, snapshot_id) FILTER (WHERE {name} IS NOT NULL) AS {name}"
        for name in map(quote_name, rule.lasting)
    )
    touched = f"SELECT {key} FROM {table} WHERE snapshot_id IN ({ids})"
    newest = (
        f"SELECT {key}, max(snapshot_id) AS snapshot_id{lasting} FROM {table} WHERE {key} IN ({touched}) GROUP BY {key}"
    )
    return f"{table} AS t JOIN ({newest}) AS n ON n.{key} = t.{key} AND n.snapshot_id = t.snapshot_id"


def _read(session: QuerySession, query: str, schema: pa.Schema) -> Iterator[pa.Table]:
    for batch in session.read(query):
        if len(batch):
            yield aligned(pa.Table.from_batches([batch]), schema)
