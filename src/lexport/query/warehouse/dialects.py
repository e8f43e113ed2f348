"""Translate our DuckDB SQL into the SQL of a warehouse, with sqlglot (the extra ``lexport[dialects]``).

In a warehouse each name space is a schema of its own: a plain name is ``lexport.<table>``, ``history.<table>`` and
``snapshot.<table>`` are ``lexport_history.<table>`` and ``lexport_snapshot.<table>``. Every name is written with its
schema and in quotes, because some names are reserved words in one warehouse or another. SQLite has no schemas.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lexport.errors import SettingsError, ViewError
from lexport.query.sql_text import quote_text
from lexport.query.warehouse.rewrites import rewrite
from lexport.tables.table import BOOL, DATE, DOUBLE, INT32, INT64, TEXT, TIMESTAMP, Column, Type
from lexport.tables.types import DUCKDB_TYPES

if TYPE_CHECKING:
    from sqlglot import exp

SCHEMA = "lexport"
FILES = "lexport_files"
TABLES = "lexport_tables"
SCHEMAS = {"": SCHEMA, "main": SCHEMA, "history": "lexport_history", "snapshot": "lexport_snapshot", "files": FILES}
"""The name spaces of ``sql`` and their schemas in a warehouse; ``files`` shows every file, committed or not."""

_WRITTEN = SCHEMAS | {"tables": TABLES}  # the tables that feeds are loaded into

_TYPES = DUCKDB_TYPES | {TIMESTAMP: "TIMESTAMP"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A warehouse. ``types`` are its own names of types. ``folds_up``: it reads unquoted names as capital letters.

    ``has_schemas`` is False where the name of a table has no schema before it: ``lexport.tags`` is ``tags`` there and
    ``lexport_history.tags`` is ``history_tags``. ``reads_parquet`` is False where rows have to be loaded.
    """

    name: str
    types: dict[Type, str] = field(default_factory=dict)
    folds_up: bool = False
    has_schemas: bool = True
    reads_parquet: bool = True

    def type_name(self, kind: Type) -> str:
        """Return the warehouse's name of a type."""
        return self.types.get(kind, _TYPES[kind])

    def quote(self, *names: str) -> str:
        """Quote a name and join it with its schema, if that is given before it."""
        if not self.has_schemas and len(names) > 1:
            names = (without_schema(*names),)
        mark = "`" if self.name in {"bigquery", "spark", "databricks"} else '"'
        return ".".join(mark + (name.upper() if self.folds_up else name) + mark for name in names)

    def literal(self, text: str) -> str:
        """Write a text as a literal."""
        if self.name in {"bigquery", "spark", "databricks"}:
            return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return quote_text(text)

    def define(self, column: Column) -> str:
        """Write a column with its type.

        PostgreSQL compares its texts by bytes, as the shipped views expect, whatever the collation of the database is.
        """
        by_bytes = ' COLLATE "C"' if self.name == "postgres" and column.type is TEXT else ""
        return f"{self.quote(column.name)} {self.type_name(column.type)}{by_bytes}"

    def create_schema(self, name: str) -> str:
        """Write the statement that creates a schema where it is not there."""
        if self.name == "athena":  # which creates schemas and tables in the SQL of Hive
            return f"CREATE DATABASE IF NOT EXISTS `{name}`"
        return f"CREATE {'DATABASE' if self.name == 'clickhouse' else 'SCHEMA'} IF NOT EXISTS {self.quote(name)}"

    def comment_on(self, kind: str, name: str, meaning: str, columns: Iterable[Column]) -> Iterator[str]:
        """Write the statements that describe a ``TABLE`` or ``VIEW``, whose name is quoted, and its columns."""
        yield f"COMMENT ON {kind} {name} IS {self.literal(meaning)}"
        for column in columns:
            yield f"COMMENT ON COLUMN {name}.{self.quote(column.name)} IS {self.literal(column.meaning)}"


def script(statements: Iterable[str]) -> str:
    """Write statements one after the other, each with a semicolon and an empty line after it."""
    return "".join(f"{statement};\n\n" for statement in statements)


