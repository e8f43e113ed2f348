"""The type of a column -> the type to cast it to, where Arrow or a file format cannot hold its values as they are."""

from __future__ import annotations

from typing import Any

LOSSY = {
    "uhugeint": "VARCHAR",  # becomes a signed number of 128 bits
    "time with time zone": "VARCHAR",  # loses its zone
    "bit": "VARCHAR",  # becomes bytes of DuckDB's own making, as do the next two
    "bignum": "VARCHAR",
    "variant": "JSON",
}
"""Types that DuckDB hands to Arrow as something else. Source: DuckDB 2.0, tried with each of its types."""

UNPRINTED = LOSSY | {"interval": "VARCHAR", "union": "VARCHAR", "geometry": "VARCHAR"}
"""Those, and the types that neither a text format nor Parquet has."""


def as_text(kind: Any, casts: dict[str, str]) -> str | None:
    """Return the type with the parts in ``casts`` replaced, however deep they are; None where there are none.

    ``kind`` is one of DuckDB's: it has ``id`` and, where it is nested, ``children`` with their names.
    """
    if kind.id in casts:
        return casts[kind.id]
    if kind.id not in {"list", "array", "struct", "tuple", "map"}:
        return None
    children = [(name, child) for name, child in kind.children if not isinstance(child, int)]
    replaced = [as_text(child, casts) for _, child in children]
    if not any(replaced):
        return None
    parts = [new or str(child) for new, (_, child) in zip(replaced, children, strict=True)]
    if kind.id == "list":
        return f"{parts[0]}[]"
    if kind.id == "array":
        return f"{parts[0]}[{dict(kind.children)['size']}]"
    if kind.id == "struct":
        quoted = ['"' + name.replace('"', '""') + '"' for name, _ in children]
        parts = [f"{name} {part}" for name, part in zip(quoted, parts, strict=True)]
    return f"{kind.id.upper()}({', '.join(parts)})"
