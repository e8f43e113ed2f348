"""The statements that load a feed into a warehouse, once its rows lie in staging tables ``feed_<table>``.

A script and ``--apply`` run the same ones. A feed without ``since`` replaces every row. Any other deletes the rows of
account-regions that it replaces and the rows of the delete keys, then replaces by key the rows to upsert; where a write
mode marks rows that are gone, they are marked. Last comes the row of ``lexport_loads``, which moves the cursor.
"""

# ruff: noqa: S608 - the names in SQL are those of declared tables, and texts are written as literals

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from lexport.query.warehouse.dialects import TABLES, Dialect
from lexport.query.warehouse.native_tables import (
    DELETED_AT,
    LOADS,
    VALID_FROM,
    VALID_TO,
    NativeTable,
    hashed,
    is_marked,
    listed,
    native_table,
    shown_only,
)
from lexport.tables.fed import FedTable, fed_tables
from lexport.tables.table import BOOL, COMMON, SCOPE_KEY, TEXT, TIMESTAMP, Column

if TYPE_CHECKING:
    from lexport.query.feed import WriteMode

LOCK = int.from_bytes(b"lexport")
"""The advisory lock of PostgreSQL under which one load alone runs in a database."""

STAGED = "feed_"
DELETES, SCOPES = "deletes", "account_regions"
"""What is staged beside the rows of tables: the delete keys, and the account-regions with the moment of their reading.

``replaced`` says of an account-region that all its rows are deleted first.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadScope:
    """An account-region that a feed moves to the reading of ``snapshot_at``."""

    account_id: str
    region: str
    snapshot_at: datetime
    replaced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a feed has, as its folder says. ``rows`` are those to upsert, by table; ``deleting`` has delete keys.

    ``whole`` are the tables of which it has all rows, beside those that changed since ``since`` in the others.
    """

    load_id: str
    since: str | None
    next_since: str
    write_mode: WriteMode
    schema_version: str
    lexport_version: str
    scopes: Sequence[LoadScope]
    rows: Mapping[str, int]
    deleting: Collection[str]
    upserts: int
    deletes: int
    whole: Collection[str] = ()

    def is_whole(self, table: str) -> bool:
        """Return whether all rows of a table are replaced."""
        return self.since is None or table in self.whole

    def staged(self) -> tuple[str, ...]:
        """Name the files of the folder that have rows: those of tables, then the delete keys."""
        return (*(name for name, rows in self.rows.items() if rows), *([DELETES] if self.deletes else []))

    def tables(self) -> Iterator[tuple[FedTable, NativeTable]]:
        """Yield every fed table, and how it is stored."""
        yield from ((fed, native_table(fed, self.write_mode)) for fed in fed_tables())


def staged(dialect: Dialect, name: str, *, schema: str | None = None) -> str:
    """Return the name of a staging table: of what is staged, or of the rows of a table."""
    schema = schema or (TABLES if dialect.name in _STAGED_IN_SCHEMA else None)
    return dialect.quote(STAGED + name) if schema is None else dialect.quote(schema, STAGED + name)


_STAGED_IN_SCHEMA = frozenset({"snowflake", "bigquery", "athena"})  # whose temporary tables need a schema, or are none


def staged_columns(name: str) -> tuple[Column, ...]:
    """Return the columns of a staging table."""
    if name == SCOPES:
        replaced = Column("replaced", BOOL, "", "Whether all rows of the account-region are deleted first.")
        return (*(column for column in COMMON if column.name in (*SCOPE_KEY, "snapshot_at")), replaced)
    if name == DELETES:
        return (Column("table_name", TEXT, "", "Table of the rows."), *_delete_keys(), DELETED_AT)
    return next(fed.columns for fed in fed_tables() if fed.name == name)


def _delete_keys() -> Iterator[Column]:
    """Yield the columns of all delete keys once, in the order of the tables."""
    named = {
        column.name: column for fed in fed_tables() for column in fed.table.columns if column.name in fed.delete_by
    }
    yield from named.values()


