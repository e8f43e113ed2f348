"""What a fed database has already, and the statements that create the rest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lexport.errors import PublishError, RunError
from lexport.model import __version__
from lexport.query.shipped_views import shipped_views
from lexport.query.warehouse.dialects import SCHEMA, TABLES, Dialect
from lexport.query.warehouse.native_tables import (
    LOADS,
    add_column,
    create_native_table,
    is_marked,
    native_table,
    native_tables,
    rename_column,
)
from lexport.query.warehouse.native_views import NATIVE_SCHEMAS, create_native_views, native_view_names
from lexport.query.warehouse.views import create_shipped_views
from lexport.tables.fed import fed_tables
from lexport.tables.table import Column

if TYPE_CHECKING:
    from lexport.query.feed import WriteMode

_FINGERPRINT = "Definitions: "
MENDED = "tables or views were missing, or of another version of lexport: they were created again"


@dataclass(frozen=True, slots=True)
class Existing:
    """What a database has in the schemas of lexport.

    ``kinds`` says of each (schema, name) whether it is a ``table``, a ``view`` or what else; ``columns`` are those of
    the fed tables. ``fingerprint`` is that of the views.
    """

    schemas: frozenset[str]
    kinds: dict[tuple[str, str], str]
    columns: dict[str, list[str]]
    fingerprint: str

    @classmethod
    def of(
        cls,
        schemas: Iterable[str],
        kinds: Iterable[tuple[str, str, str]],
        columns: Iterable[tuple[str, str]],
        comment: str | None,
    ) -> Existing:
        """Read triples of schema, name and kind, pairs of table and column, and the comment of ``latest_scopes``."""
        found = {(schema, name): kind for schema, name, kind in kinds}
        tables: dict[str, list[str]] = {name: [] for (schema, name), kind in found.items() if (schema, kind) == _TABLE}
        for table, column in columns:
            tables.setdefault(table, []).append(column)
        return cls(frozenset(schemas), found, tables, (comment or "").partition(_FINGERPRINT)[2])

    def views(self) -> list[tuple[str, str]]:
        """Name the views of lexport that are there."""
        return [name for name in native_view_names() if self.kinds.get(name) == "view"]

    def has_views(self, mode: WriteMode, dialect: Dialect) -> bool:
        """Return whether all views are there, as this lexport writes them."""
        return self.fingerprint == _fingerprint(mode, dialect) and len(self.views()) == len([*native_view_names()])

    def is_complete(self, mode: WriteMode, dialect: Dialect) -> bool:
        """Return whether nothing has to be created."""
        return self.has_views(mode, dialect) and not any(missing_statements(self, mode, dialect))


_TABLE = (TABLES, "table")


def check_own(existing: Existing, database: str) -> None:
    """Raise RunError where another's table or view has a name that lexport needs. Nothing of theirs is changed."""
    is_new = LOADS.name not in existing.columns  # a key of an older lexport can have fewer columns
    for table in native_tables("hard-delete"):
        kind = existing.kinds.get((TABLES, table.name), "table")
        has = existing.columns.get(table.name) if is_new or table is LOADS else None
        keys = [column for column in table.columns if column.name in table.key]
        if kind != "table":
            raise _not_ours(database, TABLES, table.name, f"it is a {kind}, where a table has to be")
        if has is not None and any(_name_in(has, column) is None for column in keys):
            raise _not_ours(database, TABLES, table.name, "it lacks columns of its key")
    for schema, name in native_view_names():
        kind = existing.kinds.get((schema, name), "view")
        if kind != "view":
            raise _not_ours(database, schema, name, f"it is a {kind}, where a view has to be")


def _not_ours(database: str, schema: str, name: str, reason: str) -> RunError:
    return RunError(
        f"{database}: {schema}.{name} is not lexport's: {reason}; nothing was changed. Rename it or move it to another"
        " schema, and run again"
    )


def _name_in(names: Collection[str], column: Column) -> str | None:
    """Return by which of its names, that of today first, a column is among others."""
    return next((name for name in (column.name, *column.former_names) if name in names), None)


def tables_without_rows(existing: Existing, mode: WriteMode) -> list[str]:
    """Name the fed tables of a loaded database that are not there, so that a feed of what changed does not fill them.

    So are those that lack a column, unless they keep former rows, which no feed has again.
    """
    found = []
    for fed in fed_tables():
        has = existing.columns.get(fed.name)
        if has is None or (
            not is_marked(fed, mode) and any(_name_in(has, each) is None for each in native_table(fed, mode).columns)
        ):
            found.append(fed.name)
    return found


def check_rows(existing: Existing, mode: WriteMode, whole: Collection[str], database: str) -> None:
    """Raise PublishError where a table was dropped since the load began, of which the load has not all rows."""
    lacking = sorted({*tables_without_rows(existing, mode)} - {*whole})
    if lacking:
        raise PublishError(
            f"{database} lacks {TABLES}.{lacking[0]} or a column of it, and this load has not all its rows; nothing was"
            " changed, run it again",
            destination=database,
        )


def missing_statements(existing: Existing, mode: WriteMode, dialect: Dialect) -> Iterator[str]:
    """Write the statements that create the schemas, tables and columns that are not there, and rename former columns.

    A schema that is there is not created again: the statement needs a right even then.
    """
    yield from (dialect.create_schema(name) for name in NATIVE_SCHEMAS if name not in existing.schemas)
    for table in native_tables(mode):
        columns = existing.columns.get(table.name)
        if columns is None:
            yield from create_native_table(table, dialect)
            continue
        for column in table.columns:
            if column.name not in columns:
                former = _name_in(columns, column)
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
