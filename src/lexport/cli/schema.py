"""``lexport schema``: list the tables and columns that ``lexport.tables`` declares."""

from __future__ import annotations

from collections.abc import Sequence

import click

from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import declare_command, option
from lexport.cli._output import notify
from lexport.cli._rows.formats import print_rows
from lexport.query.warehouse.dialects import DIALECTS

_NAMES = ("table", "column", "type", "unit", "kind", "meaning", "source")


class TableChoice(click.Choice):  # type: ignore[type-arg]
    """The name of any table, also of one that is registered after this module is imported."""

    @property
    def choices(self) -> tuple[str, ...]:
        """The names."""
        from lexport.tables.registry import BY_NAME

        return tuple(BY_NAME)

    @choices.setter
    def choices(self, names: Sequence[str]) -> None:
        """Take no other names."""


@declare_command(
    "schema", "lexport schema --table functions", "lexport schema --ddl athena --location s3://bucket/fleet"
)
@option("Tables", "--table TABLE", "Describe only this table.", type=TableChoice(()))
@output_option()
@csv_safe_option
@option(
    "Warehouse",
    "--ddl",
    "Print the SQL statements that declare the dataset in this warehouse.",
    "dialect",
    type=click.Choice(tuple(DIALECTS)),
)
@option("Warehouse", "--location URL", "Use this URL of DEST in the statements of --ddl, e.g. s3://bucket/prefix.")
def command(table: str | None, output: str, dialect: str | None, location: str | None) -> None:
    """List the tables and their columns: type, unit, kind, meaning, and the field of AWS's response.

    Columns of kind `key` together identify a row of a snapshot; NULL counts as a value. Columns of kind `secret` may
    hold confidential values.

    With --ddl, print external tables over the files, and views over the committed rows that have the names of lexport
    sql.
    """
    if dialect is not None:
        if table is not None or output != "table":
            raise click.UsageError("--ddl prints SQL for all tables; leave --table and --output out")
        _print_ddl(dialect, location)
        return
    if location is not None:
        raise click.UsageError("--location needs --ddl")
    output = choose_format(output)
    from lexport.tables import registry

    tables = registry.tables() if table is None else (registry.BY_NAME[table],)
    rows = (
        (shown.name, column.name, column.type.value, column.unit, shown.kind_of(column), column.meaning, column.source)
        for shown in tables
        for column in shown.columns
    )
    print_rows(_NAMES, rows, output=output)


def _print_ddl(dialect: str, location: str | None) -> None:
    from lexport.query.warehouse.ddl import PLACEHOLDER, ddl

    statements = list(ddl(DIALECTS[dialect], location))
    if location is None:
        notify(f"no --location: replace {PLACEHOLDER} with the bucket and prefix of DEST")
    click.echo("".join(f"{statement};\n\n" for statement in statements), nl=False)