def load_statements(load: Load, dialect: Dialect) -> Iterator[str]:
    """Write the statements that change the fed tables, and last the one that moves the cursor."""
    for fed, table in load.tables():
        if load.is_whole(fed.name):
            yield f"DELETE FROM {dialect.quote(TABLES, table.name)} WHERE {_true(dialect)}"
        else:
            yield from _deletes(fed, table, load, dialect)
        if load.rows.get(fed.name, 0):
            yield from _upserts(fed, table, load, dialect)
    yield _insert_load(load, dialect)


def cursor(dialect: Dialect) -> str:
    """Write the commit up to which a warehouse is loaded, as an expression; NULL before the first load."""
    loads, next_since, loaded_at = (
        dialect.quote(TABLES, LOADS.name),
        dialect.quote("next_since"),
        dialect.quote("loaded_at"),
    )
    return f"(SELECT MAX({next_since}) FROM {loads} WHERE {loaded_at} = (SELECT MAX({loaded_at}) FROM {loads}))"


def cursor_is_since(load: Load, dialect: Dialect) -> str:
    """Write the condition that a feed begins where the warehouse stands."""
    if load.since is None:
        return f"{cursor(dialect)} IS NULL"
    return f"{cursor(dialect)} = {dialect.literal(load.since)}"


def insert_scopes(load: Load, dialect: Dialect) -> Iterator[str]:
    """Write the statements that fill the staging table of account-regions, some at a time."""
    columns = listed(dialect, [column.name for column in staged_columns(SCOPES)])
    for start in range(0, len(load.scopes), _SCOPES_AT_ONCE):
        rows = _scope_rows(load.scopes[start : start + _SCOPES_AT_ONCE], dialect)
        yield f"INSERT INTO {staged(dialect, SCOPES)} ({columns}) VALUES\n  {rows}"


def scope_values(load: Load, dialect: Dialect) -> str:
    """Select the account-regions as values, for warehouses that have no temporary tables."""
    names = listed(dialect, [column.name for column in staged_columns(SCOPES)])
    return f"SELECT * FROM (VALUES\n  {_scope_rows(load.scopes, dialect)}\n) AS v ({names})"


def _scope_rows(scopes: Sequence[LoadScope], dialect: Dialect) -> str:
    """Write account-regions in the order of the staged columns."""
    return ",\n  ".join(
        f"({_instant(scope.snapshot_at, dialect)}, {dialect.literal(scope.account_id)},"
        f" {dialect.literal(scope.region)}, {'TRUE' if scope.replaced else 'FALSE'})"
        for scope in scopes
    )


_SCOPES_AT_ONCE = 500


def _true(dialect: Dialect) -> str:
    return "TRUE" if dialect.name != "redshift" else "1 = 1"


def _instant(at: datetime, dialect: Dialect) -> str:
    text = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    zone = "" if dialect.name in {"snowflake", "redshift", "athena"} else "+00:00"
    kind = "TIMESTAMP(6)" if dialect.name == "athena" else dialect.type_name(TIMESTAMP)
    return f"CAST('{text}{zone}' AS {kind})"


# --- rows that are gone -----------------------------------------------------------------------------------------------


def _deletes(fed: FedTable, table: NativeTable, load: Load, dialect: Dialect) -> Iterator[str]:
    gone = shown_only(fed, load.write_mode)
    remove = partial(_mark, column=gone) if gone else _delete
    if fed.kind == "state" and any(scope.replaced for scope in load.scopes):
        names = listed(dialect, (*SCOPE_KEY, "snapshot_at"))
        rows = f"SELECT {names} FROM {staged(dialect, SCOPES)} WHERE {dialect.quote('replaced')}"
        yield remove(table, rows, SCOPE_KEY, dialect, at="snapshot_at")
    if fed.name in load.deleting:
        names = listed(dialect, (*fed.delete_by, DELETED_AT.name))
        is_its = f"{dialect.quote('table_name')} = {dialect.literal(fed.name)}"
        rows = f"SELECT {names} FROM {staged(dialect, DELETES)} WHERE {is_its}"
        yield remove(table, rows, fed.delete_by, dialect, at=DELETED_AT.name)


