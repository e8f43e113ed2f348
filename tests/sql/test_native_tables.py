"""The tables and views of a fed warehouse: as reviewed, and readable in each warehouse's own SQL."""

from functools import cache
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from lexport.query.warehouse.native_tables import NATIVE_DIALECTS, create_native_table, native_tables
from lexport.query.warehouse.native_views import NATIVE_SCHEMAS, create_native_views
from lexport.tables import registry
from lexport.tables.fed import fed_tables

GOLDEN = Path(__file__).with_name("golden_fed")
ALL = pytest.mark.parametrize("dialect", NATIVE_DIALECTS.values(), ids=list(NATIVE_DIALECTS))
MODE = "hard-delete"
SHOWN = ("tags", "errors", "package_files", "lexport_loads", "latest_scopes", "newest_snapshot")


@cache
def statements(name):
    """All statements but those of the shipped views, which test_dialects.py reads back."""
    dialect = NATIVE_DIALECTS[name]
    tables = [
        text for table in native_tables(MODE) for text in create_native_table(table, dialect, "s3://bucket/prefix")
    ]
    schemas = [dialect.create_schema(schema) for schema in NATIVE_SCHEMAS]
    return (*schemas, *tables, *create_native_views(dialect, MODE))


@ALL
def test_golden(dialect, compare_golden):
    """The statements for the schemas, a table of each kind, the loads and the readings are as reviewed."""
    words = [
        (statement, statement.split("\n")[0].lower().replace("`", '"').split('"'))
        for statement in statements(dialect.name)
    ]
    shown = [text for text, names in words if " SCHEMA " in text[:20] or "DATABASE" in text or set(names) & {*SHOWN}]

    compare_golden(GOLDEN / dialect.name / "tables.sql", "".join(f"{statement};\n\n" for statement in shown))


@ALL
def test_reads_back_in_its_own_dialect(dialect):
    """Every table has the fed columns in order, every name its view, in SQL that the warehouse's own grammar reads."""
    made, views = {}, []
    for statement in statements(dialect.name):
        tree = sqlglot.parse_one(statement, read=dialect.name)
        assert not isinstance(tree, exp.Command), statement
        if isinstance(tree, exp.Create) and tree.kind == "TABLE":
            columns = [column for column in tree.this.expressions if isinstance(column, exp.ColumnDef)]
            made[tree.this.this.name.lower()] = [column.name.lower() for column in columns]
        if isinstance(tree, exp.Create) and tree.kind == "VIEW":
            views.append(f"{tree.this.db}.{tree.this.name}".lower())
    of_runs = [fed.name for fed in fed_tables() if fed.kind == "run"]

    assert made == {table.name: list(table.names) for table in native_tables(MODE)}
    assert sorted(views) == sorted(
        [
            *(f"lexport.{name}" for name in ("newest_snapshot", "latest_scopes")),
            *(f"lexport.{table.name}" for table in registry.tables()),
            *(f"lexport_{space}.{name}" for space in ("history", "snapshot") for name in of_runs),
        ]
    )


def test_no_golden_file_is_left_over():
    """There are no golden files of dialects that feeds are no longer written for."""
    assert {path.parent.name for path in GOLDEN.glob("*/tables.sql")} == {*NATIVE_DIALECTS}
