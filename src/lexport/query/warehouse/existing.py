"""What a fed database has already, and the statements that create the rest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lexport.model import __version__
from lexport.query.shipped_views import shipped_views
from lexport.query.warehouse.dialects import SCHEMA, Dialect
from lexport.query.warehouse.native_tables import (
    add_column,
    create_native_table,
    create_schema,
    native_tables,
    rename_column,
)
from lexport.query.warehouse.native_views import NATIVE_SCHEMAS, create_native_views, native_view_names
from lexport.query.warehouse.views import create_shipped_views

if TYPE_CHECKING:
    from lexport.query.feed import WriteMode

_FINGERPRINT = "Definitions: "


@dataclass(frozen=True, slots=True)
class Existing:
    """The tables of a database with their columns, its views as (schema, name), and the fingerprint of these."""

    tables: dict[str, list[str]]
    views: frozenset[tuple[str, str]]
    fingerprint: str

    @classmethod
    def of(cls, columns: Iterable[tuple[str, str]], views: Iterable[tuple[str, str]], comment: str | None) -> Existing:
        """Read pairs of table and column, pairs of schema and view, and the comment of the view ``latest_scopes``."""
        tables: dict[str, list[str]] = {}
        for table, column in columns:
            tables.setdefault(table, []).append(column)
        return cls(tables, frozenset(views), (comment or "").partition(_FINGERPRINT)[2])

    def has_views(self, mode: WriteMode, dialect: Dialect) -> bool:
        """Return whether all views are there, as this lexport writes them."""
        return self.fingerprint == _fingerprint(mode, dialect) and {*native_view_names()} <= self.views


def missing_statements(existing: Existing, mode: WriteMode, dialect: Dialect) -> Iterator[str]:
    """Write the statements that create the tables and the columns that are not there, and rename former columns."""
    if not existing.tables:
        yield from (create_schema(dialect, name) for name in NATIVE_SCHEMAS)
    for table in native_tables(mode):
        columns = existing.tables.get(table.name)
        if columns is None:
            yield from create_native_table(table, dialect)
            continue
        for column in table.columns:
            if column.name not in columns:
                former = next((name for name in column.former_names if name in columns), None)
                yield (
                    add_column(table, column, dialect)
                    if former is None
                    else rename_column(table, former, column, dialect)
                )


def _fingerprint(mode: WriteMode, dialect: Dialect) -> str:
    """Return a text that differs where the views would be others. The views themselves take seconds to write."""
    facts = [
        __version__,
        mode,
        dialect.name,
        [[table.name, *table.names] for table in native_tables(mode)],
        [view.query for view in shipped_views()],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def view_statements(mode: WriteMode, dialect: Dialect) -> tuple[str, ...]:
    """Return the statements that create all views, and last the one that notes their fingerprint."""
    fingerprint = _fingerprint(mode, dialect)
    key = (dialect.name, fingerprint)
    if key not in _written:
        comment = dialect.literal(f"What lexport shows. {_FINGERPRINT}{fingerprint}")
        noted = f"COMMENT ON VIEW {dialect.quote(SCHEMA, 'latest_scopes')} IS {comment}"
        _written[key] = (*create_native_views(dialect, mode), *create_shipped_views(dialect), noted)
    return _written[key]


_written: dict[tuple[str, str], tuple[str, ...]] = {}
"""The statements by dialect and fingerprint: a process that loads often writes them once."""
