"""Named parameters of a query: ``$NAME`` becomes a literal of its value, outside texts and comments.

DuckDB's binding with values reads the whole result into memory; a literal has the same type and is streamed. DuckDB
casts both to the type that the query needs: ``memory_size > $least`` compares numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import duckdb

from lexport.errors import QueryError
from lexport.query.sql_text import PARAMETER_NAME, quote_text
from lexport.tables.text import did_you_mean

_PLACE = re.compile(rb'\$(?:"([^"]*)"|([A-Za-z0-9_\x80-\xff]+))')


def fill_parameters(statement: duckdb.Statement, values: Mapping[str, str]) -> str:
    """Return the text of a statement with its parameters replaced. Names are the same in any case.

    Raises QueryError for a parameter without a value and for a value without a parameter.
    """
    text = str(statement.query)
    by_name = {name.lower(): value for name, value in values.items()}
    named = {str(name).lower(): str(name) for name in statement.named_parameters}
    for name in named.values():
        if PARAMETER_NAME.fullmatch(name) is None:
            raise QueryError("a parameter of a query has a name, such as $region; ? and $1 have none")
    missing = [name for key, name in named.items() if key not in by_name]
    if missing:
        raise QueryError(f"the query has the parameter ${missing[0]} without a value: give --param {missing[0]}=VALUE")
    unknown = [name for name in values if name.lower() not in named]
    if unknown:
        hint = did_you_mean(unknown[0], named.values()) if named else ""
        raise QueryError(f"the query has no parameter ${unknown[0]}, and --param {unknown[0]}=… gives its value{hint}")
    if not named:
        return text
    raw = text.encode()
    parts, end, found = [], 0, set()
    for start, stop, name in _places(raw, text):
        parts += [raw[end:start], quote_text(by_name.get(name.lower(), "")).encode()]
        found.add(name.lower())
        end = stop
    if found != named.keys():
        raise QueryError("the parameters of the query cannot be told from its text; put blanks around each $NAME")
    return b"".join((*parts, raw[end:])).decode()


def hide_values(line: str, values: Mapping[str, str]) -> str:
    """Return a message of DuckDB without the values of parameters, which it quotes."""
    for name, value in values.items():
        shown = " ".join(value.split())  # as the message is in one line
        for text in {value, shown, value.replace("'", "''")}:
            if text:
                line = line.replace(f"'{text}'", f"${name}").replace(f'"{text}"', f"${name}")
    return line


def _places(raw: bytes, text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where each ``$NAME`` begins and ends, and its name."""
    for offset, kind in duckdb.tokenize(text):  # offsets count bytes
        place = _PLACE.match(raw, offset) if kind == duckdb.token_type.operator else None
        if place is not None:
            yield offset, place.end(), (place[1] or place[2]).decode()