def without_schema(schema: str, name: str) -> str:
    """Return the name of a table where there are no schemas."""
    return schema.removeprefix(SCHEMA).removeprefix("_") + ("" if schema == SCHEMA else "_") + name


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect(name="athena"),
        Dialect(name="snowflake", types={TIMESTAMP: "TIMESTAMP_NTZ"}, folds_up=True),
        Dialect(
            name="bigquery",
            types={TEXT: "STRING", INT32: "INT64", INT64: "INT64", BOOL: "BOOL", DOUBLE: "FLOAT64"},
        ),
        Dialect(name="redshift", types={TEXT: "VARCHAR(65535)", DOUBLE: "DOUBLE PRECISION"}),
        Dialect(name="spark", types={TEXT: "STRING", INT32: "INT"}),
        Dialect(name="trino"),
        Dialect(name="databricks", types={TEXT: "STRING", INT32: "INT"}),
        Dialect(name="duckdb", types={TIMESTAMP: "TIMESTAMPTZ"}),
        Dialect(
            name="clickhouse",
            types={
                TEXT: "Nullable(String)",
                INT32: "Nullable(Int32)",
                INT64: "Nullable(Int64)",
                BOOL: "Nullable(Bool)",
                DOUBLE: "Nullable(Float64)",
                TIMESTAMP: "Nullable(DateTime64(6, 'UTC'))",
                DATE: "Nullable(Date32)",
            },
        ),
        Dialect(
            name="postgres",
            types={TEXT: "TEXT", DOUBLE: "DOUBLE PRECISION", TIMESTAMP: "TIMESTAMPTZ"},
            reads_parquet=False,
        ),
        Dialect(
            name="sqlite",
            types={TEXT: "TEXT", INT64: "INTEGER", DOUBLE: "REAL", TIMESTAMP: "TEXT", DATE: "TEXT"},
            has_schemas=False,
            reads_parquet=False,
        ),
    )
}


_RELATION = re.compile(r"[\"`]lexport_relation_(\d+)[\"`]", re.IGNORECASE)


def translate(query: str, dialect: Dialect, *, name: str, relation: Callable[[str, str], str] | None = None) -> str:
    """Translate one of our SELECTs. Raises SettingsError if sqlglot is not installed.

    ``relation`` gets the name space, empty for none, and the name of each table, and returns what is to be read in its
    place: a text in Jinja, which no other part of the result is taken for. Without it, tables have their schema before
    them. Raises ViewError, which names ``name``, if the warehouse has no equivalent.
    """
    try:
        import sqlglot
        from sqlglot.errors import SqlglotError
    except ImportError as error:
        raise _not_installed(dialect.name) from error
    try:
        tree = rewrite(sqlglot.parse_one(query, read="duckdb"), dialect.name)
        relations = _replace_tables(tree, relation) if relation is not None else _add_schemas(tree, dialect)
        if dialect.folds_up:
            for identifier in tree.find_all(sqlglot.exp.Identifier):
                identifier.set("this", identifier.name.upper())
        sql = tree.sql(dialect.name, pretty=True, identify=True, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except SqlglotError as error:
        line = " ".join(str(error).split())
        raise ViewError(f"{name} cannot be written in {dialect.name} SQL: {line}", sql_file=name) from error
    return sql if relation is None else _RELATION.sub(lambda match: relations[int(match[1])], escape_jinja(sql))


def _not_installed(dialect: str) -> SettingsError:
    return SettingsError(
        f"{dialect} SQL needs sqlglot, which is not installed: pip install 'lexport[dialects]'", option="--dialect"
    )


def tables_read(query: str) -> set[tuple[str, str]]:
    """Return name space and name of each table that one of our SELECTs reads; no CTE is among them.

    Raises SettingsError if sqlglot is not installed.
    """
    try:
        import sqlglot
    except ImportError as error:
        raise _not_installed("dbt") from error
    return {(table.db, table.name) for table in _tables(sqlglot.parse_one(query, read="duckdb"))}


def escape_jinja(text: str) -> str:
    """Write a text so that Jinja leaves it as it is."""
    return re.sub(r"\{[{%#]", lambda match: f"{{{{ '{match[0]}' }}}}", text)


def _tables(tree: exp.Expr) -> Iterator[exp.Table]:
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    seen: set[int] = set()
    for scope in traverse_scope(tree):
        for source in scope.sources.values():  # of an inner SELECT also those that stand outside of it
            if isinstance(source, exp.Table) and id(source) not in seen:
                seen.add(id(source))
                yield source


def _add_schemas(tree: exp.Expr, dialect: Dialect) -> list[str]:
    from sqlglot import exp

    for table in list(_tables(tree)):
        schema = _WRITTEN[table.db]
        if dialect.has_schemas:
            table.set("db", exp.to_identifier(schema))
            continue
        table.set("db", None)
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
        table.set("this", exp.to_identifier(without_schema(schema, table.name)))
    return []


def _replace_tables(tree: exp.Expr, relation: Callable[[str, str], str]) -> list[str]:
    """Give each table a number for its name, and its name as alias, because columns may be qualified by it."""
    from sqlglot import exp

    relations: list[str] = []
    for table in list(_tables(tree)):
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
        relations.append(relation(table.db, table.name))
        table.set("db", None)
        table.set("this", exp.to_identifier(f"lexport_relation_{len(relations) - 1}"))
    return relations
