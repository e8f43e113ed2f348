"""``lexport schema``: every table and column, from ``lexport.tables`` alone."""

from __future__ import annotations

import click

from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import option
from lexport.cli._output import print_rows
from lexport.query.warehouse.dialects import DIALECTS
from lexport.tables import registry
from lexport.tables.registry import BY_NAME

_NAMES = ("table", "column", "type", "unit", "kind", "meaning", "source")


@click.command("schema", short_help="List every table and column.")
@option("--table", type=click.Choice(tuple(BY_NAME)), help="Only this table.")
@output_option()
@csv_safe_option
@option(
    "--ddl", "dialect", type=click.Choice(tuple(DIALECTS)), help="Print the statements that show DEST to a warehouse."
)
@option("--location", metavar="URL", help="With --ddl: DEST as the warehouse calls it, such as s3://bucket/prefix.")
def command(table: str | None, output: str, dialect: str | None, location: str | None) -> None:
    """List the tables and their columns: type, unit, kind, meaning, and where AWS sends each.

    Of kind: no two rows of one snapshot are the same in all columns that are `key`; NULL counts as a value. A `secret`
    must not be shared without thought.

    With --ddl: external tables over the files, and views that show what was committed, under the names of lexport sql.
    """
    if dialect is not None:
        if table is not None or output != "table":
            raise click.UsageError("--ddl prints SQL for all tables; leave --table and --output out")
        _print_ddl(dialect, location)
        return
    if location is not None:
        raise click.UsageError("--location needs --ddl")
    output = choose_format(output)
    tables = registry.tables() if table is None else (BY_NAME[table],)
    rows = (
        (found.name, column.name, column.type.value, column.unit, found.kind_of(column), column.meaning, column.source)
        for found in tables
        for column in found.columns
    )
    print_rows(_NAMES, rows, output=output)


def _print_ddl(dialect: str, location: str | None) -> None:
    from lexport.query.warehouse.ddl import PLACEHOLDER, ddl

    statements = list(ddl(DIALECTS[dialect], location))
    if location is None:
        click.echo(f"lexport: no --location: write where DEST is in place of {PLACEHOLDER}", err=True)
    click.echo("".join(f"{statement};\n\n" for statement in statements), nl=False)
