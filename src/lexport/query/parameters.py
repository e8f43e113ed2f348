"""Named parameters of a query: ``$NAME`` becomes a literal of its value, outside texts and comments.

DuckDB's binding with values reads the whole result into memory; a literal has the same type and is streamed. DuckDB
casts texts to the type that the query needs: ``memory_size > $least`` compares numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from types import NoneType
from typing import Any, TypeAlias

import duckdb

from lexport.errors import QueryError
from lexport.query.sql_text import PARAMETER_NAME, quote_text
from lexport.tables.text import did_you_mean

ParameterValue: TypeAlias = "str | int | float | bool | date | datetime | Sequence[ParameterValue] | None"
"""What a parameter can be. A time has a time zone; a list or a tuple becomes a list of DuckDB."""

_PLACE = re.compile(rb'\$(?:"([^"]*)"|([A-Za-z0-9_\x80-\xff]+))')

_LITERALS: dict[type, Callable[[Any], str]] = {  # the first one that fits: a truth value is an int, a time is a date
    NoneType: lambda _none: "NULL",
    str: quote_text,
    bool: lambda value: str(value).upper(),
    int: lambda value: f"({value})",
    float: lambda value: f"DOUBLE {quote_text(str(value))}",
    datetime: lambda value: f"TIMESTAMPTZ {quote_text(value.isoformat())}",
    date: lambda value: f"DATE {quote_text(value.isoformat())}",
}


def fill_parameters(statement: duckdb.Statement, values: Mapping[str, ParameterValue]) -> str:
    """Return the text of a statement with its parameters replaced. Names are the same in any case.

    Raises QueryError for a parameter without a value, for a value without a parameter, and for a value that SQL does
    not have.
    """
    text = str(statement.query)
    by_name = _literals(values)
    named = {str(name).lower(): str(name) for name in statement.named_parameters}
    for name in named.values():
        if PARAMETER_NAME.fullmatch(name) is None:
            raise QueryError("a parameter of a query has a name, such as $region; ? and $1 have none")
    missing = [name for key, name in named.items() if key not in by_name]
    if missing:
        raise QueryError(
            f"the query has the parameter ${missing[0]} without a value: give --param {missing[0]}=VALUE"
            " (parameters= in Python)"
        )
    unknown = [name for name in values if name.lower() not in named]
    if unknown:
        hint = did_you_mean(unknown[0], named.values()) if named else ""
        raise QueryError(f"the query has no parameter ${unknown[0]}, for which a value is given{hint}")
    if not named:
        return text
    raw = text.encode()
    parts, end, found = [], 0, set()
    for start, stop, name in _places(raw, text):
        parts += [raw[end:start], by_name.get(name.lower(), "NULL").encode()]
        found.add(name.lower())
        end = stop
    if found != named.keys():
        raise QueryError("the parameters of the query cannot be found in its text; put blanks around each $NAME")
    return b"".join((*parts, raw[end:])).decode()


def check_names(values: object) -> None:
    """Raise QueryError where parameters are no mapping of names."""
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise QueryError("parameters are a mapping of names to values, such as {'region': 'eu-west-1'}")


def hide_values(line: str, values: Mapping[str, ParameterValue]) -> str:
    """Return a message of DuckDB without the values of parameters, which it quotes."""
    for name, given in values.items():
        for value in _texts(given):
            shown = " ".join(value.split())  # as the message is in one line
            for text in {value, shown, value.replace("'", "''")}:
                if text:
                    line = line.replace(f"'{text}'", f"${name}").replace(f'"{text}"', f"${name}")
    return line


def _literals(values: Mapping[str, ParameterValue]) -> dict[str, str]:
    """Return the values as SQL, by their names in lower case."""
    literals: dict[str, str] = {}
    for name, value in values.items():
        if name.lower() in literals:
            raise QueryError(f"the parameter ${name.lower()} has two values, in upper and lower case")
        literals[name.lower()] = _literal(name, value)
    return literals


def _literal(name: str, value: ParameterValue) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(name, each) for each in value)}]"
    write = next((write for kind, write in _LITERALS.items() if isinstance(value, kind)), None)
    if write is None:
        raise QueryError(
            f"the value of ${name} has the type {type(value).__name__}: expected a text, a number, a truth value, a"
            " date, a time, None, or a list of these"
        )
    if isinstance(value, str) and not _is_unicode(value):
        raise QueryError(f"the value of ${name} is not valid Unicode")
    if isinstance(value, int) and abs(value) >= 2**127:
        raise QueryError(f"the value of ${name} is a number of more than 128 bits")
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise QueryError(f"the value of ${name} is a time without a time zone: give it one, such as datetime.UTC")
    return write(value)


def _texts(value: ParameterValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _places(raw: bytes, text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where each ``$NAME`` begins and ends, and its name."""
    for offset, kind in duckdb.tokenize(text):  # offsets count bytes
        place = _PLACE.match(raw, offset) if kind == duckdb.token_type.operator else None
        if place is not None:
            yield offset, place.end(), (place[1] or place[2]).decode()


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
