"""Names, texts and paths as DuckDB SQL, and DuckDB's errors as one line."""

from __future__ import annotations

import re

from lexport.errors import SettingsError


def quote_text(text: str) -> str:
    """Write a text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Write a name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def escape_glob(path: str) -> str:
    """Escape a path for DuckDB, which reads every path as a glob pattern.

    Raises SettingsError for a backslash, which DuckDB's patterns cannot contain.
    """
    if "\\" in path:
        raise SettingsError(
            f"DEST {path}: DuckDB cannot read below a folder with a backslash in its name", option="DEST"
        )
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def one_line(error: Exception) -> str:
    """Write DuckDB's message in one line, without the excerpt of the query that DuckDB appends."""
    return " ".join(str(error).split("\n\nLINE ", maxsplit=1)[0].split())
