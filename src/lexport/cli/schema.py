"""``lexport schema``: list the tables and columns that ``lexport.tables`` declares."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import declare_command, option
from lexport.cli._output import notify
from lexport.cli._rows.formats import print_rows
from lexport.query.warehouse.dbt.profiles import DBT_DIALECTS
from lexport.query.warehouse.dialects import DIALECTS, script
from lexport.query.warehouse.native_tables import NATIVE_DIALECTS

_DBT_DIALECT = "duckdb"
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
    type=click.Choice(tuple(DIALECTS)),
)
@option(
    "Warehouse",
    "--tables",
    "Print the SQL statements that create the tables and views for lexport feed in this warehouse.",
    type=click.Choice(tuple(NATIVE_DIALECTS)),
)
@option("Warehouse", "--dbt FOLDER", "Write a dbt project into this new folder.", type=click.Path(path_type=Path))
@option(
    "Warehouse",
    "--dialect",
    "Write the dbt project for this warehouse, by default duckdb.",
    type=click.Choice(tuple(DBT_DIALECTS)),
)
@option(
    "Warehouse",
    "--location URL",
    "Use this URL, e.g. s3://bucket/prefix: of DEST for --ddl and --dbt, of new tables for --tables athena.",
)
def command(
    *,
    table: str | None,
    output: str,
    ddl: str | None,
    tables: str | None,
    dbt: Path | None,
    dialect: str | None,
    location: str | None,
) -> None:
    """List the tables and their columns: type, unit, kind, meaning, and the field of AWS's response.

    Columns of kind `key` together identify a row, and a MERGE of a feed goes by them; NULL counts as a value. Tables of
    the fleet and of packages have the latest rows; in their history, a row is identified by snapshot_id too. Columns of
    kind `secret` may hold confidential values.

    With --ddl, print external tables over the files, and views over the committed rows that have the names of lexport
    sql. With --tables, print the tables that feeds are loaded into, and the same views over them.

    With --dbt, write a dbt project: sources, staging models, the views of lexport sql as models, tests, exposures. For
    duckdb it reads the files at --location; for another --dialect, the views that --ddl or --tables prints.
    """
    _check_use(table=table, output=output, ddl=ddl, tables=tables, dbt=dbt, dialect=dialect, location=location)
    if ddl is not None:
        _print_ddl(ddl, location)
        return
    if tables is not None:
        _print_tables(tables, location)
        return
    if dbt is not None:
        _write_dbt(dbt, dialect or _DBT_DIALECT, location)
        return
    output = choose_format(output)
    from lexport.tables import registry
    from lexport.tables.fed import fed_table

    listed = registry.tables() if table is None else (registry.BY_NAME[table],)
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
        for shown in listed
        for column in shown.columns
    )
    print_rows(_NAMES, rows, output=output)


def _check_use(
    *,
    table: str | None,
    output: str,
    ddl: str | None,
    tables: str | None,
    dbt: Path | None,
    dialect: str | None,
    location: str | None,
) -> None:
    given = [name for name, value in (("--ddl", ddl), ("--tables", tables), ("--dbt", dbt)) if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"{given[0]} and {given[1]} write different things; leave one of them out")
    if given and (table is not None or output != "table"):
        what = "prints SQL" if dbt is None else "writes a project"
        raise click.UsageError(f"{given[0]} {what} for all tables; leave --table and --output out")
    if dialect is not None and dbt is None:
        raise click.UsageError("--dialect needs --dbt FOLDER")
    if location is None:
        return
    if not given:
        raise click.UsageError("--location needs --ddl, --tables or --dbt")
    if tables not in (None, "athena"):
        raise click.UsageError("--tables takes a --location for athena alone: other warehouses keep tables themselves")
    if dbt is not None and dialect not in (None, _DBT_DIALECT):
        raise click.UsageError(f"--dbt takes a --location for {_DBT_DIALECT} alone, which reads the files")


def _print_ddl(dialect: str, location: str | None) -> None:
    from lexport.query.warehouse.ddl import ddl
    from lexport.query.warehouse.location import PLACEHOLDER

    statements = list(ddl(DIALECTS[dialect], location))
    if location is None and DIALECTS[dialect].reads_parquet:
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
    click.echo(script(statements), nl=False)


def _write_dbt(folder: Path, dialect: str, location: str | None) -> None:
    from lexport.query.warehouse.dbt.project import write_project

    write_project(folder, DBT_DIALECTS[dialect], location)
    notify(f"wrote a dbt project to {folder}; next: cd {shlex.quote(str(folder))} && dbt build")
    if dialect == _DBT_DIALECT and location is None:
        notify(f"no --location: set lexport_location in {folder / 'dbt_project.yml'} to DEST")
