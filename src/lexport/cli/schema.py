"""``lexport schema``: every table and column, from ``columns.py`` alone."""

from __future__ import annotations

import click

from lexport import columns
from lexport.cli.options import option
from lexport.cli.output import FORMATS, print_rows

_NAMES = ("table", "column", "type", "unit", "kind", "meaning", "source")


@click.command("schema", short_help="List every table and column.")
@option("--table", type=click.Choice(tuple(columns.BY_NAME)), help="Only this table.")
@option("--output", type=click.Choice(FORMATS), default="table", show_default=True, help="Format.")
def command(table: str | None, output: str) -> None:
    """List the tables and their columns: type, unit, kind, meaning, and where AWS sends each."""
    tables = columns.TABLES if table is None else (columns.BY_NAME[table],)
    rows = (
        (found.name, column.name, column.type.value, column.unit, column.kind, column.meaning, column.source)
        for found in tables
        for column in found.columns
    )
    print_rows(_NAMES, rows, output=output)
