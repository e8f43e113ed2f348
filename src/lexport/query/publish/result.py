"""What a publication did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """What was done to one table, or would be. ``rows`` are those that it has then, None where that is unknown."""

    table: str
    is_new: bool
    snapshots_added: int = 0
    files_added: int = 0
    rows_added: int = 0
    snapshots_deleted: int = 0
    rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishResult:
    """Every table, and a line for each caveat."""

    is_dry_run: bool
    tables: tuple[PublishedTable, ...]
    notes: tuple[str, ...] = ()
