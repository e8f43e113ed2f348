"""The option --param: values for the parameters of a query."""

from __future__ import annotations

from collections.abc import Sequence

import click

from lexport.cli._options import option
from lexport.query.sql_text import PARAMETER_NAME


def parse_parameter(text: str) -> tuple[str, str]:
    """Return the name and the value of ``NAME=VALUE``. Raises ValueError, which does not show the value."""
    name, equals, value = text.partition("=")
    if not equals or PARAMETER_NAME.fullmatch(name) is None:
        what = f"{name!r} is no name" if equals else "there is no ="
        raise ValueError(f"write NAME=VALUE: {what}")
    return name, value


def _parse_parameters(texts: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in texts:
        try:
            name, value = parse_parameter(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error
        if name.lower() in map(str.lower, values):
            raise click.BadParameter(f"${name} is given twice")
        values[name] = value
    return values


parameters_option = option(
    "Queries",
    "--param NAME=VALUE",
    "Use this value for $NAME in the query; DuckDB casts it to the type that is needed.",
    "parameters",
    multiple=True,
    has_variable=False,
    callback=lambda _context, _option, values: _parse_parameters(values),
)
