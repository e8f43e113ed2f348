"""Names, texts, paths and types as DuckDB SQL, and DuckDB's errors as one line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lexport.errors import SettingsError

PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

LOSSY = {
    "uhugeint": "VARCHAR",  # would become a signed 128-bit number
    "time with time zone": "VARCHAR",  # would lose its zone
    "bit": "VARCHAR",  # would become bytes in DuckDB's own encoding, as would the next two
    "bignum": "VARCHAR",
    "variant": "JSON",
}
"""Types that DuckDB exports to Arrow as another type. Source: each type tried with DuckDB 2.0."""

UNPRINTED = LOSSY | {"interval": "VARCHAR", "union": "VARCHAR", "geometry": "VARCHAR"}
"""Types that are lossy, and those that neither a text format nor Parquet has."""


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


def is_locked(error: Exception) -> bool:
    """Return whether DuckDB cannot open a database file because another process has it open."""
    return "Could not set lock" in str(error) or "Conflicting lock" in str(error)


def cast_type(kind: Any, casts: dict[str, str]) -> str | None:
    """Return the type with every part in ``casts`` replaced, at any depth; None if it has no such part.

    ``kind`` is a DuckDB type: it has ``id`` and, if it is nested, ``children`` with their names.
    """
    if kind.id in casts:
        return casts[kind.id]
    if kind.id not in {"list", "array", "struct", "tuple", "map"}:
        return None
    children = [(name, child) for name, child in kind.children if not isinstance(child, int)]
    replaced = [cast_type(child, casts) for _, child in children]
    if not any(replaced):
        return None
    parts = [new or str(child) for new, (_, child) in zip(replaced, children, strict=True)]
    if kind.id == "list":
        return f"{parts[0]}[]"
    if kind.id == "array":
        return f"{parts[0]}[{dict(kind.children)['size']}]"
    if kind.id == "struct":
        parts = [f"{quote_name(name)} {part}" for (name, _), part in zip(children, parts, strict=True)]
    return f"{kind.id.upper()}({', '.join(parts)})"


def cast_columns(statement: str, names: Sequence[str], types: Sequence[str | None]) -> str:
    """Select the columns of a statement by position, cast where a type is given."""
    shown = [
        f"{f'#{position}' if kind is None else f'CAST(#{position} AS {kind})'} AS {quote_name(name)}"
        for position, (name, kind) in enumerate(zip(names, types, strict=True), start=1)
    ]
    return f"SELECT {', '.join(shown)} FROM (\n{statement}\n)"  # noqa: S608 - through quote_name
