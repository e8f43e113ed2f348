"""The three name spaces, and the rules of content and of columns in SQL that DuckDB and every warehouse understand.

``main.<table>`` holds the latest rows of each account-region, ``snapshot.<table>`` the newest commit alone and
``history.<table>`` every commit. ``table_views`` writes the views of DuckDB, with the main rule (the SEMI JOIN with
``latest_scopes``); ``warehouse.ddl`` writes those of warehouses.
"""

# ruff: noqa: S608 - the names in SQL are those of declared tables

from __future__ import annotations

from typing import Literal

from lexport.tables import registry
from lexport.tables.content import ContentRule
from lexport.tables.run import CHANGES, RETIRED
from lexport.tables.table import Table

Space = Literal["history", "snapshot", "main"]
SPACES: tuple[Space, ...] = ("history", "snapshot", "main")


def named_values(rule: ContentRule) -> str:
    """Write the query of the values of a rule's key that the latest rows name."""
    return " UNION ".join(f"SELECT {column} FROM main.{table.name}" for table, column in rule.named_by)


def is_whole(field: str = "{}") -> str:
    """Write the condition that a row of ``scopes`` is a complete reading of its account-region.

    ``field`` is how a column is written, with ``{}`` for its name.
    """
    return f"{field.format('coverage')} = 'fleet' AND {field.format('status')} = 'complete'"


def is_settled(field: str = "{}") -> str:
    """Write the condition that a row of ``scopes`` is a complete reading of its account-region, or its retirement."""
    return f"{field.format('coverage')} = 'fleet' AND {field.format('status')} IN ('complete', '{RETIRED}')"


def is_read(field: str = "{}") -> str:
    """Write the condition that a row of ``scopes`` is of a snapshot, not of a retirement."""
    return f"{field.format('status')} <> '{RETIRED}'"


def current_values(table: Table) -> dict[str, str]:
    """Return the expressions of the columns that files of older schema versions store differently.

    A renamed column takes the value of its former name, and ``changes`` takes today's names of renamed columns. The
    rows to select from need the former columns too, NULL where a file has none.
    """
    values = {
        column.name: f"COALESCE({', '.join((column.name, *column.former_names))})"
        for column in table.columns
        if column.former_names
    }
    if table is CHANGES:
        cases = " ".join(
            f"WHEN table_name = '{renamed.name}' AND column_name = '{former}' THEN '{name}'"
            for renamed in registry.tables()
            for former, name in renamed.renames().items()
        )
        values["column_name"] = f"CASE {cases} ELSE column_name END"
    return values
