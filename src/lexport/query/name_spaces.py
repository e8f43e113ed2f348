"""What each name means in SQL: the tables of the three name spaces, and how texts and paths are written.

Defined here once, for ``sql`` and for ``views``: they differ in where rows come from alone.
"""

# ruff: noqa: S608 - names and texts in SQL go through quote_name and quote_text

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from lexport.errors import SettingsError
from lexport.query.schema_versions import current_values
from lexport.tables.functions import FUNCTIONS, LAYERS
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGE_DEPENDENCIES, PACKAGE_FILES, PACKAGES
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table, Type

Space = Literal["history", "snapshot", "main"]
SPACES: tuple[Space, ...] = ("history", "snapshot", "main")

_SQL_TYPES = {
    Type.TEXT: "VARCHAR",
    Type.INT32: "INTEGER",
    Type.INT64: "BIGINT",
    Type.BOOL: "BOOLEAN",
    Type.DOUBLE: "DOUBLE",
    Type.TIMESTAMP: "TIMESTAMPTZ",
}

_COMMITTED = "WHERE snapshot_id IN (SELECT snapshot_id FROM _lexport.committed)"
_LATEST = "SEMI JOIN _lexport.latest_scopes USING (snapshot_id, account_id, region)"
_LATEST_COMMITS = "SEMI JOIN _lexport.latest_scopes USING (snapshot_id)"
_NEWEST_OF_EACH = "QUALIFY snapshot_id = max(snapshot_id) OVER (PARTITION BY {})"
_CODES = "(SELECT code_sha256 FROM main.functions UNION SELECT code_sha256 FROM main.layer_versions)"
_CONTENTS = "(SELECT sha256_hex FROM main.packages)"
_OF_PACKAGES = {
    table.name: f"{_COMMITTED} AND {wanted} {_NEWEST_OF_EACH.format(each)}"
    for table, wanted, each in (
        (PACKAGES, f"code_sha256 IN {_CODES}", "code_sha256"),
        (LAYER_VERSIONS, "layer_arn IN (SELECT layer_arn FROM main.layers)", "layer_arn"),
        (PACKAGE_FILES, f"sha256_hex IN {_CONTENTS}", "sha256_hex"),
        (PACKAGE_DEPENDENCIES, f"sha256_hex IN {_CONTENTS}", "sha256_hex"),
    )
}
"""Content belongs to no account-region: its latest rows are the newest ones of what the latest functions refer to."""
_LAST_STATUS = (
    "last_value(dependencies_status IGNORE NULLS) OVER (PARTITION BY code_sha256 ORDER BY snapshot_id"
    " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
)
_LATEST_VALUES = {PACKAGES.name: {"dependencies_status": _LAST_STATUS}}
"""A package is inspected once: what came of it holds for later commits too, which fetch it or find it present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameSpaces:
    """The SQL that defines every table in ``main`` (latest), ``snapshot`` and ``history``.

    ``committed`` selects ``snapshot_id`` of every commit, ``newest`` that of the one which ``snapshot.<table>`` shows;
    ``latest_scopes`` account_id, region and snapshot_id of every latest part; ``snapshots`` the rows of that table.
    ``rows`` selects the rows of a table for one name space, more than belong there if that is easier, or None where
    there is no file. Columns are those of ``columns``, then unknown ones of newer files; a column that old files lack
    is NULL, one that they have under a former name has its name of today.
    """

    committed: str
    newest: Callable[[str], str]
    latest_scopes: str
    rows: Callable[[Space, str], str | None]
    snapshots: str

    def schemas(self) -> Iterator[str]:
        """Write what comes before every table."""
        for schema in ("_lexport", "history", "snapshot"):
            yield f"CREATE SCHEMA {schema}"
        yield f"CREATE VIEW _lexport.committed AS {self.committed}"

    def latest(self) -> str:
        """Write what comes before the tables of ``main``."""
        return f"CREATE VIEW _lexport.latest_scopes AS {self.latest_scopes}"

    def table(self, space: Space, table: Table) -> str:
        """Write the definition of one table; those of ``tables_below`` come before it."""
        known = ", ".join(
            f"NULL::{_SQL_TYPES[column.type]} AS {quote_name(name)}"
            for column in table.columns
            for name in (column.name, *column.former_names)
        )
        former = f" EXCLUDE ({', '.join(table.renames())})" if table.renames() else ""
        values = current_values(table) | (_LATEST_VALUES.get(table.name, {}) if space == "main" else {})
        current = ", ".join(f"{value} AS {name}" for name, value in values.items())
        shown = f"*{former}" + (f" REPLACE ({current})" if current else "")
        found = self.snapshots if table is SNAPSHOTS else self.rows(space, table.name)
        body = f"SELECT {known} WHERE false" + (f" UNION ALL BY NAME {found}" if found else "")
        latest = _LATEST_COMMITS if table is SNAPSHOTS else _OF_PACKAGES.get(table.name, _LATEST)
        newest_only = f"WHERE snapshot_id = ({self.newest(table.name)})"
        condition = {"history": _COMMITTED, "snapshot": newest_only, "main": latest}[space]
        return (
            f"CREATE OR REPLACE VIEW {space}.{table.name} AS SELECT {shown} FROM ({body}) AS {table.name} {condition}"
        )


def tables_below(space: Space, table: Table) -> tuple[Table, ...]:
    """Return the tables, of the same name space, that a table's definition names."""
    return _BELOW.get(table, ()) if space == "main" else ()


_BELOW: dict[Table, tuple[Table, ...]] = {
    LAYER_VERSIONS: (LAYERS,),
    PACKAGES: (FUNCTIONS, LAYER_VERSIONS),
    PACKAGE_FILES: (PACKAGES,),
    PACKAGE_DEPENDENCIES: (PACKAGES,),
}


def quote_text(text: str) -> str:
    """Write a text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Write a name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def escape_glob(path: str) -> str:
    """Write a path so that DuckDB, which takes every path for a pattern, finds it and nothing else.

    Raises SettingsError for a backslash, which DuckDB's patterns cannot hold.
    """
    if "\\" in path:
        raise SettingsError(
            f"DEST {path}: DuckDB cannot read below a folder with a backslash in its name", option="DEST"
        )
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def one_line(error: Exception) -> str:
    """Write DuckDB's message in one line, without its picture of the query."""
    return " ".join(str(error).split("\n\nLINE ", maxsplit=1)[0].split())
