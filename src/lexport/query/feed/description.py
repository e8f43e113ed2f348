"""What a feed says of itself: its head, the schema of each table, its parts and its totals, as JSON values. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lexport.dataset.manifest import format_instant
from lexport.model import __version__
from lexport.query.feed.prepare import Feed, WriteMode
from lexport.query.feed.scopes import FeedScope
from lexport.tables.fed import FedTable, fed_tables
from lexport.tables.registry import SCHEMA_VERSION

FORMAT = "lexport-feed/2"
DESCRIPTION = "feed.json"
"""The file of a feed folder that is written last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFile:
    """A file of a feed folder. ``table`` is None for the keys of rows to delete."""

    path: str
    table: str | None
    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedResult:
    """What a written feed holds: the account-regions, its files, and the number of rows to upsert and to delete.

    ``next_since`` is the ``since`` of the next feed, once this one is loaded. ``damage`` has a line for each snapshot
    that cannot be read and is skipped, and one where some are pruned.
    """

    load_id: str
    since: str | None
    next_since: str
    write_mode: WriteMode
    scopes: tuple[FeedScope, ...]
    parts: tuple[FeedFile, ...]
    upserts: int
    deletes: int
    damage: tuple[str, ...]


def head(feed: Feed | FeedResult) -> dict[str, Any]:
    """Describe a feed: what it leads from and to, and how it is to be loaded."""
    return {
        "format": FORMAT,
        "load_id": feed.load_id,
        "since": feed.since,
        "next_since": feed.next_since,
        "write_mode": feed.write_mode,
        "schema_version": SCHEMA_VERSION,
        "lexport_version": __version__,
    }


def table_schemas() -> list[dict[str, Any]]:
    """Describe every table of a fed warehouse: its kind, its keys and its columns."""
    return [_table(fed) for fed in fed_tables()]


def _table(fed: FedTable) -> dict[str, Any]:
    return {
        "table": fed.name,
        "kind": fed.kind,
        "key": fed.key,
        "delete_by": fed.delete_by,
        "columns": [
            {
                "name": column.name,
                "type": column.type.value,
                "nullable": fed.may_be_null(column.name),
                "meaning": column.meaning,
            }
            for column in fed.columns
        ],
    }


def scope_record(scope: FeedScope) -> dict[str, Any]:
    """Describe what a feed does for an account-region."""
    return asdict(scope) | {"snapshot_at": scope.snapshot_at and format_instant(scope.snapshot_at)}


def description(result: FeedResult) -> dict[str, Any]:
    """Describe a written feed, as ``feed.json`` does."""
    return {
        **head(result),
        "scopes": [scope_record(scope) for scope in result.scopes],
        "tables": table_schemas(),
        "parts": [asdict(part) for part in result.parts],
        "totals": totals(result.upserts, result.deletes),
        "damage": result.damage,
    }


def totals(upserts: int, deletes: int) -> dict[str, int]:
    """Describe how many rows a feed has."""
    return {"upserts": upserts, "deletes": deletes}