def _delete(table: NativeTable, rows: str, key: Sequence[str], dialect: Dialect, *, at: str) -> str:
    """Write the statement that deletes the rows that have a key of ``rows``; ``at`` is not needed for that."""
    del at
    target = dialect.quote(TABLES, table.name)
    if _has_merge(dialect):
        on = _match(table, key, "t", dialect)
        return f"MERGE INTO {target} AS t\nUSING (\n  {rows}\n) AS s\nON {on}\nWHEN MATCHED THEN DELETE"
    on = _match(table, key, dialect.quote(table.name), dialect)
    return f"DELETE FROM {target}\nUSING (\n  {rows}\n) AS s\nWHERE {on}"


def _mark(table: NativeTable, rows: str, key: Sequence[str], dialect: Dialect, *, at: str, column: str) -> str:
    """Write the statement that notes in ``column`` when the rows that have a key of ``rows`` were gone."""
    target, name, value = dialect.quote(TABLES, table.name), dialect.quote(column), f"s.{dialect.quote(at)}"
    if _has_merge(dialect):
        on = f"{_match(table, key, 't', dialect)} AND t.{name} IS NULL"
        update = f"WHEN MATCHED THEN UPDATE SET {name} = {value}"
        return f"MERGE INTO {target} AS t\nUSING (\n  {rows}\n) AS s\nON {on}\n{update}"
    own = dialect.quote(table.name)
    on = f"{_match(table, key, own, dialect)} AND {own}.{name} IS NULL"
    return f"UPDATE {target}\nSET {name} = {value}\nFROM (\n  {rows}\n) AS s\nWHERE {on}"


def _has_merge(dialect: Dialect) -> bool:
    """Whether one MERGE replaces a row. In the others, DELETE and INSERT do, in a transaction."""
    return dialect.name in {"snowflake", "bigquery", "databricks", "athena"}


def _match(table: NativeTable, key: Sequence[str], target: str, dialect: Dialect) -> str:
    """Write the condition that a row and one of ``s`` have the same values in some columns; NULL is a value."""
    parts = []
    if dialect.name == "postgres" and not {*key} <= {*table.required}:  # it joins by plain equality alone
        parts.append(f"{hashed(key, f'{target}.')} = {hashed(key, 's.')}")
    for name in key:
        ours, theirs = f"{target}.{dialect.quote(name)}", f"s.{dialect.quote(name)}"
        if name in table.required:
            parts.append(f"{ours} = {theirs}")
        elif dialect.name in {"redshift", "bigquery"}:
            parts.append(f"({ours} = {theirs} OR ({ours} IS NULL AND {theirs} IS NULL))")
        elif dialect.name == "databricks":
            parts.append(f"{ours} <=> {theirs}")
        else:
            parts.append(f"{ours} IS NOT DISTINCT FROM {theirs}")
    return "\n  AND ".join(parts)


# --- rows that are there ----------------------------------------------------------------------------------------------


def _upserts(fed: FedTable, table: NativeTable, load: Load, dialect: Dialect) -> Iterator[str]:
    has_versions = load.write_mode == "scd2" and is_marked(fed, load.write_mode)
    rows = (
        _versions(fed, dialect)
        if has_versions
        else f"SELECT {listed(dialect, fed.names)} FROM {staged(dialect, fed.name)}"
    )
    names = (*fed.names, VALID_FROM.name) if has_versions else fed.names
    if load.is_whole(fed.name):
        yield _insert(table, names, rows, dialect)
    elif has_versions:
        yield _delete(table, rows, table.key, dialect, at="")  # where a load was cut off and is repeated
        yield _mark(table, rows, fed.key, dialect, at=VALID_FROM.name, column=VALID_TO.name)
        yield _insert(table, names, rows, dialect)
    elif _has_merge(dialect):
        yield _merge(fed, table, rows, dialect)
    else:
        yield _delete(table, rows, table.key, dialect, at="")
        yield _insert(table, names, rows, dialect)


