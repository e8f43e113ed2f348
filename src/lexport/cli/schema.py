"""``lexport schema``: list the tables and columns that ``lexport.tables`` declares."""

from __future__ import annotations

from collections.abc import Sequence

import click

from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import declare_command, option
from lexport.cli._output import notify
from lexport.cli._rows.formats import print_rows
from lexport.query.warehouse.dialects import DIALECTS
from lexport.query.warehouse.native_tables import NATIVE_DIALECTS

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
    "schema",
    "lexport schema --table functions",
    "lexport schema --ddl athena --location s3://bucket/fleet",
    "lexport schema --tables postgres",
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
@option(
    "Warehouse",
    "--tables",
    "Print the SQL statements that create the tables and views for lexport feed in this warehouse.",
    "native",
    type=click.Choice(tuple(NATIVE_DIALECTS)),
)
@option(
    "Warehouse",
    "--location URL",
    "Use this URL, e.g. s3://bucket/prefix, in the statements: of DEST for --ddl, of new tables for --tables athena.",
)
def command(*, table: str | None, output: str, dialect: str | None, native: str | None, location: str | None) -> None:
    """List the tables and their columns: type, unit, kind, meaning, and the field of AWS's response.

    Columns of kind `key` together identify a row, and a MERGE of a feed goes by them; NULL counts as a value. Tables of
    the fleet and of packages have the latest rows; in their history, a row is identified by snapshot_id too. Columns of
    kind `secret` may hold confidential values.

    With --ddl, print external tables over the files, and views over the committed rows that have the names of lexport
    sql. With --tables, print the tables that feeds are loaded into, and the same views over them.
    """
    if dialect is not None or native is not None:
        if table is not None or output != "table":
            name = "--tables" if dialect is None else "--ddl"
            raise click.UsageError(f"{name} prints SQL for all tables; leave --table and --output out")
        if dialect is not None and native is not None:
            raise click.UsageError("--ddl and --tables print different SQL; leave one of them out")
        if location is not None and native not in (None, "athena"):
            raise click.UsageError(
                "--tables takes a --location for athena alone: other warehouses keep tables themselves"
            )
        if native is not None:
            _print_tables(native, location)
        elif dialect is not None:
            _print_ddl(dialect, location)
        return
    if location is not None:
        raise click.UsageError("--location needs --ddl or --tables")
    output = choose_format(output)
    from lexport.tables import registry
    from lexport.tables.fed import fed_table

    tables = registry.tables() if table is None else (registry.BY_NAME[table],)
    rows = (
        (
            shown.name,
            column.name,
            column.type.value,
            column.unit,
            "key" if column.name in fed_table(shown).key else column.kind,
            column.meaning,
            column.source,
        )
        for shown in tables
        for column in shown.columns
    )
    print_rows(_NAMES, rows, output=output)


def _print_ddl(dialect: str, location: str | None) -> None:
    from lexport.query.warehouse.ddl import ddl
    from lexport.query.warehouse.location import PLACEHOLDER

    statements = list(ddl(DIALECTS[dialect], location))
    if location is None:
        notify(f"no --location: replace {PLACEHOLDER} with the bucket and prefix of DEST")
    _print(statements)


def _print_tables(dialect: str, location: str | None) -> None:
    from lexport.query.warehouse.location import PLACEHOLDER
    from lexport.query.warehouse.native_views import native_ddl

    statements = list(native_ddl(NATIVE_DIALECTS[dialect], location=location))
    if location is None and dialect == "athena":
        notify(f"no --location: replace {PLACEHOLDER} with a bucket and prefix for the tables")
    _print(statements)


def _print(statements: Sequence[str]) -> None:
    click.echo("".join(f"{statement};\n\n" for statement in statements), nl=False)
