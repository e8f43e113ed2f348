"""The statements that create the tables of a fed warehouse: one per table of the dataset, and ``lexport_loads``.

They have the columns that a feed has, and those that a write mode adds. Where a warehouse knows keys that may be NULL
and that it does not enforce, the tables have them; the comment of each table names its key everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lexport.query.warehouse.dialects import DIALECTS, TABLES, Dialect
from lexport.tables.fed import FedTable, fed_tables
from lexport.tables.table import INT64, TEXT, TIMESTAMP, Column

if TYPE_CHECKING:
    from lexport.query.feed import WriteMode

DELETED_AT = Column("deleted_at", TIMESTAMP, "", "When a reading no longer had the row, UTC; NULL while it is there.")
VALID_FROM = Column("valid_from", TIMESTAMP, "", "Start of the run that first read this version of the row, UTC.")
VALID_TO = Column("valid_to", TIMESTAMP, "", "Start of the run that no longer read it so, UTC; NULL while it is so.")

NATIVE_DIALECTS = {
    name: DIALECTS[name] for name in ("postgres", "duckdb", "snowflake", "bigquery", "redshift", "databricks", "athena")
}
"""The warehouses that feeds can be loaded into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeTable:
    """A table of a fed warehouse as it is stored there. No two rows have the same values in the columns of ``key``."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    required: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns in order."""
        return tuple(column.name for column in self.columns)


LOADS = NativeTable(
    name="lexport_loads",
    meaning="One row per feed that was loaded.",
    columns=(
        Column("load_id", TEXT, "", "ULID of the feed."),
        Column("since", TEXT, "", "Commit up to which the warehouse was loaded before; NULL for a first load."),
        Column("next_since", TEXT, "", "Commit up to which it is loaded since; that of the newest row is the cursor."),
        Column("write_mode", TEXT, "", "`hard-delete`, `soft-delete` or `scd2`; the same in all rows."),
        Column("schema_version", TEXT, "", "Version of the tables."),
        Column("lexport_version", TEXT, "", "Version of lexport that wrote the feed."),
        Column("loaded_at", TIMESTAMP, "", "When it was loaded, UTC."),
        Column("upserts", INT64, "", "Rows to upsert."),
        Column("deletes", INT64, "", "Keys of rows to delete."),
    ),
    key=("load_id",),
    required=("load_id", "next_since", "loaded_at"),
)


def native_table(fed: FedTable, mode: WriteMode) -> NativeTable:
    """Return how a fed table is stored under a write mode."""
    added: tuple[Column, ...] = ()
    key = fed.key
    if mode == "soft-delete" and is_marked(fed, mode):
        added = (DELETED_AT,)
    elif is_marked(fed, mode):
        added, key = (VALID_FROM, VALID_TO), (*fed.key, VALID_FROM.name)
    required = tuple(name for name in fed.names if not fed.may_be_null(name))
    return NativeTable(
        name=fed.name, meaning=fed.table.meaning, columns=(*fed.columns, *added), key=key, required=required
    )


def is_marked(fed: FedTable, mode: WriteMode) -> bool:
    """Whether a write mode marks rows of a table that are gone, instead of deleting them."""
    return fed.kind in {"hard-delete": (), "soft-delete": ("state", "content"), "scd2": ("state",)}[mode]


def shown_only(fed: FedTable, mode: WriteMode) -> str:
    """Return the column that is NULL in the rows that plain names show; empty where all are shown."""
    if not is_marked(fed, mode):
        return ""
    return DELETED_AT.name if mode == "soft-delete" else VALID_TO.name


def native_tables(mode: WriteMode) -> Iterator[NativeTable]:
    """Yield every table of a fed warehouse, ``lexport_loads`` last."""
    yield from (native_table(fed, mode) for fed in fed_tables())
    yield LOADS


def create_native_table(table: NativeTable, dialect: Dialect, location: str = "") -> Iterator[str]:
    """Write the statements that create a table where it is not there. ``location`` is where Athena is to keep it."""
    comment = f"{table.meaning} Key: {', '.join(table.key)}; NULL is a value."
    written = DIALECTS["spark"] if dialect.name == "athena" else dialect  # Athena creates tables in the SQL of Hive
    lines = [_column(column, table, written) for column in table.columns]
    if dialect.name in {"snowflake", "redshift"}:
        lines.append(f"UNIQUE ({listed(written, table.key)})")  # not enforced; for planners and people
    body = ",\n".join(f"  {line}" for line in lines)
    yield (
        f"CREATE TABLE IF NOT EXISTS {written.quote(TABLES, table.name)} (\n{body}\n)"
        + _after(table, written, comment, location, is_athena=dialect.name == "athena")
    )
    if dialect.name in {"postgres", "duckdb", "redshift"}:
        yield from dialect.comment_on("TABLE", dialect.quote(TABLES, table.name), comment, table.columns)
    if dialect.name == "postgres":
        yield f"CREATE INDEX IF NOT EXISTS {_index(table)} ON {dialect.quote(TABLES, table.name)} ({hashed(table.key)})"


def hashed(names: Sequence[str], alias: str = "") -> str:
    """Write PostgreSQL's hash of some columns: unlike the columns, it fits into an index however long they are."""
    columns = listed(NATIVE_DIALECTS["postgres"], names, alias)
    return f"hash_record_extended(ROW({columns}), 0)"


def listed(dialect: Dialect, names: Sequence[str], alias: str = "") -> str:
    """Write names of columns, quoted."""
    return ", ".join(alias + dialect.quote(name) for name in names)


def add_column(table: NativeTable, column: Column, dialect: Dialect) -> str:
    """Write the statement that adds a column to a table that an older lexport created."""
    return f"ALTER TABLE {dialect.quote(TABLES, table.name)} ADD COLUMN {dialect.define(column)}"


def rename_column(table: NativeTable, former: str, column: Column, dialect: Dialect) -> str:
    """Write the statement that gives a column its name of today."""
    name = dialect.quote(TABLES, table.name)
    return f"ALTER TABLE {name} RENAME COLUMN {dialect.quote(former)} TO {dialect.quote(column.name)}"


def _index(table: NativeTable) -> str:
    return f'"{table.name}_by_key"'


def _column(column: Column, table: NativeTable, dialect: Dialect) -> str:
    needed = " NOT NULL" if column.name in table.required and dialect.name != "spark" else ""
    comment = {"bigquery": " OPTIONS (description = {})", "postgres": "", "duckdb": "", "redshift": ""}.get(
        dialect.name, " COMMENT {}"
    )
    return dialect.define(column) + needed + comment.format(dialect.literal(column.meaning))


def _after(table: NativeTable, dialect: Dialect, comment: str, location: str, *, is_athena: bool) -> str:
    text = dialect.literal(comment)
    if is_athena:
        folder = dialect.literal(f"{location}/{TABLES}/{table.name}/")
        return f"\nLOCATION {folder}\nTBLPROPERTIES ('table_type' = 'ICEBERG')"
    sorted_by = listed(dialect, table.key[:_MOST_CLUSTERED])
    return {
        "snowflake": f"\nCOMMENT = {text}",
        "bigquery": f"\nCLUSTER BY {sorted_by}\nOPTIONS (description = {text})",
        "databricks": f"\nCOMMENT {text}",
    }.get(dialect.name, "")


_MOST_CLUSTERED = 4  # columns by which BigQuery clusters