def _versions(fed: FedTable, dialect: Dialect) -> str:
    """Select the staged rows of a table with the moment of the reading that they are from."""
    on = " AND ".join(f"r.{dialect.quote(name)} = f.{dialect.quote(name)}" for name in SCOPE_KEY)
    at = f"f.{dialect.quote('snapshot_at')} AS {dialect.quote(VALID_FROM.name)}"
    return (
        f"SELECT {listed(dialect, fed.names, 'r.')}, {at}"
        f" FROM {staged(dialect, fed.name)} AS r JOIN {staged(dialect, SCOPES)} AS f ON {on}"
    )


def _insert(table: NativeTable, names: Sequence[str], rows: str, dialect: Dialect) -> str:
    return f"INSERT INTO {dialect.quote(TABLES, table.name)} ({listed(dialect, names)})\n{rows}"


def _merge(fed: FedTable, table: NativeTable, rows: str, dialect: Dialect) -> str:
    quote = dialect.quote
    values = [f"{quote(name)} = s.{quote(name)}" for name in fed.names if name not in fed.key]
    values += [f"{quote(name)} = NULL" for name in table.names if name not in fed.names]
    update = f"WHEN MATCHED THEN UPDATE SET {', '.join(values)}\n" if values else ""
    return (
        f"MERGE INTO {quote(TABLES, table.name)} AS t\nUSING (\n  {rows}\n) AS s\n"
        f"ON {_match(table, table.key, 't', dialect)}\n{update}"
        f"WHEN NOT MATCHED THEN INSERT ({listed(dialect, fed.names)}) VALUES ({listed(dialect, fed.names, 's.')})"
    )


# --- the cursor -------------------------------------------------------------------------------------------------------


def _insert_load(load: Load, dialect: Dialect) -> str:
    """Write the statement that moves the cursor, unless another load has moved it meanwhile."""
    now = {
        "postgres": "CLOCK_TIMESTAMP()",
        "snowflake": "SYSDATE()",
        "redshift": "SYSDATE",
        "athena": "CAST(CURRENT_TIMESTAMP AT TIME ZONE 'UTC' AS TIMESTAMP(6))",
    }.get(dialect.name, "CURRENT_TIMESTAMP")
    texts = (load.load_id, load.since, load.next_since, load.write_mode, load.schema_version, load.lexport_version)
    none = f"CAST(NULL AS {'VARCHAR' if dialect.name == 'athena' else dialect.type_name(LOADS.columns[0].type)})"
    values = [none if text is None else dialect.literal(text) for text in texts]
    values += [_after_others(now, dialect), str(load.upserts), str(load.deletes)]
    return (
        f"INSERT INTO {dialect.quote(TABLES, LOADS.name)} ({listed(dialect, LOADS.names)})\n"
        f"SELECT {', '.join(values)}\nFROM (SELECT 1 AS one) AS one_row\nWHERE {cursor_is_since(load, dialect)}"
    )


def _after_others(now: str, dialect: Dialect) -> str:
    """Write the time of a load: now, but after all others, so that its row is the newest on any clock."""
    newest = f"(SELECT MAX({dialect.quote('loaded_at')}) FROM {dialect.quote(TABLES, LOADS.name)})"
    later = {
        "snowflake": f"DATEADD(MICROSECOND, 1, {newest})",
        "redshift": f"DATEADD(MICROSECOND, 1, {newest})",
        "bigquery": f"TIMESTAMP_ADD({newest}, INTERVAL 1 MICROSECOND)",
        "databricks": f"TIMESTAMPADD(MICROSECOND, 1, {newest})",
        "athena": f"DATE_ADD('millisecond', 1, {newest})",
    }.get(dialect.name, f"{newest} + INTERVAL '1 MICROSECOND'")
    return f"GREATEST({now}, COALESCE({later}, {now}))"
