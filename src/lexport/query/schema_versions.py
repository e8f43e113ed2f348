"""Files of every schema version -> the columns of today, in SQL that DuckDB and each warehouse take."""

from __future__ import annotations

from lexport.tables import registry
from lexport.tables.run import CHANGES
from lexport.tables.table import Table


def current_values(table: Table) -> dict[str, str]:
    """Return the expression of each column that older files have under another name, or with older names in it.

    Rows to select from must have the former columns too: NULL where a file has none.
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
