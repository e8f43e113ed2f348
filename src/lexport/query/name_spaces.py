"""The three name spaces, and the rules of content and of columns in SQL that DuckDB and every warehouse understand.

``main.<table>`` holds the latest rows of each account-region, ``snapshot.<table>`` the newest commit alone and
``history.<table>`` every commit. ``table_views`` writes the views of DuckDB, with the main rule (the SEMI JOIN with
``latest_scopes``); ``warehouse.ddl`` writes those of warehouses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lexport.tables import registry
from lexport.tables.functions import FUNCTIONS, LAYERS
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGE_DEPENDENCIES, PACKAGE_FILES, PACKAGES
from lexport.tables.run import CHANGES
from lexport.tables.table import Table

Space = Literal["history", "snapshot", "main"]
SPACES: tuple[Space, ...] = ("history", "snapshot", "main")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRule:
    """Which rows of a table about content are the latest ones. Content belongs to no account-region.

    They are, for each value of the column ``key`` that ``referenced`` selects, the rows of the newest commit.
    ``referenced`` reads the tables in ``reads``, of the same name space. A column named in ``lasting`` shows its newest
    value that is not NULL: a package is inspected once, and later commits do not repeat the result.
    """

    key: str
    referenced: str
    reads: tuple[Table, ...]
    lasting: str | None = None


_OF_PACKAGES = ContentRule(key="sha256_hex", referenced="SELECT sha256_hex FROM main.packages", reads=(PACKAGES,))
CONTENT_RULES: dict[Table, ContentRule] = {
    PACKAGES: ContentRule(
        key="code_sha256",
        referenced="SELECT code_sha256 FROM main.functions UNION SELECT code_sha256 FROM main.layer_versions",
        reads=(FUNCTIONS, LAYER_VERSIONS),
        lasting="dependencies_status",
    ),
    LAYER_VERSIONS: ContentRule(key="layer_arn", referenced="SELECT layer_arn FROM main.layers", reads=(LAYERS,)),
    PACKAGE_FILES: _OF_PACKAGES,
    PACKAGE_DEPENDENCIES: _OF_PACKAGES,
}


def is_whole(field: str = "{}") -> str:
    """Write the condition that a row of ``scopes`` is a complete reading of its account-region.

    ``field`` is how a column is written, with ``{}`` for its name.
    """
    values = {"coverage": "fleet", "status": "complete"}
    return " AND ".join(f"{field.format(name)} = '{value}'" for name, value in values.items())


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
